"""What a user says of a transcript: kept as an artifact each, named by an event, applied by the export.

A new kind is an event that derives from `AnnotationEvent`, and a line in KINDS. Nothing is ever deleted: what is
taken back is an event too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from pipeline.artifacts import Artifacts
from pipeline.errors import ArtifactMismatchError, ArtifactMissingError
from pipeline.speech import naming
from pipeline.speech.corrections import editing
from pipeline.speech.transcript import Annotated, Transcript
from projections.events import AnnotationUndone, ArtifactRef, Event, SpeakersNamed, TranscriptCorrected
from projections.state import Annotation, PipelineState

FOLDER = "annotation"
"""Where the artifacts lie, beside the folders of the stages: `annotation/<number>/<name>`."""

Annotate = Callable[[PipelineState, Artifacts], Sequence[Event]]
"""Stores what a user says and returns the events for it; called under the lock, with the state as it is then.

Raises an EvtError where it can't be said; nothing is recorded then."""


@frozen
class Kind:
    """How a kind of annotation is applied, and the command that makes it and takes it back.

    Attributes:
        holding: what is left of the contents of all that hold, since one may take back a part of another.
    """

    apply: Callable[[Transcript, Mapping[str, Any]], Annotated]
    command: str
    holding: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = list


KINDS: Mapping[str, Kind] = {
    SpeakersNamed.type: Kind(naming.apply, "evt speakers"),
    TranscriptCorrected.type: Kind(editing.apply, "evt edit", editing.holding),
}
"""Every kind, by the type of its event."""


def store(state: PipelineState, artifacts: Artifacts, name: str, content: Mapping[str, Any]) -> ArtifactRef:
    """Keep what a user said; only the holder of the log's lock may do this, and names the file in the log next.

    A file that a dead command left without an event is replaced.
    """
    number = len(state.annotations) + len(state.undone) + 1
    folder = artifacts.attempt(FOLDER, number)
    ref = folder.put_json(name, content)
    folder.close()
    return ref


def undo_last(state: PipelineState, type_name: str, user: str) -> AnnotationUndone | None:
    """Return the event that takes back the last annotation of a kind; None where none holds."""
    last = next((said for said in reversed(state.annotations) if said.type == type_name), None)
    return None if last is None else AnnotationUndone(last.seq, user)


def content_of(said: Annotation, artifacts: Artifacts) -> dict[str, Any]:
    """Return what a user said.

    Raises:
        ArtifactMissingError: the file is gone or changed; the message says how to go on without it.
    """
    try:
        return artifacts.read_json(said.content)
    except (ArtifactMissingError, ArtifactMismatchError) as error:
        raise ArtifactMissingError(
            f"The file {artifacts.path(said.content)}, which holds what you said of the transcript, is gone or was "
            f"changed. Restore it from a backup, or go on without it: `{KINDS[said.type].command} "
            f"{artifacts.root.name} --undo` takes back the last change."
        ) from error


def annotated(transcript: Transcript, said: Iterable[Annotation], artifacts: Artifacts) -> Annotated:
    """Apply what was said, in the order in which it was said; speakers keep their labels.

    Args:
        transcript: as it was merged.
        said: annotations that hold, usually all of a state.
        artifacts: of the pipeline.

    Raises:
        ArtifactMissingError: see `content_of`.
    """
    notes: list[str] = []
    for annotation, content in contents_of(said, artifacts):
        applied = KINDS[annotation.type].apply(transcript, content)
        transcript = applied.transcript
        notes += applied.notes
    return Annotated(transcript, tuple(notes))


def contents_of(said: Iterable[Annotation], artifacts: Artifacts) -> Iterator[tuple[Annotation, Mapping[str, Any]]]:
    """Yield annotations with what is left of their contents.

    Raises:
        ArtifactMissingError: see `content_of`.
    """
    read = [(annotation, content_of(annotation, artifacts)) for annotation in said]
    left = {
        name: iter(kind.holding([content for annotation, content in read if annotation.type == name]))
        for name, kind in KINDS.items()
    }
    yield from ((annotation, next(left[annotation.type])) for annotation, _ in read)
