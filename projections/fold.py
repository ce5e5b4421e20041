"""State after one more record, state after many. Pure and total: no record makes it raise.

An impossible transition or a record whose data don't fit its type becomes a finding; an unknown type is kept.
Both block the plan, so that nothing is spent on a log that is half understood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson
from attrs import evolve as changed

from eventlog.record import Record
from projections import events as ev
from projections.decisions import TAKEN_OVER
from projections.failures import ADOPTED, PAID_UNUSABLE
from projections.graph import TEXTS
from projections.state import (
    FAILED,
    INTERRUPTED,
    STARTED,
    SUCCEEDED,
    Annotation,
    Attempt,
    Call,
    Erasure,
    Finding,
    Handover,
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
    """Return the state after many records; each costs the same, however many there are."""
    draft = _Draft(state)
    draft.take(records)
    return draft.finished()


def foresee(state: PipelineState, events: Iterable[ev.Event]) -> PipelineState:
    """Return the state as it will be once these events are recorded next; for a plan, before they are."""
    for event in events:
        time, body = state.last_updated or "", orjson.dumps(ev.to_data(event)).decode()
        record = Record(state.seq + 1, time, event.type, state.pipeline_id, "", body, state.seq, "", "")
        state = evolve(state, record)
    return state


def evolve(state: PipelineState, record: Record) -> PipelineState:
    """Return the state after one more record."""
    return fold(state, (record,))


class _Draft:
    """A state in the making, with its fields; what grows with the log is changed in place, and is nobody else's.

    Attributes:
        last: the last record that was taken; None if there was none.
        under_way: the last attempt of each stage, where that has not ended: its number, and how many calls it
            reused beyond what it says itself.
    """

    def __init__(self, state: PipelineState) -> None:
        self.before = state
        self.last: Record | None = None
        self.created_at = state.created_at
        self.input = state.input
        self.names = list(state.names)
        self.runs = list(state.runs)
        self.attempts = {stage: list(attempts) for stage, attempts in state.attempts.items()}
        self.calls = dict(state.calls)
        self.named = state.named
        self.open_wishes = state.open_wishes
        self.to_refresh = state.to_refresh
        self.lost = set(state.lost)
        self.erased = set(state.erased)
        self.findings = list(state.findings)
        self.unknown = list(state.unknown)
        self.losses = list(state.losses)
        self.probed = list(state.probed)
        self.annotations = list(state.annotations)
        self.undone = list(state.undone)
        self.forked = state.forked
        lasts = [attempts[-1] for attempts in state.attempts.values()]
        self.under_way = {last.stage: [last.number, 0] for last in lasts if last.status == STARTED}
        self.handed_over = state.handed_over
        self.erasure = state.erasure
        self.set_aside_gone = state.set_aside_gone

    def finished(self) -> PipelineState:
        """Return the state; the draft isn't used any more."""
        for stage in list(self.under_way):
            self.attempts[stage].append(self.pop_attempt(stage))
        before, last = self.before, self.last
        return PipelineState(
            pipeline_id=before.pipeline_id,
            seq=last.seq if last else before.seq,
            created_at=self.created_at,
            last_updated=last.time if last else before.last_updated,
            input=self.input,
            names=tuple(self.names),
            runs=tuple(self.runs),
            attempts={stage: tuple(attempts) for stage, attempts in self.attempts.items()},
            calls=self.calls,
            named=self.named,
            open_wishes=self.open_wishes,
            to_refresh=self.to_refresh,
            lost=frozenset(self.lost),
            erased=frozenset(self.erased),
            findings=tuple(self.findings),
            unknown=tuple(self.unknown),
            sealed=last.type == SEALED if last else before.sealed,
            losses=tuple(self.losses),
            probed=tuple(self.probed),
            annotations=tuple(self.annotations),
            undone=tuple(self.undone),
            forked=self.forked,
            handed_over=self.handed_over,
            erasure=self.erasure,
            set_aside_gone=self.set_aside_gone,
        )

    def take(self, records: Iterable[Record]) -> None:
        """Let more records have their effects, in this order."""
        first = last = None
        # Most of the time of a long replay is spent here: what is looked up again and again has a short name.
        event_of, effects = ev.event_of, _EFFECTS
        for last in records:
            first = first or last
            try:
                event = event_of(last)
            except ev.EventDataError as error:
                self.find(last, f"its data are wrong: {error}")
                continue
            effect = effects.get(event.__class__)
            if effect is not None:
                effect(self, last, event)
        self.last = last or self.last
        if first is not None and self.created_at is None:
            self.created_at = first.time

    def find(self, record: Record, text: str) -> None:
        """Keep what makes no sense in a record."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(record.seq, f"record {record.seq} ({record.type}): {text}"))

    def pop_attempt(self, stage: str) -> Attempt:
        """Remove and return the attempt of a stage that is under way, with all the calls that it reused."""
        last, (_, reused) = self.attempts[stage].pop(), self.under_way.pop(stage)
        return changed(last, calls_reused=last.calls_reused + reused) if reused else last

    def is_under_way(self, stage: str, number: int) -> bool:
        """Say whether this is the stage's last attempt, and has not ended."""
        last = self.under_way.get(stage)
        return last is not None and last[0] == number


