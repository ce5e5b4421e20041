"""What the tests write: events that follow from a seed and a number, so that any process can tell what is due."""

from __future__ import annotations

import random
from typing import Any

from eventlog.writer import Event

HAPPENED = "test.happened"
_ODD = ("größer", 'quote " and \\', "left\u2028right \u009b", "\U0001f600", '","sum":"', "")
"""Texts that a careless writer or reader gets wrong."""
_LONG_ONE_IN = 3
_LONG_BYTES_MAX = 30_000
_SHORT_BYTES_MAX = 300


def event(seed: int, number: int) -> Event:
    """Return the event of this number: mostly short, some so long that a write of it can be cut in two."""
    rng = random.Random(f"{seed} event {number}")
    size = rng.randrange(_LONG_BYTES_MAX if rng.randrange(_LONG_ONE_IN) == 0 else _SHORT_BYTES_MAX)
    data: dict[str, Any] = {"n": number, "odd": rng.choice(_ODD), "text": rng.randbytes(size).hex()}
    return HAPPENED, data


def short_event(number: int) -> Event:
    """Return an event for a small log."""
    return HAPPENED, {"n": number, "odd": _ODD[number % len(_ODD)]}
