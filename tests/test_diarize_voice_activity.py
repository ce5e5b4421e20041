"""Where somebody speaks: real speech is found, silence and noise are not, and the level doesn't matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.audio.voice_activity import FRAMES_PER_S, Interval, speech_intervals
from pipeline.errors import StoppedError

RATE = 16_000
SAMPLES = Path(__file__).parent.parent / "samples"


def jfk() -> np.ndarray:
    return soundfile.read(SAMPLES / "jfk.wav", dtype="int16")[0]


def found(path: Path, samples: np.ndarray) -> list[Interval]:
    soundfile.write(path, np.asarray(samples, np.int16), RATE, subtype="PCM_16")
    return speech_intervals(path, lambda: None)


def covered(intervals: list[Interval], start_s: float, end_s: float) -> float:
    """Return which part of a range of seconds is speech."""
    first, end = round(start_s * FRAMES_PER_S), round(end_s * FRAMES_PER_S)
    return sum(max(0, min(end, b) - max(first, a)) for a, b in intervals) / (end - first)


def test_phrases_are_speech_and_the_pauses_between_them_are_not(tmp_path: Path) -> None:
    intervals = found(tmp_path / "jfk.flac", jfk())
    for start_s, end_s in ((0.4, 2.1), (3.4, 4.3), (5.5, 7.6), (8.3, 10.4)):
        assert covered(intervals, start_s, end_s) > 0.95
    for start_s, end_s in ((2.6, 3.1), (4.6, 5.2)):
        assert covered(intervals, start_s, end_s) < 0.05


def test_intervals_are_disjoint_ascending_and_inside_the_recording(tmp_path: Path) -> None:
    samples = jfk()
    intervals = found(tmp_path / "jfk.flac", samples)
    edges = [edge for interval in intervals for edge in interval]
    assert edges == sorted(set(edges))
    assert edges[0] >= 0
    assert edges[-1] <= len(samples) * FRAMES_PER_S / RATE


@pytest.mark.parametrize("level_db", [-30, -15, 0])
def test_soft_recordings_give_the_same_speech_as_loud_ones(tmp_path: Path, level_db: float) -> None:
    intervals = found(tmp_path / "soft.flac", jfk() * 10 ** (level_db / 20))
    speech_s = sum(end - first for first, end in intervals) / FRAMES_PER_S
    assert speech_s == pytest.approx(7.9, abs=0.7)


@pytest.mark.parametrize("level_dbfs", [-70, -50, -30])
def test_steady_noise_is_no_speech(tmp_path: Path, level_dbfs: float) -> None:
    noise = np.random.default_rng(1).normal(0.0, 32768 * 10 ** (level_dbfs / 20), 5 * RATE)
    assert found(tmp_path / "noise.flac", noise) == []


@pytest.mark.parametrize("samples", [1, 100, RATE // 2, 5 * RATE])
def test_silence_of_any_length_is_no_speech(tmp_path: Path, samples: int) -> None:
    assert found(tmp_path / "silence.flac", np.zeros(samples)) == []


def test_speech_is_found_behind_a_long_silence(tmp_path: Path) -> None:
    samples = np.concatenate([np.zeros(60 * RATE, np.int16), jfk()])
    intervals = found(tmp_path / "late.flac", samples)
    assert intervals[0][0] >= 60 * FRAMES_PER_S
    assert covered(intervals, 60.4, 62.1) > 0.95


def test_the_user_can_stop_it(tmp_path: Path) -> None:
    def stop() -> None:
        raise StoppedError("stopped")

    path = tmp_path / "jfk.flac"
    soundfile.write(path, jfk(), RATE, subtype="PCM_16")
    with pytest.raises(StoppedError):
        speech_intervals(path, stop)
