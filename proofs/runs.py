"""`kill -9` of `evt run` at random moments; run again, it gives the same transcript and does nothing twice.

    python -m proofs.runs --kills 200 --real 10 --seed 1

The scripted engine is killed `--kills` times, the built-in one `--real` times. Each life begins in a home of its
own and is killed once, at a moment drawn over the length of an undisturbed run.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import Any

from attrs import frozen

from proofs.report import BrokenPromiseError, Tally, command

ROOT = Path(__file__).resolve().parents[1]
EVT = [sys.executable, "-c", "from cli.main import main; main()"]
SCRIPT = """
language = "en"
chunk_s = [2.0, 3.0]
turns = [[0.0, 6.0, "SPEAKER_00"], [6.0, 20.0, "SPEAKER_01"]]
words = [{words}]
[[delays]]
operation = "transcription"
seconds = 0.05
"""


@frozen
class Series:
    """Lives with one engine: where they are, how they are called, and what an undisturbed one gave and took."""

    engine: str
    folder: Path
    recording: Path
    options: list[str]
    expected: dict[str, bytes]
    length_s: float


def prove(*, kills: int, real: int, seed: int) -> Tally:
    """Kill `evt run` at random moments, run it again: same transcript, and nothing finished is done twice."""
    chance, tally = random.Random(seed), Tally()
    folder = Path(tempfile.mkdtemp(prefix="evt-runs-"))
    for engine, options, number in (("scripted", _scripted(folder), kills), ("built-in", [], real)):
        series = _undisturbed(engine, folder / engine, options)
        for life in range(number):
            _kill_once(series, series.folder / str(life), chance, tally)
    shutil.rmtree(folder)
    return tally


def _scripted(folder: Path) -> list[str]:
    """Return the options of a run with a scripted engine."""
    script = folder / "script.toml"
    words = ", ".join(f'["word{i}", {i * 0.5}, {i * 0.5 + 0.3}]' for i in range(38))
    script.write_text(SCRIPT.format(words=words))
    return ["--diarizer", f"script:{script}", "--transcriber", f"script:{script}"]


def _undisturbed(engine: str, folder: Path, options: list[str]) -> Series:
    """Run once without a kill."""
    folder.mkdir()
    recording = _make_recording(folder / "talk.wav")
    begun_s = time.monotonic()
    subprocess.run(_run(folder / "undisturbed", recording, options), cwd=ROOT, check=True, capture_output=True)
    length_s = time.monotonic() - begun_s
    return Series(engine, folder, recording, options, _transcripts(folder / "undisturbed"), length_s)


def _kill_once(series: Series, life: Path, chance: random.Random, tally: Tally) -> None:
    """Kill a run, run again, and compare.

    Raises:
        BrokenPromiseError: it names the life's folder, which is kept.
    """
    arguments = _run(life, series.recording, series.options)
    ended = _run_and_kill(arguments, chance.uniform(0, series.length_s * 1.05))
    tally.add(f"{series.engine} engine: {ended}")
    tally.add(f"{series.engine} engine: killed after {_last_event(life)}")
    again = subprocess.run(arguments, cwd=ROOT, check=False, capture_output=True, text=True)
    if again.returncode:
        raise BrokenPromiseError(f"I10: exit code {again.returncode} in {life}: {again.stderr[-300:]}")
    if _transcripts(life) != series.expected:
        raise BrokenPromiseError(f"I1: another transcript in {life}")
    if (vain := _work_in_vain(life)) is not None:
        raise BrokenPromiseError(f"I9: {vain} in {life}")


def _make_recording(path: Path) -> Path:
    """Write 19 seconds of speech, mono, 16 kHz."""
    with wave.open(str(ROOT / "samples" / "jfk.wav")) as sample:
        speech = sample.readframes(sample.getnframes())
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((speech * 2)[: 19 * 32000])
    return path


def _run(life: Path, recording: Path, options: list[str]) -> list[str]:
    """Return the command line of a run; always the same, as a user would repeat it."""
    return [*EVT, "--home", f"{life}/home", "run", str(recording), "-o", f"{life}/out", *options]


def _run_and_kill(arguments: list[str], after_s: float) -> str:
    """Start a run and kill it after so long; say how it ended."""
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return "killed"
    return "had finished before its kill"


def _transcripts(life: Path) -> dict[str, bytes]:
    """Return what was delivered."""
    return {path.name: path.read_bytes() for path in sorted((life / "out").glob("talk*"))}


def _records(life: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a life's log."""
    logs = list(life.glob("home/logs/*/*.jsonl"))
    lines = logs[0].read_bytes().split(b"\n")[:-1] if logs else []
    return [json.loads(line) for line in lines]


def _last_event(life: Path) -> str:
    """Return the type of the last event, to see that the kills fall everywhere."""
    found = _records(life)
    return str(found[-1]["type"]) if found else "nothing"


def _work_in_vain(life: Path) -> str | None:
    """Say what was done again although it had been finished, judged by the log alone."""
    keys: dict[tuple[str, int], str] = {}
    done: set[str] = set()
    requests: dict[str, str] = {}
    answered: set[str] = set()
    for record in _records(life):
        data = record["data"]
        if record["type"] == "stage.started":
            if data["key"] in done:
                return f"{data['stage']} ran again"
            keys[data["stage"], data["attempt"]] = data["key"]
        elif record["type"] == "stage.succeeded":
            done.add(keys[data["stage"], data["attempt"]])
        elif record["type"] == "call.started":
            if data["request"] in answered:
                return f"{data['unit']} was asked again"
            requests[data["call"]] = data["request"]
        elif record["type"] == "call.succeeded":
            answered.add(requests[data["call"]])
    return None


def main() -> None:
    """See `prove`."""
    command("runs", prove, {"kills": 200, "real": 10})


if __name__ == "__main__":
    main()
