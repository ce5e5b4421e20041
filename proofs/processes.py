"""The parent of `proofs.writer_process`: gives it orders, listens, lets it go on, stops it, kills it, buries it.

Nothing here waits for a time to pass in order to be right: one listens until a word has come or a process is dead.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from attrs import frozen

from proofs.report import BrokenPromiseError
from proofs.writer_process import HEADER, Said

ROOT = Path(__file__).resolve().parents[1]
HANG_S = 10.0
"""I10: a process that says nothing for so long, though nobody stopped it, hangs."""


@frozen
class Word:
    """One thing that a process said."""

    what: Said
    pid: int
    payload: bytes

    @property
    def text(self) -> str:
        """The payload of all but SUBMITTED."""
        return self.payload.decode()


def words(heard: bytearray) -> Iterator[Word]:
    """Take the whole words out of what was heard; one that a death cut short was not said."""
    while len(heard) >= HEADER.size:
        kind, pid, length = HEADER.unpack_from(heard)
        end = HEADER.size + length
        if len(heard) < end:
            return
        yield Word(Said(kind), pid, bytes(heard[HEADER.size : end]))
        del heard[:end]


class Ear:
    """A pipe into which lives say their words, one or several, and another from which they take leave to go on.

    Attributes:
        is_over: all who could say something are dead.
    """

    def __init__(self) -> None:
        self._in_fd, self._say_fd = os.pipe()
        self._leave_fd, self._out_fd = os.pipe()
        self._heard = bytearray()
        self.is_over = False
        os.set_blocking(self._in_fd, False)

    def __enter__(self) -> Ear:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        for fd in {self._in_fd, self._say_fd, self._leave_fd, self._out_fd} - {-1}:
            os.close(fd)

    @property
    def ends(self) -> list[int]:
        """What a life is given."""
        return [self._say_fd, self._leave_fd]

    def listen(self, timeout_s: float) -> list[Word]:
        """Return what was said; waits for something to be said, so long at most."""
        self._hear(timeout_s)
        return list(words(self._heard))

    def until(self, what: Said, processes: int = 1) -> list[Word]:
        """Return what is said until so many processes have said this, or all are dead."""
        said: list[Word] = []
        while not self.is_over and sum(word.what is what for word in said) < processes:
            if not self._hear(HANG_S):
                raise BrokenPromiseError(f"I10: a writer said nothing for {HANG_S:.0f} s")
            said += words(self._heard)
        return said

    def until_over(self) -> Iterator[Word]:
        """Yield what is said until all are dead. No other life may begin with this ear."""
        os.close(self._say_fd)
        self._say_fd = -1
        while not self.is_over:
            if not self._hear(HANG_S):
                raise BrokenPromiseError(f"I10: a writer said nothing for {HANG_S:.0f} s")
            yield from words(self._heard)

    def _hear(self, timeout_s: float) -> bool:
        if not select.select([self._in_fd], [], [], timeout_s)[0]:
            return False
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._in_fd, 1 << 20):
                self._heard += piece
            self.is_over = True
        return True

    def let_go(self, processes: int = 1) -> None:
        """Let so many of those that wait go on."""
        os.write(self._out_fd, b"." * processes)

    def send_lingerers_home(self) -> None:
        """Let those go that stay until their parent is gone."""
        os.close(self._out_fd)
        self._out_fd = -1


@frozen
class Nursery:
    """A process that has imported everything, and forks one life after another, or several at once.

    Attributes:
        pid: its own number.
    """

    pid: int
    _control: socket.socket

    def begin(self, order: dict[str, Any], ear: Ear) -> int:
        """Start a life; return its number."""
        return self._ask(order, ear.ends)

    def stop(self, pid: int) -> None:
        """Stop a life; returns once it stands still, or is dead."""
        self._ask({"stop": pid})

    def signal(self, pid: int, number: int) -> None:
        """Send a signal; a life that has ended is not buried yet, so that no other process gets it."""
        os.kill(pid, number)

    def bury(self, pid: int) -> int:
        """Wait for a death; return the exit code, below zero for a signal."""
        return self._ask({"bury": pid})

    def _ask(self, order: dict[str, Any], fds: list[int] | None = None) -> int:
        socket.send_fds(self._control, [json.dumps(order).encode()], fds or [])
        return int(self._control.recv(64))


@contextlib.contextmanager
def nursery(*behind: str) -> Iterator[Nursery]:
    """Start a nursery, behind a command that becomes it if need be; at its end it kills what still lives."""
    ours, its = socket.socketpair()
    command = [*behind, sys.executable, "-m", "proofs.writer_process", str(its.fileno())]
    with ours, subprocess.Popen(command, cwd=ROOT, pass_fds=[its.fileno()]) as process:
        its.close()
        # What stands before it, a mount perhaps, is done once it answers.
        pid = int(ours.recv(64) or b"0")
        if pid == 0:
            raise OSError(f"{command[0]} ended with {process.wait()}")
        try:
            yield Nursery(pid, ours)
        finally:
            ours.close()


def live(nursery: Nursery, order: dict[str, Any]) -> list[Word]:
    """Let a life take all its steps; return what it said.

    Raises:
        BrokenPromiseError: it failed in a way that no promise names, or hangs.
    """
    with Ear() as ear:
        pid = nursery.begin(order, ear)
        said = list(ear.until_over())
    require_named_end(nursery.bury(pid), said)
    return said


def require_named_end(code: int, said: list[Word]) -> None:
    """Fail if a life ended by anything but its last step or a signal of ours."""
    failures = [word.text for word in said if word.what is Said.FAILED]
    if failures or code not in (0, -signal.SIGKILL):
        raise BrokenPromiseError(f"I10: a writer ended with {code}: {' '.join(failures)}")


@contextlib.contextmanager
def scratch() -> Iterator[list[str]]:
    """Make a folder on a disk and, where there is such a place, one in memory, where a kill tears more lines."""
    with contextlib.ExitStack() as stack:
        places = [None, *(["/dev/shm"] if os.path.isdir("/dev/shm") else [])]
        yield [stack.enter_context(tempfile.TemporaryDirectory(prefix="evt-proof-", dir=place)) for place in places]
