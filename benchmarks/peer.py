"""Other people's programs, each in a process of the benchmarks' own environment, ready to take turns with ours."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = Path(os.environ.get("EVT_BENCH_PYTHON", ROOT / ".venv-bench" / "bin" / "python")).absolute()
"""The interpreter that has what stands in peers.txt; `make bench` makes it."""
SCRIPTS = ROOT / "benchmarks" / "peers"


class Peer:
    """A script of benchmarks/peers that is ready; call it with how many acts it is to do, and get their seconds."""

    def __init__(self, script: str, folder: Path) -> None:
        """Start it in a folder, where it keeps its files.

        Raises:
            OSError: it can't be run here; the message is the last line that it said.
        """
        self._said = folder / f"{script}.stderr"
        with self._said.open("wb") as stderr:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": stderr}
            command = [str(PYTHON), str(SCRIPTS / f"{script}.py")]
            self._process = subprocess.Popen(command, cwd=folder, text=True, **pipes)
        self._answer()

    def __call__(self, count: int) -> float:
        """Let it do so many acts; returns the seconds that it says they took."""
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """Let it end."""
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _answer(self) -> str:
        answer = self._process.stdout.readline()
        if not answer:
            self.close()
            said = self._said.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise OSError(f"{self._process.args[1]} ended: {said[-1]}")
        return answer


@contextlib.contextmanager
def peers(folder: Path, scripts: Sequence[str]) -> Iterator[dict[str, Peer]]:
    """Start scripts of benchmarks/peers; those that can't be run here are left out, and stderr says why."""
    with contextlib.ExitStack() as ends:
        running: dict[str, Peer] = {}
        for script in scripts:
            try:
                running[script] = Peer(script, folder)
            except OSError as error:
                print(f"not run: {script}: {error}", file=sys.stderr)
            else:
                ends.callback(running[script].close)
        yield running
