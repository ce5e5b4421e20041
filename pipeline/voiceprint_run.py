"""Makes a voiceprint of a recording: the loop of every run, with a plan of its own and no word about a transcript.

Its attempts stand in the recording's log under a name that is no stage of a transcript. So nothing of it is ever
taken for a diarization, and since it records no run, neither the outcome of the last run nor the wishes that are
open change by it. Its calls are calls like any other.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define
from attrs import evolve as changed

from pipeline.artifacts import Artifacts
from pipeline.look import Look, surroundings
from pipeline.recordings import Recording
from pipeline.runner import ActiveRun, RunResult, recording_into
from pipeline.stages.voiceprint import FILE, voiceprint_request
from pipeline.work import Reporter
from pipeline.workshop import Workshop
from projections.decisions import BLOCKED, FIRST, REMADE, REUSE, RUN, WAITING
from projections.events import Event
from projections.graph import AUDIO_CONVERSION, VOICEPRINT
from projections.options import Named, resolve_options
from projections.paying import before_paying
from projections.plan import Plan, StagePlan, Surroundings, make_plan, stage_key
from projections.prices import Unit
from projections.state import SUCCEEDED, Attempt, PipelineState

VERSION = 1
_LOCAL = Named(once={"diarizer": "builtin", "transcriber": "builtin", "identify": None})
"""Only the conversion of these plans counts; naming local engines keeps them cheap to make."""


def make(shop: Workshop, seen: Look, recording: Recording, reporter: Reporter) -> RunResult:
    """Carry out the plan of a voiceprint and return how that ended.

    Raises:
        LogError: the log can't be opened or written; what it holds is safe.
    """
    with recording_into(shop, seen.pipeline) as recorder:
        options = resolve_options(_LOCAL, recorder.state)
        active = _VoiceprintRun(shop, recorder, recording, _LOCAL, lambda *_: None, reporter, options)
        return active.carry_out()


def plan_of(shop: Workshop, state: PipelineState, recording: Recording, damaged: frozenset[str]) -> Plan:
    """Return what is to be done for a voiceprint: the conversion, and the call."""
    options = resolve_options(_LOCAL, state)
    around = surroundings(shop, state, options, recording, None, damaged)
    artifacts = Artifacts(shop.home.artifacts(state.pipeline_id))
    converted = _whole(make_plan(state, options, around)[AUDIO_CONVERSION], around)
    return Plan((converted, _voiceprint(shop, state, around, converted, artifacts)))


def result_of(shop: Workshop, result: RunResult) -> str:
    """Return the voiceprint that a completed run left."""
    attempt = result.plan.stages[1].reused
    assert attempt is not None, "a completed run has a voiceprint"
    ref = next(ref for ref in attempt.outputs if ref.path.endswith(f"/{FILE}"))
    return str(Artifacts(shop.home.artifacts(result.pipeline)).read_json(ref)["voiceprint"])


@define
class _VoiceprintRun(ActiveRun):
    def plan(self, state: PipelineState) -> Plan:
        assert self.recording is not None, "a voiceprint is made of a file"
        return plan_of(self.shop, state, self.recording, self.damaged)

    def opening(self, state: PipelineState) -> Sequence[Event]:
        return ()

    def closing(self, outcome: str, start_s: float) -> Sequence[Event]:
        return ()


def _whole(step: StagePlan, around: Surroundings) -> StagePlan:
    """Let the conversion be made again where its mix is gone: what a transcript doesn't need is needed here."""
    if step.reused is None or not any(ref.path in around.missing for ref in step.reused.outputs):
        return step
    lost = step.reused.number
    return changed(step, decision=RUN, cause=REMADE, reason="its files are gone", reused=None, remakes=lost)


def _voiceprint(
    shop: Workshop, state: PipelineState, around: Surroundings, conversion: StagePlan, artifacts: Artifacts
) -> StagePlan:
    engine = shop.providers.voiceprinter().engine()
    options = {"provider": engine.name, "provider_version": engine.version, "model": engine.model}
    step = StagePlan(
        VOICEPRINT,
        WAITING,
        f"waits for {AUDIO_CONVERSION}",
        options={**options, "origin": engine.origin},
        version=VERSION,
        engine=engine,
        engine_name=engine.name,
        reads=(AUDIO_CONVERSION,),
    )
    if conversion.decision == BLOCKED:
        return changed(step, decision=BLOCKED, reason=conversion.reason)
    converted = conversion.reused
    if converted is None:
        return changed(step, decision=BLOCKED, reason=engine.lacking) if engine.lacking else step
    inputs = {AUDIO_CONVERSION: converted.metadata["pcm"]["audio"]}
    key = stage_key(VOICEPRINT, VERSION, step.options, inputs)
    step = changed(step, key=key, inputs=inputs)
    if (made := _made(state, key, around)) is not None:
        return changed(step, decision=REUSE, reason="it was made before", reused=made)
    if engine.lacking:
        return changed(step, decision=BLOCKED, reason=engine.lacking)
    request = voiceprint_request(step, converted, artifacts, shop.providers)
    units = {VOICEPRINT: (Unit(request.seconds, request.digest),)}
    step = changed(step, decision=RUN, cause=FIRST, reason="not done yet")
    return before_paying(step, state, changed(around, units=units))


def _made(state: PipelineState, key: str, around: Surroundings) -> Attempt | None:
    attempts = reversed(state.attempts.get(VOICEPRINT, ()))
    return next(
        (
            attempt
            for attempt in attempts
            if attempt.status == SUCCEEDED
            and attempt.started.key == key
            and not any(ref.path in around.missing for ref in attempt.outputs)
        ),
        None,
    )
