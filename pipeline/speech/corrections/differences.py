"""What a user changed in the text of a transcript, as few and as small corrections as possible. Pure.

Words are found again by the smallest parts that texts are compared by, since a transcript's words may be several
characters of a script that people write without spaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby, pairwise

from attrs import evolve, frozen

from pipeline.speech.alignment import split_text, units
from pipeline.speech.corrections.editable import Paragraph
from pipeline.speech.corrections.spoken import Spoken, anchored, begins_at, dissolved, replaced, shown_of
from pipeline.speech.corrections.values import PARAGRAPH, SPEAKER, WORDS, Correction
from pipeline.speech.scripts import joined
from pipeline.speech.values import Utterance


def corrections_of(utterances: Sequence[Utterance], paragraphs: Sequence[Paragraph]) -> tuple[Correction, ...]:
    """Return what must be corrected for a transcript to read as an edited text; nothing where it does.

    First come corrections of words, then of speakers, then of paragraphs, each in the order of the text.
    """
    spoken = dissolved(utterances)
    hunks = _hunks(_Old(spoken), _New(paragraphs))
    words = [_correction(spoken, hunk, paragraphs) for hunk in hunks]
    owners = _owners(hunks)
    for hunk, one in reversed(list(zip(hunks, words, strict=True))):
        if hunk.is_change:
            spoken = replaced(spoken, hunk.first, hunk.end, one)
    speakers = list(_speakers(spoken, [paragraphs[owner].speaker for owner in owners]))
    for one in speakers:
        for at in range(one.index, one.index + len(one.was)):
            spoken[at] = spoken[at].said_by(one.speaker or "")
    changed = [one for hunk, one in zip(hunks, words, strict=True) if hunk.is_change]
    return (*changed, *speakers, *_beginnings(spoken, owners))


@frozen
class _Hunk:
    """Words [first, end) of the transcript and the (word, paragraph) pairs that stand for them in the text."""

    first: int
    end: int
    now: tuple[tuple[str, int], ...]
    is_change: bool = True


class _Old:
    """The units of a transcript, in paragraphs, and the words [first, end) that each unit is part of."""

    def __init__(self, spoken: Sequence[Spoken]) -> None:
        self.words = [one.shown for one in spoken]
        self.paragraphs: list[tuple[str, ...]] = []
        self.units_of: list[tuple[int, int]] = []
        begins = [at for at in range(len(spoken)) if begins_at(spoken, at)]
        for first, end in pairwise([*begins, len(spoken)]):
            self._add(self.words[first:end])

    def units(self, word: int, end: int) -> list[str]:
        """Return the units of words [word, end)."""
        found = [unit for paragraph in self.paragraphs for unit in paragraph]
        return found[self.units_of[word][0] : self.units_of[end - 1][1]] if word < end else []

    def _add(self, words: Sequence[str]) -> None:
        text, ends = "", []
        for word in words:
            text = joined([text, word]) if text else word
            ends.append(len(text))
        found = list(_placed(text))
        before = sum(map(len, self.paragraphs))
        self.paragraphs.append(tuple(unit for unit, _, _ in found))
        at = 0
        for word, end in zip(words, ends, strict=True):
            while found[at][2] <= end - len(word):
                at += 1
            last = at
            while last < len(found) and found[last][1] < end:
                last += 1
            self.units_of.append((before + at, before + last))


class _New:
    """The units of an edited text: each with its paragraph and its place in the paragraph's text."""

    def __init__(self, paragraphs: Sequence[Paragraph]) -> None:
        self._texts = [paragraph.text for paragraph in paragraphs]
        placed = [list(_placed(text)) for text in self._texts]
        self.paragraphs = [tuple(unit for unit, _, _ in found) for found in placed]
        self._units = [(at, place) for at, found in enumerate(placed) for place in found]

    def owner(self, unit: int) -> int:
        """Return the paragraph of a unit."""
        return self._units[unit][0]

    def units(self, first: int, end: int) -> list[str]:
        """Return units [first, end)."""
        return [place[0] for _, place in self._units[first:end]]

    def words(self, first: int, end: int) -> Iterator[tuple[str, int]]:
        """Yield the words that units [first, end) are written with, each with its paragraph."""
        for owner, group in groupby(self._units[first:end], key=lambda unit: unit[0]):
            places = [place for _, place in group]
            text = self._texts[owner][places[0][1] : places[-1][2]]
            yield from ((word, owner) for word in split_text(text) or [text])


