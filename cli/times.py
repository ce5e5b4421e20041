"""Times that the user writes, as records write theirs, so that texts compare as times do."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from cli.errors import SettingsError
from cli.render import printable

_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"([0-9]{1,5})(s|min|h|d|w)")
SPAN_HINT = "a span like 30min, 12h, 7d or 2w"


def as_recorded(time: datetime) -> str:
    """Return a time as records write it; without a zone it is UTC.

    Raises:
        OverflowError: in UTC it would lie outside the years 1 to 9999.
    """
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return f"{time.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def now_recorded() -> str:
    """Return the time now as records write it."""
    return as_recorded(datetime.now(UTC))


def span_of(written: str) -> timedelta | None:
    """Return the length of a span like `12h`, `7d` or `2w`; None where the text is none."""
    match = _SPAN.fullmatch(written)
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None


def span_words(span: timedelta) -> str:
    """Return a span as it can be written again, in the largest unit that fits, days at most."""
    units = ((name, timedelta(**{_UNITS[name]: 1})) for name in ("d", "h", "min"))
    fitting = (f"{span // unit}{name}" for name, unit in units if span and not span % unit)
    return next(fitting, f"{span // timedelta(seconds=1)}s")


def since(written: str, now: datetime) -> str:
    """Return the time that is meant by `2026-11-01`, a full time, or `12h`, `7d`, `2w` before now.

    Raises:
        SettingsError: it is none of these.
    """
    try:
        if (span := span_of(written)) is not None:
            return as_recorded(now - span)
        return as_recorded(datetime.fromisoformat(written))
    except (ValueError, OverflowError) as error:
        raise SettingsError(
            f"--since {printable(written[:40])} is neither a day like 2026-11-01, nor a time like "
            "2026-11-01T14:00:00Z, nor a span like 12h, 7d or 2w."
        ) from error
