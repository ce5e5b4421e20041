"""Read models for people and programs: one line per pipeline, and the whole state as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs
from attrs import frozen

from eventlog.values import Value
from projections.cost import Sums, total_cost
from projections.graph import AUDIO_CONVERSION, DIARIZATION, STAGES, TRANSCRIPTION
from projections.state import PipelineState


@frozen(eq=False, repr=False)
class Summary(Value):
    """What a list shows of a pipeline; None where it is not known yet."""

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


def summarize(state: PipelineState) -> Summary:
    """Return the line of one pipeline."""
    points = state.checkpoints
    failed = points.get(state.failed_stage or "")
    metadata = {stage: points[stage].metadata if stage in points else {} for stage in STAGES}
    return Summary(
        pipeline_id=state.pipeline_id,
        name=state.input_file,
        status=state.status,
        created_at=state.created_at,
        last_updated=state.last_updated,
        completed_stages=state.completed_stages,
        failed_stage=state.failed_stage,
        current_stage=state.current_stage,
        error=failed.error.message if failed and failed.error else None,
        duration_s=metadata[AUDIO_CONVERSION].get("duration_s"),
        speakers=metadata[DIARIZATION].get("speakers"),
        words=metadata[TRANSCRIPTION].get("words"),
        engines={
            stage: attempts[-1].started.options.get("provider", "")
            for stage in (DIARIZATION, TRANSCRIPTION)
            if (attempts := state.attempts.get(stage))
        },
        runs=len(state.runs),
        cost=total_cost(state),
    )


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
