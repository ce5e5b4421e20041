"""Amounts of money, what a call is expected to cost, and what it cost. Pure.

Amounts are decimal, never floats; in records they are {"amount": "0.0480", "currency": "USD"}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

from attrs import frozen

from eventlog.values import Value

BILLED, ESTIMATED = "billed", "estimated"

_PLACES = Decimal("0.000001")
"""A millionth: a second of the cheapest model costs 25 of these."""


@frozen(eq=False, repr=False)
class Money(Value):
    """An amount in a currency (ISO 4217)."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        """Return it for people: whole cents, or more places where it is less than a cent."""
        places = Decimal("0.01") if self.amount == 0 or self.amount >= Decimal("0.01") else Decimal("0.0001")
        return f"{self.amount.quantize(places, ROUND_HALF_EVEN)} {self.currency}"

    def as_data(self) -> dict[str, str]:
        """Return it as records hold it."""
        return {"amount": format(self.amount.quantize(_PLACES, ROUND_HALF_EVEN), "f"), "currency": self.currency}


def money_from(data: Mapping[str, Any] | None) -> Money | None:
    """Return the money that a record names; None where it names none, or none that makes sense."""
    try:
        amount = Decimal(str(data["amount"])) if data else None
        return Money(amount, str(data["currency"])) if data and amount is not None and amount.is_finite() else None
    except (KeyError, InvalidOperation, TypeError):
        return None


@frozen(eq=False, repr=False)
class Price(Value):
    """What a service asks for, on a date.

    Attributes:
        per_min: for a minute of audio; for models billed by tokens, what that usually comes to.
        at_most_per_min, at_most_per_call: what a minute and a call may add up to at most, where usage decides
            the bill; zero: it is exactly `per_min`.
        minimum_s: a call is billed as at least so long.
        step_s: the length is rounded up to a multiple of this.
        date: when the price was looked up, as YYYY-MM-DD.
    """

    currency: str
    per_min: Decimal
    date: str
    at_most_per_min: Decimal = Decimal(0)
    at_most_per_call: Decimal = Decimal(0)
    minimum_s: float = 0.0
    step_s: float = 1.0

    def expected(self, seconds: float) -> Money:
        """Return what a call about so many seconds of audio will cost."""
        return Money(self._of(self.per_min, seconds), self.currency)

    def at_most(self, seconds: float) -> Money:
        """Return what such a call can cost at most."""
        per_min = max(self.per_min, self.at_most_per_min)
        return Money(self._of(per_min, seconds) + self.at_most_per_call, self.currency)

    def at_most_in_two(self, seconds: float) -> Money:
        """Return what two calls can cost at most that share so many seconds of audio between them."""
        rounded_s = seconds + self.step_s + 2 * self.minimum_s
        return Money(self.at_most(rounded_s).amount + self.at_most_per_call, self.currency)

    def _of(self, per_min: Decimal, seconds: float) -> Decimal:
        step = Decimal(str(self.step_s))
        steps = (Decimal(str(max(seconds, self.minimum_s))) / step).quantize(Decimal(1), ROUND_CEILING)
        return (steps * step * per_min / 60).quantize(_PLACES, ROUND_HALF_EVEN)


@frozen(eq=False, repr=False)
class Rates(Value):
    """What a unit of each currency is worth in US dollars, on a date."""

    in_usd: Mapping[str, Decimal]
    date: str

    def convert(self, money: Money, currency: str) -> Money | None:
        """Return the same worth in another currency; None where a rate is unknown."""
        if money.currency == currency or money.amount == 0:
            return Money(money.amount, currency)
        if money.currency not in self.in_usd or currency not in self.in_usd:
            return None
        return Money(money.amount * self.in_usd[money.currency] / self.in_usd[currency], currency)

    def total(self, amounts: Iterable[Money | None], currency: str) -> Money | None:
        """Return the sum; None where one of them is unknown or can't be converted."""
        total = Decimal(0)
        for money in amounts:
            converted = self.convert(money, currency) if money is not None else None
            if converted is None:
                return None
            total += converted.amount
        return Money(total, currency)


NO_RATES = Rates({}, "")
"""Where no rates are known, only equal currencies compare."""
