"""What the user lets a run spend, and how long it may try. Never part of a stage's key, never a recorded wish."""

from __future__ import annotations

from decimal import Decimal

from attrs import field, frozen

from eventlog.values import Value
from projections.money import Money

AUTO, ASK, REPEAT, STOP = "auto", "ask", "repeat", "stop"


@frozen(eq=False, repr=False)
class Limits(Value):
    """Limits on money and patience.

    Attributes:
        max_cost: what a pipeline may cost in all; None: no limit.
        max_batch_cost: what one invocation may spend; None: no limit.
        in_doubt: what to do about calls that may have been paid: `auto` (repeat them while little money is at
            stake, else ask), `ask`, `repeat`, or `stop`: leave them, and what needs them.
        in_doubt_amount, in_doubt_share: what `auto` calls little: so much, or this share of the plan's price,
            whichever is more; and ten times that in one invocation.
        grace_s: how long a stop waits for paid calls that are under way.
        attempts: how often one request is sent at most.
        retry_wait_s: the wait before the second time; it doubles, up to a minute.
        retry_limit_s: for how long one request is tried at most, waits that a service asks for included.
    """

    max_cost: Money | None = None
    max_batch_cost: Money | None = None
    in_doubt: str = AUTO
    in_doubt_amount: Money = field(factory=lambda: Money(Decimal("0.25"), "USD"))
    in_doubt_share: Decimal = field(factory=lambda: Decimal("0.05"))
    grace_s: float = 60.0
    attempts: int = 6
    retry_wait_s: float = 0.5
    retry_limit_s: float = 900.0


NO_LIMITS = Limits()
"""What holds where nobody says anything."""
