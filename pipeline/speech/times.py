"""Stretches of time: what several of them cover, what two such sets have in common, and a time in writing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import inf
from re import ASCII, fullmatch

Span = tuple[float, float]
"""A half-open interval [start_s, end_s)."""

Spans = tuple[Span, ...]
"""Half-open intervals [start_s, end_s), ordered, that neither overlap nor touch; each to the millisecond."""


def spans_of(found: Iterable[tuple[float, float]]) -> Spans:
    """Return what intervals cover, in any order and overlapping; those shorter than a millisecond are left out."""
    spans: list[tuple[float, float]] = []
    for start_s, end_s in sorted((round(start_s, 3), round(end_s, 3)) for start_s, end_s in found):
        if spans and start_s <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end_s))
        elif end_s > start_s:
            spans.append((start_s, end_s))
    return tuple(spans)


def clock(time_s: float) -> str:
    """Write a time as HH:MM:SS, cut to the second; the hours grow beyond two digits where they must."""
    minutes, seconds = divmod(int(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}"


def seconds_in(text: str) -> float | None:
    """Return the seconds of a time that is written as seconds, MM:SS or H:MM:SS, with a fraction or not; else None.

    Minutes and seconds behind a colon are below 60.
    """
    found = fullmatch(r"\s*(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)\s*", text, ASCII)
    if found is None:
        return None
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    is_too_much = (found[2] and seconds >= 60) or (found[1] and minutes >= 60)
    return None if is_too_much else round(hours * 3600 + minutes * 60 + seconds, 3)


def length_s(spans: Spans) -> float:
    """Return how many seconds are covered."""
    return sum(end_s - start_s for start_s, end_s in spans)


def common_s(one: Spans, other: Spans) -> float:
    """Return how many seconds both cover."""
    total_s, i, j = 0.0, 0, 0
    while i < len(one) and j < len(other):
        total_s += max(0.0, min(one[i][1], other[j][1]) - max(one[i][0], other[j][0]))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return total_s


def without(spans: Sequence[Span], taken: Sequence[Span]) -> Spans:
    """Return spans without what lies in others; all are ordered and don't overlap."""
    free = [(before[1], after[0]) for before, after in pairwise([(-inf, -inf), *taken, (inf, inf)])]
    parts = ((max(start_s, a), min(end_s, b)) for start_s, end_s in spans for a, b in free)
    return tuple((start_s, end_s) for start_s, end_s in parts if start_s < end_s)
