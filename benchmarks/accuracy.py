"""Prints how well the built-in engines do: diarization, speaker counts, transcription.

`EVT_CORPUS=… python -m benchmarks.accuracy`, about ten minutes. The corpus is the folder of the shared recordings;
without it everything but the shipped samples is 'not run'.

Diarization error: no collar, overlaps judged. Word error: case and punctuation don't count.

The conversations and the count of their speakers are `benchmarks.counting`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.counting import MIXTURES, SEED, conversations
from benchmarks.mixtures import RATE
from benchmarks.truth import rttm
from pipeline.providers.base import Audio, Chunk
from pipeline.speech.metrics import diarization_error, word_errors
from pipeline.speech.values import Turn

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = {
    "jfk": "And so my fellow Americans ask not what your country can do for you "
    "ask what you can do for your country",
    "quilter": "Mr Quilter is the apostle of the middle classes and we are glad to welcome his gospel",
}
WER_MAX = {"jfk": 0.28, "quilter": 0.40}


class Unwatched:
    """Work that nobody follows or stops."""

    def check(self) -> None:
        """Go on."""

    def progress(self, done_s: float, total_s: float) -> None:
        """Tell nobody."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the accuracy of the built-in engines.")
    parser.add_argument("--mixtures", type=int, default=MIXTURES)
    parser.add_argument("--seed", type=int, default=SEED)
    named = parser.parse_args()
    corpus = os.environ.get("EVT_CORPUS")
    with tempfile.TemporaryDirectory() as scratch:
        transcription(Path(scratch))
        if corpus is None:
            print("diarization: not run (set EVT_CORPUS to the folder of the shared recordings)")
            return
        call(Path(corpus) / "pyannote_sample", Path(scratch))
        conversations(Path(corpus), named.mixtures, named.seed)


def transcription(scratch: Path) -> None:
    """Print the word error rates of the built-in transcriber on the shipped samples."""
    if find_spec("pipeline.providers.transcribe_builtin") is None:
        print("transcription: not run (there is no built-in transcriber)")
        return
    from pipeline.providers.transcribe_builtin import BuiltinTranscriber

    transcriber = BuiltinTranscriber()
    lacking = transcriber.engine().lacking
    if lacking is not None:
        print(f"transcription: not run ({lacking})")
        return
    try:
        for name, truth in SAMPLES.items():
            path, samples = canonical(ROOT / "samples" / f"{name}.wav", scratch)
            chunk = Chunk(path, 0, len(samples), None, "chunk-0")
            answer = transcriber.transcribe(chunk, {"language": "en", "model": None}, Unwatched())
            errors = word_errors(truth, " ".join(word["text"] for word in answer["words"]))
            show(f"WER {name}", errors.rate, at_most=WER_MAX[name])
    finally:
        transcriber.close()


def call(folder: Path, scratch: Path) -> None:
    """Print the errors on a real telephone call, by itself and repeated 4 and 20 times."""
    _, samples = canonical(folder / "sample.wav", scratch)
    truth = rttm(folder / "sample.rttm")
    for times in (1, 4, 20):
        path = written(scratch / f"call{times}.flac", np.tile(samples, times))
        repeated = [
            Turn(turn.start_s + 30 * k, turn.end_s + 30 * k, turn.speaker) for k in range(times) for turn in truth
        ]
        for speakers, at_most in ((2, 0.165), (None, 0.25)):
            turns, _ = diarized(path, speakers)
            limit = at_most if times == 1 else None
            how = "given 2 speakers" if speakers else f"counted {count(turns)} speakers"
            show(f"DER call x{times}, {how}", diarization_error(repeated, turns).rate, at_most=limit)


def diarized(path: Path, speakers: int | None) -> tuple[list[Turn], float]:
    """Return the turns that the built-in diarizer finds, and the seconds of one processor that it takes."""
    from pipeline.audio.soundfiles import blocks
    from pipeline.providers.diarize_builtin import BuiltinDiarizer

    duration_s = sum(len(block) for block in blocks(path, 60.0)) / RATE
    options = {"speakers": speakers, "min_speakers": None, "max_speakers": None}
    start_s = time.process_time()
    answer = BuiltinDiarizer().diarize(Audio(path, (), duration_s), options, Unwatched())
    return [Turn(**turn) for turn in answer["turns"]], time.process_time() - start_s


def count(turns: Sequence[Turn]) -> int:
    return len({turn.speaker for turn in turns})


def canonical(path: Path, scratch: Path) -> tuple[Path, Any]:
    """Copy a 16 kHz mono recording to FLAC, the form that the engines read."""
    import soundfile

    samples, _ = soundfile.read(path, dtype="int16")
    return written(scratch / f"{path.stem}.flac", samples), samples


def written(path: Path, samples: Any) -> Path:
    import soundfile

    soundfile.write(path, samples, RATE, subtype="PCM_16")
    return path


def show(what: str, value: Any, *, at_most: float | None = None, at_least: float | None = None) -> None:
    """Print a figure, its limit and whether it is kept."""
    limit = f"  (at most {at_most})" if at_most is not None else f"  (at least {at_least})" if at_least else ""
    kept = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    print(f"{what}: {value:.3f}{limit}{'' if kept else '  MISSED'}")


if __name__ == "__main__":
    main()
