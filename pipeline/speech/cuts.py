"""Where a long recording is cut into chunks: in its silences, as far as there are any.

Pure: it sees numbers of samples (16 kHz), never audio, so a cut is the same on every machine. The chunks cover
the recording: no sample is left out, also where nobody speaks, and none is in two chunks but around a hard cut;
whether a chunk is worth transcribing is for others to decide.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise

from attrs import frozen

RATE = 16000
"""Samples per second of every recording after its conversion."""

CRUMB = RATE // 2
"""No cut leaves less than half a second at the end: services refuse a tenth of a second as too short.

Source: OpenAI answers 400 "Audio file is too short. Minimum audio length is 0.1 seconds."."""

OVERLAP = 2 * RATE
"""So much of the recording is in both chunks at a cut that may go through a word; `pipeline.speech.stitch` puts
their words together."""

Span = tuple[int, int]
"""A half-open interval [start, end) in samples."""


@frozen
class Cut:
    """A border between two chunks.

    Attributes:
        at: the first sample of the later chunk.
        hard: the window held no silence, so the cut may go through a word.
    """

    at: int
    hard: bool


def find_cuts(
    total: int, silences: Sequence[Span], chunk_s: tuple[float, float], quietest: Callable[[int, int], int]
) -> list[Cut]:
    """Return where to cut a recording, in order; empty if it fits one chunk.

    Each cut is looked for in a window that begins `shortest` and ends `longest` seconds after the cut before:
    the middle of the longest silence in it (of the part that lies in it; of equal ones the later, which makes
    fewer chunks), else where the caller says that it is quietest. The last chunk may be shorter than `shortest`;
    the last window ends early enough that it isn't shorter than half a second, where the chunks' lengths allow it.

    Args:
        total: samples of the recording.
        silences: disjoint, sorted; may be empty.
        chunk_s: (shortest, longest) seconds between two cuts, 0 < shortest ≤ longest.
        quietest: returns the sample at which to cut within [start, end] where there is no silence.

    Source: the cutting rule of WhisperX-like tools, with the middle of the longest silence instead of the first.
    """
    shortest, longest = (round(seconds * RATE) for seconds in chunk_s)
    assert 0 < shortest <= longest, f"chunks of {chunk_s} seconds can't be cut"
    cuts: list[Cut] = []
    start = 0
    while total - start > longest:
        last = max(start + shortest, min(start + longest, total - CRUMB))
        cuts.append(_cut(start + shortest, last, silences, quietest))
        start = cuts[-1].at
    return cuts


def chunks(total: int, cuts: Sequence[Cut]) -> list[Span]:
    """Return the spans between the cuts: they tile [0, total); empty for a recording without samples."""
    if total == 0:
        return []
    return list(pairwise([0, *(cut.at for cut in cuts), total]))


def overlapping(spans: Sequence[Span], cuts: Sequence[Cut]) -> list[Span]:
    """Return the spans between the cuts, those beside a hard cut longer by half the overlap each.

    A chunk grows by no more than a neighbour has.
    """
    grown = [list(span) for span in spans]
    for at, cut in enumerate(cuts):
        if cut.hard:
            grown[at][1] = min(cut.at + OVERLAP // 2, spans[at + 1][1])
            grown[at + 1][0] = max(cut.at - OVERLAP // 2, spans[at][0])
    return [(start, end) for start, end in grown]


def _cut(start: int, end: int, silences: Sequence[Span], quietest: Callable[[int, int], int]) -> Cut:
    found = _longest_silence(start, end, silences)
    if found:
        return Cut(at=sum(found) // 2, hard=False)
    at = quietest(start, end)
    assert start <= at <= end, f"a cut at {at} lies outside its window [{start}, {end}]"
    return Cut(at=at, hard=True)


def _longest_silence(start: int, end: int, silences: Sequence[Span]) -> Span | None:
    """Return the longest part of a silence within [start, end), or None where there is none."""
    longest: Span | None = None
    for silence in silences[bisect_right(silences, start, key=lambda span: span[1]) :]:
        if silence[0] >= end:
            break
        part = max(silence[0], start), min(silence[1], end)
        if longest is None or part[1] - part[0] >= longest[1] - longest[0]:
            longest = part
    return longest
