"""The built-in diarizer: voice activity, then clustering of voices that it knows only from the recording itself.

It needs no model file and no network. It gives each moment to one speaker: where several speak at once, it finds
one of them. The speaker count is a good guess at best, so `--speakers` is worth giving.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from projections.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.audio.voice_activity import Interval
    from pipeline.providers.base import Answer, Audio, Options, Work
    from pipeline.providers.context import Context

PAUSE = 30
"""Frames (of 10 ms) of a pause within which a turn goes on, as in `pipeline.audio.voice_activity`."""


def make(context: Context) -> BuiltinDiarizer:
    """Return the provider, as every entry point does."""
    return BuiltinDiarizer()


class BuiltinDiarizer:
    """Finds who speaks when, in one recording by itself; the same audio and options give the same turns."""

    def engine(self) -> Engine:
        """Return the facts about this engine; it works everywhere."""
        return Engine(name="builtin", version=3, key_options=("speakers", "min_speakers", "max_speakers"))

    def diarize(self, audio: Audio, options: Options, work: Work) -> Answer:
        """Return the turns of the mix; none where nobody speaks."""
        from pipeline.audio.voice_activity import speech_intervals

        intervals = speech_intervals(audio.mix, work.check)
        labels = _labels(audio, intervals, options, work) if intervals else []
        turns = _turns(intervals, labels)
        work.progress(audio.duration_s, audio.duration_s)
        metadata = {
            "speakers": len({turn["speaker"] for turn in turns}),
            "segments": len(turns),
            "speech_s": sum(end - first for first, end in intervals) / 100,
            "count_method": "given" if options.get("speakers") else "automatic",
        }
        return {"turns": turns, "metadata": metadata}


def _labels(audio: Audio, intervals: Sequence[Interval], options: Options, work: Work) -> Sequence[int]:
    """Return the voice of each frame of the intervals, as a number."""
    from pipeline.audio.voices.features import speech_spectra
    from pipeline.audio.voices.speakers import speaker_labels

    def check(frames_done: int) -> None:
        work.check()
        work.progress(frames_done / 100, audio.duration_s)

    spectra = speech_spectra(audio.mix, intervals, check)
    fewest, most = _bounds(options)
    labels: list[int] = speaker_labels(spectra, intervals, fewest, most, work.check).tolist()
    return labels


def _bounds(options: Options) -> tuple[int, int | None]:
    """Return the least and the largest speaker count that the user allows."""
    given = options.get("speakers")
    if given:
        return given, given
    return options.get("min_speakers") or 1, options.get("max_speakers")


def _turns(intervals: Sequence[Interval], labels: Sequence[int]) -> list[dict[str, Any]]:
    """Return a turn for each stretch of one voice, short pauses included; named in the order of first turns."""
    names: dict[int, str] = {}
    turns: list[list[int]] = []
    for first, end, label in _stretches(intervals, labels):
        if turns and turns[-1][2] == label and first - turns[-1][1] <= PAUSE:
            turns[-1][1] = end
        else:
            turns.append([first, end, label])
            names.setdefault(label, f"SPEAKER_{len(names):02d}")
    return [{"start_s": first / 100, "end_s": end / 100, "speaker": names[label]} for first, end, label in turns]


def _stretches(intervals: Sequence[Interval], labels: Sequence[int]) -> list[tuple[int, int, int]]:
    """Cut the intervals where the voice changes: (first, end, label) each, in frames of the recording."""
    found, row = [], 0
    for first, end in intervals:
        at = first
        for label, run in groupby(labels[row : row + end - first]):
            length = sum(1 for _ in run)
            found.append((at, at + length, label))
            at += length
        row += end - first
    return found
