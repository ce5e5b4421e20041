"""What a run that died left open, and the events that end it: recorded by the next run, foreseen by a plan."""

from __future__ import annotations

from pipeline.artifacts import Artifacts
from pipeline.calls.answers import answer_name, stored_answer, succeeded
from projections.events import CallFailed, CallSucceeded, Event, StageError, StageInterrupted
from projections.failures import AMBIGUOUS, LOCAL
from projections.state import STARTED, Call, PipelineState


def interruptions(state: PipelineState) -> list[Event]:
    """Return the ends of the attempts that are open."""
    newest = (attempts[-1] for attempts in state.attempts.values())
    return [StageInterrupted(last.stage, last.number) for last in newest if last.status == STARTED]


def settlements(state: PipelineState, artifacts: Artifacts) -> list[Event]:
    """Return the ends of the calls that are open, by whether their answers are on disk; accepted jobs stay open."""
    open_calls = (call for call in state.calls.values() if call.status == STARTED)
    return [event for call in open_calls if (event := _settled(call, artifacts)) is not None]


def _settled(call: Call, artifacts: Artifacts) -> CallSucceeded | CallFailed | None:
    path = artifacts.root / call.started.stage / str(call.started.attempt) / answer_name(call.id, call.request)
    found = stored_answer(path, call.request, artifacts)
    if found is not None:
        return succeeded(call.id, *found, 0.0)
    if call.is_accepted:
        return None
    if not call.started.billable:
        error = StageError("interrupted", "The process ended before the answer came.", retryable=True)
        return CallFailed(call.id, LOCAL, error, billable=False)
    error = StageError("interrupted", "The process ended before the answer came; it may have been paid.", True)
    return CallFailed(call.id, AMBIGUOUS, error, billable=True)
