"""The real command line in a process of its own, with a home, a folder and a script of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.support import forks
from tests.support.shop import write_script, write_speech

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120.0
START = [sys.executable, "-c", "from cli.main import main; main()"]
WORDS = [("one", 0.2, 0.6), ("two", 1.5, 1.9), ("three", 3.2, 3.6), ("four", 4.4, 4.8), ("five", 6.1, 6.5)]


def run_alone(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout_s: float = TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in a process that is started for it."""
    return subprocess.run(
        [*START, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout_s,
        check=False,
    )


class Evt:
    """Calls `evt` in a folder, with a home, and keeps what it needs to know of both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.work = folder / "work"
        self.work.mkdir()
        self.script = write_script(folder / "script.toml", words=WORDS, chunk_s="[2.0, 3.0]")

    @classmethod
    def copied(cls, done: Path, folder: Path) -> Self:
        """Return one that goes on in another folder from what was done in the first, whose script it shares."""
        made = cls(folder)
        made.work.rmdir()
        for name in ("home", "work"):
            shutil.copytree(done / name, folder / name)
        made.script = done / "script.toml"
        return made

    @property
    def engines(self) -> list[str]:
        return ["--diarizer", f"script:{self.script}", "--transcriber", f"script:{self.script}"]

    def environment(self, **more: str) -> dict[str, str]:
        ours = ("EVT_", "OPENAI_", "PYANNOTE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {**kept, "PYTHONPATH": str(ROOT), "EVT_HOME": str(self.home), "HOME": str(self.folder), **more}

    def __call__(
        self, *arguments: str | Path | bytes, code: int | None = 0, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; fails if its exit code is not the expected one, or if it shows a traceback."""
        environment = self.environment(**more)
        run = forks.run if forks.is_enough(environment) else run_alone
        done = run([_fs(argument) for argument in arguments], self.work, environment, TIMEOUT_S)
        assert "Traceback" not in done.stderr, done.stderr
        assert code is None or done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *arguments: str | Path, **more: Any) -> subprocess.Popen[str]:
        """Start a command and return its process."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        return subprocess.Popen(
            [*START, *map(str, arguments)], cwd=self.work, text=True, **{"env": self.environment(), **pipes}
        )

    def lines_of(self, *arguments: str | Path) -> Iterator[str]:
        """Yield what a command prints, line by line; it is ended when nobody listens any more."""
        process = self.start(*arguments)
        try:
            assert process.stdout is not None
            yield from process.stdout
        finally:
            process.terminate()
            process.communicate()

    def json(self, *arguments: str | Path, code: int | None = 0) -> Any:
        """Run a command that reports as JSON and return its report."""
        return json.loads(self(*arguments, "--json", code=code).stdout)

    def speech(self, name: str = "talk.wav", seconds: float = 8.0, seed: int = 0) -> Path:
        """Write a recording."""
        return write_speech(self.work / name, seconds, seed)

    def run(self, *arguments: str | Path, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a recording with the scripted engine."""
        return self("run", *arguments, *self.engines, code=code)

    def log(self) -> Path:
        """Return the only log."""
        (path,) = self.home.glob("logs/*/*.jsonl")
        return path

    def records(self) -> list[dict[str, Any]]:
        """Return the only log's records."""
        return [json.loads(line) for line in self.log().read_bytes().splitlines()]

    def types(self) -> list[str]:
        """Return the types of the only log's records."""
        return [record["type"] for record in self.records()]


def _fs(argument: str | Path | bytes) -> str:
    return os.fsdecode(argument) if isinstance(argument, bytes) else str(argument)