def _told_by_others(state: _Draft, record: Record, event: None) -> None:
    """The store's own records, and those of a type that this version does not know."""
    if not record.type.startswith("log."):
        if all(name != record.type for _, name in state.unknown):
            state.unknown.append((record.seq, record.type))
    elif record.type in _LOSSES:
        data = record.data
        if record.type != RECOVERED or data.get("uncertain"):
            state.losses.append(Loss(record.seq, record.type, str(data.get("file"))))


def _created(state: _Draft, record: Record, event: ev.PipelineCreated) -> None:
    state.input = event.input
    state.names.append(event.input.get("name"))


def _forked(state: _Draft, record: Record, event: ev.PipelineForked) -> None:
    state.forked = event
    state.named = {**event.options, **state.named}


def _input_seen(state: _Draft, record: Record, event: ev.InputSeen) -> None:
    state.names.append(event.name)


def _run_started(state: _Draft, record: Record, event: ev.RunStarted) -> None:
    forgotten = frozenset(state.named) if event.reset else frozenset()
    first_wishes = state.forked.options if state.forked else {}
    state.runs.append(Run(record.run, event, record.time))
    state.named = {**(first_wishes if event.reset else state.named), **event.named}
    state.open_wishes |= forgotten | frozenset(event.named)
    state.to_refresh |= frozenset(event.refresh)


def _run_finished(state: _Draft, record: Record, event: ev.RunFinished) -> None:
    last = state.runs[-1] if state.runs else None
    if last is None or last.id != record.run or last.outcome is not None:
        state.find(record, "no run of this id is under way")
        return
    state.runs[-1] = changed(last, outcome=event.outcome, finished_at=record.time, duration_s=event.duration_s)
    if event.outcome == "completed":
        state.open_wishes = frozenset()


def _stage_started(state: _Draft, record: Record, event: ev.StageStarted) -> bool:
    """Begin an attempt; say whether it could begin."""
    before = state.attempts.get(event.stage, [])
    if event.attempt != len(before) + 1:
        state.find(record, f"attempt {event.attempt} where {len(before) + 1} is due")
        return False
    if before and before[-1].status == STARTED:
        state.find(record, f"attempt {before[-1].number} has not ended")
        return False
    state.attempts.setdefault(event.stage, []).append(Attempt(event, record.run, record.time))
    state.under_way[event.stage] = [event.attempt, 0]
    return True


def _stage_succeeded(state: _Draft, record: Record, event: ev.StageSucceeded) -> None:
    ending = {"outputs": event.outputs, "metadata": event.metadata, "duration_s": event.duration_s}
    _stage_ended(state, record, event.stage, event.attempt, SUCCEEDED, **ending)


def _stage_failed(state: _Draft, record: Record, event: ev.StageFailed) -> None:
    ending = {"error": event.error, "duration_s": event.duration_s}
    _stage_ended(state, record, event.stage, event.attempt, FAILED, **ending)


def _stage_interrupted(state: _Draft, record: Record, event: ev.StageInterrupted) -> None:
    _stage_ended(state, record, event.stage, event.attempt, INTERRUPTED)


