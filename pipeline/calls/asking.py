"""From requests to answers: each is announced before it is sent, stored before it is believed, and paid once.

An equal request that was answered before is not sent again, whichever attempt asked. A job that was accepted is
fetched. A call that may have been paid without an answer is looked for, and else sent once more only as far as the
user lets it. What a failure means is in `projections.failures`; docs/adr/0010 has the reasons.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from attrs import define, field

from eventlog.errors import EvtError
from pipeline.artifacts import Artifacts, AttemptFolder
from pipeline.calls.answers import (
    lost_answers,
    read_answer,
    succeeded,
)
from pipeline.calls.obtaining import TOO_LONG, CallTools, Obtaining
from pipeline.calls.requests import Request
from pipeline.errors import (
    ArtifactMismatchError,
    ArtifactMissingError,
    DecisionError,
    ProviderError,
    StoppedError,
)
from pipeline.providers.base import Answer
from pipeline.recorder import Recorder
from projections.events import (
    ArtifactRef,
    CallReused,
    CallStarted,
)
from projections.paying import believed_calls, refreshed_since
from projections.plan import StagePlan
from projections.state import SUCCEEDED, Call


@define
class Calls:
    """The calls of one attempt of one stage."""

    step: StagePlan
    attempt: int
    folder: AttemptFolder
    artifacts: Artifacts
    recorder: Recorder
    tools: CallTools
    stops: tuple[threading.Event, ...]
    _numbers: int = field(default=0, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _halt: list[EvtError] = field(factory=list, init=False)

    def answers(self, requests: Sequence[Request], concurrency: int) -> list[Answer]:
        """Return the answers to requests, in their order; equal requests share one.

        Raises:
            ProviderError: a request failed. The others were finished and their answers are kept.
            DecisionError: nothing more is sent before the user decides.
            StoppedError: the user asked to stop.
        """
        found = self.answers_or_errors(requests, concurrency)
        _raise_worst([answer for answer in found if isinstance(answer, Exception)])
        return [answer for answer in found if isinstance(answer, dict)]

    def answers_or_errors(
        self,
        requests: Sequence[Request],
        concurrency: int,
        is_let: Callable[[ProviderError], bool] = lambda error: False,
    ) -> list[Answer | ProviderError]:
        """Return answers, and the error in the place of each request that is too long or may fail.

        Args:
            requests: in any number; equal ones share an answer.
            concurrency: how many may be under way at once.
            is_let: says which failures of a single request the caller can live with.

        Raises:
            ProviderError: a request failed otherwise. The others were finished and their answers are kept.
            DecisionError: nothing more is sent before the user decides.
            StoppedError: the user asked to stop.
        """
        kept = self._kept_answers(requests)
        self._record_reused(requests, kept)
        kept |= self._found_answers([request for request in requests if request.digest not in kept])
        fresh = {request.digest: request for request in requests if request.digest not in kept}
        with ThreadPoolExecutor(max_workers=max(1, concurrency), thread_name_prefix=self.step.stage) as pool:
            futures = {digest: pool.submit(self._obtain, request, is_let) for digest, request in fresh.items()}
            asked = {digest: _outcome(future) for digest, future in futures.items()}
        errors = [outcome for outcome in asked.values() if isinstance(outcome, Exception)]
        _raise_worst([error for error in errors if not _is_for_caller(error, is_let)])
        found = {**kept, **{digest: out for digest, out in asked.items() if isinstance(out, dict | ProviderError)}}
        return [found[request.digest] for request in requests]

    def check(self) -> None:
        """Raise StoppedError if the user asked to stop, or the run can't go on."""
        if any(stop.is_set() for stop in self.stops):
            raise StoppedError("the run was stopped")

    # What is there already

    def _kept_answers(self, requests: Sequence[Request]) -> dict[str, Answer]:
        wanted = {request.digest: request for request in requests}
        kept: dict[str, Answer] = {}
        for call in believed_calls(self.step, self.recorder.state):
            if call.request in wanted and call.request not in kept and call.status == SUCCEEDED:
                answer = self._readable(wanted[call.request], call)
                if answer is not None:
                    kept[call.request] = answer
        return kept

    def _readable(self, request: Request, call: Call) -> Answer | None:
        try:
            assert call.response is not None, "a call that succeeded has an answer"
            return read_answer(request, self.artifacts.read_json(call.response))
        except (ArtifactMissingError, ArtifactMismatchError, ProviderError):
            return None  # it is asked again, by the rules for what is paid already; `evt validate` names the file

    def _record_reused(self, requests: Sequence[Request], kept: Mapping[str, Answer]) -> None:
        believed = believed_calls(self.step, self.recorder.state)
        calls = {call.request: call.id for call in believed if call.status == SUCCEEDED}
        self.recorder.record(
            *(
                CallReused(self.step.stage, self.attempt, request.unit, request.digest, calls[request.digest])
                for request in requests
                if request.digest in kept
            )
        )

    def _found_answers(self, requests: Sequence[Request]) -> dict[str, Answer]:
        """Take up answers that are on disk and that the log no longer knows, because records of it were lost."""
        found: dict[str, Answer] = {}
        if not self.recorder.state.losses:
            return found
        for digest, request in {request.digest: request for request in requests}.items():
            lost = self._lost_answer(digest)
            if lost is not None:
                started = self.started(request)
                self.recorder.record(started, succeeded(started.call, *lost, 0.0))
                found[digest] = read_answer(request, lost[1])
        return found

    def _lost_answer(self, digest: str) -> tuple[ArtifactRef, Any] | None:
        """Return the newest answer to a request that is on disk and that no record names."""
        state = self.recorder.state
        known = {call.response.path for call in state.calls.values() if call.response}
        since = refreshed_since(self.step, state)
        lost = lost_answers(self.artifacts, self.step.stage, digest, since)
        return next((found for found in lost if found[0].path not in known), None)

    # Asking

    def started(
        self, request: Request, repeats: str | None = None, provider_time: str | None = None
    ) -> CallStarted:
        """Return the announcement of a call."""
        with self._lock:
            self._numbers += 1
            call_id = f"{self.step.stage}.{self.attempt}.{self._numbers}"
        engine = request.engine
        price = engine.price if engine.billable else None
        return CallStarted(
            call=call_id,
            stage=self.step.stage,
            attempt=self.attempt,
            provider=engine.name,
            operation=request.operation,
            unit=request.unit,
            request=request.digest,
            billable=engine.billable,
            origin=engine.origin or None,
            account=engine.account or None,
            model=engine.model,
            expected=price.expected(request.seconds).as_data() if price else None,
            at_most=price.at_most(request.seconds).as_data() if price else None,
            provider_time=provider_time,
            repeats=repeats,
        )

    def halt(self, error: EvtError) -> None:
        """Let no other call of this attempt begin; they end with the same error."""
        self._halt.append(error)

    def require_going(self) -> None:
        """Raise what lets no other call begin: a stop, or an error that concerns them all."""
        self.check()
        if self._halt:
            raise self._halt[0]

    def _obtain(self, request: Request, is_let: Callable[[ProviderError], bool]) -> Answer:
        answer = Obtaining(self, request, self.tools, is_let).obtain()
        if request.done is not None:
            request.done()
        return answer


def _is_for_caller(error: Exception, is_let: Callable[[ProviderError], bool]) -> bool:
    """Say whether the caller knows what to do: ask for shorter parts, or go on without."""
    return isinstance(error, ProviderError) and (error.code in TOO_LONG or is_let(error))


def _outcome(future: Future[Answer]) -> Answer | Exception:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, Exception):
        return error
    raise error


def _raise_worst(errors: Sequence[Exception]) -> None:
    """Raise one error for all: what is ours first, then what the user must decide, a stop, a provider's failure."""
    kinds = (DecisionError, StoppedError, ProviderError)

    def rank(error: Exception) -> int:
        return next((number for number, kind in enumerate(kinds, 1) if isinstance(error, kind)), 0)

    if errors:
        raise min(errors, key=rank)
