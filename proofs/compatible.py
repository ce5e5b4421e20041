"""A server that somebody else wrote, with `evt run` before it: faster-whisper-server and a model of random weights.

`make compatible` makes the environment for the server. The server is told to fetch nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from proofs.report import BrokenPromiseError

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "samples" / "jfk.wav"
MODEL = "house-model"
KEY = "sk-canary-0123456789abcdef"
PACKAGES = ("faster-whisper-server", "faster-whisper", "av", "ctranslate2", "fastapi")
START_S, RUN_S = 60.0, 180.0
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
SERVE = "import sys; from faster_whisper_server import main; sys.argv[0] = 'faster-whisper-server'; main()"
BUILD = "import sys, pathlib; from tests.support.tiny_whisper import build; build(pathlib.Path(sys.argv[1]))"
VERSIONS = "import sys; from importlib.metadata import version; print(*(f'{p} {version(p)}' for p in sys.argv[1:]))"

TIMES_OF_THE_MODEL = ""
TIMES_OF_THE_SERVER = "without_timestamps: true"
"""Random weights time segments at random, also after the sound's end; without them the server times windows."""


@frozen
class Case:
    """A way to use the server.

    Attributes:
        name: in words.
        options: of the server's transcriptions.
        key: whether evt has a key for it.
        services: lines of `services.toml` in evt's home.
        format: in which evt has to end up asking.
        probes: how many requests may find that out.
    """

    name: str
    options: str
    key: bool
    services: str
    format: str
    probes: int


KNOWN = f'[openai.models.{MODEL}]\nformats = ["json"]\nfree = true\n'
CASES = (
    Case("timed segments, without a key", TIMES_OF_THE_SERVER, False, "", "verbose_json", 1),
    Case("timed segments, with a key", TIMES_OF_THE_SERVER, True, "", "verbose_json", 1),
    Case("times that can't be right", TIMES_OF_THE_MODEL, False, "", "verbose_json", 1),
    Case("json only, as services.toml says", TIMES_OF_THE_SERVER, False, KNOWN, "json", 0),
)


