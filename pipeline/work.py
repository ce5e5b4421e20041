"""What a stage is given to work with: its inputs, its options, its folder, and a way to ask providers.

Calls: each request is announced before it is made, its answer is stored before it is believed, and an equal
request that was answered before is not made again, whichever attempt asked.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import orjson
from attrs import define, field, frozen

from eventlog.errors import EvtError
from pipeline.artifacts import Artifacts, AttemptFolder
from pipeline.errors import ArtifactMismatchError, ArtifactMissingError, ProviderError, StoppedError
from pipeline.providers.base import Answer
from pipeline.recorder import Recorder
from pipeline.recordings import Recording
from projections.decisions import REFRESH
from projections.events import (
    ArtifactRef,
    CallFailed,
    CallReused,
    CallStarted,
    CallSucceeded,
    StageError,
)
from projections.plan import StagePlan
from projections.state import STARTED, SUCCEEDED, Attempt, Call

LOCAL = "local"
"""Class of a failure on our own side: memory, model, disk, or the process that went away."""


class Reporter(Protocol):
    """Tells people how a run goes; called from several threads."""

    def stage_started(self, step: StagePlan, attempt: int) -> None:
        """An attempt began."""

    def stage_progress(self, stage: str, done_s: float, total_s: float) -> None:
        """So many seconds of audio are done."""

    def stage_ended(self, attempt: Attempt) -> None:
        """An attempt succeeded, failed or was interrupted."""


@frozen
class Request:
    """Something to ask a provider.

    Attributes:
        provider, operation: who is asked for what.
        unit: which part of the recording, for people.
        options: what decides the answer, besides the audio.
        pcm_sha256: digest of the audio that is sent: mono, 16 kHz, s16le.
        ask: makes the call and returns the answer.
    """

    provider: str
    operation: str
    unit: str
    options: Mapping[str, Any]
    pcm_sha256: str
    ask: Callable[[], Answer]

    @property
    def digest(self) -> str:
        """What makes two requests equal; a stored form."""
        content = [self.provider, self.operation, dict(self.options), self.pcm_sha256]
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


@frozen
class StageResult:
    """What a stage made; the first output is what later stages are keyed by."""

    outputs: tuple[ArtifactRef, ...]
    metadata: Mapping[str, Any]


@define
class StageWork:
    """One attempt of one stage at work."""

    step: StagePlan
    attempt: int
    provider_name: str
    inputs: Mapping[str, Attempt]
    recording: Recording | None
    artifacts: Artifacts
    recorder: Recorder
    reporter: Reporter
    clock_s: Callable[[], float]
    stops: tuple[threading.Event, ...]
    _numbers: int = field(default=0, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    @property
    def folder(self) -> AttemptFolder:
        """The attempt's own folder."""
        return self.artifacts.attempt(self.step.stage, self.attempt)

    def check(self) -> None:
        """Raise StoppedError if the user asked to stop, or the run can't go on."""
        if any(stop.is_set() for stop in self.stops):
            raise StoppedError("the run was stopped")

    def progress(self, done_s: float, total_s: float) -> None:
        """Report how many seconds of audio are done."""
        self.reporter.stage_progress(self.step.stage, done_s, total_s)

    def input_json(self, stage: str, name: str) -> dict[str, Any]:
        """Return the content of another stage's JSON output, verified."""
        return self.artifacts.read_json(self._input_ref(stage, name))

    def answers(self, requests: Sequence[Request], concurrency: int) -> list[Answer]:
        """Return the answers to requests, in their order; equal requests share one.

        Raises:
            ProviderError: a request failed. The others were finished and their answers are kept.
            StoppedError: the user asked to stop.
        """
        kept = self._kept_answers(requests)
        self._record_reused(requests, kept)
        kept |= self._found_answers([request for request in requests if request.digest not in kept])
        fresh = {request.digest: request for request in requests if request.digest not in kept}
        with ThreadPoolExecutor(max_workers=max(1, concurrency), thread_name_prefix=self.step.stage) as pool:
            futures = {digest: pool.submit(self._ask, request) for digest, request in fresh.items()}
            asked = {digest: _outcome(future) for digest, future in futures.items()}
        _raise_worst(outcome for outcome in asked.values() if isinstance(outcome, Exception))
        found = kept | {digest: answer for digest, answer in asked.items() if isinstance(answer, dict)}
        return [found[request.digest] for request in requests]

    @property
    def _is_billable(self) -> bool:
        return self.step.engine is not None and self.step.engine.billable

    def _input_ref(self, stage: str, name: str) -> ArtifactRef:
        return next(ref for ref in self.inputs[stage].outputs if ref.path.endswith(f"/{name}"))

    def _kept_answers(self, requests: Sequence[Request]) -> dict[str, Answer]:
        wanted = {request.digest for request in requests}
        kept: dict[str, Answer] = {}
        for call in self._believed_calls():
            if call.request in wanted and call.status == SUCCEEDED and call.request not in kept and call.response:
                try:
                    kept[call.request] = self.artifacts.read_json(call.response)["answer"]
                except (ArtifactMissingError, ArtifactMismatchError):
                    continue  # it is asked again; `evt validate` names the file
        return kept

    def _believed_calls(self) -> list[Call]:
        """Return the calls whose answers count: all, or for a refresh those since the stage last succeeded."""
        calls = list(self.recorder.state.calls.values())
        if self.step.cause != REFRESH:
            return calls
        since = self._refreshed_since()
        return [call for call in calls if call.started.stage == self.step.stage and call.started.attempt > since]

    def _refreshed_since(self) -> int:
        """Return the attempt up to which answers don't count: for a refresh the last that succeeded, else none."""
        attempts = self.recorder.state.attempts[self.step.stage] if self.step.cause == REFRESH else ()
        return max((attempt.number for attempt in attempts if attempt.status == SUCCEEDED), default=0)

    def _record_reused(self, requests: Sequence[Request], kept: Mapping[str, Answer]) -> None:
        calls = {call.request: call.id for call in self._believed_calls() if call.status == SUCCEEDED}
        self.recorder.record(
            *(
                CallReused(self.step.stage, self.attempt, request.unit, request.digest, calls[request.digest])
                for request in requests
                if request.digest in kept
            )
        )

    def _found_answers(self, requests: Sequence[Request]) -> dict[str, Answer]:
        """Take up answers that are on disk and that the log no longer knows, because records of it were lost."""
        if not self.recorder.state.losses:
            return {}
        found: dict[str, Answer] = {}
        for digest, request in {request.digest: request for request in requests}.items():
            if (ref := self._lost_answer(digest)) is not None:
                started = self._started(request)
                self.recorder.record(started, CallSucceeded(started.call, ref, 0.0, found=True))
                found[digest] = self.artifacts.read_json(ref)["answer"]
        return found

    def _lost_answer(self, digest: str) -> ArtifactRef | None:
        """Return the newest answer to a request that is on disk and that no record names."""
        known = {call.response.path for call in self.recorder.state.calls.values() if call.response}
        paths = self.artifacts.root.glob(f"{self.step.stage}/*/{answer_name('*', digest)}")
        counted = [path for path in paths if _attempt_of(path) > self._refreshed_since()]
        refs = (
            stored_answer(path, digest, self.artifacts) for path in sorted(counted, key=_attempt_of, reverse=True)
        )
        return next((ref for ref in refs if ref is not None and ref.path not in known), None)

    def _started(self, request: Request) -> CallStarted:
        with self._lock:
            self._numbers += 1
            call_id = f"{self.step.stage}.{self.attempt}.{self._numbers}"
        return CallStarted(
            call=call_id,
            stage=self.step.stage,
            attempt=self.attempt,
            provider=request.provider,
            operation=request.operation,
            unit=request.unit,
            request=request.digest,
            billable=self._is_billable,
        )

    def _ask(self, request: Request) -> Answer:
        self.check()
        started = self._started(request)
        call_id = started.call
        self.recorder.record(started)
        start_s = self.clock_s()
        try:
            answer = request.ask()
        except ProviderError as error:
            self.recorder.record(CallFailed(call_id, LOCAL, stage_error(error), billable=self._is_billable))
            raise
        content = {"request": request.digest, "answer": answer}
        response = self.folder.put_json(answer_name(call_id, request.digest), content)
        self.recorder.record(CallSucceeded(call_id, response, round(self.clock_s() - start_s, 3)))
        return answer


