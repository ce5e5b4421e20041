"""The one loop: plan → intent → effect → outcome → fold → plan. Run is resume; there is no second path.

A run folds the log, plans, starts every stage that the plan wants started, and plans again whenever one ends,
whether the log is empty, half done, or finished.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from attrs import define, evolve, field, frozen

from eventlog.errors import EvtError, LogError, LogPurgedError
from pipeline.annotations.annotations import Annotate
from pipeline.annotations.speakers import settle_order
from pipeline.artifacts import Artifacts
from pipeline.calls.aftermath import interruptions, settlements
from pipeline.calls.obtaining import CallTools
from pipeline.calls.probed import forget, recalled, remember
from pipeline.errors import (
    ArtifactMismatchError,
    ArtifactMissingError,
    ProviderError,
    ReplanError,
    StoppedError,
)
from pipeline.look import Delivered, Look, input_of, planned, surroundings, with_recording
from pipeline.pools import CONVERSION, pool_of
from pipeline.recorder import Recorder, require_open
from pipeline.recordings import PARTS_MAX_BYTES, Recording, recordable_name
from pipeline.stages import STAGE_FUNCTIONS
from pipeline.texts import keep
from pipeline.upkeep.tombstones import refusal
from pipeline.work import Reporter, StageResult, StageWork, stage_error
from pipeline.workshop import Workshop
from projections.events import (
    ArtifactMissing,
    Event,
    InputSeen,
    PipelineCreated,
    RunFinished,
    RunStarted,
    StageError,
    StageFailed,
    StageInterrupted,
    StageStarted,
    StageSucceeded,
)
from projections.fold import foresee
from projections.graph import AUDIO_CONVERSION, EXPORT, MERGE
from projections.options import Named, Option, resolve_options
from projections.plan import Plan, StagePlan
from projections.state import FAILED as STAGE_FAILED
from projections.state import PipelineState
from projections.summary import as_json

_LOG = logging.getLogger("evt.runner")

DECISIONS = frozenset({"budget_exceeded", "in_doubt", "needs_money"})
"""Codes of failures that wait for the user: for money, or for a word about what may be paid already."""

COMPLETED, FAILED, INTERRUPTED, NEEDS_DECISION = "completed", "failed", "interrupted", "needs_decision"


@frozen
class RunResult:
    """How a run ended.

    Attributes:
        outcome: completed, failed, interrupted or needs_decision.
        ran: the stages of which an attempt succeeded in this run.
        failures: why stages failed in this run, in the order of the plan.
        bugs: what failed a stage and is a defect of ours; recorded like any failure, kept for a traceback.
    """

    pipeline: str
    outcome: str
    state: PipelineState
    plan: Plan
    ran: tuple[str, ...]
    failures: Mapping[str, StageError]
    bugs: tuple[Exception, ...]
    duration_s: float


def run(
    shop: Workshop,
    seen: Look,
    recording: Recording | None,
    named: Named,
    delivered: Delivered,
    reporter: Reporter,
    *,
    annotate: Annotate | None = None,
    only: frozenset[str] | None = None,
    refreshes: bool = True,
) -> RunResult:
    """Carry out the plan of a pipeline and return how that ended. What was seen before only gives the id.

    Args:
        shop: everything from outside.
        seen: the pipeline as it was seen before.
        recording: the file, if it is at hand.
        named: the wishes of this invocation.
        delivered: which exports lie where the user wants them.
        reporter: tells people how it goes.
        annotate: what the user says of the transcript in this invocation.
        only: the stages that may run; None: all.
        refreshes: stages that an earlier run was to do again are in the plan; see `look`.

    Raises:
        LogError: the log can't be opened or written; what it holds is safe.
        EvtError: what `annotate` raises; nothing was recorded.
    """
    with recording_into(shop, seen.pipeline) as recorder:
        named = keep(named, shop.artifacts(seen.pipeline))
        # Wishes are weighed against the log as it was before this run wrote them down.
        options = resolve_options(named, recorder.state)
        active = ActiveRun(
            shop,
            recorder,
            recording,
            named,
            delivered,
            reporter,
            options,
            annotate=annotate,
            only=only,
            refreshes=refreshes,
        )
        return active.carry_out()


@contextmanager
def recording_into(shop: Workshop, pipeline: str) -> Iterator[Recorder]:
    """Open the log of a pipeline for a run, make it if need be, and close it when the run is over."""
    artifacts = shop.artifacts(pipeline)
    traces = artifacts.has_files()
    run_id = shop.new_run_id()
    try:
        opened = shop.store.open_writer(pipeline, run=run_id, create=True, traces=traces)
    except LogPurgedError as error:
        raise refusal(shop.store, pipeline) or error from error
    try:
        # Until we had the lock, others may have removed the folders and begun to make them again.
        shop.folders.forget(str(artifacts.root))
        recorder = Recorder(shop.store, opened, run_id)
        require_open(recorder.state)
        try:
            yield recorder
        finally:
            shop.ledger.close(recorder)
            shop.cutter.forget(Artifacts(shop.home.artifacts(pipeline)))
    finally:
        opened.writer.close()


@define
class ActiveRun:
    """One invocation's work on one pipeline, from the open log to `run.finished`."""

    shop: Workshop
    recorder: Recorder
    recording: Recording | None
    named: Named
    delivered: Delivered
    reporter: Reporter
    options: Mapping[str, Option]
    annotate: Annotate | None = None
    only: frozenset[str] | None = None
    refreshes: bool = True
    damaged: frozenset[str] = frozenset()
    begun: bool = False
    abandoned: threading.Event = field(factory=threading.Event)
    tried: set[str] = field(factory=set)
    ran: list[str] = field(factory=list)
    bugs: list[Exception] = field(factory=list)
    replan: set[str] = field(factory=set)
    running: dict[str, Future[None]] = field(factory=dict)
    artifacts: Artifacts = field(init=False)
    number: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Find the pipeline's files, and take a place in the order of those that are worked on."""
        self.artifacts = self.shop.artifacts(self.state.pipeline_id)
        self.number = self.shop.pools.number()

    @property
    def state(self) -> PipelineState:
        """The state after everything that is recorded."""
        return self.recorder.state

    def carry_out(self) -> RunResult:
        """Do what there is to be done; return how that ended."""
        start_s = self.shop.clock_s()
        self._begin()
        with ThreadPoolExecutor(thread_name_prefix="stage") as pool:
            try:
                plan = self._work(pool)
            except BaseException:
                # The stages can't record anything any more; the other recordings of a batch go on.
                self.abandoned.set()
                raise
        failures = self._failures(plan)
        outcome = self._outcome(plan, failures)
        self.recorder.record(*self.closing(outcome, start_s))
        self.recorder.finish()
        duration_s = self.shop.clock_s() - start_s
        return RunResult(
            pipeline=self.state.pipeline_id,
            outcome=outcome,
            state=self.state,
            plan=plan,
            ran=tuple(self.ran),
            failures=failures,
            bugs=tuple(self.bugs),
            duration_s=duration_s,
        )

    def _begin(self) -> None:
        """Record who runs and with which wishes; settle what a dead run left open."""
        self.artifacts.ensure_salt()
        said = self.annotate(self.state, self.artifacts) if self.annotate else ()
        events: list[Event] = []
        state = foresee(self.state, said)
        if not state.input and self.recording is not None:
            evt_version = self.shop.identity.versions.get("evt", "")
            events.append(PipelineCreated(input_of(self.recording), evt_version))
            state = with_recording(state, self.recording)
        events += [*self.opening(state), *said]
        if self.recording is not None and self.state.input and self.recording.name not in self.state.names:
            events.append(InputSeen(self.recording.name))
        self.recorder.record(*events, *interruptions(self.state))
        self.begun = True
        self.artifacts.clear_scratch()
        self.recorder.record(*settlements(self.state, self.artifacts))

    def opening(self, state: PipelineState) -> Sequence[Event]:
        """Return what says that a run begins; what the home knows of a server goes before the plan that uses it."""
        plan = self.plan(state)
        known = recalled(self.shop.home.probed, self.shop.today, plan, state)
        if known:
            plan = self.plan(evolve(state, probed=(*state.probed, *known)))
        return (*known, self._run_started(plan))

    def closing(self, outcome: str, start_s: float) -> Sequence[Event]:
        """Return what says that it ended."""
        return (RunFinished(outcome, self._since(start_s)),)

    def _run_started(self, plan: Plan) -> RunStarted:
        who = self.shop.identity
        return RunStarted(
            user=who.user,
            pid=who.pid,
            host=who.host,
            boot_id=who.boot_id,
            versions=dict(who.versions),
            named=dict(self.named.options),
            options={
                name: {"value": option.value, "source": option.source} for name, option in self.options.items()
            },
            plan={step.stage: _recorded_decision(step) for step in plan.stages},
            reset=self.named.reset,
            refresh=tuple(sorted(self.named.refresh)),
            input_path=_recordable_path(self.recording),
            input_paths=_recordable_paths(self.recording),
        )

    def plan(self, state: PipelineState) -> Plan:
        """Return what is to be done next."""
        delivered = self.delivered(state, self.options)
        around = surroundings(self.shop, state, self.options, self.recording, delivered, self.damaged)
        asked = frozenset() if self.begun else self.named.refresh
        pending = state.to_refresh if self.refreshes else frozenset()
        return planned(self.shop, state, self.options, around, pending | asked)

    def _work(self, pool: ThreadPoolExecutor) -> Plan:
        """Start what the plan wants started, wait for one to end, plan again; until nothing is left to start."""
        while True:
            plan = self.plan(self.state)
            startable = [
                step for step in plan.stages if step.stage in plan.resume_point and self._may_start(step.stage)
            ]
            if not self.shop.side_by_side:
                startable = startable[: 1 - len(self.running)]
            if self.shop.stop.is_set():
                startable = []
            for step in startable:
                if not self._inputs_are_whole(step, plan) or self._settles_annotations(step, plan):
                    break
                self._start(step, plan, pool)
            else:
                if not self.running:
                    return plan
                self._await_one()

    def _may_start(self, stage: str) -> bool:
        return stage not in self.tried | self.running.keys() and (self.only is None or stage in self.only)

    def _inputs_are_whole(self, step: StagePlan, plan: Plan) -> bool:
        """Verify what a stage is about to read; a damaged file is recorded, and the plan made again."""
        for name in step.reads:
            attempt = plan[name].reused
            for ref in attempt.outputs if attempt else ():
                try:
                    self.artifacts.open(ref)
                except (ArtifactMissingError, ArtifactMismatchError) as error:
                    found = "missing" if isinstance(error, ArtifactMissingError) else "changed"
                    self.recorder.record(ArtifactMissing(ref.path, found))
                    self.damaged |= {ref.path}
                    return False
        return True

    def _settles_annotations(self, step: StagePlan, plan: Plan) -> bool:
        """Record what is only now known of what the user said; the export's key then is another one."""
        if step.stage != EXPORT:
            return False
        merged, converted = plan[MERGE].reused, plan[AUDIO_CONVERSION].reused
        assert merged is not None, "an export reads what was merged"
        assert converted is not None, "what was merged was converted"
        events = settle_order(self.state, merged, converted, self.artifacts)
        self.recorder.record(*events)
        return bool(events)

    def _start(self, step: StagePlan, plan: Plan, pool: ThreadPoolExecutor) -> None:
        attempt = len(self.state.attempts.get(step.stage, ())) + 1
        self.recorder.record(
            StageStarted(
                stage=step.stage,
                attempt=attempt,
                key=step.key or "",
                version=step.version,
                cause=step.cause,
                changes=tuple(as_json(change) for change in step.changes),
                options=dict(step.options),
                inputs=dict(step.inputs),
                remakes=step.remakes,
                price=step.price.as_data() if step.price else None,
            )
        )
        self.reporter.stage_started(step, attempt)
        inputs = {other.stage: other.reused for other in plan.stages if other.reused is not None}
        work = StageWork(
            step=step,
            attempt=attempt,
            provider_name=step.engine_name,
            inputs=inputs,
            recording=self.recording,
            artifacts=self.artifacts,
            recorder=self.recorder,
            reporter=self.reporter,
            cutter=self.shop.cutter,
            tools=self._call_tools(),
            stops=(self.shop.stop, self.abandoned),
        )
        self.running[step.stage] = pool.submit(self._attempt, work)

    def _call_tools(self) -> CallTools:
        return CallTools(
            ledger=self.shop.ledger,
            pace=self.shop.pace,
            clock_s=self.shop.clock_s,
            chance=self.shop.chance,
            per_minute=self.shop.per_minute,
            known_jobs=lambda: self.shop.known_jobs(self.recorder),
            note=self.reporter.stage_note,
            doing=self.reporter.stage_doing,
            place=lambda stage, engine, check: self.shop.pools.place(pool_of(engine), stage, self.number, check),
            secrets=self.shop.providers.secrets,
        )

    def _await_one(self) -> None:
        done, _ = wait(self.running.values(), return_when=FIRST_COMPLETED)
        for stage in [name for name, future in self.running.items() if future in done]:
            self.running.pop(stage).result()
            if stage in self.replan:
                self.replan.discard(stage)
                continue
            self.tried.add(stage)
            self.reporter.stage_ended(self.state.attempts[stage][-1])

    def _attempt(self, work: StageWork) -> None:
        """Do one attempt and record how it ended; only a log that can't be written gets out of here."""
        start_s = self.shop.clock_s()
        stage, number = work.step.stage, work.attempt
        try:
            with self._place(work):
                result = STAGE_FUNCTIONS[stage](work, self.shop.providers)
            event: Event = _succeeded(work, result, self.shop.clock_s() - start_s)
            self.ran.append(stage)
        except LogError:
            raise
        except StoppedError:
            event = StageInterrupted(stage, number)
        except ReplanError as learned:
            remember(self.shop.home.probed, self.shop.today, learned.found)
            self.replan.add(stage)
            event = StageInterrupted(stage, number)
        except (EvtError, OSError, MemoryError) as error:
            _LOG.debug("%s %s of %s failed", stage, number, self.state.pipeline_id, exc_info=error)
            if isinstance(error, ProviderError) and error.code == "unsupported" and work.step.engine is not None:
                forget(self.shop.home.probed, self.shop.today, work.step.engine)
            event = StageFailed(stage, number, _recorded_error(error), self._since(start_s))
        except Exception as error:
            # Recorded like any failure, so that neither the log nor a batch breaks off; told to the caller.
            _LOG.debug("%s %s of %s met a defect", stage, number, self.state.pipeline_id, exc_info=error)
            self.bugs.append(error)
            text = f"This is a defect of evt ({type(error).__name__}); please report it with the output of --debug."
            failure = StageError("internal", text)
            event = StageFailed(stage, number, failure, self._since(start_s))
        work.folder.close()
        self.recorder.record(event)

    def _place(self, work: StageWork) -> AbstractContextManager[None]:
        """Wait for a core to convert with; of other stages each call has its place, see `Obtaining`."""
        if work.step.stage != AUDIO_CONVERSION:
            return nullcontext()
        return self.shop.pools.place(CONVERSION, work.step.stage, self.number, work.check)

    def _since(self, start_s: float) -> float:
        return round(self.shop.clock_s() - start_s, 3)

    def _failures(self, plan: Plan) -> dict[str, StageError]:
        ends = [self.state.attempts[step.stage][-1] for step in plan.stages if step.stage in self.tried]
        return {end.stage: end.error for end in ends if end.status == STAGE_FAILED and end.error}

    def _outcome(self, plan: Plan, failures: Mapping[str, StageError]) -> str:
        if self.shop.stop.is_set() and not plan.is_done:
            return INTERRUPTED
        if plan.is_done:
            return COMPLETED
        codes = {error.code for error in failures.values()}
        waits = plan.blocked or plan.asks or codes & DECISIONS
        return NEEDS_DECISION if waits and not codes - DECISIONS else FAILED


