"""Long non-speech is cut out of what is sent; here are the cuts, and the way back to the recording's clock. Pure.

Engines invent words where nobody speaks, and services bill silence like speech.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

from pipeline.speech.cuts import RATE, Span

LONG = 2 * RATE
"""A longer stretch without speech is cut out. Source: faster-whisper, vad options (2000 ms)."""

MARGIN = 2 * RATE // 5
"""So much is left before and after speech: 0.4 s. Source: faster-whisper, vad options (400 ms)."""


def kept_spans(span: Span, speech: Sequence[Span]) -> tuple[Span, ...]:
    """Return the parts of a span that are sent, in order; the whole span where nothing long is free of speech.

    Args:
        span: a chunk, in samples of the file.
        speech: where anybody is heard within it, disjoint and sorted, in samples of the file.
    """
    start, end = span
    borders = [(start, start - MARGIN), *speech, (end + MARGIN, end)]
    kept: list[Span] = []
    first = start
    for before, after in pairwise(borders):
        if after[0] - before[1] > LONG + 2 * MARGIN:
            if before[1] + MARGIN > first:
                kept.append((first, before[1] + MARGIN))
            first = after[0] - MARGIN
    if first < end:
        kept.append((first, end))
    return tuple(kept)


def sample_of(number: int, kept: Sequence[Span]) -> int:
    """Return which sample of the file was sent as this one; at a seam, and at the end, the first behind it.

    Args:
        number: of the sample within what was sent, from 0.
        kept: the parts of the file that were sent, in samples; not empty.
    """
    for start, end in kept:
        if number < end - start:
            return start + number
        number -= end - start
    return kept[-1][1]


def back(time_s: float, kept: Sequence[Span], *, is_end: bool = False) -> float:
    """Return where on the file's clock a time lies that counts only the kept parts.

    Args:
        time_s: seconds from the start of what was sent.
        kept: the parts of the file that were sent, in samples; not empty.
        is_end: at a seam, a word's end belongs to the part before it, its start to the part behind it.
    """
    ends = list(accumulate((end - start) / RATE for start, end in kept))
    at = (bisect_left if is_end else bisect_right)(ends, time_s)
    at = min(at, len(kept) - 1)
    begins_s = ends[at - 1] if at else 0.0
    return kept[at][0] / RATE + max(0.0, time_s - begins_s)
