"""Ctrl-C and SIGTERM: the first one ends a run in order, the second at once."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from cli.exit_codes import INTERRUPTED, TERMINATED
from pipeline.workshop import Workshop


def stop_on_signals(shop: Workshop) -> list[int]:
    """Handle both signals from now on; return the list that they will be noted in."""
    received: list[int] = []

    def on_signal(number: int, frame: object) -> None:
        received.append(number)
        shop.stop.set()
        if len(received) > 1:
            _tell(b"left at once; `evt run` goes on from what is recorded.")
            os._exit(TERMINATED if number == signal.SIGTERM else INTERRUPTED)
        again = b"Ctrl-C again" if number == signal.SIGINT else b"again"
        _tell(b"stopping; what is finished is kept (%b: leave at once)" % again)
        shop.providers.close()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    return received


def _tell(text: bytes) -> None:
    """Write past the buffers, which the interrupted code may just be changing."""
    with suppress(OSError):
        os.write(2, b"\nevt: %b\n" % text)
