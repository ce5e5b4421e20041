"""Read models for people and programs: one line per pipeline, and the whole state as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs
from attrs import frozen

from eventlog.values import Value
from projections.cost import Sums, total_cost
from projections.events import recorded_parts
from projections.graph import AUDIO_CONVERSION, DIARIZATION, STAGES, TRANSCRIPTION
from projections.standing import reused, standing
from projections.state import Attempt, PipelineState


@frozen(eq=False, repr=False)
class Summary(Value):
    """What a list shows of a pipeline; None where it is not known yet.

    A stage is completed if a success of it stands, also where a later attempt failed and the last run went back.

    Attributes:
        engines: by what made the diarization and the transcription that stand; where there is none yet, by what
            was tried last.
        names: every name under which the recording was met.
        has_people: the transcript may name people: the user did, or somebody was to be recognised.
        newer: the evt that wrote events which this one doesn't know; empty: not said; None: it knows all.
        parts: the names of the files that are joined to this recording; none where it is one file.
    """

    pipeline_id: str
    name: Any
    status: str
    created_at: str | None
    last_updated: str | None
    completed_stages: tuple[str, ...]
    failed_stage: str | None
    current_stage: str | None
    error: str | None
    duration_s: float | None
    speakers: int | None
    words: int | None
    engines: Mapping[str, str]
    runs: int
    cost: tuple[Sums, ...] = ()
    names: tuple[Any, ...] = ()
    failed_stages: tuple[str, ...] = ()
    current_stages: tuple[str, ...] = ()
    has_people: bool = False
    newer: str | None = None
    parts: tuple[Any, ...] = ()


def summarize(state: PipelineState) -> Summary:
    """Return the line of one pipeline."""
    stands, again = standing(state), reused(state)
    points = {stage: point for stage, point in state.checkpoints.items() if stage not in again}
    failed = tuple(stage for stage, point in points.items() if not point.success)
    metadata = {stage: stands[stage].metadata if stage in stands else {} for stage in STAGES}
    error = points[failed[0]].error if failed else None
    current = state.current_stages
    return Summary(
        pipeline_id=state.pipeline_id,
        name=state.input_file,
        status=state.status,
        created_at=state.created_at,
        last_updated=state.last_updated,
        completed_stages=tuple(stage for stage in STAGES if stage in stands and stage not in failed),
        failed_stage=failed[0] if failed else None,
        current_stage=current[0] if current else None,
        error=error.message if error else None,
        duration_s=metadata[AUDIO_CONVERSION].get("duration_s"),
        speakers=metadata[DIARIZATION].get("speakers"),
        words=metadata[TRANSCRIPTION].get("words"),
        engines={
            stage: (stands.get(stage) or attempts[-1]).started.options.get("provider", "")
            for stage in (DIARIZATION, TRANSCRIPTION)
            if (attempts := state.attempts.get(stage))
        },
        runs=len(state.runs),
        cost=total_cost(state),
        names=state.names,
        failed_stages=failed,
        current_stages=current,
        has_people=bool(state.annotations) or bool(_option(stands.get(DIARIZATION), "identify")),
        newer=state.written_by if state.foreign else None,
        parts=tuple(part.get("name") for part in recorded_parts(state.input)),
    )


def _option(attempt: Attempt | None, name: str) -> Any:
    return None if attempt is None else attempt.started.options.get(name)


def summary_as_json(summary: Summary) -> dict[str, Any]:
    """Return what `as_json` does, much faster: a home may have thousands of these."""
    found = {name: getattr(summary, name) for name in _FIELDS}
    lists = {name: list(value) for name, value in found.items() if isinstance(value, tuple)}
    return {**found, **lists, "cost": as_json(summary.cost)}


_FIELDS = tuple(field.name for field in attrs.fields(Summary))


def as_json(value: Any) -> Any:
    """Return a state, or any value that it is made of, as JSON values; fields that are None stay, as null."""
    if attrs.has(type(value)):
        return {field.name: as_json(getattr(value, field.name)) for field in attrs.fields(type(value))}
    if isinstance(value, Mapping):
        return {name: as_json(item) for name, item in value.items()}
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, (tuple, list)):
        return [as_json(item) for item in value]
    return value


def state_as_json(state: PipelineState) -> dict[str, Any]:
    """Return the complete state, what is derived from it included."""
    derived = {
        "input_file": state.input_file,
        "status": state.status,
        "uncertain": state.uncertain,
        "completed_stages": state.completed_stages,
        "failed_stage": state.failed_stage,
        "failed_stages": state.failed_stages,
        "current_stage": state.current_stage,
        "current_stages": state.current_stages,
        "checkpoints": state.checkpoints,
        "artifacts": state.artifacts,
    }
    return {**as_json(state), **as_json(derived)}