def prove(server: str) -> None:
    """Run every case, and print what came out and how long it took.

    Args:
        server: the Python interpreter of the server's environment.

    Raises:
        BrokenPromiseError: a run didn't end right, asked more often than it should, or left the key somewhere.
    """
    print(f"compatible: {_output(server, VERSIONS, *PACKAGES).strip()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _output(server, BUILD, str(folder / "model"))
        for options in dict.fromkeys(case.options for case in CASES):
            with _served(server, folder, options) as url:
                for case in (case for case in CASES if case.options == options):
                    _try(case, url, Path(tempfile.mkdtemp(dir=folder)))


def _try(case: Case, url: str, folder: Path) -> None:
    """Run a recording twice as large as one probe, then another; only the first may be used to find out."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    (home / "services.toml").write_text(case.services)
    for number in (1, 2):
        recording = folder / f"{number}.wav"
        recording.write_bytes(SAMPLE.read_bytes() + bytes(2 * number))
        begun_s = time.monotonic()
        _evt(case, url, home, "run", str(recording), "--transcriber", "openai", "--model", MODEL)
        took_s = time.monotonic() - begun_s
        log = max(home.glob("logs/*/*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        records = [json.loads(line) for line in log.read_bytes().splitlines()]
        probes, calls = _counted(case, records, case.probes if number == 1 else 0)
        words = _require_words(recording.with_suffix(".json"))
        said = f"{probes} to probe, {calls} to transcribe, {words} words, {took_s:.1f} s"
        print(f"compatible: {case.name}: recording {number}: {said}", flush=True)
    if "Nothing was paid." not in _evt(case, url, home, "cost"):
        raise BrokenPromiseError(f"{case.name}: evt cost speaks of money")
    leaks = [path for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    if leaks:
        raise BrokenPromiseError(f"{case.name}: the key is in {leaks[0].name}")


def _counted(case: Case, records: list[dict[str, Any]], probes_expected: int) -> tuple[int, int]:
    """Return how many requests probed and how many transcribed."""
    started = [record["data"] for record in records if record["type"] == "call.started"]
    asked = [call for call in started if call["operation"] == "transcribe"]
    probes = sum(call["unit"] == "probe" for call in asked)
    found = {record["data"]["facts"]["format"] for record in records if record["type"] == "engine.probed"}
    if probes != probes_expected or found != ({case.format} if case.probes else set()):
        raise BrokenPromiseError(f"{case.name}: {probes} probes instead of {probes_expected}; found {found}")
    if any(call["billable"] for call in started) or len(asked) == probes:
        raise BrokenPromiseError(f"{case.name}: a call counts as paid, or none was made: {started}")
    return probes, len(asked) - probes


def _require_words(transcript: Path) -> int:
    """Return how many words a transcript has, each of which the model can say, in their order."""
    from tests.support.tiny_whisper import WORDS

    content = json.loads(transcript.read_text())
    words = [word for utterance in content["utterances"] for word in utterance["words"]]
    starts = [word["start_s"] for word in words]
    if not words or not {word["text"] for word in words} <= set(WORDS) or starts != sorted(starts):
        raise BrokenPromiseError(f"these are not the model's words, or not in order: {words}")
    return len(words)


def _evt(case: Case, url: str, home: Path, *arguments: str) -> str:
    """Run a command of evt in a process of its own and return what it says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EVT_", "OPENAI_"))}
    ours = {"EVT_HOME": str(home), "OPENAI_BASE_URL": url, "PYTHONPATH": str(ROOT)}
    key = {"OPENAI_API_KEY": KEY} if case.key else {}
    done = subprocess.run(
        [sys.executable, "-c", "from cli.main import main; main()", *arguments],
        cwd=home.parent,
        env={**kept, **ours, **key},
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    said = done.stdout + done.stderr
    if done.returncode or "Traceback" in said or KEY in said:
        raise BrokenPromiseError(f"{case.name}: evt {arguments[0]} ended with {done.returncode}:\n{said}")
    return said


@contextmanager
def _served(server: str, folder: Path, options: str) -> Iterator[str]:
    """Serve the model on loopback and yield the base URL; the server reads the model's name from another field."""
    settings = folder / "served.yaml"
    lines = ["models:", "  - name: whisper-1", f"    path: {folder / 'model'}"]
    settings.write_text("\n".join([*lines, f"    transcribe_options: {{{options}}}", ""]))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [server, "-c", SERVE, "--config", str(settings), "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, env={**os.environ, **OFFLINE}, stdout=log, stderr=log)
    try:
        _await(f"http://127.0.0.1:{port}/health", process, folder / "server.log")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.1)
    raise BrokenPromiseError(f"the server did not start:\n{log.read_text()[-2000:]}")


def _output(python: str, program: str, *arguments: str) -> str:
    environment = {**os.environ, **OFFLINE, "PYTHONPATH": str(ROOT)}
    command = [python, "-c", program, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=RUN_S, check=False)
    if done.returncode:
        raise BrokenPromiseError(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def main() -> None:
    """Run from the command line; exit 0: it held, or can't be run here, and then the reason is printed."""
    parser = argparse.ArgumentParser(prog="python -m proofs.compatible", description=__doc__)
    parser.add_argument("--server", required=True, help="the Python interpreter that has the server")
    server = parser.parse_args().server
    reason = _reason_not_to_run(server)
    if reason:
        print(f"compatible: not run: {reason}")
        return
    begun_s = time.monotonic()
    try:
        prove(server)
    except BrokenPromiseError as broken:
        print(f"compatible: BROKEN: {broken}")
        sys.exit(1)
    print(f"compatible: held, after {time.monotonic() - begun_s:.0f} s")


def _reason_not_to_run(server: str) -> str:
    """Return why the server can't be had here; empty: it can."""
    if not Path(server).exists():
        return f"there is no environment with the server: {server} is missing; `make compatible` makes it"
    command = [server, "-c", "import faster_whisper_server"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


if __name__ == "__main__":
    main()
