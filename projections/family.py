"""The pipelines of one recording: a base and its variants, `ID.2`, `ID.3` and so on. Pure.

A variant has a log and files of its own. What another pipeline of the family has done already, and this one would
do in the same way, is taken over: successes as a plan would reuse them, and answers of the engine that is to be
asked. So a family pays for nothing twice, and each member stands alone once that is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from eventlog.values import Value
from projections.decisions import FIRST, REFRESH, REUSE, RUN, STALE, WAITING
from projections.engine import Engine
from projections.events import ArtifactRef, CallTakenOver, StageTakenOver
from projections.fold import foresee
from projections.graph import AUDIO_CONVERSION, DIARIZATION, TRANSCRIPTION
from projections.ids import base_of, number_of, variant_id
from projections.options import Option
from projections.plan import StagePlan, Surroundings, make_plan
from projections.state import STARTED, SUCCEEDED, Attempt, Call, PipelineState

__all__ = [
    "Relative",
    "TakeOver",
    "answers_to_take_over",
    "base_of",
    "number_of",
    "stages_to_take_over",
    "unsettled",
    "variant_id",
]

_TAKEN: tuple[str, ...] = (AUDIO_CONVERSION, DIARIZATION, TRANSCRIPTION)
"""What is worth it: merging and rendering take no time."""


@frozen(eq=False, repr=False)
class Relative(Value):
    """Another pipeline of the family; `missing`: paths of its files that are gone or changed."""

    state: PipelineState
    missing: frozenset[str] = frozenset()


@frozen(eq=False, repr=False)
class TakeOver(Value):
    """Something to be taken over: the event that says so, and the files that it needs.

    Attributes:
        files: the pipeline's files as they are there, and the path of each here.
    """

    event: StageTakenOver | CallTakenOver
    pipeline: str
    files: tuple[tuple[ArtifactRef, str], ...]


def stages_to_take_over(
    state: PipelineState, options: Mapping[str, Option], around: Surroundings, relatives: Sequence[Relative]
) -> tuple[TakeOver, ...]:
    """Return the successes of relatives that the plan of a pipeline would reuse if they were its own.

    Args:
        state: of the pipeline.
        options: its wishes.
        around: what its plan must know.
        relatives: the others of its family; of equal successes those of the first count.
    """
    found: list[TakeOver] = []
    while (takeover := _next_stage(state, options, around, relatives)) is not None:
        found.append(takeover)
        state = foresee(state, [takeover.event])
    return tuple(found)


def answers_to_take_over(
    state: PipelineState, steps: Sequence[StagePlan], missing: frozenset[str], relatives: Sequence[Relative]
) -> tuple[TakeOver, ...]:
    """Return the answers of relatives that the stages of a plan may need: of the same engine, not known here.

    Args:
        state: of the pipeline.
        steps: what its stages would do next.
        missing: paths of its files that are gone or changed.
        relatives: the others of its family.
    """
    there = [call for call in state.calls.values() if call.response and call.response.path not in missing]
    known = {call.request for call in there if call.status == SUCCEEDED}
    found: list[TakeOver] = []
    for step, engine in _asking(steps):
        begun = (call.started for call in state.calls.values())
        number = sum((started.stage, started.attempt) == (step.stage, 0) for started in begun)
        for relative, call in _calls_of(engine, step.stage, relatives):
            ref = call.response
            is_answer = call.status == SUCCEEDED and ref is not None and _is_there(ref, step.stage, relative)
            if ref is not None and is_answer and call.request.isalnum() and call.request not in known:
                number += 1
                known.add(call.request)
                found.append(_answer(call, ref, relative.state.pipeline_id, number))
    return tuple(found)


def unsettled(state: PipelineState, steps: Sequence[StagePlan], relatives: Sequence[Relative]) -> str | None:
    """Return a relative whose stage isn't done, and pays the engine that is to be asked, or may have paid it.

    What it waits for, or is about to ask, would be asked for and paid once more here. A pipeline that waits itself
    waits only for those of lower numbers, so that no two wait for each other.
    """
    for step, engine in _asking(steps):
        waits = _waits(Relative(state), step.stage, engine)
        for relative in relatives:
            before = number_of(relative.state.pipeline_id) < number_of(state.pipeline_id)
            if (before or not waits) and _waits(relative, step.stage, engine):
                return relative.state.pipeline_id
    return None


def _waits(pipeline: Relative, stage: str, engine: Engine) -> bool:
    """Say whether the newest attempt of a stage has paid calls of an engine that are open, in doubt, or to come."""
    attempts = pipeline.state.attempts.get(stage, ())
    if not attempts or attempts[-1].status == SUCCEEDED:
        return False
    asking = attempts[-1].status == STARTED and attempts[-1].started.options.get("provider") == engine.name
    open_calls = (
        call.status == STARTED or call.in_doubt
        for _, call in _calls_of(engine, stage, [pipeline])
        if call.started.billable
    )
    return (asking and engine.price is not None) or any(open_calls)


def _next_stage(
    state: PipelineState, options: Mapping[str, Option], around: Surroundings, relatives: Sequence[Relative]
) -> TakeOver | None:
    plan = make_plan(state, options, around)
    for step in (plan[stage] for stage in _TAKEN):
        for relative, attempt in _candidates(step, relatives) if step.decision == RUN else ():
            number = len(state.attempts.get(step.stage, ())) + 1
            takeover = _success(attempt, relative.state.pipeline_id, number)
            now = make_plan(foresee(state, [takeover.event]), options, around)[step.stage]
            # What differs only in things that nobody named counts as with any success, but replaces none. Not for a
            # base: its engines may be defaults, and what somebody named for a variant says nothing about them.
            stale_counts = step.cause == FIRST and state.forked is not None
            counts = now.decision == REUSE or (now.decision == STALE and stale_counts)
            if counts and now.reused is not None and now.reused.number == number:
                return takeover
    return None


def _candidates(step: StagePlan, relatives: Sequence[Relative]) -> list[tuple[Relative, Attempt]]:
    """Return whole successes, those of the wanted key first, then of the first relatives, the newest first."""
    if step.cause == REFRESH:
        return []
    found = [
        (relative, attempt)
        for relative in relatives
        for attempt in reversed(relative.state.attempts.get(step.stage, ()))
        if attempt.status == SUCCEEDED and all(_is_there(ref, step.stage, relative) for ref in attempt.outputs)
    ]
    return sorted(found, key=lambda pair: pair[1].started.key != step.key)


def _is_there(ref: ArtifactRef, stage: str, relative: Relative) -> bool:
    """Say whether a file can be taken over; a path that a stranger's log made up leads nowhere."""
    first, *rest = ref.path.split("/")
    is_ours = first == stage and len(rest) > 1 and rest[0].isdecimal() and not {"", ".", ".."} & set(rest)
    return is_ours and "\0" not in ref.path and ref.path not in relative.missing


