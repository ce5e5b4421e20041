"""What a log says of money, held against the meters of the services: the promises about paying.

M1 paid ≤ meter ≤ paid + in doubt + perhaps twice + under way, for each currency. M2 every charge was announced. M3
a request is charged once, and once more only for each call of it that the log calls repeated or paid and unusable.
M4 no call begins without its stage's plan, by its engine, and none takes the stage past the price of that plan.
M5 where nothing is in doubt, repeated or under way in the end, what is paid equals the meter.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import frozen

from eventlog.store import Store
from projections.cost import FREE, IN_DOUBT, PAID, REPEATED_CALL, UNDER_WAY, call_cost, committed, total_cost
from projections.failures import PAID_UNUSABLE, REPEATED
from projections.fold import fold, initial_state
from projections.money import NO_RATES, money_from
from projections.state import Call, PipelineState
from proofs.report import BrokenPromiseError
from tests.support.service import Charge

Charges = Mapping[str, list[Charge]]
"""What each service wants to be paid for, by the name of its provider."""


@frozen
class Bill:
    """A log and its money.

    Attributes:
        stages: the data of each `stage.started`, by stage and attempt.
        state: of the pipeline; None where there is no log yet.
        types: of all records, in order.
    """

    stages: Mapping[tuple[str, int], Mapping[str, Any]]
    state: PipelineState | None
    types: tuple[str, ...]

    @property
    def calls(self) -> list[Call]:
        """All calls that are billed."""
        return [call for call in self.state.calls.values() if call.started.billable] if self.state else []

    def states(self) -> Counter[str]:
        """Count the calls by what became of their money."""
        return Counter(call_cost(call).state for call in self.calls)

    @property
    def is_certain(self) -> bool:
        """Whether nothing is in doubt, repeated or under way."""
        return not {IN_DOUBT, REPEATED_CALL, UNDER_WAY} & self.states().keys()


def read_bill(home: Path) -> Bill:
    """Read the only log of a home whose process is gone."""
    store = Store(str(home / "logs"))
    if not (pipelines := list(store.pipelines())):
        return Bill({}, None, ())
    reading = store.read(pipelines[0])
    stages = {
        (record.data["stage"], record.data["attempt"]): record.data
        for record in reading.records
        if record.type == "stage.started"
    }
    state = fold(initial_state(pipelines[0]), reading.records)
    return Bill(stages, state, tuple(record.type for record in reading.records))


def require_honest(bill: Bill, charges: Charges) -> None:
    """Hold a log against the meters, at any moment at which no process writes it.

    Raises:
        BrokenPromiseError: it names the promise.
    """
    for currency in {charge.currency for found in charges.values() for charge in found} | _currencies(bill):
        least, most = _bounds(bill, currency)
        metered = _metered(charges, currency)
        _require(least <= metered <= most, f"M1 {least} ≤ {metered} ≤ {most} {currency}")
    for provider, found in charges.items():
        calls = [call for call in bill.calls if call.started.provider == provider]
        billed = [call for call in calls if call_cost(call).state != FREE]
        said = f"M2 {provider} charged {len(found)} calls, and {len(billed)} were announced that may cost"
        _require(len(found) <= len(billed), said)
        _require_once(provider, calls, found)
    findings = bill.state.findings if bill.state else ()
    _require(not findings, f"M4 every record makes sense, but {findings}")
    for call in bill.calls:
        _require_planned(call, bill)


def require_equal(bill: Bill, charges: Charges) -> None:
    """Hold the end of a pipeline of which nothing is open against the meters.

    Raises:
        BrokenPromiseError: it names the promise.
    """
    for currency in _currencies(bill):
        paid, metered = _bounds(bill, currency)[0], _metered(charges, currency)
        _require(paid == metered, f"M5 paid {paid}, on the meter {metered} {currency}")


def require_reported(report: str, bill: Bill) -> None:
    """Hold what `evt cost --json` prints against the log.

    Raises:
        BrokenPromiseError: they differ.
    """
    found = [(sums["currency"], sums["calls"]) for sums in json.loads(report)["totals"]]
    expected = [(sums.currency, sums.calls) for sums in total_cost(bill.state)] if bill.state else []
    _require(found == expected, f"M1 `evt cost` says {found}, the log {expected}")


def _bounds(bill: Bill, currency: str) -> tuple[Decimal, Decimal]:
    """Return what was paid at least and at most; calls of unknown cost break the promise of this proof."""
    costs = [call_cost(call) for call in bill.calls]
    amounts = [(cost.state, cost.amount) for cost in costs if cost.state != FREE]
    _require(all(amount is not None for _, amount in amounts), "M1 every cost is known")
    ours = [(state, amount.amount) for state, amount in amounts if amount and amount.currency == currency]
    paid = sum((amount for state, amount in ours if state == PAID), Decimal(0))
    return paid, sum((amount for _, amount in ours), Decimal(0))


def _metered(charges: Charges, currency: str) -> Decimal:
    found = (charge.amount for each in charges.values() for charge in each if charge.currency == currency)
    return sum(found, Decimal(0))


def _currencies(bill: Bill) -> set[str]:
    amounts = (call_cost(call).amount for call in bill.calls)
    return {amount.currency for amount in amounts if amount is not None}


def _require_once(provider: str, calls: Iterable[Call], charges: Iterable[Charge]) -> None:
    """Compare the numbers, largest first: what decides an answer has one digest here and another at the service."""
    requests = {call.request for call in calls}
    excused = Counter(call.request for call in calls if call.resolution == REPEATED or call.kind == PAID_UNUSABLE)
    allowed = sorted((1 + excused[request] for request in requests), reverse=True)
    made = sorted(Counter(charge.request for charge in charges).values(), reverse=True)
    fits = len(made) <= len(allowed) and all(n <= most for n, most in zip(made, allowed, strict=False))
    _require(fits, f"M3 {provider} charged equal requests {made} times, and {allowed} times is explained")


def _require_planned(call: Call, bill: Bill) -> None:
    stage = bill.stages.get((call.started.stage, call.started.attempt))
    _require(stage is not None, f"M4 {call.id} belongs to an attempt that began")
    assert stage is not None
    named = stage["options"].get("provider")
    _require(named == call.started.provider, f"M4 {call.id} asks {call.started.provider}, planned was {named}")
    most = money_from((stage.get("price") or {}).get("at_most"))
    _require(most is not None, f"M4 the plan of {call.id} has a price")
    assert most is not None
    place = (call.started.stage, call.started.attempt)
    ours = [other for other in bill.calls if (other.started.stage, other.started.attempt) == place]
    spent = NO_RATES.total(committed(ours), most.currency)
    _require(spent is not None and spent.amount <= most.amount, f"M4 {place}: {spent}, planned at most {most}")


def _require(holds: bool, promise: str) -> None:
    if not holds:
        raise BrokenPromiseError(promise)
