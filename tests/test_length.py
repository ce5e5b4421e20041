"""What is true of a short recording is true of a long one: no word is lost, and none goes to another speaker."""

from __future__ import annotations

import wave
from pathlib import Path

import orjson
import pytest

from benchmarks.length import said_repeatedly
from benchmarks.runs import write_script
from benchmarks.truth import Said, repeated, wrong_speakers
from pipeline.speech.groups import spread
from pipeline.speech.values import Turn
from projections.options import Named
from tests.support.shop import make_shop, run_once, scripted

SAMPLES = Path(__file__).parents[1] / "samples"
ANN, BOB = "SPEAKER_00", "SPEAKER_01"
CHUNKS = "chunk_s = [4.0, 7.0]"


def said(text: str, start_s: float, end_s: float, speaker: str) -> list[Said]:
    words = text.split()
    return [Said(w, a, b, speaker) for w, (a, b) in zip(words, spread(words, start_s, end_s), strict=True)]


TRUE = [
    *said("And so my fellow Americans,", 0.3, 2.2, ANN),
    *said("ask not", 3.3, 4.4, ANN),
    *said("what your country can do for you,", 5.4, 7.7, ANN),
    *said("ask what you can do for your country.", 8.2, 10.5, ANN),
    *said(
        "Mr. Quilter is the apostle of the middle classes and we are glad to welcome his gospel.", 11.5, 16.3, BOB
    ),
]
HEARD = [Turn(0.3, 6.6, ANN), Turn(6.2, 9.1, BOB), Turn(8.8, 12.8, ANN), Turn(12.8, 16.4, BOB)]
"""Turns of a poor diarizer."""


def conversation(path: Path, times: int) -> float:
    """Write both samples one after the other, so many times over; returns the length of one pass."""
    frames = b""
    for name in ("jfk.wav", "quilter.wav"):
        with wave.open(str(SAMPLES / name)) as sample:
            frames += sample.readframes(sample.getnframes())
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(frames * times)
    return len(frames) / 2 / 16000


def found(folder: Path, times: int) -> tuple[list[Said], list[dict[str, object]]]:
    folder.mkdir()
    recording = folder / "talk.wav"
    every_s = conversation(recording, times)
    words = said_repeatedly(TRUE, times, every_s)
    script = write_script(folder / "script.toml", words, repeated(HEARD, times, every_s), CHUNKS)
    named = Named(options={**scripted(script), "formats": ["json"]})
    result, _ = run_once(make_shop(folder / "home"), recording, folder, named)
    assert result is not None
    transcript = orjson.loads((folder / "talk.json").read_bytes())
    return words, [word for utterance in transcript["utterances"] for word in utterance["words"]]


@pytest.mark.parametrize("times", [8])
def test_length_costs_nothing(tmp_path: Path, times: int) -> None:
    """Through real stages and many chunks, a recording has as many wrong words a minute as a part of it."""
    (true, short), (truth, long) = found(tmp_path / "short", 1), found(tmp_path / "long", times)
    wrong = wrong_speakers([w.speaker for w in true], [str(w["speaker"]) for w in short])
    assert wrong > 0, "else it would show nothing"
    assert [w["text"] for w in long] == [w.text for w in truth], "no word is lost at a join of chunks"
    assert wrong_speakers([w.speaker for w in truth], [str(w["speaker"]) for w in long]) == times * wrong
