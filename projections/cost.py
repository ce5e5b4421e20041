"""What calls cost: paid, perhaps paid, and under way; sums by provider, model, day or pipeline. Pure.

Currencies are never added: each has sums of its own. Calls of unknown cost are counted beside them, under no
currency, so that every call that costs, or may, stands in exactly one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from attrs import frozen

from eventlog.values import Value
from projections.failures import ABSENT, AMBIGUOUS, PAID_UNUSABLE, REPEATED
from projections.money import BILLED, ESTIMATED, Money, Rates, money_from
from projections.state import FAILED, STARTED, SUCCEEDED, Call, PipelineState

PAID, IN_DOUBT, REPEATED_CALL, UNDER_WAY, FREE = "paid", "in_doubt", "repeated", "under_way", "free"

COLUMNS: Final = (BILLED, ESTIMATED, IN_DOUBT, REPEATED_CALL, UNDER_WAY)
"""Where a call that costs, or may, can stand; the first two are paid."""

_AMOUNT_LIMIT: Final = Decimal(10) ** 12
"""No bill is so high; such an amount, and a negative one, is a defect of the log, hence unknown."""
_PLACES: Final = Decimal("0.000001")
"""As records hold amounts, see `Money.as_data`; sums of these are exact."""
_ZERO: Final = Decimal("0.000000")

_GROUPINGS: Final[dict[str, Callable[[str, Call], str]]] = {
    "provider": lambda pipeline, call: call.started.provider,
    "model": lambda pipeline, call: call.started.model or "",
    "day": lambda pipeline, call: call.started_at[:10],
    "pipeline": lambda pipeline, call: pipeline,
}
GROUPINGS: Final = tuple(_GROUPINGS)
"""By what sums can be told apart. A call belongs to the day, in UTC, on which it began."""


@frozen(eq=False, repr=False)
class CallCost(Value):
    """What one call cost, or may have.

    Attributes:
        state: `paid`; `in_doubt` (nobody knows whether it was billed); `repeated` (it was in doubt, and was sent
            once more: perhaps paid twice); `under_way`; or `free`.
        amount: what was paid, or what it can be at most; None: unknown.
        basis: `billed` where the service counted, else `estimated`.
    """

    state: str
    amount: Money | None
    basis: str = ESTIMATED


@frozen(eq=False, repr=False)
class Sum(Value):
    """So many calls, and what they come to; None where that is unknown."""

    amount: Decimal | None
    calls: int

    def plus(self, other: Sum) -> Sum:
        """Return both together."""
        if self.amount is None or other.amount is None:
            return Sum(None, self.calls + other.calls)
        return Sum(self.amount + other.amount, self.calls + other.calls)


@frozen(eq=False, repr=False)
class Sums(Value):
    """What calls of one currency cost.

    Attributes:
        currency: None: what these calls cost is unknown; they are only counted.
        billed: paid, as the service counted it.
        estimated: paid, and the sum is our own reckoning.
        in_doubt: nobody knows whether it was paid; at most so much.
        repeated: was in doubt and was sent once more; at most so much was paid twice.
        under_way: has no outcome yet; at most so much.
    """

    currency: str | None
    billed: Sum
    estimated: Sum
    in_doubt: Sum
    repeated: Sum
    under_way: Sum

    @property
    def columns(self) -> dict[str, Sum]:
        """The sums by the names of their columns."""
        return {name: getattr(self, name) for name in COLUMNS}

    @property
    def calls(self) -> int:
        """How many calls these are."""
        return sum(column.calls for column in self.columns.values())

    @property
    def paid(self) -> Money | None:
        """What is paid for certain; None: unknown."""
        return self._money(self.billed.plus(self.estimated))

    @property
    def at_most(self) -> Money | None:
        """What is paid if everything is billed that may be; None: unknown."""
        together = Sum(_ZERO, 0)
        for column in self.columns.values():
            together = together.plus(column)
        return self._money(together)

    def money(self, column: str) -> Money | None:
        """Return the amount of a column; None: unknown."""
        return self._money(self.columns[column])

    def _money(self, found: Sum) -> Money | None:
        if self.currency is None or found.amount is None:
            return None
        return Money(found.amount, self.currency)


@frozen(eq=False, repr=False)
class Row(Value):
    """The sums of one provider, model, day or pipeline, in one currency; `group` is empty where it has no name."""

    group: str
    sums: Sums


@frozen(eq=False, repr=False)
class Together(Value):
    """Sums of several currencies as one, by the rates of a day; calls of unknown cost are not in it."""

    paid: Money
    at_most: Money
    rates_date: str


def call_cost(call: Call) -> CallCost:
    """Return what a call cost, or may have cost."""
    if not call.started.billable:
        return CallCost(FREE, None)
    if call.status == SUCCEEDED or call.kind == PAID_UNUSABLE:
        return _paid(call)
    at_most = _known(money_from(call.started.at_most))
    if call.status == STARTED:
        return CallCost(UNDER_WAY, at_most)
    if call.status == FAILED and call.kind == AMBIGUOUS and call.resolution != ABSENT:
        # What is given up, or adopted and then lost once more, stays in doubt for ever.
        return CallCost(REPEATED_CALL if call.resolution == REPEATED else IN_DOUBT, at_most)
    return CallCost(FREE, None)


def committed(calls: Iterable[Call]) -> list[Money | None]:
    """Return what calls have cost, or can have cost at most; None where that is unknown."""
    costs = (call_cost(call) for call in calls)
    return [cost.amount for cost in costs if cost.state != FREE]


def costing(state: PipelineState, since: str = "") -> list[Call]:
    """Return the calls of a pipeline that cost, or may; `since` is a time as records write it."""
    calls = (call for call in state.calls.values() if call.started_at >= since)
    return [call for call in calls if call_cost(call).state != FREE]


def cost_rows(pipeline: str, calls: Iterable[Call], by: str) -> tuple[Row, ...]:
    """Return the sums of a pipeline's calls.

    Args:
        pipeline: its id.
        calls: any of its calls; those that are free are passed over.
        by: one of `GROUPINGS`.

    Returns:
        A row for each group and currency, in this order; none where nothing costs.
    """
    group = _GROUPINGS[by]
    priced = ((group(pipeline, call), call_cost(call)) for call in calls)
    return _rows((name, *_place(cost)) for name, cost in priced if cost.state != FREE)


def merged(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return rows of several pipelines as one table: those of the same group and currency together."""
    return _rows(
        (row.group, row.sums.currency, column, found) for row in rows for column, found in row.sums.columns.items()
    )


