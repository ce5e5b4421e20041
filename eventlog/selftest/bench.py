"""Where and with what the log is tried, and what a test counts."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable

from attrs import define, field, frozen

from eventlog.errors import EvtError
from eventlog.filesystem import FileSystem, file_system_of
from eventlog.storage import PosixStorage, Storage
from eventlog.store import Store

NAME = "selftest"
"""Every log of the tests is called this; each lies in a folder of its own."""
RUN = "selftest"


class BrokenPromiseError(EvtError):
    """A promise of the log did not hold here; the message says what was found instead."""


@frozen
class Machine:
    """What this machine and this Python have beside a disk.

    Attributes:
        fork: whether a process can be forked.
        limits: whether the size of files can be limited.
        sed, sha256sum: where these programs are; None: nowhere.
    """

    fork: bool
    limits: bool
    sed: str | None
    sha256sum: str | None

    @classmethod
    def here(cls) -> Machine:
        """Look."""
        limits = importlib.util.find_spec("resource") is not None
        return cls(hasattr(os, "fork"), limits, shutil.which("sed"), shutil.which("sha256sum"))


def unsafe_store(root: str) -> Store:
    """Return a store that writes to any file system."""
    return Store(root, unsafe_fs=True)


def _go_on(text: str) -> None:
    """Neither show anything nor stop."""


@frozen
class Bench:
    """Everything that the tests depend on.

    Attributes:
        folder: everything is written below it.
        seed: decides all that is chosen by chance, but not when the system lets whom go on.
        open_store: gives the store of a folder. Child processes import it by its name, so it is a class or a
            function of a module.
        storage: the disk, for what is measured without a log.
        file_system: tells what a folder's file system can promise.
        machine: what there is beside a disk.
        step: called between steps with what was done so far; what it raises ends the test, and leaves no process.
        patience_s: how long a child may say nothing before it counts as stuck; a start takes a tenth of a second.
    """

    folder: str
    seed: int
    open_store: Callable[[str], Store] = Store
    storage: Storage = field(factory=PosixStorage)
    file_system: Callable[[str], FileSystem] = file_system_of
    machine: Machine = field(factory=Machine.here)
    step: Callable[[str], None] = _go_on
    patience_s: float = 20.0

    def root(self, name: str) -> str:
        """Return the folder of one store."""
        return os.path.join(self.folder, name)

    def random(self, test: str) -> random.Random:
        """Return the chance of one test, the same whichever tests ran before."""
        return random.Random(f"{self.seed} {test}")


@define
class Tally:
    """What one test did.

    Attributes:
        until_s: when its time is up, on the monotonic clock; what every test does once takes longer if need be.
        counts: how many of what; names with a unit are measures.
        detail: the same for people, in a few words.
        skipped: what could not be tried here and why, as sentences.
        hints: what was noticed and breaks no promise, as sentences.
        tried: False if nothing of the test could be tried; `detail` then says why.
    """

    until_s: float
    counts: Counter[str] = field(factory=Counter)
    detail: str = ""
    skipped: list[str] = field(factory=list)
    hints: list[str] = field(factory=list)
    tried: bool = True

    @property
    def in_time(self) -> bool:
        """Say whether there is time for more."""
        return time.monotonic() < self.until_s

    def skip(self, why: str) -> None:
        """Note that nothing of this test can be tried here."""
        self.tried, self.detail = False, why
        self.skipped.append(f"{why}.")


def numbered(number: int, noun: str) -> str:
    """Return `1 kill`, `2,000 kills`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def shown_time(duration_s: float) -> str:
    """Return a short time: `14 µs`, `2.3 ms`, `510 ms`, `1.2 s`."""
    if duration_s < 0.001:
        return f"{duration_s * 1e6:.0f} µs"
    if duration_s < 1:
        return f"{duration_s * 1e3:.{1 if duration_s < 0.01 else 0}f} ms"
    return f"{duration_s:.1f} s"