def _stage_taken_over(state: _Draft, record: Record, event: ev.StageTakenOver) -> None:
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
    if _stage_started(state, record, started):
        ending = {"outputs": event.outputs, "metadata": event.metadata, "duration_s": event.duration_s}
        _stage_ended(state, record, event.stage, event.attempt, SUCCEEDED, provided_by=event.provided_by, **ending)


def _stage_ended(state: _Draft, record: Record, stage: str, number: int, status: str, **ending: Any) -> None:
    if not state.is_under_way(stage, number):
        state.find(record, f"attempt {number} of {stage} is not under way")
        return
    if status == SUCCEEDED:
        state.to_refresh -= {stage}
    ended = changed(state.pop_attempt(stage), status=status, ended_at=record.time, **ending)
    state.attempts[stage].append(ended)


def _call_started(state: _Draft, record: Record, event: ev.CallStarted) -> None:
    if event.call in state.calls:
        state.find(record, f"there is a call {event.call} already")
    elif not state.is_under_way(event.stage, event.attempt):
        state.find(record, f"attempt {event.attempt} of {event.stage} is not under way")
    else:
        state.calls[event.call] = Call(event, record.time)


def _call_succeeded(state: _Draft, record: Record, event: ev.CallSucceeded) -> None:
    call = _call_under_way(state, record, event.call)
    if call is not None:
        # By position, since half of the records of a long log end a call, and `changed` takes three times as long.
        state.calls[event.call] = Call(
            call.started,
            call.started_at,
            SUCCEEDED,
            event.response,
            event.latency_s,
            call.error,
            call.kind,
            call.job_id,
            call.expires_at,
            event.cost,
            event.usage,
            call.resolution,
            call.failed_at,
            call.provided_by,
        )


def _call_failed(state: _Draft, record: Record, event: ev.CallFailed) -> None:
    call = _call_under_way(state, record, event.call)
    if call is not None:
        ending: dict[str, Any] = {"error": event.error, "kind": event.kind, "failed_at": event.provider_time}
        state.calls[event.call] = changed(call, status=FAILED, cost=event.cost, usage=event.usage, **ending)


def _call_under_way(state: _Draft, record: Record, call_id: str) -> Call | None:
    call = state.calls.get(call_id)
    if call is None or call.status != STARTED:
        state.find(record, f"no call {call_id} is under way")
        return None
    return call


def _call_accepted(state: _Draft, record: Record, event: ev.CallAccepted) -> None:
    """A job is accepted once, or found again after its call was in doubt."""
    call = state.calls.get(event.call)
    if call is None or not (call.status == STARTED or call.resolution == ADOPTED):
        state.find(record, f"no call {event.call} waits for a job")
        return
    state.calls[event.call] = changed(call, status=STARTED, job_id=event.job_id, expires_at=event.expires_at)


def _call_resolved(state: _Draft, record: Record, event: ev.CallResolved) -> None:
    """Only an ended call is resolved; one whose stored answer turned out unusable has failed by that."""
    call = state.calls.get(event.call)
    if call is None or call.status == STARTED:
        state.find(record, f"the call {event.call} has not ended")
        return
    kind = PAID_UNUSABLE if call.status == SUCCEEDED else call.kind
    state.calls[event.call] = changed(call, status=FAILED, kind=kind, resolution=event.resolution)


def _call_reused(state: _Draft, record: Record, event: ev.CallReused) -> None:
    call = state.calls.get(event.of)
    if call is None or call.status != SUCCEEDED:
        state.find(record, f"there is no answer of a call {event.of}")
        return
    # Not `is_under_way`: nearly all records of a log that was run again and again are of this type.
    last = state.under_way.get(event.stage)
    if last is None or last[0] != event.attempt:
        state.find(record, f"attempt {event.attempt} of {event.stage} is not under way")
    else:
        last[1] += 1


def _call_taken_over(state: _Draft, record: Record, event: ev.CallTakenOver) -> None:
    """An answer of somebody else's call: of no attempt here, and paid, if it was, by the other pipeline."""
    if event.call in state.calls:
        state.find(record, f"there is a call {event.call} already")
        return
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
    state.calls[event.call] = Call(started, record.time, SUCCEEDED, event.response, provided_by=event.provided_by)


def _engine_probed(state: _Draft, record: Record, event: ev.EngineProbed) -> None:
    state.probed.append(event)


