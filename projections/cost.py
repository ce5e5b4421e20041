"""What calls cost: paid, perhaps paid, and under way. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from eventlog.values import Value
from projections.failures import AMBIGUOUS, PAID_UNUSABLE
from projections.money import ESTIMATED, Money, money_from
from projections.state import FAILED, STARTED, SUCCEEDED, Call

PAID, IN_DOUBT, REPEATED_CALL, UNDER_WAY, FREE = "paid", "in_doubt", "repeated", "under_way", "free"


@frozen(eq=False, repr=False)
class CallCost(Value):
    """What one call cost, or may have.

    Attributes:
        state: `paid`; `in_doubt` (nobody knows yet); `repeated` (it was in doubt, and was sent once more: perhaps
            paid twice); `under_way`; or `free`.
        amount: what was paid, or what it can be at most; None: unknown.
        basis: `billed` where the service counted, else `estimated`.
    """

    state: str
    amount: Money | None
    basis: str = ESTIMATED


def call_cost(call: Call) -> CallCost:
    """Return what a call cost, or may have cost."""
    if not call.started.billable:
        return CallCost(FREE, None)
    if call.status == SUCCEEDED or call.kind == PAID_UNUSABLE:
        paid = money_from(call.cost) or money_from(call.started.expected)
        return CallCost(PAID, paid, str((call.cost or {}).get("basis", ESTIMATED)))
    at_most = money_from(call.started.at_most)
    if call.status == STARTED:
        return CallCost(UNDER_WAY, at_most)
    if call.status == FAILED and call.kind == AMBIGUOUS and call.resolution != "absent":
        return CallCost(IN_DOUBT if call.resolution is None else REPEATED_CALL, at_most)
    return CallCost(FREE, None)


def committed(calls: Iterable[Call]) -> list[Money | None]:
    """Return what calls have cost, or can have cost at most; None where that is unknown."""
    costs = (call_cost(call) for call in calls)
    return [cost.amount for cost in costs if cost.state != FREE]