def stage_error(error: EvtError) -> StageError:
    """Return an error as the log holds it."""
    if isinstance(error, ProviderError):
        return StageError(
            code=error.code,
            message=str(error),
            retryable=error.retryable,
            provider=error.provider,
            http_status=error.http_status,
            request_id=error.request_id,
            retry_after_s=error.retry_after_s,
        )
    code = type(error).__name__.removesuffix("Error")
    return StageError(
        code="".join(f"_{c.lower()}" if c.isupper() else c for c in code).lstrip("_"), message=str(error)
    )


def answer_name(call_id: str, digest: str) -> str:
    """Return the name of an answer in its attempt's folder: the call's number and its request."""
    return f"calls/{call_id.rpartition('.')[2]}-{digest[:16]}.json"


def settle_open_calls(recorder: Recorder, artifacts: Artifacts) -> None:
    """Say of each call that a dead run left open whether its answer is on disk."""
    open_calls = [call for call in recorder.state.calls.values() if call.status == STARTED]
    recorder.record(*(_settled(call, artifacts) for call in open_calls))


def stored_answer(path: Path, digest: str, artifacts: Artifacts) -> ArtifactRef | None:
    """Return the answer to a request if this file is one; it has its name only since it was whole and synced."""
    try:
        content = path.read_bytes()
        fields = orjson.loads(content)
        if fields["request"] != digest or "answer" not in fields:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return ArtifactRef(
        path.relative_to(artifacts.root).as_posix(), hashlib.sha256(content).hexdigest(), len(content)
    )


def _attempt_of(answer: Path) -> int:
    number = answer.parent.parent.name
    return int(number) if number.isdecimal() else 0


def _settled(call: Call, artifacts: Artifacts) -> CallSucceeded | CallFailed:
    path = artifacts.root / call.started.stage / str(call.started.attempt) / answer_name(call.id, call.request)
    ref = stored_answer(path, call.request, artifacts)
    if ref is None:
        error = StageError("interrupted", "The process ended before the answer came.", retryable=True)
        return CallFailed(call.id, LOCAL, error, billable=call.started.billable)
    return CallSucceeded(call.id, ref, 0.0, found=True)


def _outcome(future: Future[Answer]) -> Answer | Exception:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, Exception):
        return error
    raise error


def _raise_worst(errors: Iterable[Exception]) -> None:
    """Raise one error for all: what is not a provider's first, then a stop, then the first failure."""
    ranked = sorted(errors, key=lambda error: (isinstance(error, ProviderError), isinstance(error, StoppedError)))
    if ranked:
        raise ranked[0]