def _artifact_missing(state: _Draft, record: Record, event: ev.ArtifactMissing) -> None:
    state.lost.add(event.path)


def _artifact_erased(state: _Draft, record: Record, event: ev.ArtifactErased) -> None:
    state.erased.update(event.paths)


def _handed_over(state: _Draft, record: Record, event: ev.PipelineHandedOver) -> None:
    state.handed_over = Handover(event.token, event.bundle, record.time)


def _received(state: _Draft, record: Record, event: ev.PipelineReceived) -> None:
    if state.handed_over is None or state.handed_over.token != event.token:
        state.find(record, "it answers no handing over that is open")
        return
    state.handed_over = None


def _pipeline_erased(state: _Draft, record: Record, event: ev.PipelineErased) -> None:
    """Nothing that the log names is there any more: no file, no word of the user's, and no text that was kept."""
    state.erasure = Erasure(record.time, event.user, event.set_aside)
    state.set_aside_gone |= frozenset(event.set_aside)
    outputs = (ref for attempts in state.attempts.values() for attempt in attempts for ref in attempt.outputs)
    answers = (call.response for call in state.calls.values() if call.response is not None)
    state.undone += state.annotations
    state.annotations = []
    said = (annotation.content for annotation in state.undone)
    state.erased.update(ref.path for ref in (*outputs, *answers, *said))
    state.named = {name: value for name, value in state.named.items() if name not in TEXTS}


def _unerased(state: _Draft, record: Record, event: ev.PipelineUnerased) -> None:
    if state.erasure is None:
        state.find(record, "it is not erased")
        return
    state.erasure = None


def _loss_accepted(state: _Draft, record: Record, event: ev.LossAccepted) -> None:
    state.losses = [changed(loss, accepted=loss.accepted or loss.seq in event.losses) for loss in state.losses]


def _annotated(state: _Draft, record: Record, event: ev.AnnotationEvent) -> None:
    said = Annotation(record.seq, event.type, event.content, event.user, record.time)
    replaced = event.replaces if isinstance(event, ev.SpeakersNamed) else None
    if replaced is None:
        state.annotations.append(said)
        return
    gone = [other for other in state.annotations if other.seq == replaced]
    if not gone:
        state.find(record, f"record {replaced} is no annotation that holds")
        return
    state.annotations = [said if other.seq == replaced else other for other in state.annotations]
    state.undone += gone


def _annotation_undone(state: _Draft, record: Record, event: ev.AnnotationUndone) -> None:
    undone = [said for said in state.annotations if said.seq == event.annotation]
    if not undone:
        state.find(record, f"record {event.annotation} is no annotation that holds")
        return
    state.annotations = [said for said in state.annotations if said.seq != event.annotation]
    state.undone += undone


_EFFECTS: dict[type, Callable[[_Draft, Record, Any], object]] = {
    type(None): _told_by_others,
    ev.PipelineCreated: _created,
    ev.PipelineForked: _forked,
    ev.InputSeen: _input_seen,
    ev.RunStarted: _run_started,
    ev.RunFinished: _run_finished,
    ev.StageStarted: _stage_started,
    ev.StageSucceeded: _stage_succeeded,
    ev.StageTakenOver: _stage_taken_over,
    ev.StageFailed: _stage_failed,
    ev.StageInterrupted: _stage_interrupted,
    ev.CallStarted: _call_started,
    ev.CallAccepted: _call_accepted,
    ev.CallSucceeded: _call_succeeded,
    ev.CallFailed: _call_failed,
    ev.CallResolved: _call_resolved,
    ev.CallReused: _call_reused,
    ev.CallTakenOver: _call_taken_over,
    ev.EngineProbed: _engine_probed,
    ev.ArtifactMissing: _artifact_missing,
    ev.ArtifactErased: _artifact_erased,
    ev.PipelineHandedOver: _handed_over,
    ev.PipelineReceived: _received,
    ev.PipelineErased: _pipeline_erased,
    ev.PipelineUnerased: _unerased,
    ev.LossAccepted: _loss_accepted,
    ev.SpeakersNamed: _annotated,
    ev.TranscriptCorrected: _annotated,
    ev.AnnotationUndone: _annotation_undone,
}
"""What each event does; one that is only told, as `budget.exceeded`, isn't here."""
