"""Stretches of time: what several of them cover, and what two such sets have in common. Pure."""

from __future__ import annotations

from collections.abc import Iterable

Spans = tuple[tuple[float, float], ...]
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
