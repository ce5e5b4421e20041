"""Turns as a line of time that can be asked who speaks during a word. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from operator import itemgetter

from attrs import frozen

from pipeline.speech.values import Turn

NEAREST_EDGE_S = 1.0
"""How far from a turn a word may lie and still belong to it."""


@frozen
class Timeline:
    """Turns, cut at every border.

    Attributes:
        borders: sorted.
        speaking: `speaking[i]` speak during [borders[i], borders[i + 1]), each with the time since when.
        starts: of all speech, sorted, with the speakers.
        ends: likewise.
    """

    borders: list[float]
    speaking: list[dict[str, float]]
    starts: list[tuple[float, str]]
    ends: list[tuple[float, str]]

    @classmethod
    def of(cls, turns: Sequence[Turn]) -> Timeline:
        """Make the timeline of turns in any order, each longer than nothing; the same turn twice counts once."""
        spoken = _joined(turns)
        changes = sorted(chain.from_iterable(((start, who, True), (end, who, False)) for start, end, who in spoken))
        borders: list[float] = []
        speaking: list[dict[str, float]] = []
        now: dict[str, float] = {}
        for time, at_once in groupby(changes, key=itemgetter(0)):
            for _, who, begins in at_once:
                now = {**now, who: time} if begins else {other: now[other] for other in now if other != who}
            borders.append(time)
            speaking.append(now)
        starts = sorted((start, who) for start, _, who in spoken)
        return cls(borders, speaking, starts, sorted((end, who) for _, end, who in spoken))

    def stretches(self, start_s: float, end_s: float) -> Iterator[tuple[float, dict[str, float]]]:
        """Yield the parts of [start_s, end_s) that lie within borders: seconds, and who speaks since when."""
        i = max(0, bisect_right(self.borders, start_s) - 1)
        while i + 1 < len(self.borders) and self.borders[i] < end_s:
            seconds = min(end_s, self.borders[i + 1]) - max(start_s, self.borders[i])
            if seconds > 0:
                yield seconds, self.speaking[i]
            i += 1

    def heard(self, start_s: float, end_s: float) -> dict[str, float]:
        """Return the seconds of each speaker who speaks within [start_s, end_s)."""
        seconds_by_speaker: dict[str, float] = defaultdict(float)
        for seconds, speaking in self.stretches(start_s, end_s):
            for speaker in speaking:
                seconds_by_speaker[speaker] += seconds
        return dict(seconds_by_speaker)

    def since(self, speaker: str, start_s: float, end_s: float) -> float:
        """Return when a speaker who is heard within [start_s, end_s) began to speak, without a pause since."""
        return next(who[speaker] for _, who in self.stretches(start_s, end_s) if speaker in who)

    def crosstalk_s(self, start_s: float, end_s: float) -> float:
        """Return the seconds of [start_s, end_s) in which two or more speak."""
        return sum(seconds for seconds, speaking in self.stretches(start_s, end_s) if len(speaking) > 1)

    def nearest(self, start_s: float, end_s: float) -> str | None:
        """Return whose turn's edge is nearest to an interval in which nobody speaks; the earlier if level."""
        before = bisect_right(self.ends, start_s, key=itemgetter(0)) - 1
        after = bisect_left(self.starts, end_s, key=itemgetter(0))
        near = [(start_s - time, speaker) for time, speaker in self.ends[max(0, before) : before + 1]]
        near += [(time - end_s, speaker) for time, speaker in self.starts[after : after + 1]]
        distance, speaker = min(near, key=itemgetter(0), default=(math.inf, ""))
        return speaker if distance <= NEAREST_EDGE_S else None


def _joined(turns: Sequence[Turn]) -> list[tuple[float, float, str]]:
    """Return (start, end, speaker) of all speech; turns of one speaker that touch or overlap are one."""
    joined: list[tuple[float, float, str]] = []
    for who, start, end in sorted((turn.speaker, turn.start_s, turn.end_s) for turn in turns):
        if joined and joined[-1][2] == who and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]), who)
        else:
            joined.append((start, end, who))
    return joined
