"""Ctrl-C and SIGTERM: the first one ends a run in order, the second at once."""

from __future__ import annotations

import os
import signal

from cli.exit_codes import INTERRUPTED, TERMINATED
from pipeline.runner import Workshop


def stop_on_signals(shop: Workshop) -> list[int]:
    """Handle both signals from now on; return the list that they will be noted in."""
    received: list[int] = []

    def on_signal(number: int, frame: object) -> None:
        received.append(number)
        if len(received) > 1:
            os.write(2, b"\nevt: left at once; `evt run` goes on from what is recorded.\n")
            os._exit(TERMINATED if number == signal.SIGTERM else INTERRUPTED)
        os.write(2, b"\nevt: stopping; what is finished is kept (Ctrl-C again: leave at once)\n")
        shop.stop.set()
        shop.providers.close()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    return received
