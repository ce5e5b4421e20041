"""The second to fourth step: whose each word is, by itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from pipeline.speech.merge.timeline import Timeline
from pipeline.speech.merge.times import Timed
from pipeline.speech.values import UNKNOWN_SPEAKER, Turn

FRAME_S = 0.02
"""People who talk at once for less than this are not said to. Source: pyannote decides once in 17 ms."""

LEVEL_S = 0.001
"""Speakers whose shares of a word differ by less are level: no time is finer than a millisecond."""

POINT_S = 0.001
"""A word without length is looked up over this much, so that the turn around it is found."""


@frozen
class Floor:
    """The turns that hold for the words of one channel; `sole` is its speaker where it has just one."""

    full: Timeline
    exclusive: Timeline
    sole: str | None

    @classmethod
    def of(cls, channel: int | None, turns: Sequence[Turn], exclusive: Sequence[Turn]) -> Floor:
        """Pick what holds for a channel; None is the mix."""
        own = _of_channel(channel, turns)
        speakers = {turn.speaker for turn in own if turn.channel is not None}
        sole = speakers.pop() if channel is not None and len(speakers) == 1 else None
        return cls(Timeline.of(own), Timeline.of(_of_channel(channel, exclusive)), sole)


def _of_channel(channel: int | None, turns: Sequence[Turn]) -> list[Turn]:
    own = [turn for turn in turns if turn.channel == channel]
    if own:
        return own
    return list(turns) if channel is None else [turn for turn in turns if turn.channel is None]


@frozen
class Claim:
    """A word and whose it is so far; `heard` holds the seconds of every speaker within the word."""

    timed: Timed
    heard: dict[str, float]
    overlapped: bool
    speaker: str
    method: str

    @property
    def span(self) -> tuple[float, float]:
        """What of the time is looked at; never without length."""
        return _span(self.timed)

    @property
    def is_fixed(self) -> bool:
        """The speaker is known for certain: no sentence and no neighbour says otherwise."""
        return self.method in {"given", "channel"}


def claimed(timed: Sequence[Timed], floor: Floor, everyone: Timeline) -> list[Claim]:
    """Return each word with its speaker.

    Args:
        timed: the words of one channel, sorted by start.
        floor: the turns that hold for them.
        everyone: all turns of all channels; says where people talk at once.
    """
    claims: list[Claim] = []
    previous = None
    for word in timed:
        span = _span(word)
        heard = floor.full.heard(*span)
        given = word.word.speaker
        speaker, method = (given, "given") if given else _speaker(span, heard, floor, previous)
        overlapped = everyone.crosstalk_s(*span) >= min(FRAME_S, span[1] - span[0])
        claims.append(Claim(word, heard, overlapped, speaker, method))
        previous = speaker if speaker != UNKNOWN_SPEAKER else previous
    return claims


def _span(word: Timed) -> tuple[float, float]:
    return word.start_s, max(word.end_s, word.start_s + POINT_S)


def _speaker(
    span: tuple[float, float], heard: dict[str, float], floor: Floor, previous: str | None
) -> tuple[str, str]:
    """Return whose a word is and by which method."""
    if floor.sole is not None:
        return floor.sole, "channel"
    if not heard:
        nearest = floor.full.nearest(*span)
        return (nearest, "edge") if nearest is not None else (UNKNOWN_SPEAKER, "none")
    most = max(heard.values())
    level = [speaker for speaker, seconds in heard.items() if seconds > most - LEVEL_S]
    if len(level) > 1 or (len(heard) > 1 and 2 * floor.full.crosstalk_s(*span) > span[1] - span[0]):
        alone = {who: s for who, s in floor.exclusive.heard(*span).items() if who in heard}
        if alone:
            return max(alone, key=alone.__getitem__), "exclusive"
    if len(level) == 1:
        return level[0], "overlap"
    return min(level, key=lambda who: (floor.full.since(who, *span), who != previous, who)), "previous"
