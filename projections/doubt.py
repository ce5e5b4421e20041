"""Whether a call that may have been paid is sent once more without asking. Pure; the reasons: docs/adr/0010.

`auto` repeats while little money is at stake: the sum of what this pipeline may have paid twice, the call in
question included, stays under an amount or a share of the plan's price, and that of the invocation under ten times
as much. What can't be reckoned exceeds every limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import frozen

from eventlog.values import Value
from projections.failures import EXPIRED, REPEATED
from projections.limits import AUTO, REPEAT, Limits
from projections.money import Money, Rates, money_from
from projections.state import Call

INVOCATION_FACTOR = 10


@frozen(eq=False, repr=False)
class Verdict(Value):
    """Whether a call may be repeated, and the reckoning behind it, for the log."""

    may_repeat: bool
    evidence: dict[str, Any]


def at_stake(call: Call) -> Money | None:
    """Return what repeating a call may waste: what it cost, or can have cost at most; None: unknown."""
    return money_from(call.cost) or money_from(call.started.at_most)


def allowance(limits: Limits, rates: Rates, expected: Money | None) -> Money | None:
    """Return what a pipeline may pay twice without asking; `expected` is the price of its plan."""
    least = limits.in_doubt_amount
    share = rates.convert(expected, least.currency) if expected else None
    if share is None:
        return least
    return Money(max(least.amount, share.amount * limits.in_doubt_share), least.currency)


def may_repeat(
    call: Call,
    calls: Iterable[Call],
    limits: Limits,
    rates: Rates,
    expected: Money | None,
    invocation: Iterable[Money | None] = (),
) -> Verdict:
    """Say whether a call is sent once more.

    Args:
        call: it is in doubt, or its answer can't be used.
        calls: all calls of its pipeline.
        limits: what the user allows.
        rates: what currencies are worth.
        expected: the price of the pipeline's plan.
        invocation: what this invocation may have paid twice already.
    """
    if limits.in_doubt != AUTO:
        return Verdict(limits.in_doubt == REPEAT, {"policy": limits.in_doubt})
    if call.resolution == EXPIRED or (call.error is not None and call.error.code == EXPIRED):
        return Verdict(may_repeat=False, evidence={"policy": AUTO, "reason": "its result is gone for good"})
    limit = allowance(limits, rates, expected)
    assert limit is not None, "there is always an amount"
    repeated = [at_stake(other) for other in calls if other.resolution == REPEATED]
    here = rates.total([*repeated, at_stake(call)], limit.currency)
    everywhere = rates.total([*invocation, at_stake(call)], limit.currency)
    within = (
        here is not None
        and everywhere is not None
        and here.amount <= limit.amount
        and everywhere.amount <= limit.amount * INVOCATION_FACTOR
    )
    evidence = {"policy": AUTO, "limit": limit.as_data(), "sum": here.as_data() if here else None}
    return Verdict(within, evidence)