def _succeeded(work: StageWork, result: StageResult, duration_s: float) -> StageSucceeded:
    return StageSucceeded(
        work.step.stage, work.attempt, result.outputs, dict(result.metadata), round(duration_s, 3)
    )


def _recorded_error(error: Exception) -> StageError:
    if isinstance(error, EvtError):
        return stage_error(error)
    if isinstance(error, MemoryError):
        return StageError("out_of_memory", "There was not enough memory. Close other programs and run again.", True)
    strerror = getattr(error, "strerror", None) or str(error)
    name = getattr(error, "filename", None)
    where = f" ({Path(str(name)).name})" if name else ""
    return StageError("disk", f"The disk refused: {strerror}{where}. Mend that and run again.", retryable=True)


def _recorded_decision(step: StagePlan) -> dict[str, Any]:
    decision: dict[str, Any] = {"decision": step.decision}
    if step.cause:
        decision["cause"] = step.cause
    if step.reused is not None:
        decision["attempt"] = step.reused.number
    if step.price is not None:
        decision |= {"provider": step.engine.name if step.engine else "", **step.price.as_data()}
    return decision


def _recordable_path(recording: Recording | None) -> str | dict[str, str] | None:
    return None if recording is None else recordable_name(str(recording.path))


def _recordable_paths(recording: Recording | None) -> tuple[str | dict[str, str], ...] | None:
    """Return where the parts of a recording are; None where it has none, or a record can't hold so many."""
    if recording is None or not recording.parts:
        return None
    paths = tuple(recordable_name(str(part.path)) for part in recording.parts)
    return paths if sum(len(repr(path)) for path in paths) < PARTS_MAX_BYTES else None
