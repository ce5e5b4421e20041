"""The way of one request to its answer: what was begun before, tries, waits, and how each ended.

Every try is a call of its own in the log. What a failure means for the bill, and so for the next try, is its kind;
see `projections.failures` and docs/adr/0010.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from pipeline.calls.answers import ROOM_BYTES, ROOM_BYTES_PER_S, answer_name, content_of, read_answer, succeeded
from pipeline.calls.ledger import Ledger
from pipeline.calls.pacing import Pace
from pipeline.calls.requests import Request
from pipeline.errors import DecisionError, ProviderError, StoppedError
from pipeline.providers.base import Answer
from pipeline.providers.remote import Doubt, RemoteJobs, Reply
from pipeline.scrub import told
from pipeline.secret import Secret
from projections.engine import Engine
from projections.events import ArtifactRef, CallAccepted, CallFailed, CallResolved, StageError
from projections.failures import (
    ABSENT,
    ADOPTED,
    AMBIGUOUS,
    EXPIRED,
    GIVEN_UP,
    NEEDS_MONEY,
    NOT_SENT,
    PAID_UNUSABLE,
    REJECTED,
    THROTTLED,
    UNDER_WAY,
)
from projections.limits import REPEAT
from projections.money import ESTIMATED
from projections.paying import believed_calls
from projections.state import SUCCEEDED, Call

if TYPE_CHECKING:
    from pipeline.calls.asking import Calls

LONGEST_WAIT_S = 60.0
"""Waits between tries double up to this, each shortened by chance by up to half, so that many callers spread out.

Source: Brooker, "Exponential backoff and jitter" (equal jitter)."""

TOO_LONG = frozenset({"too_long", "too_large", "truncated"})
"""Codes of requests, or answers, that are too long for the engine; shorter ones are not."""

_LOOK_S = 0.05
_LOG = logging.getLogger("evt.calls")


@frozen
class CallTools:
    """What the calls of a run need from outside: money, pace, clock, chance, and ways to tell people.

    Attributes:
        per_minute: how many requests a minute each provider may be sent; none named: any number.
        known_jobs: returns the ids of all jobs that this home knows of.
        secrets: are taken out of whatever a provider says, before anything is made of it.
        note: tells people what happened to a call of a stage: a wait, another try.
        doing: shows them what it is doing just now.
        place: waits for a place among those who may call an engine: the stage, its engine, what ends the wait.
    """

    ledger: Ledger
    pace: Pace
    clock_s: Callable[[], float]
    chance: Random
    per_minute: Mapping[str, float]
    known_jobs: Callable[[], frozenset[str]]
    note: Callable[[str, str], None]
    doing: Callable[[str, str], None]
    place: Callable[[str, Engine, Callable[[], None]], AbstractContextManager[None]]
    secrets: tuple[Secret, ...] = ()


@define
class _Line:
    """What a provider's call may say while it runs."""

    calls: Calls
    call_id: str
    doing: Callable[[str], None]
    is_settled: bool = False
    """A job is accepted, or all is said: nothing is lost if the run stops now."""
    release: Callable[[], None] | None = None
    lock: threading.Lock = field(factory=threading.Lock)
    """A call that is given up and accepted at the same moment is one of both, not both."""

    def check(self) -> None:
        self.calls.check()

    def pause(self, seconds: float) -> None:
        end_s = self.calls.tools.clock_s() + seconds
        while (left_s := end_s - self.calls.tools.clock_s()) > 0:
            self.calls.check()
            self.calls.stops[0].wait(min(_LOOK_S * 2, left_s))
        self.calls.check()

    def accepted(self, job_id: str, expires_at: str | None = None) -> None:
        with self.lock:
            if self.is_settled:
                raise StoppedError("the run was stopped")
            self.calls.recorder.record(CallAccepted(self.call_id, job_id, expires_at))
            self.is_settled = True
        self.calls.tools.ledger.accepted(self.calls.recorder, self.call_id)
        if self.release is not None:
            self.release()

    def progress(self, text: str) -> None:
        self.doing(text)


