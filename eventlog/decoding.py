"""JSON text → typed values: the one door to msgspec, which loads only when a log is long enough to gain by it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

LONG_LOG = 500
"""Records beyond this number are decoded by msgspec: to load it takes as long as to decode some 500 without it."""


def decoder_of(kind: Any) -> Callable[[str], Any]:
    """Return what makes a value of a type from JSON text, strictly: no number from text, none cut to an integer.

    What it raises is `refusals`.
    """
    import msgspec

    return msgspec.json.Decoder(kind).decode


@cache
def skimmer() -> Callable[[str], object]:
    """Return what checks that a text is JSON, without making anything of it; what it raises is `refusals`.

    It lets numbers pass that are too large for a double.
    """
    import msgspec

    return decoder_of(msgspec.Raw)


@cache
def refusals() -> tuple[type[Exception], ...]:
    """Return what decoders raise for a text that is no JSON, or not of their type."""
    import msgspec

    return (msgspec.MsgspecError, RecursionError)
