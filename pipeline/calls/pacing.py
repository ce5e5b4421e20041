"""How fast a service is asked: waits that it asked for, requests per minute, and submits one at a time.

A wait that a service asked for holds for all processes of a home, through a small file; it is believed for a
quarter of an hour at most, whatever it says.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
from attrs import define, field

from eventlog.storage import PosixStorage
from pipeline.providers.remote import Line
from projections.engine import Engine

BELIEVED_S = 900.0
"""For how long a wait is believed after it was written: a wrong clock or answer must not stop a home for ever."""

_STEP_S = 0.1


@define
class Pace:
    """The pace of one home.

    Args:
        folder: where waits and locks are kept.
        time_s: the wall clock, which processes share.
    """

    folder: Path
    time_s: Callable[[], float]
    _next_s: dict[str, float] = field(factory=dict, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def wait_s(self, engine: Engine) -> float:
        """Return for how long a service asked to be left alone, from now."""
        try:
            content = orjson.loads(self._file(engine, "wait").read_bytes())
            until, written = float(content["until"]), float(content["written"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0
        now = self.time_s()
        # A file from the future was written by a clock that has been set back since.
        return 0.0 if written > now else max(0.0, min(until, written + BELIEVED_S) - now)

    def cool_down(self, engine: Engine, seconds: float) -> None:
        """Let every process of the home leave a service alone for so long."""
        now = self.time_s()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path, storage = str(self._file(engine, "wait")), PosixStorage()
        made = f"{path}.{os.getpid()}.tmp"  # other processes make theirs
        with self._lock:
            # Calls that are refused at the same moment are told different times; the longest is meant.
            content = orjson.dumps({"until": now + max(seconds, self.wait_s(engine)), "written": now})
            storage.write_new(made, content)
            storage.rename(made, path)

    def take_turn(self, engine: Engine, per_minute: float | None, line: Line) -> None:
        """Wait until a request may be sent, as far as its number per minute goes."""
        if not per_minute:
            return
        with self._lock:
            now = self.time_s()
            at = max(now, self._next_s.get(_key(engine), now))
            self._next_s[_key(engine)] = at + 60 / per_minute
        if at > now:
            line.pause(at - now)

    @contextmanager
    def alone(self, engine: Engine, line: Line) -> Iterator[Callable[[], None]]:
        """Be the only one of this home who submits to an account; yields what lets the next one in early."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._file(engine, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _locked(descriptor):
                line.pause(_STEP_S)
            yield lambda: fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    def _file(self, engine: Engine, kind: str) -> Path:
        return self.folder / f"{_key(engine)}.{kind}"


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _key(engine: Engine) -> str:
    service = engine.name.partition(":")[0]
    content = f"{service}\0{engine.origin}\0{engine.account}"
    return f"{service}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
