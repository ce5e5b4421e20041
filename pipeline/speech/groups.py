"""Which parts of a recording are given to a transcriber that times nothing: one speaker's turns at a time. Pure.

Each part lies within one speaker's turns, so whatever text comes back is attributed, and timed to within the part.
Parts don't overlap, none is shorter than half a second, and speech that no turn covers is a part of nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from attrs import evolve, frozen

from pipeline.speech.cuts import RATE, Span, chunks, find_cuts
from pipeline.speech.values import Turn

SHORTEST = RATE // 2
"""What is shorter than half a second goes with its neighbour, or is made longer: services refuse a tenth of a
second, and engines invent words for less than a word.

Source: OpenAI answers 400 "Audio file is too short. Minimum audio length is 0.1 seconds."."""

JOINED = 2 * RATE
"""Turns of one speaker are one part across a pause of up to two seconds in which nobody else speaks."""

UNCOVERED = RATE
"""Speech outside all turns is a part of its own if it lasts a second."""


@frozen
class Group:
    """Samples [start, end) in which one person speaks; `speaker` is None where no turn says who."""

    start: int
    end: int
    speaker: str | None


def find_groups(
    total: int,
    turns: Sequence[Turn],
    exclusive: Sequence[Turn],
    *,
    speech: Sequence[Span],
    silences: Sequence[Span],
    longest_s: float,
    quietest: Callable[[int, int], int],
) -> list[Group]:
    """Return the parts to transcribe, in order.

    Args:
        total: samples of the recording.
        turns: who speaks when; may overlap.
        exclusive: the same without overlaps, where the diarizer gives them; may be empty.
        speech: where anybody is heard, disjoint and sorted.
        silences: where to cut what is too long, disjoint and sorted.
        longest_s: of a part, in seconds.
        quietest: returns the sample at which to cut within [start, end] where there is no silence.
    """
    alone = list(_without_overlaps(exclusive or turns, total))
    covered = [*alone, *(Group(start, end, None) for start, end in _uncovered(speech, alone))]
    joined = _with_neighbours(_joined(sorted(covered, key=lambda group: group.start)), total)
    return [part for group in joined for part in _cut(group, silences, longest_s, quietest)]


def spread(words: Sequence[str], start_s: float, end_s: float) -> list[tuple[float, float]]:
    """Return times for words that have none: along an interval, each as long as its letters, in their order."""
    lengths = [len(word) + 1 for word in words]
    step_s = (end_s - start_s) / max(1, sum(lengths))
    times, at = [], start_s
    for length in lengths:
        times.append((round(at, 3), round(at + length * step_s, 3)))
        at += length * step_s
    return times


def _without_overlaps(turns: Iterable[Turn], total: int) -> Iterator[Group]:
    """Yield turns as samples; where two overlap the earlier one keeps the floor."""
    floor = 0
    for turn in sorted(turns, key=lambda turn: (turn.start_s, -turn.end_s, turn.speaker)):
        start = max(floor, round(turn.start_s * RATE))
        end = min(total, round(turn.end_s * RATE))
        if start < end:
            yield Group(start, end, turn.speaker)
            floor = end


def _uncovered(speech: Sequence[Span], groups: Sequence[Group]) -> Iterator[Span]:
    """Yield the parts of speech outside all groups that are long enough to hold words."""
    edges = [(group.start, group.end) for group in groups]
    gaps = [(before[1], after[0]) for before, after in pairwise([(0, 0), *edges, (1 << 62, 1 << 62)])]
    for start, end in speech:
        for gap_start, gap_end in gaps:
            part = max(start, gap_start), min(end, gap_end)
            if part[1] - part[0] >= UNCOVERED:
                yield part


def _joined(groups: Iterable[Group]) -> list[Group]:
    joined: list[Group] = []
    for group in groups:
        if joined and joined[-1].speaker == group.speaker and group.start - joined[-1].end <= JOINED:
            joined[-1] = evolve(joined[-1], end=group.end)
        else:
            joined.append(group)
    return joined


def _with_neighbours(groups: Sequence[Group], total: int) -> list[Group]:
    """Let what is too short go with the nearer neighbour and be of that one's speaker; alone it is made longer."""
    kept: list[Group] = []
    pending: Group | None = None
    for at, found in enumerate(groups):
        group = found if pending is None else evolve(found, start=pending.start)
        pending = None
        if group.end - group.start >= SHORTEST:
            kept.append(group)
            continue
        left = kept[-1].end if kept else 0
        right = groups[at + 1].start if at + 1 < len(groups) else total
        before = group.start - left if kept else total
        after = right - group.end if at + 1 < len(groups) else total
        if min(before, after) > JOINED:
            kept.append(_widened(group, left, right))
        elif after < before:
            pending = group
        else:
            kept[-1] = evolve(kept[-1], end=group.end)
    return kept


def _widened(group: Group, left: int, right: int) -> Group:
    """Return a part as long as the shortest one, as far as [left, right) has room, with itself in the middle."""
    start = max(left, (group.start + group.end - SHORTEST) // 2)
    end = min(right, start + SHORTEST)
    return evolve(group, start=max(left, end - SHORTEST), end=end)


def _cut(
    group: Group, silences: Sequence[Span], longest_s: float, quietest: Callable[[int, int], int]
) -> Iterator[Group]:
    length, start = group.end - group.start, group.start
    inside = [(max(0, a - start), min(length, b - start)) for a, b in silences if a < group.end and b > start]
    window_s = (longest_s / 2, longest_s)
    cuts = find_cuts(length, inside, window_s, lambda a, b: quietest(a + start, b + start) - start)
    for first, end in chunks(length, cuts):
        yield Group(start + first, start + end, group.speaker)
