"""What a stage will cost: expected, and at most. Pure.

Where the calls are known (the audio is converted, and where turns are needed they are there), the price is the sum
over those that have no answer yet, equal ones once. Before that it follows from the recording's length.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from attrs import frozen

from eventlog.values import Value
from projections.doubt import allowance
from projections.engine import Engine
from projections.limits import AUTO, REPEAT, Limits
from projections.money import Money, Price, Rates, money_from
from projections.state import SUCCEEDED, Call, PipelineState

GROUPS_PER_S = 2
"""Groups of turns are at least half a second long, so there are never more; each is billed as whole seconds."""


OVERLAP_S = 2
"""So much is in both chunks at a cut through speech, where words have times; see `pipeline.speech.cuts`."""


@frozen(eq=False, repr=False)
class Unit(Value):
    """A call that a stage will make: the seconds it sends, and its request digest; None: not known beforehand."""

    seconds: float
    request: str | None = None


@frozen(eq=False, repr=False)
class StagePrice(Value):
    """What a stage will cost; None where it is unknown.

    Attributes:
        expected: if nothing goes wrong.
        at_most: with everything that is repeated without asking.
        once: at most, if nothing is sent twice.
        calls: how many calls there will be; None: not known yet.
    """

    expected: Money | None
    at_most: Money | None
    once: Money | None
    calls: int | None = None

    def as_data(self) -> dict[str, Any]:
        """Return it as records hold it."""
        return {
            "expected": self.expected.as_data() if self.expected else None,
            "at_most": self.at_most.as_data() if self.at_most else None,
        }


def stage_price(
    engine: Engine,
    units: Sequence[Unit] | None,
    duration_s: float | None,
    calls: Iterable[Call],
    limits: Limits,
    rates: Rates,
    *,
    whole: Money | None = None,
    again: bool = False,
) -> StagePrice:
    """Return the price of a stage that is to run.

    Args:
        engine: billable.
        units: the calls it will make; None: not known yet.
        duration_s: of the audio in all; None: unknown.
        calls: those whose answers count.
        limits: decide how much may be sent twice.
        rates: what currencies are worth.
        whole: what the stage was expected to cost when it was begun; a share of that may be paid twice.
        again: where speech has no words, a part is asked for once more, in two calls at most.
    """
    if engine.price is None:
        return StagePrice(None, None, None, None if units is None else len(_open(units, calls)))
    if units is None:
        return _by_length(engine, duration_s, limits, rates, whole, again)
    left = _open(units, calls)
    currency = engine.price.currency
    expected = rates.total((engine.price.expected(unit.seconds) for unit in left), currency)
    seconds = [unit.seconds for unit in units] if again else []
    parts = (engine.price.at_most_in_two(length) for length in seconds)
    once = rates.total((*(engine.price.at_most(unit.seconds) for unit in left), *parts), currency)
    return _with_repeats(expected, once, len(left), limits, rates, whole)


def begun_with(state: PipelineState, stage: str) -> Money | None:
    """Return what a stage was expected to cost when its first paid attempt began; None: there was none."""
    prices = (attempt.started.price for attempt in state.attempts.get(stage, ()))
    return money_from(next((price["expected"] for price in prices if price), None))


def plan_total(prices: Iterable[StagePrice], limits: Limits, rates: Rates, currency: str) -> StagePrice:
    """Return the price of several stages; what may be sent twice without asking counts once."""
    prices = list(prices)
    expected = rates.total((price.expected for price in prices), currency)
    once = rates.total((price.once for price in prices), currency)
    return _with_repeats(expected, once, None, limits, rates, None)


def _open(units: Sequence[Unit], calls: Iterable[Call]) -> list[Unit]:
    """Return the units that have still to be asked for: neither answered nor accepted; equal ones once."""
    done = {call.request for call in calls if call.status == SUCCEEDED or call.is_accepted}
    unknown = [unit for unit in units if unit.request is None]
    known = {unit.request: unit for unit in units if unit.request is not None and unit.request not in done}
    return [*unknown, *known.values()]


def _by_length(
    engine: Engine, duration_s: float | None, limits: Limits, rates: Rates, whole: Money | None, again: bool
) -> StagePrice:
    price = engine.price
    if duration_s is None or price is None:
        return StagePrice(None, None, None)
    expected = price.expected(duration_s)
    once: Money | None = None
    if engine.word_times or engine.speakers:
        chunks = int(duration_s // engine.unit_s) + 1
        sent_s = duration_s if engine.speakers else duration_s + OVERLAP_S * (chunks - 1)
        once = _in_chunks(price, sent_s, chunks, 2 if again else 1)
    elif not price.at_most_per_call:
        once = price.at_most(duration_s * (1 + GROUPS_PER_S) * (2 if again else 1))
    return _with_repeats(expected, once, None, limits, rates, whole)


def _in_chunks(price: Price, duration_s: float, chunks: int, times: int) -> Money:
    """Return what audio costs at most that is sent in chunks, all of it so many times."""
    first = Money(
        price.at_most(duration_s).amount
        + price.at_most_per_call * (chunks - 1)
        + max(price.per_min, price.at_most_per_min) * chunks * Decimal(str(price.step_s)) / 60,
        price.currency,
    )
    more = sum((price.at_most_in_two(duration_s / chunks).amount * chunks for _ in range(times - 1)), Decimal(0))
    return Money(first.amount + more, price.currency)


def _with_repeats(
    expected: Money | None,
    once: Money | None,
    calls: int | None,
    limits: Limits,
    rates: Rates,
    whole: Money | None,
) -> StagePrice:
    at_most = once
    if once is not None and limits.in_doubt == REPEAT:
        at_most = Money(once.amount * limits.attempts, once.currency)
    elif once is not None and once.amount and limits.in_doubt == AUTO:
        at_most = rates.total([once, allowance(limits, rates, whole or expected)], once.currency)
    return StagePrice(expected, at_most, once, calls)
