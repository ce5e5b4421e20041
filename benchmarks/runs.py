"""Runs of the real `evt run`, in processes of their own, with a home that is thrown away."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from benchmarks.truth import Said
from pipeline.speech.values import Turn

ROOT = Path(__file__).resolve().parent.parent
RATE = 16_000


@frozen
class Transcribed:
    """What `evt run` made of a recording; `cpu_s` is the processor time of all stages."""

    content: dict[str, Any]
    cpu_s: float

    @property
    def words(self) -> list[Said]:
        """The words in the order of the transcript."""
        return [
            Said(word["text"], word["start_s"], word["end_s"], word["speaker"])
            for utterance in self.content["utterances"]
            for word in utterance["words"]
        ]

    @property
    def turns(self) -> list[Turn]:
        """The diarizer's turns."""
        return [Turn(**turn) for turn in self.content["turns"]]


def evt_run(recording: Path, scratch: Path, *options: str) -> Transcribed | str:
    """Run a recording; returns the last line of what evt said where there is no transcript.

    Args:
        recording: any file.
        scratch: a folder, into which the home and the transcript go.
        options: of `evt run`.
    """
    home, out = scratch / "home", scratch / "out"
    out.mkdir(parents=True, exist_ok=True)
    ours = ("EVT_", "OPENAI_", "PYANNOTE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-c", "from cli.main import main; main()", "run", str(recording)]
    before_s = _children_s()
    done = subprocess.run(
        [*command, "-o", str(out), "--format", "json", *options],
        cwd=scratch,
        env={**kept, "PYTHONPATH": str(ROOT), "EVT_HOME": str(home), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    made = out / f"{recording.stem}.json"
    if done.returncode != 0 or not made.exists():
        return (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return Transcribed(json.loads(made.read_bytes()), _children_s() - before_s)


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def write_script(path: Path, words: Sequence[Said], turns: Sequence[Turn], *more: str) -> Path:
    """Write a script for `script:FILE` that speaks these words and hears these turns; `more` are lines of it."""
    said = ",\n".join(f"[{json.dumps(word.text)}, {word.start_s!r}, {word.end_s!r}]" for word in words)
    heard = ",\n".join(f"[{turn.start_s!r}, {turn.end_s!r}, {json.dumps(turn.speaker)}]" for turn in turns)
    lines = [*more, f"turns = [\n{heard}\n]", f"words = [\n{said}\n]", ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def write_repeated(path: Path, recording: Path, times: int) -> float:
    """Write a mono 16 kHz recording several times over; returns the length of one, in seconds."""
    import soundfile

    samples, rate = soundfile.read(recording, dtype="int16")
    assert (rate, samples.ndim) == (RATE, 1), f"{recording} must be mono at {RATE} Hz"
    soundfile.write(path, np.tile(samples, times), RATE, subtype="PCM_16")
    return len(samples) / RATE
