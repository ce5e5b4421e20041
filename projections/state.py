"""What a pipeline's log says, as one value: PipelineState and its parts. Built only by `fold`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from eventlog.values import Value
from projections.events import (
    ArtifactRef,
    CallStarted,
    EngineProbed,
    PipelineForked,
    RunStarted,
    StageError,
    StageStarted,
)
from projections.failures import ADOPTED, AMBIGUOUS, EXPIRED, PAID_UNUSABLE
from projections.graph import STAGES

NOTE = "note."
"""Begin of the types that may be unknown without harm: they say something, and change nothing."""

STARTED, SUCCEEDED, FAILED, INTERRUPTED = "started", "succeeded", "failed", "interrupted"


@frozen(eq=False, repr=False, slots=False)  # without slots it is made in a third of the time
class Call(Value):
    """One call and how it ended.

    Attributes:
        status: started, succeeded or failed.
        kind: the class of failure.
        job_id, expires_at: of the job that a service accepted, and when its result goes away.
        cost, usage: as recorded; also of an answer that can't be used.
        resolution: what became of it where that was in doubt, the latest.
        failed_at: when it failed, on the provider's clock.
        provided_by: {pipeline, call} of the other pipeline that made this call, where one did.
    """

    started: CallStarted
    started_at: str
    status: str = STARTED
    response: ArtifactRef | None = None
    latency_s: float | None = None
    error: StageError | None = None
    kind: str | None = None
    job_id: str | None = None
    expires_at: str | None = None
    cost: Mapping[str, Any] | None = None
    usage: Mapping[str, Any] | None = None
    resolution: str | None = None
    failed_at: str | None = None
    provided_by: Mapping[str, Any] | None = None

    @property
    def id(self) -> str:
        """The call's id, unique in its pipeline."""
        return self.started.call

    @property
    def request(self) -> str:
        """The digest of what was asked."""
        return self.started.request

    @property
    def is_accepted(self) -> bool:
        """A service works on it, or has its result: it is fetched, never submitted again."""
        return self.status == STARTED and self.job_id is not None

    @property
    def in_doubt(self) -> bool:
        """It may have been billed, nobody knows, and nothing was decided about it."""
        # An adoption that was cut short left a call whose job is known to be there, and not which it is.
        return self._failed_paid(AMBIGUOUS) and self.resolution in {None, ADOPTED}

    @property
    def is_unusable(self) -> bool:
        """It is paid, its answer can't be used or is gone, and nothing was decided about asking once more."""
        return self._failed_paid(PAID_UNUSABLE) and self.resolution in {None, EXPIRED}

    def _failed_paid(self, kind: str) -> bool:
        return self.started.billable and self.status == FAILED and self.kind == kind


@frozen(eq=False, repr=False)
class Attempt(Value):
    """One try of one stage; `status` is started, succeeded, failed or interrupted.

    `provided_by` is {pipeline, attempt} of the other pipeline that made it, where one did.
    """

    started: StageStarted
    run: str
    started_at: str
    status: str = STARTED
    ended_at: str | None = None
    duration_s: float | None = None
    outputs: tuple[ArtifactRef, ...] = ()
    metadata: Mapping[str, Any] = {}
    error: StageError | None = None
    calls_reused: int = 0
    provided_by: Mapping[str, Any] | None = None

    @property
    def stage(self) -> str:
        """The stage that is tried."""
        return self.started.stage

    @property
    def number(self) -> int:
        """The attempt's number in its stage, from 1."""
        return self.started.attempt


@frozen(eq=False, repr=False)
class Run(Value):
    """One invocation that appended; `outcome` is None until it said how it ended."""

    id: str
    started: RunStarted
    started_at: str
    outcome: str | None = None
    finished_at: str | None = None
    duration_s: float | None = None


@frozen(eq=False, repr=False)
class Finding(Value):
    """Something in the log that this version can't make sense of; it blocks the plan."""

    seq: int
    text: str


@frozen(eq=False, repr=False)
class Loss(Value):
    """A record of the store that says that others may be lost, paid calls among them; `file` holds what is left."""

    seq: int
    type: str
    file: str
    accepted: bool = False


@frozen(eq=False, repr=False)
class Annotation(Value):
    """What a user said of the transcript: `type` is that of the record `seq`, `content` holds the words."""

    seq: int
    type: str
    content: ArtifactRef
    user: str
    made_at: str


@frozen(eq=False, repr=False)
class Handover(Value):
    """Another home goes on with the pipeline, if it has the bundle; `token` tells which handing over it was."""

    token: str
    bundle: Any
    time: str


@frozen(eq=False, repr=False)
class Erasure(Value):
    """All that the pipeline had was removed, and nothing new may come; `set_aside` went from beside the log."""

    time: str
    user: str
    set_aside: tuple[str, ...] = ()


@frozen(eq=False, repr=False)
class Checkpoint(Value):
    """What the last finished attempt of a stage left."""

    stage: str
    timestamp: str
    success: bool
    output_file: str | None
    metadata: Mapping[str, Any]
    error: StageError | None


