"""What may be spent, repeated and waited for: of one invocation, never recorded as a wish, never part of a key."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from attrs import frozen

from eventlog.values import Value
from projections.money import Money

AUTO: Final = "auto"
ASK: Final = "ask"
REPEAT: Final = "repeat"
STOP: Final = "stop"
IN_DOUBT: Final = (AUTO, ASK, REPEAT, STOP)
"""What may be done about a call of which nobody knows whether it was accepted; `auto`: repeat it below the limits,
else ask."""

_IN_DOUBT_AMOUNT = Money(Decimal("0.25"), "USD")
_IN_DOUBT_SHARE = Decimal("0.05")
_TERM_GRACE_S = 8.0
"""Service managers and containers usually kill ten seconds after SIGTERM."""


@frozen(eq=False, repr=False)
class Limits(Value):
    """The limits of one invocation.

    Attributes:
        max_cost: no call begins that could take a pipeline past this; None: no limit.
        max_batch_cost: the same for everything that this invocation pays.
        in_doubt: one of IN_DOUBT.
        in_doubt_amount: what a pipeline may pay twice without asking, where `in_doubt` is `auto`.
        in_doubt_share: or this share of the plan's price (from 0 to 1), whichever is more.
        grace_s: how long an interrupted run waits for answers that are being paid.
        attempts: how often a call is tried.
        retry_wait_s: the wait before the second try; later ones are longer.
        retry_limit_s: a call is not tried again so long after its first try.
        jobs: so many recordings are worked on at once; None: as many as the machine and the services take.
    """

    max_cost: Money | None = None
    max_batch_cost: Money | None = None
    in_doubt: str = AUTO
    in_doubt_amount: Money = _IN_DOUBT_AMOUNT
    in_doubt_share: Decimal = _IN_DOUBT_SHARE
    grace_s: float = 60.0
    attempts: int = 6
    retry_wait_s: float = 0.5
    retry_limit_s: float = 900.0
    jobs: int | None = None

    @property
    def term_grace_s(self) -> float:
        """How long a run waits after SIGTERM: the lesser of `grace_s` and what a service manager leaves it."""
        return min(self.grace_s, _TERM_GRACE_S)


NO_LIMITS = Limits()
"""What holds where nobody says anything."""
