"""Kill `evt run` at random moments, run it again, and compare: same transcript, nothing finished done twice.

usage: python benchmarks/kills.py [--kills 200] [--real 10] [--seed N]

The scripted engine is killed `--kills` times, the built-in one `--real` times. Each life begins in a home of its
own and is killed once, at a moment drawn over the length of an undisturbed run. Prints counts and the
seed; exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EVT = Path(sys.executable).with_name("evt")
SCRIPT = """
language = "en"
chunk_s = [2.0, 3.0]
turns = [[0.0, 6.0, "SPEAKER_00"], [6.0, 20.0, "SPEAKER_01"]]
words = [{words}]
[[delays]]
operation = "transcription"
seconds = 0.05
"""


def main() -> int:
    """Run both series."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--real", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    wanted = parser.parse_args()
    print(f"seed {wanted.seed}")
    chance = random.Random(wanted.seed)
    with tempfile.TemporaryDirectory(prefix="evt-kills-") as folder:
        bad = series("scripted engine", Path(folder) / "s", scripted(Path(folder)), wanted.kills, chance)
        bad += series("built-in engine", Path(folder) / "r", [], wanted.real, chance)
    print(f"{'FAILED' if bad else 'held'}: {wanted.kills + wanted.real - bad} passed, {bad} failed")
    return 1 if bad else 0


def scripted(folder: Path) -> list[str]:
    """Return the options of a run with a scripted engine."""
    script = folder / "script.toml"
    words = ", ".join(f'["word{i}", {i * 0.5}, {i * 0.5 + 0.3}]' for i in range(38))
    script.write_text(SCRIPT.format(words=words))
    return ["--diarizer", f"script:{script}", "--transcriber", f"script:{script}"]


def series(name: str, folder: Path, engines: list[str], kills: int, chance: random.Random) -> int:
    """Kill so many runs; return how many of them ended wrong."""
    folder.mkdir()
    recording = make_recording(folder / "talk.wav")
    start_s = time.monotonic()
    subprocess.run(command(folder / "undisturbed", recording, engines), check=True, capture_output=True)
    length_s = time.monotonic() - start_s
    expected = transcripts(folder / "undisturbed")
    seen: collections.Counter[str] = collections.Counter()
    bad = 0
    for number in range(kills):
        life = folder / f"life{number}"
        status = killed_run(command(life, recording, engines), chance.uniform(0, length_s * 1.05))
        seen[last_event(life)] += 1
        again = subprocess.run(command(life, recording, engines), check=False, capture_output=True, text=True)
        problem = "exit code " + str(again.returncode) + ": " + again.stderr[-300:] if again.returncode else None
        problem = problem or ("another transcript" if transcripts(life) != expected else work_in_vain(life))
        if problem:
            bad += 1
            print(f"  {name}, kill {number} ({status}): {problem}; home kept in {life}")
    print(f"{name}: {kills} kills over {length_s:.1f} s; last event at the kill: {dict(seen.most_common())}")
    return bad


def make_recording(path: Path) -> Path:
    """Write 19 seconds of speech."""
    with wave.open(str(ROOT / "samples" / "jfk.wav")) as sample:
        speech = sample.readframes(sample.getnframes())
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((speech * 2)[: 19 * 32000])
    return path


def command(life: Path, recording: Path, engines: list[str]) -> list[str]:
    """Return the command line of a run; always the same, as a user would repeat it."""
    return [str(EVT), "--home", f"{life}/home", "run", str(recording), "-o", f"{life}/out", *engines]


def killed_run(arguments: list[str], after_s: float) -> str:
    """Start a run and kill it after so long; say how it ended."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return "killed"
    return "had finished"


def transcripts(life: Path) -> dict[str, bytes]:
    """Return what was delivered."""
    return {path.name: path.read_bytes() for path in sorted((life / "out").glob("talk*"))}


def records(life: Path) -> list[dict[str, object]]:
    """Return the whole lines of a life's log."""
    logs = list(life.glob("home/logs/*/*.jsonl"))
    lines = logs[0].read_bytes().split(b"\n")[:-1] if logs else []
    return [json.loads(line) for line in lines]


def last_event(life: Path) -> str:
    """Return the type of the last event, to see that the kills fall everywhere."""
    found = records(life)
    return str(found[-1]["type"]) if found else "none"


def work_in_vain(life: Path) -> str | None:
    """Say what was done again although it had been finished, judged by the log alone."""
    keys: dict[tuple[str, int], str] = {}
    done: set[str] = set()
    requests: dict[str, str] = {}
    answered: set[str] = set()
    for record in records(life):
        data: dict[str, object] = record["data"]  # type: ignore[assignment]
        if record["type"] == "stage.started":
            if data["key"] in done:
                return f"{data['stage']} ran again"
            keys[str(data["stage"]), int(str(data["attempt"]))] = str(data["key"])
        elif record["type"] == "stage.succeeded":
            done.add(keys[str(data["stage"]), int(str(data["attempt"]))])
        elif record["type"] == "call.started":
            if data["request"] in answered:
                return f"{data['unit']} was asked again"
            requests[str(data["call"])] = str(data["request"])
        elif record["type"] == "call.succeeded":
            answered.add(requests[str(data["call"])])
    return None


if __name__ == "__main__":
    sys.exit(main())