def _placed(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the units of a text with their places."""
    end = 0
    for unit in units(text):
        start = text.index(unit, end)
        end = start + len(unit)
        yield unit, start, end


def _hunks(old: _Old, new: _New) -> list[_Hunk]:
    """Return the transcript and the text side by side: what both have word by word, and what differs."""
    found: list[_Hunk] = []
    word = unit = 0
    for at, (first, end) in [*_kept(old, new), (len(old.words), (sum(map(len, new.paragraphs)),) * 2)]:
        if word < at or unit < first:
            found.append(_differing(old, word, at, new, unit, first))
        if at < len(old.words):
            found.append(_Hunk(at, at + 1, ((old.words[at], new.owner(first)),), is_change=False))
        word, unit = at + 1, max(unit, end)
    return _leaning(found)


def _differing(old: _Old, word: int, end: int, new: _New, unit: int, last: int) -> _Hunk:
    """Return words and what stands for them, where they were not found again; they may still read the same."""
    now = tuple(new.words(unit, last))
    owners = {owner for _, owner in now}
    if len(owners) == 1 and old.units(word, end) == new.units(unit, last):
        owner = owners.pop()
        return _Hunk(word, end, tuple((text, owner) for text in old.words[word:end]), is_change=False)
    return _Hunk(word, end, now)


def _kept(old: _Old, new: _New) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield the words that the text still has whole and in one paragraph, each with its units there."""
    matched = _matched(old.paragraphs, new.paragraphs)
    kept = {at: _span(matched[first:end], new) for at, (first, end) in enumerate(old.units_of)}
    # Words may share a unit: a mark at the begin of one that is written behind the one before. Both stay, or none.
    for at in (*range(1, len(kept)), *range(len(kept) - 1, 0, -1)):
        shares = old.units_of[at - 1][1] > old.units_of[at][0]
        if shares and None in (kept[at - 1], kept[at]):
            kept[at - 1] = kept[at] = None
    yield from ((at, span) for at, span in kept.items() if span is not None)


def _span(units_there: Sequence[int | None], new: _New) -> tuple[int, int] | None:
    """Return the units [first, end) if they follow one another in one paragraph."""
    found = [unit for unit in units_there if unit is not None]
    is_whole = len(found) == len(units_there) and found[-1] - found[0] == len(found) - 1
    return (found[0], found[-1] + 1) if is_whole and new.owner(found[0]) == new.owner(found[-1]) else None


def _matched(old: Sequence[tuple[str, ...]], new: Sequence[tuple[str, ...]]) -> list[int | None]:
    """Return for each unit of the one the equal one of the other: first by paragraphs, then by units."""
    found: list[int | None] = [None] * sum(map(len, old))
    starts = [_starts(old), _starts(new)]
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        ours, theirs = [u for p in old[a:b] for u in p], [u for p in new[c:d] for u in p]
        blocks = [(0, 0, len(ours))] if tag == "equal" else _common(ours, theirs)
        for at, other, size in blocks:
            for offset in range(size):
                found[starts[0][a] + at + offset] = starts[1][c] + other + offset
    return found


def _common(ours: Sequence[str], theirs: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Yield (place, place, length) of what two texts have in common.

    Long texts are aligned by their rarer words first, which is much faster, then what lies between by all.
    """
    for tag, a, b, c, d in SequenceMatcher(None, ours, theirs).get_opcodes():
        if tag == "equal":
            yield a, c, b - a
        elif tag == "replace":
            between = SequenceMatcher(None, ours[a:b], theirs[c:d], autojunk=False)
            yield from ((a + at, c + other, size) for at, other, size in between.get_matching_blocks())


def _starts(paragraphs: Sequence[Sequence[str]]) -> list[int]:
    starts = [0]
    for paragraph in paragraphs:
        starts.append(starts[-1] + len(paragraph))
    return starts


def _leaning(hunks: Sequence[_Hunk]) -> list[_Hunk]:
    """Let what was put in, or left out, take the word before or behind along: it tells where that was."""
    found: list[_Hunk] = []
    pending: _Hunk | None = None
    for at, hunk in enumerate(hunks):
        current = hunk if pending is None else _both(pending, hunk)
        pending = None
        if current.is_change and not (current.now and current.end > current.first):
            before = found[-1] if found else None
            after = hunks[at + 1] if at + 1 < len(hunks) else None
            if before is not None and (after is None or not _opens(before, current, after)):
                found[-1] = _both(before, current)
            elif after is not None:
                pending = current
            else:
                found.append(current)
        else:
            found.append(current)
    return found


def _opens(before: _Hunk, put_in: _Hunk, after: _Hunk) -> bool:
    """Say whether words that were put in stand at the begin of the paragraph of the word behind them."""
    owners = {owner for _, owner in put_in.now}
    return before.now[-1][1] not in owners and after.now[0][1] in owners


def _both(one: _Hunk, other: _Hunk) -> _Hunk:
    return _Hunk(one.first, other.end, one.now + other.now)


def _owners(hunks: Sequence[_Hunk]) -> list[int]:
    return [owner for hunk in hunks for _, owner in hunk.now]


def _correction(spoken: Sequence[Spoken], hunk: _Hunk, paragraphs: Sequence[Paragraph]) -> Correction:
    was, now = shown_of(spoken, hunk.first, hunk.end), tuple(text for text, _ in hunk.now)
    one = anchored(spoken, hunk.first, hunk.end, WORDS)
    first_put_in = next((owner for text, owner in hunk.now if text not in was), None)
    if first_put_in is None or len(was) > 1:
        return evolve(one, now=now)
    put_in = [owner for text, owner in hunk.now if text not in was]
    speakers = {paragraphs[owner].speaker for owner in put_in}
    beside = {spoken[at].word.speaker for at in range(hunk.first, hunk.end)}
    speaker = speakers.pop() if len(speakers) == 1 and speakers != beside else None
    return evolve(one, now=now, speaker=speaker, time_s=paragraphs[first_put_in].time_s)


def _speakers(spoken: Sequence[Spoken], wanted: Sequence[str]) -> Iterator[Correction]:
    pairs = [(one.word.speaker, speaker) for one, speaker in zip(spoken, wanted, strict=True)]
    at = 0
    for (was, now), group in groupby(pairs):
        first, at = at, at + len(list(group))
        if was != now:
            yield evolve(anchored(spoken, first, at, SPEAKER), speaker_was=was, speaker=now)


def _beginnings(spoken: Sequence[Spoken], owners: Sequence[int]) -> Iterator[Correction]:
    for at, (before, owner) in enumerate(pairwise(owners), start=1):
        if begins_at(spoken, at) != (before != owner):
            yield evolve(anchored(spoken, at, at + 1, PARAGRAPH), begins=before != owner)
