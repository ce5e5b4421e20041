"""Waits until logs under a folder change, and says which: by inotify on Linux, elsewhere by looking again.

Looking costs no dependency, and no more than a tenth of a core however many logs there are; so do network file
systems, of whose changes on other machines no kernel tells.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Protocol

from eventlog.filesystem import file_system_of
from eventlog.inotify import Change, Inotify

_LOOK_S = 0.05
_LOOK_COST_MAX = 0.1
"""The part of the time that may go into looking at all logs."""
_STOP_S = 0.05
"""How often it is asked whether to stop; nobody is asked where nobody can tell."""
_SUFFIX = ".jsonl"


class StopEvent(Protocol):
    """What `threading.Event` is, as far as it is needed here."""

    def is_set(self) -> bool:
        """Say whether to stop."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or so many seconds."""


def changes(root: str, *, idle_s: float = 5.0, stop: StopEvent | None = None) -> Iterator[frozenset[str] | None]:
    """Yield the names of logs that changed, as soon as they do; None: any may have, look at all of them.

    First None, once changes are seen; then at least every `idle_s`, and be it that nothing changed. Folders that
    begin later are seen, a root that does not exist yet or that is replaced too. Ends when `stop` is set.
    """
    step_s = idle_s if stop is None else min(idle_s, _STOP_S)
    stop = stop or threading.Event()
    while not stop.is_set():
        if not os.path.isdir(root):
            yield from _wait_for_root(root, idle_s, stop)
        elif (watch := _watch_of(root)) is None:
            yield from _look(root, idle_s, stop)
        else:
            yield from _told(watch, root, idle_s, step_s, stop)


def _watch_of(root: str) -> Inotify | None:
    """Return what tells of changes under a folder; None where nothing does, or the system has no more watches."""
    if not sys.platform.startswith("linux") or not file_system_of(root).safe:
        return None
    watch = None
    try:
        watch = Inotify()
        _add(watch, root)
    except OSError:
        if watch is not None:
            watch.close()
        return None
    return watch


def _told(
    watch: Inotify, root: str, idle_s: float, step_s: float, stop: StopEvent
) -> Iterator[frozenset[str] | None]:
    """Wait for what the system tells; ends when the root is another folder, or nothing can be told any more."""
    identity, idle_until = _identity(root), time.monotonic() + idle_s
    try:
        yield None
        while not stop.is_set():
            found = watch.wait(step_s)
            if any(not change.folder or (change.folder == root and not change.name) for change in found):
                return
            names = _names(watch, found)
            if names or time.monotonic() >= idle_until:
                yield names
                idle_until = time.monotonic() + idle_s
            # Of a folder above the root that was renamed nobody tells.
            if not found and _identity(root) != identity:
                return
    except OSError:
        return
    finally:
        watch.close()


def _names(watch: Inotify, found: list[Change]) -> frozenset[str]:
    names = {change.name for change in found if not change.is_new_folder}
    for change in found:
        if change.is_new_folder:
            names.update(_add(watch, os.path.join(change.folder, change.name)))
    return frozenset(name.partition(_SUFFIX)[0] for name in names if _SUFFIX in name)


def _add(watch: Inotify, folder: str) -> list[str]:
    """Watch a folder and those in it; return the names of the files that were there by then."""
    names: list[str] = []
    try:
        watch.watch(folder)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    names += _add(watch, entry.path)
                else:
                    names.append(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        pass  # it was removed again
    return names


def _look(root: str, idle_s: float, stop: StopEvent) -> Iterator[None]:
    """Let everything be looked at, and wait the longer, the longer that took."""
    while os.path.isdir(root):
        begun_s = time.monotonic()
        yield None
        cost_s = time.monotonic() - begun_s
        if stop.wait(max(min(idle_s, _LOOK_S), cost_s / _LOOK_COST_MAX)):
            return


def _wait_for_root(root: str, idle_s: float, stop: StopEvent) -> Iterator[frozenset[str]]:
    idle_until = time.monotonic() + idle_s
    while not stop.wait(_LOOK_S) and not os.path.isdir(root):
        if time.monotonic() >= idle_until:
            yield frozenset()
            idle_until = time.monotonic() + idle_s


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
