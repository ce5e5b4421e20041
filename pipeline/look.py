"""A pipeline before anything is done: its log, its state, the wishes and the plan. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from eventlog.errors import LogGoneError, LogNotFoundError, LogPurgedError
from eventlog.reader import Tail, Verdict
from pipeline.artifacts import Artifacts
from pipeline.calls.aftermath import interruptions, settlements
from pipeline.calls.probed import recalled
from pipeline.recordings import Recording
from pipeline.stages import transcription
from pipeline.stages.diarization import diarization_request
from pipeline.texts import length_note, referred
from pipeline.upkeep.tombstones import refusal
from pipeline.workshop import Workshop
from projections.decisions import ADOPT, ASK, RUN, WAITING
from projections.events import ArtifactRef
from projections.fold import fold, foresee, initial_state
from projections.graph import AUDIO_CONVERSION, DIARIZATION, EXPORT, SELECTION, TRANSCRIPTION
from projections.options import FLAG, Named, Option, resolve_options
from projections.plan import Plan, StagePlan, Surroundings, blocked_plan, make_plan
from projections.prices import Unit
from projections.state import SUCCEEDED, PipelineState

Delivered = Callable[[PipelineState, Mapping[str, Option]], frozenset[str] | None]
"""Returns the digests of exports that lie where the user wants them; None if none are wanted."""

_NOTHING = object()
_COPY = "it is a copy that is only read here, and goes on where it came from; `evt bundle` there hands it over"


@frozen
class Look:
    """A pipeline before anything is done: its log, its state, the wishes and the plan.

    Attributes:
        pipeline: the id under which the recording is known, or would be.
        verdict: how its log ends; None where there is no log.
        resets: there are recorded options, and they are to be forgotten.
    """

    pipeline: str
    state: PipelineState
    verdict: Verdict | None
    options: Mapping[str, Option]
    plan: Plan
    resets: bool

    @property
    def is_settled(self) -> bool:
        """Nothing is to be done and nothing to be recorded."""
        wishes_new = self.resets or any(
            option.source == FLAG and self.state.named.get(name, _NOTHING) != option.value
            for name, option in self.options.items()
        )
        clean = self.verdict is not None and self.verdict.tail is Tail.CLEAN
        completed = self.state.status == "completed" and self.state.sealed
        return clean and self.plan.is_done and completed and not wishes_new


def look(
    shop: Workshop,
    pipeline: str,
    recording: Recording | None,
    named: Named,
    delivered: Delivered,
    *,
    refreshes: bool = True,
    nobody_runs: bool = False,
) -> Look:
    """Return what would happen to a pipeline, without a lock and without changing anything.

    Args:
        shop: what is needed from outside.
        pipeline: its id.
        recording: the file, if it is at hand.
        named: the wishes of this invocation.
        delivered: digests of exports that lie where the user wants them; None if none are wanted.
        refreshes: stages that the user wants to run again, and that have not succeeded since, are in the plan; else
            it is about the transcript that there is.
        nobody_runs: nobody works on it, so what is open was left by a run that died, and the plan is the one after
            the next run has ended that.

    Raises:
        CorruptLogError, LogGoneError, LogStorageError: see `Store.read`.
        PurgedError: it was purged.
    """
    try:
        reading = shop.store.stream(pipeline)
        state = fold(initial_state(pipeline), reading)
        verdict = reading.verdict
        if (error := shop.store.unusable(pipeline, verdict)) is not None:
            raise error
    except LogPurgedError as error:
        raise refusal(shop.store, pipeline) or error from error
    except LogNotFoundError:
        state, verdict = initial_state(pipeline), None
        if Artifacts(shop.home.artifacts(pipeline)).has_files() and not Path(shop.store.path(pipeline)).exists():
            raise LogGoneError(
                f"The log {shop.store.path(pipeline)} is gone, but its files are still in "
                f"{shop.home.artifacts(pipeline)}. Restore the log from a backup, or remove that folder "
                "if you want to begin anew.",
                pipeline=pipeline,
            ) from None
    if nobody_runs:
        left = interruptions(state) + settlements(state, Artifacts(shop.home.artifacts(pipeline)))
        state = foresee(state, left)
    state = with_recording(state, recording)
    options = resolve_options(referred(named, Artifacts(shop.home.artifacts(pipeline))), state)
    around = surroundings(shop, state, options, recording, delivered(state, options))
    refresh = named.refresh | (state.to_refresh if refreshes else frozenset())
    plan = planned(shop, state, options, around, refresh)
    if known := recalled(shop.home.probed, shop.today, plan, state):
        expected = evolve(state, probed=(*state.probed, *known))
        around = surroundings(shop, expected, options, recording, delivered(state, options))
        plan = planned(shop, expected, options, around, refresh)
        notes = (f"What {event.model} at {event.origin} can do is known from an earlier run." for event in known)
        plan = evolve(plan, notes=(*plan.notes, *notes))
    if verdict is not None and shop.store.is_copy(pipeline):
        plan = blocked_plan(_COPY)
    if (note := _length_note(plan[TRANSCRIPTION], named)) is not None:
        plan = evolve(plan, notes=(*plan.notes, note))
    return Look(pipeline, state, verdict, options, plan, resets=named.reset and state.named != state.first_wishes)


def surroundings(
    shop: Workshop,
    state: PipelineState,
    options: Mapping[str, Option],
    recording: Recording | None,
    delivered: frozenset[str] | None,
    damaged: frozenset[str] = frozenset(),
) -> Surroundings:
    """Gather what the plan must know besides the log and the wishes."""
    artifacts = Artifacts(shop.home.artifacts(state.pipeline_id))
    outputs = {ref.path: ref for stage in state.attempts.values() for attempt in stage for ref in attempt.outputs}
    paid = (call for call in state.calls.values() if call.started.billable or call.provided_by)
    answers = [call.response for call in paid if call.response]
    missing = {ref.path for ref in (*outputs.values(), *answers) if not artifacts.looks_whole(ref)}
    missing |= state.erased
    missing |= {path for path in state.lost if path in outputs and not artifacts.is_whole(outputs[path])}
    if delivered is not None:
        missing |= _damaged_exports(artifacts, outputs.values(), delivered)
    probed = {(event.provider, event.origin, event.model): event.facts for event in state.probed}
    diarizers, transcribers, local = shop.providers.engines(
        options["diarizer"].value,
        options["transcriber"].value,
        options["model"].value,
        probed,
        options["identify"].value,
    )
    costs = any(engine.billable for engine in (*diarizers.values(), *transcribers.values()))
    return Surroundings(
        diarizers=diarizers,
        transcribers=transcribers,
        local_transcriber=local,
        missing=frozenset(missing) | damaged,
        delivered=delivered or frozenset(),
        deliver=delivered is not None,
        recording_at_hand=recording is not None,
        versions=shop.versions,
        duration_s=_stated_s(recording, state, options) if costs else None,
        limits=shop.ledger.limits,
        rates=shop.ledger.rates,
        today=shop.today,
    )


def planned(
    shop: Workshop,
    state: PipelineState,
    options: Mapping[str, Option],
    around: Surroundings,
    refresh: frozenset[str],
) -> Plan:
    """Return the plan; where stages that cost money are next, their calls are counted first."""
    plan = make_plan(state, options, around, refresh)
    units = {
        step.stage: _units(shop, step, plan, state)
        for step in plan.stages
        if step.price is not None and step.decision in {RUN, ADOPT, ASK}
    }
    return make_plan(state, options, evolve(around, units=units), refresh) if units else plan


def with_recording(state: PipelineState, recording: Recording | None) -> PipelineState:
    """Let the plan of a pipeline that has no log yet know its input."""
    if recording is None or state.input:
        return state
    return evolve(state, input=input_of(recording))


def input_of(recording: Recording) -> dict[str, Any]:
    """Return a recording as `pipeline.created` holds it."""
    found: dict[str, Any] = {
        "name": recording.name,
        "size_bytes": recording.size_bytes,
        "sha256": recording.sha256,
    }
    return found | ({"parts": [input_of(part) for part in recording.parts]} if recording.parts else {})


def _length_note(step: StagePlan, named: Named) -> str | None:
    if step.engine is None or step.decision not in {RUN, WAITING}:
        return None
    return length_note(named, step.engine.prompt_tokens)


def _units(shop: Workshop, step: StagePlan, plan: Plan, state: PipelineState) -> tuple[Unit, ...]:
    inputs = {other.stage: other.reused for other in plan.stages if other.reused is not None}
    artifacts = Artifacts(shop.home.artifacts(state.pipeline_id))
    if step.stage == DIARIZATION:
        request = diarization_request(step, inputs[AUDIO_CONVERSION], artifacts, shop.providers)
        return (Unit(request.seconds, request.digest),)
    chunk_s = transcription.chunk_s_of(step, shop.providers)
    pieces = shop.cutter.pieces(step, inputs, artifacts, chunk_s, lambda: None)
    spoken = [piece for piece in pieces if piece.has_speech]
    requests = transcription.requests_of(step, spoken, shop.providers)
    in_order = step.engine is not None and step.engine.in_order
    return tuple(
        Unit(request.seconds, None if in_order and at else request.digest) for at, request in enumerate(requests)
    )


def _stated_s(recording: Recording | None, state: PipelineState, options: Mapping[str, Option]) -> float | None:
    """Return how long what is wanted of a recording will be, by its own word; None: converted already."""
    wanted = {name: options[name].value for name in SELECTION}
    done = [attempt for attempt in state.attempts.get(AUDIO_CONVERSION, ()) if attempt.status == SUCCEEDED]
    was = {name: done[-1].started.options.get(name) for name in SELECTION} if done else None
    if recording is None or was == wanted:
        return None
    from pipeline.audio.conversion import Selection
    from pipeline.audio.sandbox.client import stated_s

    first, *then = (file.path for file in recording.files)
    return stated_s(first, then, Selection.of(wanted))


def _damaged_exports(artifacts: Artifacts, outputs: Iterable[ArtifactRef], delivered: frozenset[str]) -> set[str]:
    """Return the exports that have still to be delivered and can't be: they are small, so they are read."""
    wanted = [ref for ref in outputs if ref.path.startswith(f"{EXPORT}/") and ref.sha256 not in delivered]
    return {ref.path for ref in wanted if not artifacts.is_whole(ref)}
