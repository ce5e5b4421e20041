"""What a user corrected in a transcript, as values. Pure.

A correction names a time span and the words that stood there, so that it can be applied to a later transcript too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from attrs import frozen

from pipeline.speech.values import Utterance

WORDS, SPEAKER, PARAGRAPH = "words", "speaker", "paragraph"
"""What a correction changes: words, who says them, or whether a paragraph begins with a word."""

APPLIED, SATISFIED, CONFLICT = "applied", "satisfied", "conflict"


@frozen
class Correction:
    """One change to a transcript.

    Attributes:
        kind: words, speaker or paragraph.
        start_s, end_s: the time of the words that stood there.
        index: the number of the first of them in the transcript; decides only between places that are equally good.
        before, after: the words beside them; empty at the ends of the transcript.
        was: the words that stood there; empty only where the transcript had none.
        now: the words that stand there instead; of the other kinds the same.
        speaker_was, speaker: of kind speaker: who said them, and who does. Of kind words, `speaker` is who says
            what was put in, where that is another one than whoever says the words beside it.
        begins: of kind paragraph: one begins with the word, or none does any more.
        time_s: of kind words: when the user says that what was put in begins.
    """

    kind: str
    start_s: float
    end_s: float
    index: int
    before: str
    after: str
    was: tuple[str, ...]
    now: tuple[str, ...]
    speaker_was: str | None = None
    speaker: str | None = None
    begins: bool | None = None
    time_s: float | None = None


@frozen
class Outcome:
    """What became of a correction; `found` are the words that stand at its place, before it was applied."""

    status: str
    found: tuple[str, ...] = ()


@frozen
class Corrected:
    """A transcript's utterances with corrections, ordered by start, and what became of each, by its number."""

    utterances: tuple[Utterance, ...]
    outcomes: Mapping[int, Outcome]


def correction_from(stored: Mapping[str, Any]) -> Correction:
    """Return a correction that was stored as JSON values; fields that this version doesn't know are passed over."""
    known = {field.name: stored[field.name] for field in attrs.fields(Correction) if field.name in stored}
    return Correction(**{**known, "was": tuple(stored["was"]), "now": tuple(stored["now"])})
