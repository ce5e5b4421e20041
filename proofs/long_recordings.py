"""Takes a day of sound, in files of more than 4 GB, through all stages, in memory that doesn't grow with it.

`python -m proofs.long_recordings [--hours 24] [--diarizer builtin]`, ten minutes, and a gigabyte of disk, which is
given back. The recording is stereo at 48 kHz: a minute of speech in every ten, silence between, which takes no
disk. The real `evt run` makes the transcript; a script gives the words, so that their times can be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parent.parent
RATE_HZ, FRAME, EVERY_S, SPEECH_S = 48_000, 4, 600, 60
MEMORY_MAX_MB = 700
"""Of any process of evt, however long a recording is: libraries and models of built-in engines take most of it."""


def write_day(path: Path, form: str, hours: float) -> None:
    """Write speech at the start of every ten minutes; `form` is rf64, or wrapped: a WAV whose size overflowed."""
    seconds = int(hours * 3600)
    length = seconds * RATE_HZ * FRAME
    kind = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 2, RATE_HZ, RATE_HZ * FRAME, FRAME, 16)
    if form == "rf64":
        sizes = struct.pack("<IQQQI", 28, 72 + length, length, length // FRAME, 0)
        header = b"RF64\xff\xff\xff\xffWAVEds64" + sizes + kind + b"data\xff\xff\xff\xff"
    else:
        stated = length % 2**32
        header = (
            b"RIFF"
            + struct.pack("<I", (stated + 36) % 2**32)
            + b"WAVE"
            + kind
            + b"data"
            + struct.pack("<I", stated)
        )
    sample, rate_hz = soundfile.read(ROOT / "samples" / "jfk.wav", dtype="int16")
    loud = np.repeat(np.resize(sample, SPEECH_S * rate_hz), RATE_HZ // rate_hz)
    minute = np.stack([loud, loud // 2], axis=1).astype("<i2").tobytes()
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + length)
        for at_s in range(0, seconds - SPEECH_S + 1, EVERY_S):
            file.seek(len(header) + at_s * RATE_HZ * FRAME)
            file.write(minute)


def write_script(path: Path, hours: float) -> list[float]:
    """Write a script that says a word in each minute of speech; return when."""
    times_s = [at_s + 10.25 for at_s in range(0, int(hours * 3600) - SPEECH_S + 1, EVERY_S)]
    words = ", ".join(f'["w{number}", {at_s}, {at_s + 0.5}]' for number, at_s in enumerate(times_s))
    path.write_text(f"words = [{words}]\n", encoding="utf-8")
    return times_s


def evt_run(arguments: list[str], folder: Path) -> tuple[float, float, int]:
    """Run evt; return seconds, CPU seconds, and the largest process in MB; fails if it does."""
    environment = {**os.environ, "EVT_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}
    start_s = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", "from cli.main import main; main()", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace")
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"evt {' '.join(arguments)} ended with {process.returncode}:\n{said}")
    return time.monotonic() - start_s, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024


def prove(form: str, hours: float, diarizer: str) -> dict[str, Any]:
    """Take one recording through all stages, and an hour at its end once more; return what that took."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("EVT_SCRATCH")) as scratch:
        folder = Path(scratch)
        recording = folder / "day.wav"
        write_day(recording, form, hours)
        times_s = write_script(folder / "script.toml", hours)
        engines = ["--diarizer", diarizer, "--transcriber", f"script:{folder / 'script.toml'}", "--format", "json"]
        seconds, cpu_s, memory_mb = evt_run(["run", "day.wav", *engines], folder)
        document = json.loads((folder / "day.json").read_bytes())
        found_s = [word["start_s"] for one in document["utterances"] for word in one["words"]]
        assert document["duration_s"] == hours * 3600, document["duration_s"]
        assert found_s == times_s, "the words are not where they were said"
        assert not document["notes"], document["notes"]
        assert memory_mb < MEMORY_MAX_MB, f"{memory_mb} MB"
        begin_s = int((hours - 1) * 3600)
        last_s, _, last_mb = evt_run(
            ["run", "day.wav", *engines[2:], "--diarizer", "none", "--start", str(begin_s)], folder
        )
        document = json.loads((folder / "day.json").read_bytes())
        assert document["excerpt"]["start_s"] == begin_s
        assert min(word["start_s"] for one in document["utterances"] for word in one["words"]) >= begin_s
        return {
            "form": form,
            "gb": round(recording.stat().st_size / 1e9, 1),
            "hours": hours,
            "diarizer": diarizer,
            "seconds": round(seconds),
            "cpu_s": round(cpu_s),
            "memory_mb": memory_mb,
            "last_hour_s": round(last_s),
            "last_hour_mb": last_mb,
        }


def main() -> None:
    """Prove it for an RF64 and for a WAV whose size has overflowed; print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--diarizer", default="none")
    given = parser.parse_args()
    for form in ("rf64", "wrapped"):
        print(json.dumps(prove(form, given.hours, given.diarizer)), flush=True)


if __name__ == "__main__":
    main()
