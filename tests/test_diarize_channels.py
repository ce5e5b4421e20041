"""The two diarizers that need no clustering: one speaker for each channel, and one speaker for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pipeline.errors import ProviderError
from pipeline.providers.base import Audio
from pipeline.providers.diarize_channels import ChannelsDiarizer
from pipeline.providers.diarize_none import NoDiarizer

RATE = 16_000
SAMPLES = Path(__file__).parent.parent / "samples"
NO_OPTIONS: dict[str, Any] = {"speakers": None, "min_speakers": None, "max_speakers": None}


class Unwatched:
    def __init__(self) -> None:
        self.done_s: list[float] = []

    def check(self) -> None:
        pass

    def progress(self, done_s: float, total_s: float) -> None:
        assert done_s <= total_s
        self.done_s.append(done_s)


def two_lines(folder: Path, *, second: bool = True) -> Audio:
    """Quilter speaks on channel 0 from 12 s on, Kennedy on channel 1 from the start (or nobody there)."""
    jfk = soundfile.read(SAMPLES / "jfk.wav", dtype="int16")[0]
    quilter = soundfile.read(SAMPLES / "quilter.wav", dtype="int16")[0]
    lines = np.zeros((2, 18 * RATE), np.int16)
    lines[0, 12 * RATE : 12 * RATE + len(quilter)] = quilter
    lines[1, : len(jfk)] = jfk * second
    paths = tuple(folder / f"channel-{channel}.flac" for channel in range(2))
    for path, line in zip(paths, lines, strict=True):
        soundfile.write(path, line, RATE, subtype="PCM_16")
    mix = folder / "mix.flac"
    soundfile.write(mix, lines.sum(axis=0).astype(np.int16), RATE, subtype="PCM_16")
    return Audio(mix, paths, 18.0)


def test_each_channel_is_one_speaker_named_in_the_order_of_first_turns(tmp_path: Path) -> None:
    turns = ChannelsDiarizer().diarize(two_lines(tmp_path), NO_OPTIONS, Unwatched())["turns"]
    assert {(turn["channel"], turn["speaker"]) for turn in turns} == {(1, "SPEAKER_00"), (0, "SPEAKER_01")}
    assert all(turn["end_s"] <= 12 for turn in turns if turn["channel"] == 1)
    assert all(turn["start_s"] >= 12 for turn in turns if turn["channel"] == 0)


def test_turns_of_all_channels_are_sorted_by_start(tmp_path: Path) -> None:
    audio = two_lines(tmp_path)
    both = Audio(audio.mix, (audio.mix, *audio.channels), audio.duration_s)
    starts_s = [turn["start_s"] for turn in ChannelsDiarizer().diarize(both, NO_OPTIONS, Unwatched())["turns"]]
    assert starts_s == sorted(starts_s)
    assert len(starts_s) > len(set(starts_s))


def test_a_channel_without_speech_has_no_speaker(tmp_path: Path) -> None:
    answer = ChannelsDiarizer().diarize(two_lines(tmp_path, second=False), NO_OPTIONS, Unwatched())
    assert {(turn["channel"], turn["speaker"]) for turn in answer["turns"]} == {(0, "SPEAKER_00")}
    assert answer["metadata"]["speakers"] == 1


def test_a_recording_without_separate_channels_is_refused(tmp_path: Path) -> None:
    audio = two_lines(tmp_path)
    with pytest.raises(ProviderError, match="builtin") as caught:
        ChannelsDiarizer().diarize(Audio(audio.mix, (), audio.duration_s), NO_OPTIONS, Unwatched())
    assert caught.value.code == "no_channels"
    assert not caught.value.retryable


def test_without_diarization_all_speech_is_of_one_speaker(tmp_path: Path) -> None:
    work = Unwatched()
    answer = NoDiarizer().diarize(two_lines(tmp_path), NO_OPTIONS, work)
    assert {turn["speaker"] for turn in answer["turns"]} == {"SPEAKER_00"}
    speech_s = sum(turn["end_s"] - turn["start_s"] for turn in answer["turns"])
    assert answer["metadata"] == {
        "speakers": 1,
        "segments": len(answer["turns"]),
        "speech_s": pytest.approx(speech_s),
        "count_method": "given",
    }
    assert work.done_s[-1] == 18.0


def test_silence_has_no_turns_and_no_speaker(tmp_path: Path) -> None:
    path = tmp_path / "silence.flac"
    soundfile.write(path, np.zeros(2 * RATE, np.int16), RATE, subtype="PCM_16")
    for diarizer in (NoDiarizer(), ChannelsDiarizer()):
        answer = diarizer.diarize(Audio(path, (path,), 2.0), NO_OPTIONS, Unwatched())
        assert answer["turns"] == []
        assert answer["metadata"]["speakers"] == 0
