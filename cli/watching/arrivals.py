"""Which files have come and are whole; each state of a file is handed out once; nothing here waits.

A file is whole when it holds something, has been as it is for the settling time, and nobody has it open for
writing, as far as the system tells.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from heapq import heappop, heappush

from attrs import define, field, frozen

State = tuple[int, int, int, int]
"""What differs as soon as a file does: inode, size in bytes, both times in ns. Not the device: a drive that is
mounted once more may have another."""


@frozen
class _Coming:
    state: State
    since_s: float
    due_s: float


@define
class Arrivals:
    """What came into folders; may be asked and told by several threads.

    Args:
        settle_s: a file is whole when it has been the same for so long.
        clock_s: a monotonic clock; never earlier than a moment ago.
        wall_s: the time of the file system's clock.
        is_open: says whether somebody has a file open for writing; None: nobody can tell.

    Attributes:
        version: another one whenever `names` may be.
    """

    settle_s: float
    clock_s: Callable[[], float]
    wall_s: Callable[[], float]
    is_open: Callable[[str], bool | None]
    version: int = field(default=0, init=False)
    _coming: dict[str, _Coming] = field(factory=dict, init=False)
    _turns: list[tuple[float, str]] = field(factory=list, init=False)
    """A heap of times and files; of those that mean nothing any more too, which are passed over."""
    _handed: dict[str, State] = field(factory=dict, init=False)
    _busy: set[str] = field(factory=set, init=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False)

    def look(self, path: str, *, is_local: bool = True) -> None:
        """Look at a file that may be new, changed or gone.

        Args:
            path: the file.
            is_local: its times are of this machine's clock, so one that wasn't changed for long is whole at once.
        """
        with self._lock:
            found = _state(path)
            if found is None:
                self.forget(path)
            elif found[1] == 0 or found == self._handed.get(path):
                self._coming.pop(path, None)
            else:
                self._expect(path, found, is_local=is_local)

    def _expect(self, path: str, found: State, *, is_local: bool) -> None:
        known = self._coming.get(path)
        if known is None or known.state != found:
            now_s = self.clock_s()
            age_s = self.wall_s() - max(found[2:]) / 1e9 if known is None and is_local else 0.0
            since_s = now_s - min(max(age_s, 0.0), self.settle_s)
            self.version += path not in self._handed and known is None
            self._await(path, _Coming(found, since_s, since_s + self.settle_s))
        else:
            due_s = min(known.due_s, max(known.since_s + self.settle_s, self.clock_s()))
            self._await(path, _Coming(found, known.since_s, due_s))

    def _await(self, path: str, coming: _Coming) -> None:
        if self._coming.get(path) != coming:
            self._coming[path] = coming
            heappush(self._turns, (coming.due_s, path))

    def next(self) -> str | None:
        """Hand out a file that is whole; None: there is none just now."""
        with self._lock:
            while self.due_s() <= self.clock_s():
                _, path = heappop(self._turns)
                state = self._coming[path].state
                if self._is_whole(path, state):
                    del self._coming[path]
                    self._handed[path] = state
                    self._busy.add(path)
                    return path
        return None

    def _is_whole(self, path: str, expected: State) -> bool:
        self.look(path, is_local=False)
        coming = self._coming.get(path)
        if coming is None or coming.state != expected:
            return False
        if _is_open(self.is_open, path):
            due_s = self.clock_s() + max(self.settle_s, _LOOK_S)
            self._await(path, _Coming(expected, coming.since_s, due_s))
            return False
        return True

    def ended(self, path: str, again_s: float | None = None) -> None:
        """Note that nobody works on a file any more; after `again_s` it is handed out again as it is."""
        with self._lock:
            self._busy.discard(path)
            if (coming := self._coming.get(path)) is not None:
                heappush(self._turns, (coming.due_s, path))
            elif again_s is not None and (state := self._handed.pop(path, None)) is not None:
                due_s = self.clock_s() + again_s
                self._await(path, _Coming(state, due_s - self.settle_s, due_s))

    def has_changed(self, path: str) -> bool:
        """Say whether a file that was handed out isn't what it was then."""
        with self._lock:
            return _state(path) != self._handed.get(path)

    def forget(self, path: str) -> None:
        """Note that there is no such file any more."""
        with self._lock:
            known = self._coming.pop(path, None), self._handed.pop(path, None)
            self.version += any(known)

    def forget_below(self, folder: str, kept: Collection[str] = ()) -> None:
        """Note that in a folder and below it there are only these files."""
        start = os.path.join(folder, "")
        with self._lock:
            gone = [path for path in self.names() if path.startswith(start) and path not in kept]
            for path in gone:
                self.forget(path)

    def names(self) -> set[str]:
        """Return the paths of all files that are there or were handed out."""
        with self._lock:
            return {*self._coming, *self._handed}

    def coming(self) -> list[str]:
        """Return the files that are not whole yet, or wait for their turn."""
        with self._lock:
            return list(self._coming)

    def due_s(self) -> float:
        """Return when the next file may be whole, on the monotonic clock; infinity: nobody knows of any."""
        with self._lock:
            while self._turns:
                due_s, path = self._turns[0]
                coming = self._coming.get(path)
                if coming is not None and coming.due_s == due_s and path not in self._busy:
                    return due_s
                heappop(self._turns)
        return float("inf")


_LOOK_S = 0.1


def _is_open(asked: Callable[[str], bool | None], path: str) -> bool:
    """Ask; a file that can't be opened is left to those who read it, whose words say why."""
    with suppress(OSError):
        return bool(asked(path))
    return False


def _state(path: str) -> State | None:
    """Return the state of a regular file; None for anything else."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (
        (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns) if stat.S_ISREG(found.st_mode) else None
    )