@define
class Obtaining:
    """The way of one request to its answer: tries, waits, doubts."""

    calls: Calls
    request: Request
    tools: CallTools
    is_let: Callable[[ProviderError], bool] = lambda error: False
    tries: int = 0
    waits: int = 0
    unusable: int = 0
    begun_s: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.begun_s = self.tools.clock_s()

    def obtain(self) -> Answer:
        """Return the answer; see `Calls.answers` for the errors."""
        if (refusal := self._earlier_refusal()) is not None:
            raise refusal
        while True:
            self.calls.require_going()
            try:
                with self.tools.place(self.calls.step.stage, self.request.engine, self.calls.require_going):
                    return self._once()
            except ProviderError as error:
                if not self._goes_on(error):
                    raise

    def _earlier_refusal(self) -> ProviderError | None:
        """Return the error of a request that was too long before: its parts are sent instead; or that is a gap.

        What isn't divided would be stuck for ever, though its refusal was free, so it is sent again. What an
        earlier attempt left as a gap stays one: its answer would be paid again, and where an engine is shown the
        voices that it heard before, an answer now would change everything that it was asked after.
        """
        calls = [c for c in believed_calls(self.calls.step, self._state) if c.request == self.request.digest]
        error = calls[-1].error if calls else None
        if error is None:
            return None
        kind = calls[-1].kind or REJECTED
        found = ProviderError(error.message, provider=self.request.engine.name, code=error.code, kind=kind)
        if error.code in TOO_LONG:
            is_stuck = kind == REJECTED and not self.request.divisible
            return None if is_stuck else found
        had_its_chances = kind == REJECTED or (kind == PAID_UNUSABLE and calls[-1].started.repeats is not None)
        is_earlier = calls[-1].started.attempt < self.calls.attempt
        return found if had_its_chances and is_earlier and self.is_let(found) else None

    def _once(self) -> Answer:
        """Fetch what was accepted, or settle what is in doubt and send."""
        pending = self._pending()
        if pending is not None and pending.is_accepted:
            return self._adopt(pending)
        repeats = None
        if pending is not None:
            repeats = self._settle(pending)
            if repeats is None and self._pending() is not None:
                return self._once()
        return self._send(repeats)

    def _pending(self) -> Call | None:
        """Return the newest call of this request that is accepted, in doubt, or paid without an answer of use."""
        calls = [c for c in believed_calls(self.calls.step, self._state) if c.request == self.request.digest]
        last = calls[-1] if calls else None
        if last is None or not last.started.billable:
            return None
        open_ = last.is_accepted or last.in_doubt or last.is_unusable or last.status == SUCCEEDED
        return last if open_ else None

    @property
    def _state(self) -> Any:
        return self.calls.recorder.state

    def _send(self, repeats: str | None) -> Answer:
        request, calls = self.request, self.calls
        line = _Line(calls, "", self._doing)
        self._await_service(line)
        provider = request.remote.provider if request.remote else None
        with self._alone(line) as release:
            clock = told(provider.prepare, self.tools.secrets) if isinstance(provider, RemoteJobs) else None
            started = calls.started(request, repeats, clock)
            name = answer_name(started.call, request.digest)
            if request.engine.billable:
                calls.folder.reserve(name, ROOM_BYTES + int(ROOM_BYTES_PER_S * request.seconds))
            try:
                self.tools.ledger.announce(calls.recorder, started)
            except DecisionError as error:
                calls.folder.release(name)
                calls.halt(error)
                raise
            line.call_id, line.release = started.call, release
            return self._take(line, lambda: request.send(line))

    def _alone(self, line: _Line) -> Any:
        """Return the place of the only submitter, for providers whose lost jobs are looked for."""
        if self.request.remote is not None and isinstance(self.request.remote.provider, RemoteJobs):
            return self.tools.pace.alone(self.request.engine, line)
        return nullcontext(None)

    def _take(self, line: _Line, ask: Callable[[], Answer | Reply]) -> Answer:
        """Make a call that is announced, and record how it ended."""
        begun_s = self.tools.clock_s()
        try:
            reply = ask() if self.request.remote is None else self._awaited(ask, line)
            return self._store(line.call_id, reply, self.tools.clock_s() - begun_s)
        except ProviderError as error:
            self._record_failure(line, error)
            raise
        except StoppedError:
            if not line.is_settled:
                stopped = ProviderError("The run was stopped.", provider=self.request.engine.name, code="stopped")
                self._record_failure(line, stopped)
            raise
        finally:
            self.tools.ledger.ended(self.calls.recorder, line.call_id)

    def _awaited(self, ask: Callable[[], Answer | Reply], line: _Line) -> Answer | Reply:
        """Return what a call gives; after a stop it is waited for only so long, and then is in doubt."""
        future: Future[Answer | Reply] = Future()

        def work() -> None:
            try:
                future.set_result(told(ask, self.tools.secrets))
            except BaseException as error:  # handed to whoever waits
                future.set_exception(error)

        # Not of a pool: the process must be able to end while a service keeps it waiting.
        threading.Thread(target=work, name=f"call-{line.call_id}", daemon=True).start()
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        while not done.wait(_LOOK_S):
            if any(stop.is_set() for stop in self.calls.stops) and self.tools.ledger.grace_is_over():
                self._abandon(line)
        return future.result()

    def _abandon(self, line: _Line) -> None:
        error = ProviderError(
            "The run was stopped before the answer came; it may have been paid.",
            provider=self.request.engine.name,
            code="stopped",
            kind=AMBIGUOUS,
        )
        with line.lock:
            if not line.is_settled:
                self._record_failure(line, error)
                line.is_settled = True
        raise StoppedError("the run was stopped")

    def _store(self, call_id: str, reply: Answer | Reply, latency_s: float) -> Answer:
        content = content_of(self.request, reply)
        ref = self.calls.folder.put_json(answer_name(call_id, self.request.digest), content)
        try:
            answer = read_answer(self.request, content)
        except ProviderError as error:
            ended = succeeded(call_id, ref, content, latency_s)
            failure = CallFailed(
                call_id,
                PAID_UNUSABLE,
                call_error(error, ref),
                billable=self.request.engine.billable,
                cost=ended.cost,
                usage=ended.usage,
            )
            self.calls.recorder.record(failure)
            if error.code in TOO_LONG:
                reason = {"reason": "its text was cut off; it is asked for in parts"}
                self.calls.recorder.record(CallResolved(call_id, GIVEN_UP, "policy", reason))
            raise RecordedError.of(error) from error
        self.calls.recorder.record(succeeded(call_id, ref, content, max(latency_s, 0.001)))
        return answer

    def _record_failure(self, line: _Line, error: ProviderError) -> None:
        _LOG.debug("call %s of %s failed: %s", line.call_id, error.provider, error.kind, exc_info=error)
        if error.kind == UNDER_WAY or isinstance(error, RecordedError):
            return
        calls, billable = self.calls, self.request.engine.billable
        calls.folder.release(answer_name(line.call_id, self.request.digest))
        details = None
        if error.said:
            number = line.call_id.rpartition(".")[2]
            details = calls.folder.put_json(f"calls/{number}-failure.json", {"said": error.said})
        if error.code == EXPIRED:
            self._record_expired(line.call_id, error, details)
            return
        may_cost = billable and error.kind in {AMBIGUOUS, PAID_UNUSABLE}
        clock = self._provider_time() if error.kind == AMBIGUOUS else None
        ended = CallFailed(line.call_id, error.kind, call_error(error, details), billable=may_cost)
        calls.recorder.record(evolve(ended, provider_time=clock))

    def _provider_time(self) -> str | None:
        """Return the provider's clock, which bounds when a lost job can have been accepted; None: not to be had."""
        provider = self.request.remote.provider if self.request.remote else None
        try:
            self.calls.check()
            return provider.prepare() or None if isinstance(provider, RemoteJobs) else None
        except (ProviderError, StoppedError):
            return None

    def _record_expired(self, call_id: str, error: ProviderError, details: ArtifactRef | None) -> None:
        call = self._state.calls[call_id]
        if self._has_other_key(call) and self.tools.ledger.limits.in_doubt != REPEAT:
            raise DecisionError(
                f"The job of {call_id} was made with another key of {call.started.provider}, and this one doesn't "
                "see it. Use that key to fetch it, or `--in-doubt repeat` to pay for it once more.",
                code="in_doubt",
            )
        expected = call.started.expected
        cost = {**expected, "basis": ESTIMATED, "price_date": ""} if expected else None
        self.calls.recorder.record(
            CallFailed(call_id, PAID_UNUSABLE, call_error(error, details), billable=True, cost=cost),
            CallResolved(call_id, EXPIRED, "reconciler", {"reason": "the service no longer has the result"}),
        )

    # What was begun before

    def _has_other_key(self, call: Call) -> bool:
        """Say whether a call was made with another key: perhaps of another account, which sees other jobs."""
        return call.started.account not in {None, self.request.engine.account}

    def _adopt(self, call: Call) -> Answer:
        remote = self.request.remote
        assert remote is not None, "only services accept jobs"
        assert isinstance(remote.provider, RemoteJobs), "only services accept jobs"
        provider, job = remote.provider, str(call.job_id)
        line = _Line(self.calls, call.id, self._doing, is_settled=True)
        self.tools.ledger.accepted(self.calls.recorder, call.id)
        return self._take(line, lambda: provider.adopt(job, remote.sound, remote.wish, line))

    def _settle(self, call: Call) -> str | None:
        """Return the call that is to be sent once more; None: look again, its job was found or never was.

        Raises:
            DecisionError: the user must decide.
        """
        remote = self.request.remote
        provider = remote.provider if remote is not None and call.in_doubt else None
        if isinstance(provider, RemoteJobs) and self._look_for_job(call, provider):
            return None
        unknown = "may have been accepted and billed, and no answer came"
        known = unknown if call.in_doubt else "is paid, and its answer can't be used"
        if self.tools.ledger.repeat(self.calls.recorder, call, f"it {known}"):
            self._note("sent once more, perhaps paid twice")
            return call.id
        raise DecisionError(
            f"The call {call.id} ({call.started.unit}) {known}. "
            f"`evt run {self._state.pipeline_id} --in-doubt repeat` sends it once more.",
            code="in_doubt",
        )

    def _look_for_job(self, call: Call, provider: RemoteJobs) -> bool:
        remote = self.request.remote
        assert remote is not None, "only services have jobs"
        line = _Line(self.calls, call.id, self._doing)
        with self.tools.pace.alone(self.request.engine, line):
            doubt = Doubt(call.started.provider_time, call.failed_at, self.tools.known_jobs())
            look = partial(provider.find, doubt, remote.sound, remote.wish, line)
            finding = told(look, self.tools.secrets)
            if not finding.resolution or (finding.resolution == ABSENT and self._has_other_key(call)):
                return False
            events: list[Any] = [CallResolved(call.id, finding.resolution, "reconciler", dict(finding.evidence))]
            if finding.resolution == ADOPTED:
                events.append(CallAccepted(call.id, str(finding.job_id)))
            self.calls.recorder.record(*events)
        return True

    # What a failure leads to

    def _goes_on(self, error: ProviderError) -> bool:
        """Wait, if the request is to be sent again; say whether it is."""
        limits = self.tools.ledger.limits
        elapsed_s = self.tools.clock_s() - self.begun_s
        if error.kind == NEEDS_MONEY:
            decision = DecisionError(str(error), code="needs_money")
            self.calls.halt(decision)
            raise decision from error
        if error.kind == REJECTED and error.code == "key_refused":
            self.calls.halt(error)
        if error.code == EXPIRED:
            return True
        if error.kind == PAID_UNUSABLE:
            self.unusable += 1
            return self.unusable == 1 and not self.request.only_once and error.code not in TOO_LONG
        if error.kind not in {NOT_SENT, AMBIGUOUS, THROTTLED} or elapsed_s > limits.retry_limit_s:
            return False
        self.waits += 1
        self.tries += error.kind != THROTTLED
        if self.tries >= limits.attempts:
            return False
        return self._waits(error, limits.retry_limit_s - elapsed_s)

    def _waits(self, error: ProviderError, left_s: float) -> bool:
        # A service that asks to wait for no time at all would else be asked without a pause.
        wait_s = max(self._backoff_s(), error.retry_after_s or 0.0)
        if error.kind == THROTTLED:
            self.tools.pace.cool_down(self.request.engine, wait_s)
        if wait_s > left_s:
            return False
        tried = f" ({self.tries} of {self.tools.ledger.limits.attempts})" if self.tries else ""
        # Whether a call in doubt is sent again is decided when the wait is over, and told then.
        again = "" if error.kind == AMBIGUOUS else f"; trying again in {wait_s:.1f} s{tried}"
        self._note(f"{str(error).rstrip('.')}{again}")
        if error.kind != THROTTLED:
            _Line(self.calls, "", self._doing).pause(wait_s)
        return True

    def _backoff_s(self) -> float:
        longest = min(LONGEST_WAIT_S, self.tools.ledger.limits.retry_wait_s * 2.0 ** (self.waits - 1))
        return longest * self.tools.chance.uniform(0.5, 1.0)

    def _await_service(self, line: _Line) -> None:
        """Wait for as long as the service asked to be left alone, and for a turn."""
        if self.request.remote is None:
            return
        engine, pace = self.request.engine, self.tools.pace
        while (wait_s := pace.wait_s(engine)) > 0:
            if self.tools.clock_s() - self.begun_s + wait_s > self.tools.ledger.limits.retry_limit_s:
                raise RecordedError(
                    f"{engine.name} asks to be left alone for {wait_s:.0f} s. Run again after that.",
                    provider=engine.name,
                    code="rate_limited",
                    retryable=True,
                    retry_after_s=wait_s,
                )
            line.pause(min(wait_s, 1.0))
        pace.take_turn(engine, self.tools.per_minute.get(engine.name.partition(":")[0]), line)

    def _note(self, text: str) -> None:
        self.tools.note(self.calls.step.stage, f"{self.request.unit}: {text}")

    def _doing(self, text: str) -> None:
        self.tools.doing(self.calls.step.stage, f"{self.request.unit}: {text}")


class RecordedError(ProviderError):
    """An error about which the log has said everything."""

    @classmethod
    def of(cls, error: ProviderError) -> RecordedError:
        """Return the same error, as said."""
        return cls(
            str(error),
            provider=error.provider,
            code=error.code,
            retryable=error.retryable,
            kind=PAID_UNUSABLE,
        )


def call_error(error: ProviderError, details: ArtifactRef | None = None) -> StageError:
    """Return a provider's error as the log holds it; `details` is the file with the provider's own words."""
    return StageError(
        code=error.code,
        message=str(error),
        retryable=error.retryable,
        provider=error.provider,
        http_status=error.http_status,
        request_id=error.request_id,
        retry_after_s=error.retry_after_s,
        details=details,
    )
