"""Which words two transcripts of one recording share. Pure.

Words count as equal without case and punctuation; what is written without spaces is compared letter by letter,
since engines cut it into words as they like.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from attrs import frozen

from pipeline.speech.scripts import is_unspaced
from pipeline.speech.values import AttributedWord

BLOCK_S = 60.0
"""Transcripts are compared in blocks of at least this length, so that the work grows as they do, not faster."""
PAUSE_S = 0.3
"""A block ends only where both transcripts pause for so long: clocks of engines differ by less."""

_CERTAIN = 8
"""So many equal parts in a row belong together in any good comparison; pieces may be cut in their middle."""

_PART = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@frozen
class Unit:
    """A part of a word that is compared; `word` is the word's place in its transcript."""

    key: str
    word: int


@frozen
class Shared:
    """What two transcripts share.

    Attributes:
        pairs: places (in one, in the other) of words that are in both, ascending; a word that the other writes as
            two stands in two pairs.
        pieces: the keys of both, in order, cut where both surely say the same.
    """

    pairs: tuple[tuple[int, int], ...]
    pieces: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


def units_of(words: Sequence[AttributedWord]) -> list[Unit]:
    """Return what is compared of words; punctuation alone is nothing."""
    return [Unit(key, place) for place, word in enumerate(words) for key in keys_of(word.text)]


def keys_of(text: str) -> list[str]:
    """Return a text as it is compared: its words in lower case, letters of scripts without spaces one by one."""
    keys: list[str] = []
    for part in _PART.findall(text.casefold().replace("’", "'")):
        run = ""
        for char in part:
            if not is_unspaced(char):
                run += char
                continue
            keys += [run, char] if run else [char]
            run = ""
        keys += [run] if run else []
    return keys


def shared_words(one: Sequence[AttributedWord], other: Sequence[AttributedWord]) -> Shared:
    """Return the words that two transcripts share, in an order that both have.

    Args:
        one: words ordered by start.
        other: likewise.
    """
    matches: list[tuple[int, int]] = []
    pieces = []
    for these, those in _blocks(one, other):
        keys, other_keys = (tuple(unit.key for unit in units) for units in (these, those))
        from_a = from_b = 0
        for a, b, length in SequenceMatcher(None, keys, other_keys, autojunk=False).get_matching_blocks():
            matches += [(these[a + k].word, those[b + k].word) for k in range(length)]
            if length >= _CERTAIN:
                to_a, to_b = a + length // 2, b + length // 2
                pieces.append((keys[from_a:to_a], other_keys[from_b:to_b]))
                from_a, from_b = to_a, to_b
        pieces.append((keys[from_a:], other_keys[from_b:]))
    return Shared(tuple(_whole(matches, one, other)), tuple(pieces))


def _blocks(one: Sequence[AttributedWord], other: Sequence[AttributedWord]) -> list[tuple[list[Unit], list[Unit]]]:
    """Cut both transcripts at the same pauses."""
    cuts = _pauses(one, other)
    sides = [_cut(units_of(words), words, cuts) for words in (one, other)]
    return list(zip(*sides, strict=True))


def _pauses(one: Sequence[AttributedWord], other: Sequence[AttributedWord]) -> list[float]:
    """Return the middles of pauses that both have, `BLOCK_S` apart or more."""
    cuts: list[float] = []
    end_s = 0.0
    for word in sorted((*one, *other), key=lambda word: word.start_s):
        if word.start_s - end_s >= PAUSE_S and word.start_s - (cuts[-1] if cuts else 0.0) >= BLOCK_S:
            cuts.append((word.start_s + end_s) / 2)
        end_s = max(end_s, word.end_s)
    return cuts


def _cut(units: Sequence[Unit], words: Sequence[AttributedWord], cuts: Sequence[float]) -> list[list[Unit]]:
    blocks: list[list[Unit]] = [[]]
    for unit in units:
        while len(blocks) <= len(cuts) and words[unit.word].start_s >= cuts[len(blocks) - 1]:
            blocks.append([])
        blocks[-1].append(unit)
    return blocks + [[] for _ in range(len(cuts) + 1 - len(blocks))]


def _whole(
    matches: Sequence[tuple[int, int]], one: Sequence[AttributedWord], other: Sequence[AttributedWord]
) -> list[tuple[int, int]]:
    """Return the pairs of words that are shared as wholes: every part of both is in words that are, too."""
    needed = ([len(keys_of(word.text)) for word in one], [len(keys_of(word.text)) for word in other])
    left = list(matches)
    while True:
        found = ([0] * len(one), [0] * len(other))
        for pair in left:
            for side in (0, 1):
                found[side][pair[side]] += 1
        kept = [
            pair for pair in left if all(found[side][pair[side]] == needed[side][pair[side]] for side in (0, 1))
        ]
        if len(kept) == len(left):
            return list(dict.fromkeys(kept))
        left = kept
