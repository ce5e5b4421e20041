"""Waits until something under a folder changes. The only file that knows watchfiles.

Whoever follows logs polls after each step; what is missed here is found at the next one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Protocol

STEP_MS = 20
"""How often watchfiles looks whether the system told it of a change; two looks, at most, are the delay.

Source: measured in benchmarks/follow.py; 20 ms cost two thousandths of a core, 5 ms three times as much.
"""
_DEBOUNCE_MS = 40
_MISSING_ROOT_S = 0.05
SETTLE_S = 0.05
"""A folder that is new is watched only a moment after its first files were made, so one looks again."""


class StopEvent(Protocol):
    """What `threading.Event` is, as far as it is needed here."""

    def is_set(self) -> bool:
        """Say whether to stop."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or so many seconds."""


def changes(root: str, *, idle_s: float = 1.0, stop: StopEvent | None = None) -> Iterator[None]:
    """Yield once as soon as changes are seen, then after each burst of them, and at least every `idle_s`.

    Polling after each step shows a new record within 100 ms, usually 40. Folders that begin later are seen, a
    root that does not exist yet or that is replaced too. Ends when `stop` is set.
    """
    stop = stop or threading.Event()
    while not stop.is_set():
        if os.path.isdir(root):
            yield from _changes_while_there(root, idle_s, stop)
        else:
            yield from _wait_for_root(root, idle_s, stop)


def _wait_for_root(root: str, idle_s: float, stop: StopEvent) -> Iterator[None]:
    idle_until = time.monotonic() + idle_s
    while not stop.wait(_MISSING_ROOT_S) and not os.path.isdir(root):
        if time.monotonic() >= idle_until:
            yield
            idle_until = time.monotonic() + idle_s


def _changes_while_there(root: str, idle_s: float, stop: StopEvent) -> Iterator[None]:
    # The class behind `watchfiles.watch`, which would not tell when it has begun to watch.
    from watchfiles._rust_notify import RustNotify

    identity = _identity(root)
    with RustNotify([root], False, False, 0, True, True) as watcher:
        timeout_s = idle_s
        while _identity(root) == identity:
            yield
            found = watcher.watch(_DEBOUNCE_MS, STEP_MS, max(1, round(timeout_s * 1000)), stop)
            if found == "signal":
                raise KeyboardInterrupt
            if found == "stop":
                return
            new_folder = isinstance(found, set) and any(os.path.isdir(path) for _, path in found)
            timeout_s = SETTLE_S if new_folder else idle_s


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
