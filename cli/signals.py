"""Ctrl-C and SIGTERM: the first one ends a run in order, the second at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress

from cli.exit_codes import INTERRUPTED, TERMINATED
from pipeline.workshop import Workshop


def stop_on_signals(shop: Workshop, before: Callable[[], None] = lambda: None) -> list[int]:
    """Handle both signals from now on; return the list that they will be noted in.

    Args:
        shop: what is to be stopped.
        before: is called before anything is said, by the main thread, wherever that just is.
    """
    received: list[int] = []

    def on_signal(number: int, frame: object) -> None:
        received.append(number)
        if number == signal.SIGTERM:
            shop.ledger.hurry()
        shop.stop.set()
        before()
        if len(received) > 1:
            _tell("left at once; `evt run` goes on from what is recorded." + _in_doubt(shop))
            os._exit(TERMINATED if number == signal.SIGTERM else INTERRUPTED)
        again = "Ctrl-C again" if number == signal.SIGINT else "again"
        _tell(f"stopping; what is finished is kept{_awaited(shop)}{_fetched_later(shop)} ({again}: leave at once)")
        shop.providers.close()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    return received


def _awaited(shop: Workshop) -> str:
    calls = shop.ledger.under_way()
    if not calls:
        return ""
    cost = shop.ledger.sum_of(calls.values())
    number = "a paid call" if len(calls) == 1 else f"{len(calls)} paid calls"
    worth = f", up to {cost}" if cost else ""
    return f"; waiting up to {shop.ledger.grace_s:.0f} s for {number} under way{worth}"


def _fetched_later(shop: Workshop) -> str:
    jobs = shop.ledger.jobs()
    if not jobs:
        return ""
    named = "a job that was accepted is" if jobs == 1 else f"{jobs} jobs that were accepted are"
    return f"; {named} fetched by the next run"


def _in_doubt(shop: Workshop) -> str:
    calls = shop.ledger.under_way()
    if not calls:
        return ""
    named = ", ".join(f"{call_id} of {pipeline}" for pipeline, call_id in calls)
    return f" Left in doubt, perhaps paid: {named}."


def _tell(text: str) -> None:
    """Write past the buffers, which the interrupted code may just be changing."""
    with suppress(OSError):
        os.write(2, f"\nevt: {text}\n".encode())
