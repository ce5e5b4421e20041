"""Corrections as users read them: a line for each, and what programs get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cli.render import count, moment, printable, table
from pipeline.annotations.edits import Standing
from pipeline.speech.corrections.editing import in_words
from pipeline.speech.scripts import joined
from pipeline.speech.times import clock


def corrections_table(held: Sequence[Standing]) -> str:
    """Return the corrections that hold, each with what became of it."""
    if not held:
        return "No corrections hold; `evt edit` makes some."
    rows = [(str(one.number), clock(one.correction.start_s), _who(one), _status(one), _words(one)) for one in held]
    return table(rows, ("N", "AT", "MADE (UTC)", "NOW", "CORRECTION"))


def made_lines(made: Sequence[Standing]) -> list[str]:
    """Return what was corrected just now."""
    return [f"{one.number} at {clock(one.correction.start_s)}: {_words(one)}" for one in made]


def summary_of(held: Sequence[Standing]) -> str:
    """Return how many corrections hold, and how many of them are in conflict."""
    conflicts = sum(one.is_conflict for one in held)
    return (
        f"{count(len(held), 'correction')} in all, {conflicts or 'none'} of them in conflict."
        if held
        else "No correction is left."
    )


def correction_as_json(one: Standing) -> dict[str, Any]:
    """Return a correction for programs."""
    said = one.correction
    return {
        "number": one.number,
        "kind": said.kind,
        "status": one.outcome.status,
        "start_s": round(said.start_s, 3),
        "end_s": round(said.end_s, 3),
        "was": list(said.was),
        "now": list(said.now),
        "found": list(one.outcome.found),
        "speaker_was": said.speaker_was,
        "speaker": said.speaker,
        "begins": said.begins,
        "user": one.user,
        "made_at": one.made_at,
        "because": one.because,
    }


def _words(one: Standing) -> str:
    found = f"; there stands “{joined(one.outcome.found)}”" if one.outcome.found else "; nothing stands there"
    because = f" ({one.because})" if one.because else ""
    return printable(f"{in_words(one.correction)}{found if one.is_conflict else ''}{because}")


def _who(one: Standing) -> str:
    return printable(f"{moment(one.made_at)} {one.user}")


def _status(one: Standing) -> str:
    return "conflict" if one.is_conflict else "holds"
