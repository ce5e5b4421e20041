"""The first step: words in the order of their start, each with times. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from attrs import frozen

from pipeline.speech.merge.sentences import ends_sentence
from pipeline.speech.values import Turn, Word

ASSUMED_WORD_S = 0.3
"""The length of a word of which one time is known, and the room of a word beyond the last known time.

Source: English conversation has about 200 words a minute."""

LONGEST_WORD_S = 0.5
LONGEST_CHARACTER_S = 0.25
"""A word longer than LONGEST_WORD_S + LONGEST_CHARACTER_S a character was stretched over a pause and is cut.

The second is a slow syllable, which scripts such as Chinese write with one character.

Source: suitenumerique/meet#1323 (aligners stretch words over pauses)."""


@frozen
class Timed:
    """A word with both times; 0 ≤ start_s ≤ end_s. It may end after the next one starts, as its engine says."""

    word: Word
    start_s: float
    end_s: float


def timed_words(words: Sequence[Word], turns: Sequence[Turn]) -> list[Timed]:
    """Return the words sorted by start, each with times.

    Args:
        words: those of one channel, in the order of the engine.
        turns: where words lie of which none has a time; each longer than nothing.
    """
    ordered = _sorted(words)
    starts = _filled([_known_start(word) for word in ordered], [_known(word.end_s) for word in ordered], turns)
    timed: list[Timed] = []
    for word, start, following in zip(ordered, starts, [*starts, math.inf][1:], strict=True):
        known_end = _known(word.end_s)
        end = min(start + ASSUMED_WORD_S, following) if known_end is None else max(start, known_end)
        after_sentence = bool(timed) and ends_sentence(timed[-1].word.text)
        timed.append(_cut(Timed(word, start, end), following, after_sentence))
    return timed


def _known(time_s: float | None) -> float | None:
    return time_s if time_s is not None and math.isfinite(time_s) else None


def _known_start(word: Word) -> float | None:
    start, end = _known(word.start_s), _known(word.end_s)
    if start is not None:
        return max(0.0, start)
    return None if end is None else max(0.0, end - ASSUMED_WORD_S)


def _sorted(words: Sequence[Word]) -> list[Word]:
    """Sort by start; a word without times goes with the word before it."""
    keys: list[float] = []
    for word in words:
        start = _known_start(word)
        keys.append(start if start is not None else keys[-1] if keys else -math.inf)
    return [words[i] for i in sorted(range(len(words)), key=keys.__getitem__)]


def _filled(starts: list[float | None], ends: list[float | None], turns: Sequence[Turn]) -> list[float]:
    """Give each run of words without a start even steps through the pause that it stands in."""
    known = [i for i, start in enumerate(starts) if start is not None]
    filled = [0.0 if start is None else start for start in starts]
    for before, after in pairwise([-1, *known, len(starts)]):
        count = after - before - 1
        if count == 0:
            continue
        left = _end_of(filled[before], ends[before]) if before >= 0 else None
        right = filled[after] if after < len(starts) else None
        left, right = _room(left, right, count * ASSUMED_WORD_S, turns)
        for step in range(count):
            filled[before + 1 + step] = left + (right - left) * step / count
    return filled


def _end_of(start: float, end: float | None) -> float:
    return start + ASSUMED_WORD_S if end is None else max(start, end)


def _room(left: float | None, right: float | None, length_s: float, turns: Sequence[Turn]) -> tuple[float, float]:
    """Return where words without times lie: between known words, beside the only one, or along the turns."""
    if left is not None and right is not None:
        return min(left, right), right
    if left is not None:
        return left, left + length_s
    if right is not None:
        return max(0.0, right - length_s), right
    if turns:
        return max(0.0, min(t.start_s for t in turns)), max(0.0, *(t.end_s for t in turns))
    return 0.0, length_s


def _cut(timed: Timed, following: float, after_sentence: bool) -> Timed:
    """Shorten a stretched word; after the end of a sentence the pause lies before it, else behind it."""
    longest = LONGEST_WORD_S + LONGEST_CHARACTER_S * len(timed.word.text)
    if timed.end_s - timed.start_s <= longest:
        return timed
    start = min(timed.end_s - longest, following) if after_sentence else timed.start_s
    return Timed(timed.word, start, start + longest)
