"""Chunks that were cut through speech overlap; their words are put together here, each once. Pure.

Where a word is heard by both chunks, at about the same time, the seam lies behind it: what stands before is the
earlier chunk's, what stands after the later one's. Text alone proves nothing, since people repeat words; nor do
times alone, since every engine's clock errs.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from pipeline.speech.alignment import letters
from pipeline.speech.values import Word

SAME_WORD_S = 0.5
"""Two engines' times of one word differ by less; the same word said again begins later.

Source: half the overlap's half; measured clock errors of engines are up to 0.4 s."""


@frozen
class Part:
    """What was heard in [start_s, end_s) of one file, words sorted by start."""

    start_s: float
    end_s: float
    words: tuple[Word, ...]


def stitched(parts: Sequence[Part]) -> list[Word]:
    """Return the words of parts in their order; what two neighbours both heard stands there once.

    Args:
        parts: ordered by start, of one file; only neighbours overlap, if any.
    """
    words: list[Word] = []
    before: Part | None = None
    for part in parts:
        later = list(part.words)
        if before is not None and part.start_s < before.end_s:
            words, later = _seam(words, later, part.start_s, before.end_s)
        words += later
        before = part
    return words


def _seam(
    earlier: Sequence[Word], later: Sequence[Word], start_s: float, end_s: float
) -> tuple[list[Word], list[Word]]:
    """Cut two lists of words so that each word of the overlap [start_s, end_s) is in one of them."""
    middle_s = (start_s + end_s) / 2
    firsts, seconds = starts_of(earlier, start_s), starts_of(later, start_s)
    shared = [
        (i, j)
        for i, first_s in enumerate(firsts)
        if first_s >= start_s - SAME_WORD_S
        for j, second_s in enumerate(seconds)
        if abs(first_s - second_s) < SAME_WORD_S and _is_same(earlier[i], later[j])
    ]
    if shared:
        i, j = min(shared, key=lambda pair: abs(firsts[pair[0]] - middle_s))
        return list(earlier[: i + 1]), list(later[j + 1 :])
    i = next((i for i, first_s in enumerate(firsts) if first_s >= middle_s), len(earlier))
    j = next((j for j, second_s in enumerate(seconds) if second_s >= middle_s), len(later))
    # A half of the overlap in which its chunk heard nothing belongs to the other one; never both, since what each
    # heard only in the other's half is most likely the same.
    if j == len(later) or seconds[j] >= end_s:
        return list(earlier), list(later[j:])
    if i == 0 or firsts[i - 1] < start_s:
        return list(earlier[:i]), list(later)
    return list(earlier[:i]), list(later[j:])


def starts_of(words: Sequence[Word], start_s: float) -> list[float]:
    """Return when each word begins; one without times goes with the word before it, the first with `start_s`."""
    starts: list[float] = []
    for word in words:
        before_s = starts[-1] if starts else start_s
        starts.append(before_s if word.start_s is None else word.start_s)
    return starts


def _is_same(word: Word, other: Word) -> bool:
    return letters(word.text) == letters(other.text) != ""
