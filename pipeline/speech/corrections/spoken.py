"""The words of a transcript in one row, and putting others in the place of some. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Final

from attrs import evolve, frozen

from pipeline.speech.corrections.values import Correction
from pipeline.speech.transcript import one_line
from pipeline.speech.values import UNKNOWN_SPEAKER, AttributedWord, Utterance

CORRECTED: Final = "corrected"
"""How the speaker of a word was found that a user wrote, or whose speaker a user named."""

CHARACTER_S: Final = 1 / 15
"""What is put into a pause is as long as it takes to say it, not as long as the pause.

Source: 150 words a minute of 6 characters, space included."""


@frozen
class Spoken:
    """A word, whether an utterance begins with it, and what people see of it, which is never empty.

    `divided`: the user wants a paragraph to begin with it.
    """

    word: AttributedWord
    begins: bool
    shown: str
    divided: bool = False

    def said_by(self, speaker: str) -> Spoken:
        """Return the word as somebody else's, who was not heard but named."""
        word = evolve(self.word, speaker=speaker, share=1.0, method=CORRECTED, alternatives=())
        return evolve(self, word=word)


def dissolved(utterances: Iterable[Utterance]) -> list[Spoken]:
    """Return all words in the order of the utterances; those without a visible character are left out."""
    found = []
    for utterance in utterances:
        shown = [(word, text) for word in utterance.words if (text := one_line(word.text))]
        found += [
            Spoken(word, at == 0, text, divided=at == 0 and utterance.divided)
            for at, (word, text) in enumerate(shown)
        ]
    return found


def gathered(spoken: Sequence[Spoken]) -> tuple[Utterance, ...]:
    """Return the utterances again, ordered by start; one ends also where another speaker begins."""
    runs: list[list[Spoken]] = []
    for one in spoken:
        if not runs or one.begins or one.word.speaker != runs[-1][-1].word.speaker:
            runs.append([])
        runs[-1].append(one)
    found = (Utterance(run[0].word.speaker, tuple(one.word for one in run), run[0].divided) for run in runs)
    return tuple(sorted(found, key=lambda utterance: utterance.start_s))


def anchored(spoken: Sequence[Spoken], first: int, end: int, kind: str) -> Correction:
    """Return a correction that changes nothing yet of the words [first, end)."""
    words = [one.word for one in spoken[first:end]]
    shown = shown_of(spoken, first, end)
    return Correction(
        kind=kind,
        start_s=words[0].start_s if words else 0.0,
        end_s=max((word.end_s for word in words), default=0.0),
        index=first,
        before=spoken[first - 1].shown if first else "",
        after=spoken[end].shown if end < len(spoken) else "",
        was=shown,
        now=shown,
    )


def shown_of(spoken: Sequence[Spoken], first: int, end: int) -> tuple[str, ...]:
    """Return what people see of the words [first, end)."""
    return tuple(one.shown for one in spoken[first:end])


def begins_at(spoken: Sequence[Spoken], at: int) -> bool:
    """Say whether an utterance begins with a word."""
    return at == 0 or spoken[at].begins or spoken[at].word.speaker != spoken[at - 1].word.speaker


def replaced(spoken: Sequence[Spoken], first: int, end: int, new: Correction) -> list[Spoken]:
    """Return a row of words in which those of a correction stand in the place of the words [first, end).

    Words that are in both stay as they are. What comes in the place of words has their time; what is put in between
    words has a time between theirs, from `time_s` on if that is possible, and is said by `speaker`, or by whoever
    says the word before it.
    """
    texts, speaker = new.now, new.speaker
    old = list(spoken[first:end])
    found: list[Spoken] = []
    begins = False
    for tag, a, b, c, d in SequenceMatcher(None, [w.shown for w in old], texts, autojunk=False).get_opcodes():
        if tag == "equal":
            made = old[a:b]
        elif tag == "replace":
            after = spoken[first + b] if first + b < len(spoken) else None
            made = _in_place(old[a:b], texts[c:d], after)
        elif tag == "insert":
            at_start = not found and first < end
            before = found[-1] if found else spoken[first - 1] if first else None
            after = spoken[first + a] if first + a < len(spoken) else None
            beside = after if at_start else before or after
            made = _put_in(texts[c:d], before, after, beside, new.time_s)
            if at_start:
                # What is put in front of an utterance becomes its begin.
                made[0] = evolve(made[0], begins=old[0].begins)
                old[0] = evolve(old[0], begins=False)
        else:
            made = []
            begins = begins or any(word.begins for word in old[a:b])
        if speaker is not None and tag in {"insert", "replace"}:
            made = [word.said_by(speaker) for word in made]
        if made and begins:
            made = [evolve(made[0], begins=True), *made[1:]]
            begins = False
        found += made
    rest = list(spoken[end:])
    if rest and begins:
        rest[0] = evolve(rest[0], begins=True)
    return [*spoken[:first], *found, *rest]


def _in_place(old: Sequence[Spoken], texts: Sequence[str], after: Spoken | None) -> list[Spoken]:
    """Return words for texts with the time of others: one by one, or if their number differs along all of it."""
    if len(old) == len(texts):
        return [
            _made(text, word, word.word.start_s, word.word.end_s) for text, word in zip(texts, old, strict=True)
        ]
    start_s, end_s = old[0].word.start_s, max(word.word.end_s for word in old)
    if after is not None:
        end_s = max(start_s, old[-1].word.start_s, min(end_s, after.word.start_s))
    times = _along(texts, start_s, end_s)
    made = [_made(text, old[0], *time_s) for text, time_s in zip(texts, times, strict=True)]
    return [made[0], *(evolve(word, begins=False) for word in made[1:])]


def _put_in(
    texts: Sequence[str],
    before: Spoken | None,
    after: Spoken | None,
    beside: Spoken | None,
    time_s: float | None,
) -> list[Spoken]:
    """Return words for texts that stand between two words, with times between theirs."""
    wanted_s = sum(len(text) + 1 for text in texts) * CHARACTER_S
    if after is not None:
        latest_s = after.word.start_s
        earliest_s = min(before.word.end_s, latest_s) if before else max(0.0, latest_s - wanted_s)
    else:
        earliest_s = before.word.end_s if before else 0.0
        latest_s = max(earliest_s, time_s or 0.0) + wanted_s
    if before is not None:
        earliest_s, latest_s = max(earliest_s, before.word.start_s), max(latest_s, before.word.start_s)
    start_s = earliest_s if time_s is None else min(max(earliest_s, time_s), latest_s)
    end_s = min(latest_s, start_s + wanted_s)
    blank = AttributedWord("", start_s, end_s, UNKNOWN_SPEAKER, 1.0, CORRECTED)
    model = Spoken(blank, begins=False, shown="") if beside is None else beside
    times = _along(texts, start_s, end_s)
    return [evolve(_made(text, model, *span), begins=False) for text, span in zip(texts, times, strict=True)]


def _made(text: str, model: Spoken, start_s: float, end_s: float) -> Spoken:
    """Return a word that a user wrote, in the place of another or beside it."""
    word = AttributedWord(
        text, start_s, end_s, model.word.speaker, 1.0, CORRECTED, overlapped=model.word.overlapped
    )
    return Spoken(word, model.begins, one_line(text))


def _along(texts: Sequence[str], start_s: float, end_s: float) -> list[tuple[float, float]]:
    """Return times that fill a span, each as long as its text."""
    total, done, found = sum(map(len, texts)), 0, []
    length_s = end_s - start_s
    for text in texts:
        first_s = start_s + length_s * done / total
        done += len(text)
        found.append((first_s, start_s + length_s * done / total))
    return found
