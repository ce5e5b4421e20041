"""From what a user did to the text of a transcript to an annotation, and what became of all of these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from attrs import evolve, frozen

from pipeline.annotations.annotations import KINDS, Annotate, content_of, contents_of, store, undo_last
from pipeline.annotations.speakers import clean_reason, read_transcript
from pipeline.artifacts import Artifacts
from pipeline.errors import ArtifactMissingError, EditError
from pipeline.speech.corrections.editing import Edit, as_content, corrected, from_content, voices_of
from pipeline.speech.corrections.keeping import kept
from pipeline.speech.corrections.values import CONFLICT, Correction, Outcome
from pipeline.speech.transcript import Transcript
from projections.events import Event, TranscriptCorrected
from projections.state import Annotation, Attempt, PipelineState

FILE = "corrections.json"


@frozen
class Standing:
    """A correction that holds, who made it and when, and what became of it in the transcript of now."""

    number: int
    correction: Correction
    outcome: Outcome
    user: str
    made_at: str
    because: str | None

    @property
    def is_conflict(self) -> bool:
        """Other words stand there now."""
        return self.outcome.status == CONFLICT


def standing(
    state: PipelineState, merge: Attempt, conversion: Attempt, artifacts: Artifacts
) -> tuple[Standing, ...]:
    """Return all corrections that hold, by number.

    Raises:
        ArtifactMissingError: a file of the transcript, or of what was said of it, is gone; the message helps.
    """
    transcript, _ = read_transcript(state, merge, conversion, artifacts, until=0)
    found: list[Standing] = []
    for said, content in contents_of(state.annotations, artifacts):
        if said.type == TranscriptCorrected.type:
            edit = from_content(content)
            outcomes = corrected(transcript, edit).outcomes
            found += (
                Standing(number, one, outcomes[number], said.user, said.made_at, edit.because)
                for number, one in edit.corrections.items()
            )
        transcript = KINDS[said.type].apply(transcript, content).transcript
    return tuple(sorted(found, key=lambda one: one.number))


def correcting(
    transcript: Transcript, corrections: Sequence[Correction], because: str | None, user: str
) -> Annotate:
    """Return what records corrections of a transcript.

    Should somebody else have changed it in the meantime, they are applied to what it is then, or are in conflict.
    """
    reason = clean_reason(because)

    def annotate(state: PipelineState, artifacts: Artifacts) -> Sequence[Event]:
        edit = Edit(spans=voices_of(transcript), because=reason)
        return [_stored(state, artifacts, edit, corrections, user)]

    return annotate


def withdrawing(numbers: Sequence[int], because: str | None, user: str) -> Annotate:
    """Return what takes back single corrections.

    Raises:
        EditError: when it is called, where one of them doesn't hold.
    """
    reason = clean_reason(because)

    def annotate(state: PipelineState, artifacts: Artifacts) -> Sequence[Event]:
        _require_held(state, artifacts, numbers)
        return [_stored(state, artifacts, Edit(withdrawn=tuple(numbers), because=reason), (), user)]

    return annotate


def keeping(
    merge: Attempt, conversion: Attempt, numbers: Sequence[int], because: str | None, user: str
) -> Annotate:
    """Return what makes corrections that are in conflict anew, for the words that stand there now.

    Raises:
        EditError: when it is called, where one of them is in no conflict, or nothing is left to be changed.
    """
    reason = clean_reason(because)

    def annotate(state: PipelineState, artifacts: Artifacts) -> Sequence[Event]:
        _require_held(state, artifacts, numbers)
        transcript, _ = read_transcript(state, merge, conversion, artifacts)
        found: list[Correction] = []
        for one in standing(state, merge, conversion, artifacts):
            if one.number in numbers:
                found += _made_anew(transcript, one)
        edit = Edit(withdrawn=tuple(numbers), spans=voices_of(transcript), because=reason)
        return [_stored(state, artifacts, edit, found, user)]

    return annotate


def undoing(user: str) -> Annotate:
    """Return what takes back the last edit, be it corrections or that some were taken back.

    Raises:
        EditError: when it is called, where nothing holds.
    """

    def annotate(state: PipelineState, artifacts: Artifacts) -> Sequence[Event]:
        event = undo_last(state, TranscriptCorrected.type, user)
        if event is None:
            raise EditError("No correction is left to be taken back.")
        return [event]

    return annotate


def _made_anew(transcript: Transcript, one: Standing) -> tuple[Correction, ...]:
    if not one.is_conflict:
        raise EditError(f"Correction {one.number} is in no conflict; `evt edit {transcript.id} --list` shows them.")
    found = kept(transcript.utterances, one.correction)
    if not found:
        raise EditError(
            f"Nothing is said any more where correction {one.number} was made. Drop it, and edit the text instead."
        )
    return found


def _require_held(state: PipelineState, artifacts: Artifacts, numbers: Sequence[int]) -> None:
    held = {
        number
        for said, content in contents_of(state.annotations, artifacts)
        if said.type == TranscriptCorrected.type
        for number in from_content(content).corrections
    }
    for number in numbers:
        if number not in held:
            raise EditError(
                f"There is no correction {number}, or it was taken back. `evt edit {state.pipeline_id} --list` "
                "shows those that hold."
            )


def _stored(
    state: PipelineState, artifacts: Artifacts, edit: Edit, corrections: Sequence[Correction], user: str
) -> TranscriptCorrected:
    numbered = dict(enumerate(corrections, start=_next_number(state, artifacts)))
    content = as_content(evolve(edit, corrections=numbered))
    return TranscriptCorrected(store(state, artifacts, FILE, content), user)


def _next_number(state: PipelineState, artifacts: Artifacts) -> int:
    """Return a number that no correction ever had; those of files that are gone can't be told."""
    numbers = (number for content in _contents(state, artifacts) for number in from_content(content).corrections)
    return max(numbers, default=0) + 1


def _contents(state: PipelineState, artifacts: Artifacts) -> Iterator[Mapping[str, object]]:
    said: tuple[Annotation, ...] = (*state.annotations, *state.undone)
    for one in said:
        if one.type == TranscriptCorrected.type:
            with suppress(ArtifactMissingError):
                yield content_of(one, artifacts)
