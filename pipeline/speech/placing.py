"""What was heard in a piece, put on the recording's clock. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from pipeline.speech.cuts import RATE, Span
from pipeline.speech.groups import spread
from pipeline.speech.timemap import back
from pipeline.speech.values import Turn, Word


@frozen
class Place:
    """Where a piece lies.

    Attributes:
        span: its samples, of one file of the recording.
        kept: those of them that were sent, where long pauses were left out; empty: all.
        channel: of the recording, where channels are transcribed one by one.
        speaker: who speaks in it, where it was cut from a speaker's turns.
    """

    span: Span
    kept: tuple[Span, ...] = ()
    channel: int | None = None
    speaker: str | None = None

    def time_s(self, time_s: float | None, *, is_end: bool = False) -> float | None:
        """Return a time of an answer on the recording's clock, clamped to the piece."""
        if time_s is None:
            return None
        start_s, end_s = self.span[0] / RATE, self.span[1] / RATE
        return round(min(max(back(time_s, self.kept or (self.span,), is_end=is_end), start_s), end_s), 3)

    def span_s(self, span: Sequence[float] | None) -> tuple[float, float] | None:
        """Return a span of an answer on the recording's clock."""
        start_s, end_s = (self.time_s(span[0]), self.time_s(span[1], is_end=True)) if span else (None, None)
        return None if start_s is None or end_s is None else (start_s, max(start_s, end_s))


def placed(words: Sequence[Mapping[str, Any]], place: Place) -> Iterator[Word]:
    """Yield the words of an answer on the recording's clock; where none has times they fill the piece."""
    if words and all(word["start_s"] is None and word["end_s"] is None for word in words):
        sent_s = sum(end - start for start, end in place.kept or (place.span,)) / RATE
        times = spread([word["text"] for word in words], 0.0, sent_s)
        words = [
            {**word, "start_s": a, "end_s": b, "segment": (0.0, sent_s)}
            for word, (a, b) in zip(words, times, strict=True)
        ]
    for word in words:
        start_s, end_s = place.time_s(word["start_s"]), place.time_s(word["end_s"], is_end=True)
        if start_s is not None and end_s is not None:
            end_s = max(start_s, end_s)
        yield Word(
            word["text"],
            start_s,
            end_s,
            confidence=word.get("confidence"),
            channel=place.channel,
            speaker=place.speaker or word.get("speaker"),
            suspect=tuple(word.get("suspect", ())),
            segment=place.span_s(word.get("segment")),
        )


def placed_turns(turns: Sequence[Mapping[str, Any]], place: Place) -> Iterator[Turn]:
    """Yield the turns of an answer on the recording's clock."""
    for turn in turns:
        span = place.span_s((turn["start_s"], turn["end_s"]))
        assert span is not None, "turns have times"
        yield Turn(*span, turn["speaker"])
