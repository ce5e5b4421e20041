"""The limits as settings: their names, and which values they can have."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import attrs

from cli.errors import SettingsError
from pipeline.home import Home
from pipeline.wishes import shortened
from projections.limits import IN_DOUBT, Limits
from projections.money import Money

LIMITS: Final = tuple(field.name for field in attrs.fields(Limits))

JOBS_MAX = 256
"""Each has an open log, its lock and two threads; systems let a process have a thousand files."""

DEFAULT_CURRENCY = "USD"
_MONEY = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?([A-Za-z]{3})?", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,4})?", re.ASCII)
"""No more places, so that Python writes none of them with an exponent."""
_DAY_S = 86_400


def checked_limit(name: str, value: Any, origin: str) -> Any:
    """Return a limit's value, from text or from a number of a settings file.

    Raises:
        SettingsError: it can't have that value.
    """
    read, hint = _KINDS[name]
    found = read(value)
    if found is None:
        raise SettingsError(f"{origin}: {name} can't be {shortened(value)}; it is {hint}.")
    return found


def limits_from(values: Mapping[str, Any]) -> Limits:
    """Return the limits of checked values by name; a limit that isn't there has its default."""
    return Limits(**{name: values[name] for name in LIMITS if name in values})


def require_rates(limits: Limits, home: Home) -> None:
    """Refuse a limit in a currency without a known rate, which no price could be compared with.

    Raises:
        SettingsError: there is one.
        ServicesFileError: the user's file of rates can't be used.
    """
    amounts = (limits.max_cost, limits.max_batch_cost, limits.in_doubt_amount)
    foreign = {money.currency for money in amounts if money is not None} - {DEFAULT_CURRENCY}
    if not foreign:
        return
    from pipeline.providers.services import load_services

    override = home.root / "services.toml"
    known = load_services(override).rates.in_usd
    if unknown := sorted(foreign - known.keys()):
        raise SettingsError(
            f"A limit is in {', '.join(unknown)}; what a currency is worth is known of {', '.join(sorted(known))}. "
            f"Use one of these, or add a rate to the table [rates] in {override}."
        )


def stored_limit(value: Any) -> Any:
    """Return a checked limit as a settings file holds it."""
    if isinstance(value, Money):
        return shown_limit(value)
    number = float(value) if isinstance(value, Decimal) else value
    return int(number) if isinstance(number, float) and number.is_integer() else number


def shown_limit(value: Any) -> str:
    """Return a limit's value as it can be written again."""
    if isinstance(value, Money):
        return f"{value.amount:f} {value.currency}"
    return "not set" if value is None else str(stored_limit(value))


def _money(value: Any) -> Money | None:
    match = _MONEY.fullmatch(str(value)) if _is_plain(value) else None
    return Money(Decimal(match[1]), (match[2] or DEFAULT_CURRENCY).upper()) if match else None


def _share(value: Any) -> Decimal | None:
    share = _decimal(value)
    return share if share is not None and share <= 1 else None


def _seconds(value: Any) -> float | None:
    seconds = _decimal(value)
    return float(seconds) if seconds is not None and seconds <= _DAY_S else None


def _attempts(value: Any) -> int | None:
    number = _decimal(value)
    return int(number) if number is not None and number == int(number) and 1 <= number <= 100 else None


def _jobs(value: Any) -> int | None:
    number = _decimal(value)
    return int(number) if number is not None and number == int(number) and 1 <= number <= JOBS_MAX else None


def _rule(value: Any) -> str | None:
    return value if isinstance(value, str) and value in IN_DOUBT else None


def _decimal(value: Any) -> Decimal | None:
    return Decimal(str(value)) if _is_plain(value) and _NUMBER.fullmatch(str(value)) else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, (int, str)) and not isinstance(value, bool)


_AMOUNT = (_money, 'an amount such as 2.50, which is in USD, or "2.50 EUR"')
_SECONDS = (_seconds, f"a number of seconds from 0 to {_DAY_S}")
_KINDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "max_cost": _AMOUNT,
    "max_batch_cost": _AMOUNT,
    "in_doubt": (_rule, f"one of {', '.join(IN_DOUBT)}"),
    "in_doubt_amount": _AMOUNT,
    "in_doubt_share": (_share, "a number from 0 to 1"),
    "grace_s": _SECONDS,
    "attempts": (_attempts, "a whole number from 1 to 100"),
    "retry_wait_s": _SECONDS,
    "retry_limit_s": _SECONDS,
    "jobs": (_jobs, f"a whole number from 1 to {JOBS_MAX}"),
}
