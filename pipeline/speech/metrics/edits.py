"""The least changes that turn one sequence into another, for sequences as long as a day's talk. Pure.

A column of the usual table is held as the bits of two integers: where it rises by one and where it falls by one
from an element to the next. Python's integers are as long as they must be, so a column of 30,000 words is a dozen
operations. Three hours against three hours take about a second.

Source: H. Hyyrö, "Explaining and extending the bit-parallel approximate string matching algorithm of Myers", 2001.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from math import isqrt

Pair = tuple[int | None, int | None]
"""Indices of a true and a found element that stand for each other; None where one has no partner."""

_BLOCK = 1024
"""At least so many columns share one window of a band; half as many as the band is wide where that is more."""

_RARE = 8
"""Bits of an element that stands in so few places are set one by one."""


_Column = tuple[int, int]
"""Where the number of changes rises by one from a true element to the next, and where it falls; bit 0 is the first.

A bare tuple, since half a million of them are made for a day's talk."""


def distance(truth: Sequence[Hashable], found: Sequence[Hashable], at_most: int | None = None) -> int:
    """Return how many elements must be replaced, left out or put in until both are equal.

    Args:
        truth: of any length.
        found: likewise.
        at_most: a number that is known not to be exceeded; makes it faster. Should it be exceeded, the result
            is some number of changes that would do, and not the least.
    """
    begin, end = _common_ends(truth, found)
    truth, found = truth[begin : len(truth) - end], found[begin : len(found) - end]
    band = max(len(truth), len(found)) if at_most is None else max(at_most, abs(len(truth) - len(found)))
    return _within(truth, found, band)


def alignment(truth: Sequence[Hashable], found: Sequence[Hashable]) -> list[Pair]:
    """Return, in order, what stands for what with the least changes.

    Where several ways are equally short, equal ends stay together, and from the end on leaving out goes before
    putting in and this before replacing: as rapidfuzz and therefore jiwer decide, so that their counts are ours.
    """
    begin, end = _common_ends(truth, found)
    inner = _path(truth[begin : len(truth) - end], found[begin : len(found) - end])
    pairs: list[Pair] = [(at, at) for at in range(begin)]
    pairs += [(None if i is None else i + begin, None if j is None else j + begin) for i, j in inner]
    pairs += [(len(truth) - at, len(found) - at) for at in range(end, 0, -1)]
    return pairs


def _common_ends(truth: Sequence[Hashable], found: Sequence[Hashable]) -> tuple[int, int]:
    """Return how many elements are equal at the beginning, and how many of the others at the end."""
    shorter = min(len(truth), len(found))
    begin = next((at for at in range(shorter) if truth[at] != found[at]), shorter)
    rest = shorter - begin
    return begin, next((at for at in range(rest) if truth[-1 - at] != found[-1 - at]), rest)


def _within(truth: Sequence[Hashable], found: Sequence[Hashable], band: int) -> int:
    """Return the distance on paths that keep within `band` of the diagonal: none of so few changes leaves it.

    Above and below its window the table is taken to rise by one at each step, which is true of some path, so
    that the result is never too small.
    """
    low, high = 0, 0
    (rises, falls), score = (0, 0), 0
    size = max(_BLOCK, band // 2)
    for start in range(0, len(found), size):
        block = found[start : start + size]
        gone = min(max(0, start - band), high) - low
        grown = max(high, min(len(truth), start + len(block) + band)) - high
        width = high - low - gone
        column = (rises >> gone | ((1 << grown) - 1) << width, falls >> gone)
        low, high, score = low + gone, high + grown, score + grown
        (rises, falls), step = _last(_columns(truth[low:high], block, column))
        score += step
    return score + len(truth) - high


def _columns(
    truth: Sequence[Hashable], found: Sequence[Hashable], column: _Column
) -> Iterator[tuple[_Column, int]]:
    """Yield the column behind each found element, and by how much the number at its lower end changed."""
    if not truth:
        yield from ((column, 1) for _ in found)
        return
    places = _places(truth, found)
    full, last = (1 << len(truth)) - 1, 1 << (len(truth) - 1)
    rises, falls = column
    for element in found:
        equal = places.get(element, 0)
        diagonal = (((equal & rises) + rises) ^ rises) | equal | falls
        right_rises = falls | (full & ~(diagonal | rises))
        right_falls = diagonal & rises
        step = 1 if right_rises & last else -1 if right_falls & last else 0
        right_rises, right_falls = right_rises << 1 | 1, right_falls << 1
        rises = (right_falls | ~(diagonal | right_rises)) & full
        falls = right_rises & diagonal & full
        yield (rises, falls), step


def _last(columns: Iterator[tuple[_Column, int]]) -> tuple[_Column, int]:
    """Return the last of some columns, of which there is one at least, and the sum of their steps."""
    column, score = next(columns)
    for following, step in columns:
        column, score = following, score + step
    return column, score


def _places(truth: Sequence[Hashable], wanted: Sequence[Hashable]) -> dict[Hashable, int]:
    """Return the places of each wanted element as bits."""
    indices: dict[Hashable, list[int]] = {element: [] for element in wanted}
    for at, element in enumerate(truth):
        if element in indices:
            indices[element].append(at)
    return {element: _bits(found, len(truth)) for element, found in indices.items() if found}


def _bits(indices: Sequence[int], size: int) -> int:
    if len(indices) <= _RARE:
        return sum(1 << at for at in indices)
    octets = bytearray(size // 8 + 1)
    for at in indices:
        octets[at >> 3] |= 1 << (at & 7)
    return int.from_bytes(octets, "little")


def _path(truth: Sequence[Hashable], found: Sequence[Hashable]) -> list[Pair]:
    """Return the pairs of a shortest path through the whole table.

    Only each n-th column is kept; those between are made again on the way back, a block at a time.
    """
    size = isqrt(len(found)) + 1
    kept: list[_Column] = [((1 << len(truth)) - 1, 0)]
    for start in range(0, len(found), size):
        kept.append(_last(_columns(truth, found[start : start + size], kept[-1]))[0])
    pairs: list[Pair] = []
    i = len(truth)
    for block in range(len(kept) - 2, -1, -1):
        start = block * size
        part = found[start : start + size]
        columns = [kept[block], *(column for column, _ in _columns(truth, part, kept[block]))]
        i = _back(truth, columns, start, i, pairs)
    pairs += [(at, None) for at in range(i - 1, -1, -1)]
    return pairs[::-1]


def _back(truth: Sequence[Hashable], columns: Sequence[_Column], start: int, i: int, pairs: list[Pair]) -> int:
    """Go back through a block from its last column and row `i`; add the pairs, last first; return the row."""
    j = len(columns) - 1
    while j > 0:
        if i > 0 and columns[j][0] >> (i - 1) & 1:
            i -= 1
            pairs.append((i, None))
        elif i == 0 or columns[j - 1][1] >> (i - 1) & 1:
            j -= 1
            pairs.append((None, start + j))
        else:
            i, j = i - 1, j - 1
            pairs.append((i, start + j))
    return i
