"""Applying what a user corrected to the same transcript or to a later one. Pure.

Where the words that a correction names still stand in its place, it is applied; where the corrected ones do, it
is satisfied; where others do, it is a conflict: nothing is changed, and the user is told.
Each correction is exactly one of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from attrs import evolve, frozen

from pipeline.speech.alignment import letters
from pipeline.speech.corrections.spoken import Spoken, dissolved, gathered, replaced
from pipeline.speech.corrections.values import (
    APPLIED,
    CONFLICT,
    PARAGRAPH,
    SATISFIED,
    SPEAKER,
    WORDS,
    Corrected,
    Correction,
    Outcome,
)
from pipeline.speech.values import Utterance

TOLERANCE_S: Final = 0.5
"""So far from its old place a word may stand and still be the same: room for engines that cut words differently,
and less than it takes to say two short ones."""


@frozen
class _Place:
    """Words [first, end) of a transcript that are those of a correction, as they were or as they are now."""

    first: int
    end: int
    is_now: bool


def apply_corrections(utterances: Sequence[Utterance], corrections: Mapping[int, Correction]) -> Corrected:
    """Apply corrections that were made together.

    Args:
        utterances: ordered by start.
        corrections: by number; those of words are applied first, then those of speakers, then those of paragraphs.
    """
    spoken, outcomes = dissolved(utterances), dict[int, Outcome]()
    steps: tuple[tuple[str, _Step], ...] = ((WORDS, _words), (SPEAKER, _speakers), (PARAGRAPH, _paragraphs))
    for kind, step in steps:
        spoken = step(spoken, {no: one for no, one in corrections.items() if one.kind == kind}, outcomes)
    return Corrected(gathered(spoken), {number: outcomes[number] for number in corrections})


_Step = Callable[[list[Spoken], Mapping[int, Correction], dict[int, Outcome]], list[Spoken]]


def _words(
    spoken: list[Spoken], corrections: Mapping[int, Correction], outcomes: dict[int, Outcome]
) -> list[Spoken]:
    finder = _Finder(spoken)
    found: list[tuple[_Place, Correction]] = []
    for number, one in corrections.items():
        place = finder.place(one)
        if place is None or any(_overlap(place, other) for other, _ in found):
            outcomes[number] = Outcome(CONFLICT, finder.words_during(one))
            continue
        outcomes[number] = Outcome(SATISFIED if place.is_now else APPLIED, finder.texts(place))
        found.append((place, one))
    for place, one in sorted(found, key=lambda item: item[0].first, reverse=True):
        if not place.is_now:
            spoken = replaced(spoken, place.first, place.end, one)
    return spoken


def _speakers(
    spoken: list[Spoken], corrections: Mapping[int, Correction], outcomes: dict[int, Outcome]
) -> list[Spoken]:
    """Change who speaks; other words may stand there, if only those who speak are the same."""
    finder, changed = _Finder(spoken), list(spoken)
    for number, one in corrections.items():
        place = finder.place(one)
        during = range(place.first, place.end) if place else finder.during(one)
        was = [at for at in during if spoken[at].word.speaker == one.speaker_was]
        now = [at for at in during if spoken[at].word.speaker == one.speaker]
        status = CONFLICT if not (was or now) else APPLIED if was else SATISFIED
        outcomes[number] = Outcome(status, tuple(spoken[at].shown for at in during))
        for at in was:
            changed[at] = changed[at].said_by(one.speaker or "")
    return changed


def _paragraphs(
    spoken: list[Spoken], corrections: Mapping[int, Correction], outcomes: dict[int, Outcome]
) -> list[Spoken]:
    finder, changed = _Finder(spoken), list(spoken)
    for number, one in corrections.items():
        place = finder.place(one)
        at = place.first if place else finder.beginning_at(one.start_s)
        if at is None or (not one.begins and at > 0 and spoken[at].word.speaker != spoken[at - 1].word.speaker):
            outcomes[number] = Outcome(CONFLICT, finder.words_during(one))
            continue
        outcomes[number] = Outcome(SATISFIED if spoken[at].begins == one.begins else APPLIED, (spoken[at].shown,))
        changed[at] = evolve(changed[at], begins=bool(one.begins), divided=bool(one.begins))
    return changed


class _Finder:
    """Finds the places of corrections in a transcript."""

    def __init__(self, spoken: Sequence[Spoken]) -> None:
        self._words = [one.word for one in spoken]
        self._shown = [one.shown for one in spoken]
        self._keys = [_key(text) for text in self._shown]
        self._places: dict[str, list[int]] = {}
        for at, key in enumerate(self._keys):
            self._places.setdefault(key, []).append(at)

    def place(self, one: Correction) -> _Place | None:
        """Return the best place of a correction, if there is any."""
        if not one.was:
            return None if self._words else _Place(0, 0, is_now=False)
        if not one.now and not self._words:
            return _Place(0, 0, is_now=True)
        scored = [*self._candidates(one, one.was, is_now=False)]
        if one.kind == WORDS and one.now:
            scored += self._candidates(one, one.now, is_now=True)
        return min(scored, key=lambda pair: pair[0])[1] if scored else None

    def texts(self, place: _Place) -> tuple[str, ...]:
        """Return the words of a place."""
        return tuple(self._shown[place.first : place.end])

    def during(self, one: Correction) -> list[int]:
        """Return the words whose middle lies in the time of a correction."""
        return [
            at for at, word in enumerate(self._words) if one.start_s <= (word.start_s + word.end_s) / 2 <= one.end_s
        ]

    def words_during(self, one: Correction) -> tuple[str, ...]:
        """Return the words that are heard during a correction's time, in part at least; what people are shown."""
        words = zip(self._words, self._shown, strict=True)
        return tuple(shown for word, shown in words if word.start_s < one.end_s and word.end_s > one.start_s)

    def beginning_at(self, start_s: float) -> int | None:
        """Return the word that begins nearest to a time, if it is near enough."""
        off_s = [abs(word.start_s - start_s) for word in self._words]
        at = min(range(len(off_s)), key=off_s.__getitem__, default=None)
        return at if at is not None and off_s[at] <= TOLERANCE_S else None

    def _candidates(
        self, one: Correction, texts: tuple[str, ...], *, is_now: bool
    ) -> Iterable[tuple[tuple[float, ...], _Place]]:
        keys = [_key(text) for text in texts]
        is_loose_enough = [_key(text) for text in one.was] != [_key(text) for text in one.now] or one.kind != WORDS
        for first in self._places.get(keys[0], ()):
            end = first + len(texts)
            if self._keys[first:end] != keys:
                continue
            if (off_s := self._off_s(one, first, end, is_now=is_now)) is None:
                continue
            is_exact = self._shown[first:end] == list(texts)
            beside = self._strangers(one, first, end)
            if not (is_exact or is_loose_enough) or (beside and _leans_on_neighbours(one)):
                continue
            yield (beside, not is_exact, is_now, off_s, abs(first - one.index)), _Place(first, end, is_now)

    def _off_s(self, one: Correction, first: int, end: int, *, is_now: bool) -> float | None:
        """Return how far words are from the time of a correction; None where that is too far."""
        words = self._words[first:end]
        early_s = abs(words[0].start_s - one.start_s)
        late_s = abs(max(word.end_s for word in words) - one.end_s)
        # With words put in or left out, the corrected ones begin or end at another time.
        off_s = min(early_s, late_s) if is_now and _leans_on_neighbours(one) else max(early_s, late_s)
        return off_s if off_s <= TOLERANCE_S else None

    def _strangers(self, one: Correction, first: int, end: int) -> int:
        """Return how many of the two words beside are others than those that stood there."""
        before = self._keys[first - 1] if first else ""
        after = self._keys[end] if end < len(self._keys) else ""
        return (before != _key(one.before)) + (after != _key(one.after))


def _leans_on_neighbours(one: Correction) -> bool:
    """Say whether words were only put in or left out; then the words beside them must tell where."""
    return one.kind == WORDS and (one.was[:1] == one.now[:1] or one.was[-1:] == one.now[-1:])


def _overlap(one: _Place, other: _Place) -> bool:
    return one.first < other.end and other.first < one.end


def _key(text: str) -> str:
    """Return what of a word is compared: its letters; of a word without letters all of it."""
    return letters(text) or text


def words_during(utterances: Sequence[Utterance], one: Correction) -> tuple[str, ...]:
    """Return the words of a transcript at the place of a correction."""
    return _Finder(dissolved(utterances)).words_during(one)
