"""The built-in diarizer on two real voices, and on what it must not stumble over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pipeline.errors import StoppedError
from pipeline.providers.base import Audio
from pipeline.providers.diarize_builtin import BuiltinDiarizer
from pipeline.speech.metrics import diarization_error
from pipeline.speech.values import Turn

pytestmark = pytest.mark.slow

RATE = 16_000
ROOT = Path(__file__).parent.parent
KENNEDY = ((0.3, 2.2), (5.4, 7.7), (8.2, 10.5))
QUILTER = ((0.5, 2.8), (2.8, 5.45))


class Unwatched:
    def check(self) -> None:
        pass

    def progress(self, done_s: float, total_s: float) -> None:
        assert done_s <= total_s


class Stopping(Unwatched):
    """Stops when asked for the given time."""

    def __init__(self, checks: int) -> None:
        self.left = checks

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise StoppedError("stopped")


@cache
def voice(name: str) -> np.ndarray:
    return soundfile.read(ROOT / "samples" / f"{name}.wav", dtype="int16")[0]


def conversation(rounds: int, pause_s: float = 0.4) -> tuple[np.ndarray, list[Turn]]:
    """Let the two voices say two phrases each in turn, with pauses between all phrases; the truth beside it."""
    parts, truth, at_s = [], [], 0.0
    pause = np.zeros(round(pause_s * RATE), np.int16)
    for number in range(rounds):
        for name, phrases in (
            ("jfk", KENNEDY),
            ("jfk", KENNEDY[1:]),
            ("quilter", QUILTER),
            ("quilter", QUILTER[1:]),
        ):
            start_s, end_s = phrases[number % len(phrases)]
            parts += [voice(name)[round(start_s * RATE) : round(end_s * RATE)], pause]
            truth.append(Turn(at_s, at_s + end_s - start_s, name))
            at_s += end_s - start_s + pause_s
    return np.concatenate(parts), truth


def audio(folder: Path, samples: np.ndarray) -> Audio:
    path = folder / "mix.flac"
    soundfile.write(path, np.asarray(samples, np.int16), RATE, subtype="PCM_16")
    return Audio(path, (), len(samples) / RATE)


def diarized(heard: Audio, **options: Any) -> dict[str, Any]:
    wanted = {"speakers": None, "min_speakers": None, "max_speakers": None} | options
    return BuiltinDiarizer().diarize(heard, wanted, Unwatched())


def speakers(answer: dict[str, Any]) -> list[str]:
    return sorted({turn["speaker"] for turn in answer["turns"]})


def test_two_voices_are_told_apart(tmp_path: Path) -> None:
    samples, truth = conversation(4)
    answer = diarized(audio(tmp_path, samples), speakers=2)
    error = diarization_error(truth, [Turn(**turn) for turn in answer["turns"]])
    assert error.rate < 0.15


def test_a_turn_ends_where_its_speaker_is_silent_for_long(tmp_path: Path) -> None:
    samples, truth = conversation(2, pause_s=1.5)
    turns = diarized(audio(tmp_path, samples), speakers=1)["turns"]
    assert len(turns) == len(truth)


def test_speakers_are_named_in_the_order_of_their_first_turns(tmp_path: Path) -> None:
    answer = diarized(audio(tmp_path, conversation(3)[0]), speakers=2)
    first_turns = list(dict.fromkeys(turn["speaker"] for turn in answer["turns"]))
    assert first_turns == ["SPEAKER_00", "SPEAKER_01"]


@pytest.mark.parametrize("pause_s", [0.0, 0.4])
def test_turns_are_sorted_on_a_grid_of_10_ms_and_of_one_speaker_at_a_time(tmp_path: Path, pause_s: float) -> None:
    turns = diarized(audio(tmp_path, conversation(3, pause_s)[0]), speakers=2)["turns"]
    assert len(turns) > 2
    assert all(turn["start_s"] < turn["end_s"] for turn in turns)
    assert all(one["end_s"] <= other["start_s"] for one, other in pairwise(turns))
    assert all(turn[key] == round(turn[key], 2) for turn in turns for key in ("start_s", "end_s"))


@pytest.mark.parametrize("given", [1, 2, 3, 20])
def test_never_more_speakers_than_given(tmp_path: Path, given: int) -> None:
    answer = diarized(audio(tmp_path, conversation(2)[0]), speakers=given)
    assert 1 <= len(speakers(answer)) <= given
    assert answer["metadata"]["count_method"] == "given"


@pytest.mark.parametrize("given", [1, 2, 3])
def test_as_many_speakers_as_given_where_there_is_speech_enough(tmp_path: Path, given: int) -> None:
    assert len(speakers(diarized(audio(tmp_path, conversation(2)[0]), speakers=given))) == given


def test_the_count_stays_within_the_bounds_that_the_user_names(tmp_path: Path) -> None:
    heard = audio(tmp_path, conversation(5)[0])
    assert len(speakers(diarized(heard))) == 2
    assert len(speakers(diarized(heard, max_speakers=1))) == 1
    at_least_three = diarized(heard, min_speakers=3)
    assert len(speakers(at_least_three)) == 3
    assert at_least_three["metadata"]["count_method"] == "automatic"


def test_the_metadata_describe_the_turns(tmp_path: Path) -> None:
    samples, truth = conversation(2)
    answer = diarized(audio(tmp_path, samples), speakers=2)
    assert answer["metadata"]["speakers"] == len(speakers(answer))
    assert answer["metadata"]["segments"] == len(answer["turns"])
    spoken_s = sum(turn.end_s - turn.start_s for turn in truth)
    assert answer["metadata"]["speech_s"] == pytest.approx(spoken_s, rel=0.1)


@pytest.mark.parametrize("kind", ["silence", "noise", "one sample"])
def test_a_recording_without_speech_has_no_turns(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(1).normal(0.0, 100.0, 3 * RATE)
    samples = {"silence": np.zeros(3 * RATE), "noise": noise, "one sample": np.ones(1)}[kind]
    answer = diarized(audio(tmp_path, samples))
    assert answer["turns"] == []
    assert answer["metadata"]["speakers"] == 0


@pytest.mark.parametrize("length_s", [0.4, 0.6, 1.0, 2.0, 4.5])
@pytest.mark.parametrize("given", [None, 2])
def test_very_short_recordings_are_no_difficulty(tmp_path: Path, length_s: float, given: int | None) -> None:
    start = round(0.55 * RATE)
    samples = voice("quilter")[start : start + round(length_s * RATE)]
    answer = diarized(audio(tmp_path, samples), speakers=given)
    assert answer["turns"]
    assert len(speakers(answer)) <= (given or 2)


@pytest.mark.parametrize("checks", [0, 5, 12, 20, 30])
def test_the_user_can_stop_it_in_every_phase(tmp_path: Path, checks: int) -> None:
    with pytest.raises(StoppedError):
        BuiltinDiarizer().diarize(audio(tmp_path, conversation(3)[0]), {}, Stopping(checks))


def test_no_more_speakers_are_counted_than_the_user_allows(tmp_path: Path) -> None:
    kennedy = voice("jfk")
    slower = np.interp(np.arange(0, len(kennedy) - 1, 0.8), np.arange(len(kennedy)), kennedy)
    heard = audio(tmp_path, np.concatenate([conversation(4)[0], slower, slower]))
    assert len(speakers(diarized(heard))) > 2
    assert len(speakers(diarized(heard, max_speakers=2))) == 2


@pytest.mark.parametrize("rounds", [4, pytest.param(12, marks=pytest.mark.heavy)])
def test_the_answer_is_the_same_in_another_process_with_another_number_of_threads(
    tmp_path: Path, rounds: int
) -> None:
    heard = audio(tmp_path, conversation(rounds)[0])
    script = (
        "import json, sys; from pathlib import Path; from tests.test_diarize_builtin import *\n"
        "heard = Audio(Path(sys.argv[1]), (), float(sys.argv[2])); print(json.dumps(diarized(heard)))"
    )
    other = "2" if os.environ["OPENBLAS_NUM_THREADS"] == "1" else "1"
    answer = subprocess.run(
        [sys.executable, "-c", script, str(heard.mix), str(heard.duration_s)],
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": other, "PYTHONHASHSEED": "1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert json.loads(answer) == diarized(heard)


@pytest.mark.parametrize(("rounds", "times"), [(6, 4), pytest.param(6, 10, marks=pytest.mark.heavy)])
def test_a_long_recording_of_one_talk_has_as_many_speakers_as_a_short_one(
    tmp_path: Path, rounds: int, times: int
) -> None:
    samples, truth = conversation(rounds)
    once = diarized(audio(tmp_path, samples))
    assert len(speakers(once)) == len({turn.speaker for turn in truth})
    assert len(speakers(diarized(audio(tmp_path, np.tile(samples, times))))) == len(speakers(once))
