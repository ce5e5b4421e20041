"""What an invocation spends: the gate that every paid call passes, and what is under way.

Limits are checked and the call announced under one lock, so that calls that begin at the same time can't pass a
limit together.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from attrs import define, evolve, field

from pipeline.errors import DecisionError
from pipeline.recorder import Recorder
from projections.cost import committed
from projections.doubt import at_stake, may_repeat
from projections.events import BudgetExceeded, CallResolved, CallStarted
from projections.failures import REPEATED
from projections.limits import REPEAT, Limits
from projections.money import Money, Rates, money_from
from projections.prices import begun_with
from projections.state import Call


@define
class _Entries:
    """Calls of this invocation: those of pipelines that are being worked on, and what the others came to."""

    closed: list[Money | None] = field(factory=list)
    _open: dict[str, tuple[Recorder, set[str]]] = field(factory=dict)

    def add(self, recorder: Recorder, call_id: str) -> None:
        self._open.setdefault(recorder.run + recorder.state.pipeline_id, (recorder, set()))[1].add(call_id)

    def calls(self) -> list[Call]:
        """Return the calls of open pipelines as they are now."""
        return [call for recorder, ids in self._open.values() for call in _of(recorder, ids)]

    def close(
        self,
        recorder: Recorder,
        amounts: Callable[[Iterable[Call]], list[Money | None]],
        total: Callable[[Iterable[Money | None]], Money | None],
    ) -> None:
        """Replace the calls of a pipeline by one sum; None where it is unknown."""
        _, ids = self._open.pop(recorder.run + recorder.state.pipeline_id, (recorder, set()))
        if ids:
            self.closed = [total([*self.closed, *amounts(_of(recorder, ids))])]


def _of(recorder: Recorder, ids: Iterable[str]) -> list[Call]:
    calls = recorder.state.calls
    return [calls[call_id] for call_id in ids if call_id in calls]


@define
class Ledger:
    """The money of one invocation; shared by all of its pipelines and threads.

    Attributes:
        is_spent: a call was refused because of the limit of all together.
    """

    limits: Limits
    rates: Rates
    clock_s: Callable[[], float]
    is_spent: bool = field(default=False, init=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False)
    _begun: _Entries = field(factory=_Entries, init=False)
    _repeated: _Entries = field(factory=_Entries, init=False)
    _under_way: dict[tuple[str, str], Money | None] = field(factory=dict, init=False)
    _accepted: set[tuple[str, str]] = field(factory=set, init=False)
    _stopped_s: float | None = field(default=None, init=False)
    _urgent: bool = field(default=False, init=False)

    def announce(self, recorder: Recorder, started: CallStarted) -> None:
        """Record that a call begins, unless a limit would be passed by it; that is recorded too.

        Raises:
            DecisionError: a limit would be passed; nothing was sent.
        """
        with self._lock:
            if started.billable:
                self._require_within(recorder, started)
                self._begun.add(recorder, started.call)
                self._under_way[recorder.state.pipeline_id, started.call] = money_from(started.at_most)
            recorder.record(started)

    def accepted(self, recorder: Recorder, call_id: str) -> None:
        """Note that a call became a job: it can be fetched at any time, so that a stop needn't wait for it."""
        with self._lock:
            self._accepted.add((recorder.state.pipeline_id, call_id))
            self._under_way.pop((recorder.state.pipeline_id, call_id), None)

    def ended(self, recorder: Recorder, call_id: str) -> None:
        """Note that nothing of a call is under way any more."""
        with self._lock:
            self._accepted.discard((recorder.state.pipeline_id, call_id))
            self._under_way.pop((recorder.state.pipeline_id, call_id), None)

    def repeat(self, recorder: Recorder, call: Call, reason: str) -> bool:
        """Say whether a call that may be paid already is sent once more; if so, that is recorded first."""
        with self._lock:
            calls = recorder.state.calls
            expected = begun_with(recorder.state, call.started.stage)
            earlier = [*self._repeated.closed, *(at_stake(other) for other in self._repeated.calls())]
            verdict = may_repeat(call, calls.values(), self.limits, self.rates, expected, earlier)
            if verdict.may_repeat:
                evidence = {**verdict.evidence, "reason": reason}
                recorder.record(CallResolved(call.id, REPEATED, "policy", evidence))
                self._repeated.add(recorder, call.id)
            return verdict.may_repeat

    def close(self, recorder: Recorder) -> None:
        """Keep of a pipeline whose run is over no more than what it comes to."""
        with self._lock:
            self._begun.close(recorder, committed, self.sum_of)
            self._repeated.close(recorder, lambda calls: [at_stake(call) for call in calls], self.sum_of)

    def begun(self) -> list[Money | None]:
        """Return what this invocation's paid calls come to at most; None among them: unknown; empty: none began."""
        with self._lock:
            return [*self._begun.closed, *committed(self._begun.calls())]

    def let_repeat(self) -> None:
        """From now on, what may be paid already is sent once more: the user was asked, and said so."""
        self.limits = evolve(self.limits, in_doubt=REPEAT)

    def hurry(self) -> None:
        """Wait for calls under way only as long as the system gives a process that it wants to end."""
        self._urgent = True

    def grace_is_over(self) -> bool:
        """Say whether calls under way have been waited for long enough; the wait begins with the first question."""
        with self._lock:
            self._stopped_s = self.clock_s() if self._stopped_s is None else self._stopped_s
            return self.clock_s() - self._stopped_s >= self.grace_s

    @property
    def grace_s(self) -> float:
        """How long a stop waits for calls that are under way."""
        return self.limits.term_grace_s if self._urgent else self.limits.grace_s

    def sum_of(self, amounts: Iterable[Money | None]) -> Money | None:
        """Return the sum in US dollars; None where one is unknown."""
        return self.rates.total(amounts, "USD")

    def under_way(self) -> Mapping[tuple[str, str], Money | None]:
        """Return the paid calls that wait for an answer, by pipeline and id, and what each can cost at most.

        Takes no lock: a signal handler asks, perhaps of a thread that holds it.
        """
        return dict(self._under_way)

    def jobs(self) -> int:
        """Return how many accepted jobs are waited for; takes no lock, as `under_way`."""
        return len(self._accepted)

    def _require_within(self, recorder: Recorder, started: CallStarted) -> None:
        """Hold a call against each limit; the sums are made only where there is one."""
        state = recorder.state
        attempt = state.attempts[started.stage][-1].started
        planned = money_from((attempt.price or {}).get("at_most"))
        this = (started.stage, started.attempt)
        here = (call for call in state.calls.values() if (call.started.stage, call.started.attempt) == this)
        if self.limits.max_cost is not None:
            self._require("max_cost", self.limits.max_cost, committed(state.calls.values()), recorder, started)
        if self.limits.max_batch_cost is not None:
            self._require("max_batch_cost", self.limits.max_batch_cost, self.begun(), recorder, started)
        if planned is not None:
            self._require("plan", planned, committed(here), recorder, started)

    def _require(
        self, name: str, limit: Money, spent: Iterable[Money | None], recorder: Recorder, started: CallStarted
    ) -> None:
        needed = self.rates.total([*spent, money_from(started.at_most)], limit.currency)
        if needed is not None and needed.amount <= limit.amount:
            return
        self.is_spent |= name == "max_batch_cost"
        data = needed.as_data() if needed else None
        recorder.record(BudgetExceeded(started.stage, started.unit, name, limit.as_data(), data))
        raise DecisionError(_sentence(name, limit, needed), code="budget_exceeded")


def _sentence(name: str, limit: Money, needed: Money | None) -> str:
    comes_to = f"it would come to {needed}" if needed else "what it costs is unknown"
    if name == "plan":
        return f"The next call would pass what the plan announced ({limit}; {comes_to}). `evt run` plans again."
    flag = f"--{name.replace('_', '-')}"
    return f"The next call would pass {flag} {limit} ({comes_to}). It was not made; a higher {flag} lets it."