def _success(attempt: Attempt, pipeline: str, number: int) -> TakeOver:
    started = attempt.started
    files = tuple((ref, _moved(ref.path, number)) for ref in attempt.outputs)
    event = StageTakenOver(
        stage=started.stage,
        attempt=number,
        key=started.key,
        version=started.version,
        options=started.options,
        inputs=started.inputs,
        outputs=tuple(ArtifactRef(path, ref.sha256, ref.size_bytes) for ref, path in files),
        metadata=dict(attempt.metadata),
        duration_s=attempt.duration_s or 0.0,
        provided_by=dict(attempt.provided_by or {"pipeline": pipeline, "attempt": attempt.number}),
    )
    return TakeOver(event, pipeline, files)


def _answer(call: Call, ref: ArtifactRef, pipeline: str, number: int) -> TakeOver:
    started = call.started
    path = f"{started.stage}/0/calls/{number}-{call.request[:16]}.json"
    event = CallTakenOver(
        call=f"{started.stage}.0.{number}",
        stage=started.stage,
        provider=started.provider,
        operation=started.operation,
        unit=started.unit,
        request=started.request,
        response=ArtifactRef(path, ref.sha256, ref.size_bytes),
        provided_by=dict(call.provided_by or {"pipeline": pipeline, "call": call.id}),
        origin=started.origin,
        model=started.model,
    )
    return TakeOver(event, pipeline, ((ref, path),))


def _moved(path: str, number: int) -> str:
    """Return a path in the folder of another attempt."""
    stage, _, name = path.split("/", 2)
    return f"{stage}/{number}/{name}"


def _asking(steps: Sequence[StagePlan]) -> Iterator[tuple[StagePlan, Engine]]:
    for step in steps:
        if step.engine is not None and step.decision in {RUN, WAITING} and step.cause != REFRESH:
            yield step, step.engine


def _calls_of(engine: Engine, stage: str, relatives: Sequence[Relative]) -> Iterator[tuple[Relative, Call]]:
    """Yield the calls of an engine, the newest of each relative first."""
    for relative in relatives:
        for call in reversed(tuple(relative.state.calls.values())):
            asked = call.started
            same = (asked.provider, asked.origin or "", asked.model) == (engine.name, engine.origin, engine.model)
            if asked.stage == stage and same:
                yield relative, call
