"""What a user corrected in one go, as the artifact of an annotation holds it, and applying that. Pure.

Corrections have numbers, unique in their pipeline, by which users name them. Labels of speakers are arbitrary, so
they are carried over by the times at which they spoke, as in `pipeline.speech.naming`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from attrs import evolve, frozen

from pipeline.speech.corrections.correcting import apply_corrections, words_during
from pipeline.speech.corrections.values import (
    CONFLICT,
    SPEAKER,
    WORDS,
    Corrected,
    Correction,
    Outcome,
    correction_from,
)
from pipeline.speech.naming import counterparts, speech_of
from pipeline.speech.scripts import joined
from pipeline.speech.times import Spans, clock
from pipeline.speech.transcript import Annotated, Transcript

NOTED = 5
"""So many conflicts are told one by one; `evt edit --list` has them all."""


@frozen
class Edit:
    """What a user did in one go.

    Attributes:
        corrections: by number.
        withdrawn: numbers of corrections that no longer hold.
        spans: when each label that has turns spoke as this was said.
        because: why, in the user's words.
    """

    corrections: Mapping[int, Correction] = {}
    withdrawn: tuple[int, ...] = ()
    spans: Mapping[str, Spans] = {}
    because: str | None = None


def as_content(edit: Edit) -> dict[str, Any]:
    """Return an edit as its artifact holds it; see docs/editing.md. Stored for ever: fields may only be added."""
    content = {
        "corrections": [{"number": number, **_stored(one)} for number, one in edit.corrections.items()],
        "withdrawn": list(edit.withdrawn),
        "spans": {label: [list(span) for span in found] for label, found in edit.spans.items()},
        "because": edit.because,
    }
    return {name: value for name, value in content.items() if value}


def from_content(content: Mapping[str, Any]) -> Edit:
    """Return the edit that an artifact holds."""
    return Edit(
        corrections={stored["number"]: correction_from(stored) for stored in content.get("corrections", ())},
        withdrawn=tuple(content.get("withdrawn", ())),
        spans={
            label: tuple((start_s, end_s) for start_s, end_s in found)
            for label, found in content.get("spans", {}).items()
        },
        because=content.get("because"),
    )


def holding(contents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is left of edits, without the corrections that one of them takes back."""
    withdrawn = {number for content in contents for number in content.get("withdrawn", ())}
    return [
        {
            **content,
            "corrections": [one for one in content.get("corrections", ()) if one["number"] not in withdrawn],
        }
        for content in contents
    ]


def apply(transcript: Transcript, content: Mapping[str, Any]) -> Annotated:
    """Apply an edit; what can't be is left out and told."""
    edit = from_content(content)
    result = corrected(transcript, edit)
    conflicts = [number for number, outcome in result.outcomes.items() if outcome.status == CONFLICT]
    notes = [
        conflict_note(transcript.id, no, edit.corrections[no], result.outcomes[no]) for no in conflicts[:NOTED]
    ]
    if more := len(conflicts) - NOTED:
        notes += [f"{more} more corrections are in conflict; `evt edit {transcript.id} --list` shows all"] * (
            more > 0
        )
    return Annotated(evolve(transcript, utterances=result.utterances), tuple(notes))


def corrected(transcript: Transcript, edit: Edit) -> Corrected:
    """Return a transcript's utterances with an edit, and what became of each correction."""
    if not edit.corrections:
        return Corrected(transcript.utterances, {})
    label_of = counterparts(edit.spans, voices_of(transcript))
    carried: dict[int, Correction] = {}
    lost: dict[int, Outcome] = {}
    for number, one in edit.corrections.items():
        labels = {label: label_of.get(label) if label in edit.spans else label for label in _labels(one)}
        if None in labels.values():
            lost[number] = Outcome(CONFLICT, words_during(transcript.utterances, one))
        else:
            carried[number] = evolve(
                one,
                speaker=labels.get(one.speaker or "", one.speaker),
                speaker_was=labels.get(one.speaker_was or "", one.speaker_was),
            )
    result = apply_corrections(transcript.utterances, carried) if carried else Corrected(transcript.utterances, {})
    outcomes = {**result.outcomes, **lost}
    return Corrected(result.utterances, {number: outcomes[number] for number in edit.corrections})


def voices_of(transcript: Transcript) -> dict[str, Spans]:
    """Return when each label speaks that has turns; others are names that a user wrote, and stay what they are."""
    return speech_of(evolve(transcript, utterances=()))


def conflict_note(pipeline: str, number: int, one: Correction, outcome: Outcome) -> str:
    """Return what a user must know of a conflict: both texts, and what can be done."""
    found = f"“{_short(outcome.found)}” stands" if outcome.found else "nothing stands"
    return (
        f"correction {number} at {clock(one.start_s)} was not applied: {in_words(one)}, but {found} there now; "
        f"`evt edit {pipeline} --resolve {number} keep` applies it, `drop` forgets it"
    )


def in_words(one: Correction) -> str:
    """Return what a correction changes."""
    if one.kind == WORDS:
        by = f", said by {one.speaker}" if one.speaker else ""
        now = f"“{_short(one.now)}”" if one.now else "nothing"
        return f"“{_short(one.was)}” became {now}{by}" if one.was else f"{now} was added{by}"
    if one.kind == SPEAKER:
        return f"“{_short(one.was)}” is said by {one.speaker}, not {one.speaker_was}"
    return f"{'a' if one.begins else 'no'} paragraph begins with “{_short(one.was)}”"


def _labels(one: Correction) -> Iterable[str]:
    return {label for label in (one.speaker, one.speaker_was) if label is not None}


def _stored(one: Correction) -> dict[str, Any]:
    values = ((field.name, getattr(one, field.name)) for field in attrs.fields(Correction))
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values if value is not None}


def _short(words: tuple[str, ...]) -> str:
    return joined(words) if len(words) <= 8 else joined([*words[:4], "…", *words[-3:]])