@frozen(eq=False, repr=False)
class PipelineState(Value):
    """Everything that is known of a pipeline, from its log alone.

    Attributes:
        input: {name, size_bytes, sha256} of the recording, as first seen.
        forked: of which pipeline this one is a variant, and how it began; None where it is no variant.
        names: every name under which the recording was met, in that order.
        attempts: per stage, in the order in which they began.
        calls: every call by its id.
        named: the options that the user named, the latest value of each.
        open_wishes: options that were named, or forgotten by a reset, since a run was last completed.
        to_refresh: stages that the user wants to run again in any case, and that have not succeeded since.
        lost: paths of artifacts that a run found gone or changed.
        erased: paths of artifacts that were removed on purpose; what still lies there has yet to go.
        findings: what makes no sense, the first hundred; any finding blocks the plan.
        unknown: (seq, type) of the first record of each type that this version does not know.
        sealed: the last record is a seal.
        losses: what says that records may be lost.
        probed: what was found out about models and servers, in that order.
        annotations: what the user said of the transcript and that holds, in that order.
        undone: what of it was taken back or replaced, in the order in which that happened.
        handed_over: to which bundle; None where this home goes on with it.
        erasure: that it was erased, and may not be begun anew; None where it may.
        set_aside_gone: names of files set aside beside the log that an erasure removed.
    """

    pipeline_id: str
    seq: int = 0
    created_at: str | None = None
    last_updated: str | None = None
    input: Mapping[str, Any] = {}
    names: tuple[Any, ...] = ()
    runs: tuple[Run, ...] = ()
    attempts: Mapping[str, tuple[Attempt, ...]] = {}
    calls: Mapping[str, Call] = {}
    named: Mapping[str, Any] = {}
    open_wishes: frozenset[str] = frozenset()
    to_refresh: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    erased: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()
    unknown: tuple[tuple[int, str], ...] = ()
    sealed: bool = False
    losses: tuple[Loss, ...] = ()
    probed: tuple[EngineProbed, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    undone: tuple[Annotation, ...] = ()
    forked: PipelineForked | None = None
    handed_over: Handover | None = None
    erasure: Erasure | None = None
    set_aside_gone: frozenset[str] = frozenset()

    @property
    def first_wishes(self) -> Mapping[str, Any]:
        """The options with which the pipeline began; a variant is one by these, so no reset forgets them."""
        return self.forked.options if self.forked else {}

    @property
    def input_file(self) -> Any:
        """The recording's name when first seen; {"bytes_hex": …} where it is not text."""
        return self.input.get("name")

    @property
    def last_run(self) -> Run | None:
        """The newest run."""
        return self.runs[-1] if self.runs else None

    @property
    def status(self) -> str:
        """The last run's outcome; `unfinished` where it said none, `new` where there was no run.

        Before all that: `erased`, and `handed_over` where another home goes on.
        """
        if self.erasure is not None:
            return "erased"
        if self.handed_over is not None:
            return "handed_over"
        return "new" if self.last_run is None else self.last_run.outcome or "unfinished"

    @property
    def foreign(self) -> tuple[tuple[int, str], ...]:
        """(seq, type) of records of unknown types on which nothing may be built; a note harms nothing."""
        return tuple((seq, name) for seq, name in self.unknown if not name.startswith(NOTE))

    @property
    def written_by(self) -> str:
        """The version of evt that began the last run; empty where the log doesn't say."""
        versions = self.last_run.started.versions if self.last_run else {}
        return str(versions.get("evt", ""))

    @property
    def was_completed(self) -> bool:
        """The pipeline was finished once; whatever is appended then ends with a seal."""
        return any(run.outcome == "completed" for run in self.runs)

    @property
    def uncertain(self) -> bool:
        """Records may be lost, and the user has not accepted that."""
        return bool(self.open_losses)

    @property
    def open_losses(self) -> tuple[Loss, ...]:
        """What says that records may be lost, and that the user has not accepted."""
        return tuple(loss for loss in self.losses if not loss.accepted)

    @property
    def current_stages(self) -> tuple[str, ...]:
        """The stages whose newest attempt began and has not ended."""
        return self._stages_where(lambda attempts: attempts[-1].status == STARTED)

    @property
    def current_stage(self) -> str | None:
        """The first of the current stages."""
        return next(iter(self.current_stages), None)

    @property
    def completed_stages(self) -> tuple[str, ...]:
        """The stages whose last finished attempt succeeded."""
        return tuple(name for name, point in self.checkpoints.items() if point.success)

    @property
    def failed_stages(self) -> tuple[str, ...]:
        """The stages whose last finished attempt failed."""
        return tuple(name for name, point in self.checkpoints.items() if not point.success)

    @property
    def failed_stage(self) -> str | None:
        """The first of the failed stages."""
        return next(iter(self.failed_stages), None)

    @property
    def checkpoints(self) -> dict[str, Checkpoint]:
        """What the last finished attempt of each stage left, in stage order."""
        finished = {
            stage: [a for a in self.attempts.get(stage, ()) if a.status in {SUCCEEDED, FAILED}] for stage in STAGES
        }
        return {stage: _checkpoint(attempts[-1]) for stage, attempts in finished.items() if attempts}

    @property
    def artifacts(self) -> tuple[ArtifactRef, ...]:
        """Every file that the log names: outputs of attempts, answers of calls, and what the user said."""
        outputs = [ref for attempts in self.attempts.values() for attempt in attempts for ref in attempt.outputs]
        said = (annotation.content for annotation in (*self.annotations, *self.undone))
        return (*outputs, *(call.response for call in self.calls.values() if call.response), *said)

    def _stages_where(self, holds: Any) -> tuple[str, ...]:
        return tuple(stage for stage in STAGES if self.attempts.get(stage) and holds(self.attempts[stage]))


def _checkpoint(attempt: Attempt) -> Checkpoint:
    return Checkpoint(
        stage=attempt.stage,
        timestamp=attempt.ended_at or attempt.started_at,
        success=attempt.status == SUCCEEDED,
        output_file=attempt.outputs[0].path if attempt.outputs else None,
        metadata=attempt.metadata,
        error=attempt.error,
    )
