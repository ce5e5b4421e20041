"""State after one more record, state after many. Pure and total: no record makes it raise.

An impossible transition or a record whose data don't fit its type becomes a finding; an unknown type is kept.
Both block the plan, so that nothing is spent on a log that is half understood.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import evolve as changed

from eventlog.record import Record
from projections import events as ev
from projections.decisions import TAKEN_OVER
from projections.failures import ADOPTED, PAID_UNUSABLE
from projections.state import (
    FAILED,
    INTERRUPTED,
    STARTED,
    SUCCEEDED,
    Annotation,
    Attempt,
    Call,
    Finding,
    Loss,
    PipelineState,
    Run,
)

SEALED = "log.sealed"
RECOVERED = "log.recovered"
FINDINGS_MAX = 100
"""One finding blocks the plan; more than these say nothing new."""
_LOSSES = frozenset({RECOVERED, "log.salvaged", "log.restored"})


def initial_state(pipeline_id: str) -> PipelineState:
    """Return the state of a pipeline whose log is empty."""
    return PipelineState(pipeline_id)


def fold(state: PipelineState, records: Iterable[Record]) -> PipelineState:
    """Return the state after many records."""
    for record in records:
        state = evolve(state, record)
    return state


def foresee(state: PipelineState, events: Iterable[ev.Event]) -> PipelineState:
    """Return the state as it will be once these events are recorded next; for a plan, before they are."""
    for event in events:
        time, data = state.last_updated or "", ev.to_data(event)
        record = Record(state.seq + 1, time, event.type, state.pipeline_id, "", data, state.seq, "", "")
        state = evolve(state, record)
    return state


def evolve(state: PipelineState, record: Record) -> PipelineState:
    """Return the state after one more record."""
    state = changed(
        state,
        seq=record.seq,
        created_at=state.created_at or record.time,
        last_updated=record.time,
        sealed=record.type == SEALED,
    )
    if record.type.startswith("log."):
        return _store_event(state, record)
    try:
        event = ev.from_data(record.type, record.data)
    except ev.EventDataError as error:
        return _finding(state, record, f"its data are wrong: {error}")
    if event is None:
        return _unknown(state, record)
    return _apply(state, record, event)


def _store_event(state: PipelineState, record: Record) -> PipelineState:
    certain = record.type == RECOVERED and not record.data.get("uncertain")
    if record.type not in _LOSSES or certain:
        return state
    return changed(state, losses=(*state.losses, Loss(record.seq, record.type, str(record.data.get("file")))))


def _apply(state: PipelineState, record: Record, event: ev.Event) -> PipelineState:  # noqa: C901, PLR0911, PLR0912
    # One case per event: the whole of what the log can say, in one place.
    match event:
        case ev.PipelineCreated():
            return changed(state, input=event.input, names=(*state.names, event.input.get("name")))
        case ev.PipelineForked():
            return changed(state, forked=event, named={**event.options, **state.named})
        case ev.InputSeen():
            return changed(state, names=(*state.names, event.name))
        case ev.RunStarted():
            return _run_started(state, record, event)
        case ev.RunFinished():
            return _run_finished(state, record, event)
        case ev.StageStarted():
            return _stage_started(state, record, event)
        case ev.StageSucceeded():
            ending: dict[str, Any] = {
                "outputs": event.outputs,
                "metadata": event.metadata,
                "duration_s": event.duration_s,
            }
            return _stage_ended(state, record, event.stage, event.attempt, SUCCEEDED, **ending)
        case ev.StageTakenOver():
            return _stage_taken_over(state, record, event)
        case ev.StageFailed():
            ending = {"error": event.error, "duration_s": event.duration_s}
            return _stage_ended(state, record, event.stage, event.attempt, FAILED, **ending)
        case ev.StageInterrupted():
            return _stage_ended(state, record, event.stage, event.attempt, INTERRUPTED)
        case ev.CallStarted():
            return _call_started(state, record, event)
        case ev.CallAccepted():
            return _call_accepted(state, record, event)
        case ev.CallSucceeded():
            ending = {
                "response": event.response,
                "latency_s": event.latency_s,
                "cost": event.cost,
                "usage": event.usage,
            }
            return _call_ended(state, record, event.call, SUCCEEDED, **ending)
        case ev.CallFailed():
            ending = {
                "error": event.error,
                "kind": event.kind,
                "cost": event.cost,
                "usage": event.usage,
                "failed_at": event.provider_time,
            }
            return _call_ended(state, record, event.call, FAILED, **ending)
        case ev.CallResolved():
            return _call_resolved(state, record, event)
        case ev.EngineProbed():
            return changed(state, probed=(*state.probed, event))
        case ev.CallReused():
            return _call_reused(state, record, event)
        case ev.CallTakenOver():
            return _call_taken_over(state, record, event)
        case ev.ArtifactMissing():
            return changed(state, lost=state.lost | {event.path})
        case ev.ArtifactErased():
            return changed(state, erased=state.erased | set(event.paths))
        case ev.LossAccepted():
            return _loss_accepted(state, event)
        case ev.AnnotationEvent():
            return _annotated(state, record, event)
        case ev.AnnotationUndone():
            return _annotation_undone(state, record, event)
        case _:
            return state


def _run_started(state: PipelineState, record: Record, event: ev.RunStarted) -> PipelineState:
    forgotten = frozenset(state.named) if event.reset else frozenset()
    return changed(
        state,
        runs=(*state.runs, Run(record.run, event, record.time)),
        named={**(state.first_wishes if event.reset else state.named), **event.named},
        open_wishes=state.open_wishes | forgotten | frozenset(event.named),
        to_refresh=state.to_refresh | frozenset(event.refresh),
    )


def _unknown(state: PipelineState, record: Record) -> PipelineState:
    if any(name == record.type for _, name in state.unknown):
        return state
    return changed(state, unknown=(*state.unknown, (record.seq, record.type)))


def _loss_accepted(state: PipelineState, event: ev.LossAccepted) -> PipelineState:
    losses = (changed(loss, accepted=loss.accepted or loss.seq in event.losses) for loss in state.losses)
    return changed(state, losses=tuple(losses))


def _annotated(state: PipelineState, record: Record, event: ev.AnnotationEvent) -> PipelineState:
    said = Annotation(record.seq, event.type, event.content, event.user, record.time)
    replaced = event.replaces if isinstance(event, ev.SpeakersNamed) else None
    if replaced is None:
        return changed(state, annotations=(*state.annotations, said))
    gone = tuple(other for other in state.annotations if other.seq == replaced)
    if not gone:
        return _finding(state, record, f"record {replaced} is no annotation that holds")
    left = tuple(said if other.seq == replaced else other for other in state.annotations)
    return changed(state, annotations=left, undone=(*state.undone, *gone))


def _annotation_undone(state: PipelineState, record: Record, event: ev.AnnotationUndone) -> PipelineState:
    undone = tuple(said for said in state.annotations if said.seq == event.annotation)
    if not undone:
        return _finding(state, record, f"record {event.annotation} is no annotation that holds")
    left = tuple(said for said in state.annotations if said.seq != event.annotation)
    return changed(state, annotations=left, undone=(*state.undone, *undone))


def _finding(state: PipelineState, record: Record, text: str) -> PipelineState:
    if len(state.findings) == FINDINGS_MAX:
        return state
    finding = Finding(record.seq, f"record {record.seq} ({record.type}): {text}")
    return changed(state, findings=(*state.findings, finding))


def _run_finished(state: PipelineState, record: Record, event: ev.RunFinished) -> PipelineState:
    last = state.last_run
    if last is None or last.id != record.run or last.outcome is not None:
        return _finding(state, record, "no run of this id is under way")
    ended = changed(last, outcome=event.outcome, finished_at=record.time, duration_s=event.duration_s)
    open_wishes = frozenset() if event.outcome == "completed" else state.open_wishes
    return changed(state, runs=(*state.runs[:-1], ended), open_wishes=open_wishes)


def _stage_started(state: PipelineState, record: Record, event: ev.StageStarted) -> PipelineState:
    before = state.attempts.get(event.stage, ())
    if event.attempt != len(before) + 1:
        return _finding(state, record, f"attempt {event.attempt} where {len(before) + 1} is due")
    if before and before[-1].status == STARTED:
        return _finding(state, record, f"attempt {before[-1].number} has not ended")
    return _with_attempts(state, event.stage, (*before, Attempt(event, record.run, record.time)))


def _stage_taken_over(state: PipelineState, record: Record, event: ev.StageTakenOver) -> PipelineState:
    started = ev.StageStarted(
        stage=event.stage,
        attempt=event.attempt,
        key=event.key,
        version=event.version,
        cause=TAKEN_OVER,
        changes=(),
        options=event.options,
        inputs=event.inputs,
    )
    begun = _stage_started(state, record, started)
    if len(begun.findings) > len(state.findings):
        return begun
    ending = {"outputs": event.outputs, "metadata": event.metadata, "duration_s": event.duration_s}
    return _stage_ended(
        begun, record, event.stage, event.attempt, SUCCEEDED, provided_by=event.provided_by, **ending
    )


def _stage_ended(
    state: PipelineState, record: Record, stage: str, number: int, status: str, **ending: Any
) -> PipelineState:
    attempts = state.attempts.get(stage, ())
    if not attempts or attempts[-1].number != number or attempts[-1].status != STARTED:
        return _finding(state, record, f"attempt {number} of {stage} is not under way")
    ended = changed(attempts[-1], status=status, ended_at=record.time, **ending)
    if status == SUCCEEDED:
        state = changed(state, to_refresh=state.to_refresh - {stage})
    return _with_attempts(state, stage, (*attempts[:-1], ended))


def _with_attempts(state: PipelineState, stage: str, attempts: tuple[Attempt, ...]) -> PipelineState:
    return changed(state, attempts={**state.attempts, stage: attempts})


def _call_started(state: PipelineState, record: Record, event: ev.CallStarted) -> PipelineState:
    if event.call in state.calls:
        return _finding(state, record, f"there is a call {event.call} already")
    if not _is_under_way(state, event.stage, event.attempt):
        return _finding(state, record, f"attempt {event.attempt} of {event.stage} is not under way")
    call = Call(event, record.time)
    return changed(state, calls={**state.calls, call.id: call})


def _call_ended(state: PipelineState, record: Record, call_id: str, status: str, **ending: Any) -> PipelineState:
    call = state.calls.get(call_id)
    if call is None or call.status != STARTED:
        return _finding(state, record, f"no call {call_id} is under way")
    return changed(state, calls={**state.calls, call_id: changed(call, status=status, **ending)})


def _call_accepted(state: PipelineState, record: Record, event: ev.CallAccepted) -> PipelineState:
    """A job is accepted once, or found again after its call was in doubt."""
    call = state.calls.get(event.call)
    if call is None or not (call.status == STARTED or call.resolution == ADOPTED):
        return _finding(state, record, f"no call {event.call} waits for a job")
    accepted = changed(call, status=STARTED, job_id=event.job_id, expires_at=event.expires_at)
    return changed(state, calls={**state.calls, event.call: accepted})


def _call_resolved(state: PipelineState, record: Record, event: ev.CallResolved) -> PipelineState:
    """Only an ended call is resolved; one whose stored answer turned out unusable has failed by that."""
    call = state.calls.get(event.call)
    if call is None or call.status == STARTED:
        return _finding(state, record, f"the call {event.call} has not ended")
    kind = PAID_UNUSABLE if call.status == SUCCEEDED else call.kind
    resolved = changed(call, status=FAILED, kind=kind, resolution=event.resolution)
    return changed(state, calls={**state.calls, event.call: resolved})


def _call_reused(state: PipelineState, record: Record, event: ev.CallReused) -> PipelineState:
    call = state.calls.get(event.of)
    if call is None or call.status != SUCCEEDED:
        return _finding(state, record, f"there is no answer of a call {event.of}")
    if not _is_under_way(state, event.stage, event.attempt):
        return _finding(state, record, f"attempt {event.attempt} of {event.stage} is not under way")
    attempts = state.attempts[event.stage]
    counted = changed(attempts[-1], calls_reused=attempts[-1].calls_reused + 1)
    return _with_attempts(state, event.stage, (*attempts[:-1], counted))


def _call_taken_over(state: PipelineState, record: Record, event: ev.CallTakenOver) -> PipelineState:
    """An answer of somebody else's call: of no attempt here, and paid, if it was, by the other pipeline."""
    if event.call in state.calls:
        return _finding(state, record, f"there is a call {event.call} already")
    started = ev.CallStarted(
        call=event.call,
        stage=event.stage,
        attempt=0,
        provider=event.provider,
        operation=event.operation,
        unit=event.unit,
        request=event.request,
        billable=False,
        origin=event.origin,
        model=event.model,
    )
    call = Call(started, record.time, SUCCEEDED, event.response, provided_by=event.provided_by)
    return changed(state, calls={**state.calls, call.id: call})


def _is_under_way(state: PipelineState, stage: str, number: int) -> bool:
    attempts = state.attempts.get(stage, ())
    return bool(attempts) and attempts[-1].number == number and attempts[-1].status == STARTED