def totals(rows: Iterable[Row]) -> tuple[Sums, ...]:
    """Return the sums of all groups, one for each currency; calls of unknown cost come last."""
    return tuple(row.sums for row in merged(Row("", row.sums) for row in rows))


def total_cost(state: PipelineState) -> tuple[Sums, ...]:
    """Return what a pipeline cost, one for each currency; empty where nothing costs."""
    return totals(cost_rows(state.pipeline_id, state.calls.values(), "pipeline"))


def sums_from(data: Mapping[str, Any]) -> Sums:
    """Return sums that were written as JSON values, field by field."""
    columns = {name: data[name] for name in COLUMNS}
    found = {
        name: Sum(None if column["amount"] is None else Decimal(column["amount"]), column["calls"])
        for name, column in columns.items()
    }
    return Sums(data["currency"], **found)


def together(found: Iterable[Sums], rates: Rates, currency: str = "USD") -> Together | None:
    """Return totals of several currencies as one; None where a rate is unknown."""
    known = [sums for sums in found if sums.currency is not None]
    paid = rates.total((sums.paid for sums in known), currency)
    at_most = rates.total((sums.at_most for sums in known), currency)
    return Together(paid, at_most, rates.date) if paid is not None and at_most is not None else None


def _paid(call: Call) -> CallCost:
    recorded = _known(money_from(call.cost))
    if recorded is None:
        return CallCost(PAID, _known(money_from(call.started.expected)))
    basis = BILLED if (call.cost or {}).get("basis") == BILLED else ESTIMATED
    return CallCost(PAID, recorded, basis)


def _known(money: Money | None) -> Money | None:
    return money if money is not None and money.currency and 0 <= money.amount < _AMOUNT_LIMIT else None


def _place(cost: CallCost) -> tuple[str | None, str, Sum]:
    """Return a call's currency, its column, and what it adds there."""
    column = cost.basis if cost.state == PAID else cost.state
    if cost.amount is None:
        return None, column, Sum(None, 1)
    return cost.amount.currency, column, Sum(cost.amount.amount.quantize(_PLACES, ROUND_HALF_EVEN), 1)


def _rows(entries: Iterable[tuple[str, str | None, str, Sum]]) -> tuple[Row, ...]:
    found: dict[tuple[str, str | None], dict[str, Sum]] = {}
    for group, currency, column, more in entries:
        nothing = Sum(None if currency is None else _ZERO, 0)
        columns = found.setdefault((group, currency), dict.fromkeys(COLUMNS, nothing))
        columns[column] = columns[column].plus(more)
    order = sorted(found, key=lambda key: (key[0], key[1] is None, key[1] or ""))
    return tuple(Row(group, Sums(currency, **found[group, currency])) for group, currency in order)
