"""The process that is killed: it takes steps with a real log and tells its parent, step by step, what it did.

Its words go through a pipe, each before or after the deed as `Said` has it, so that at any death the parent knows
what was submitted and what was acknowledged. It runs once, its words on standard output:

    python -m proofs.writer_process '{"root": …, "name": …, "steps": [["open"], ["append", 3, 200]]}'

or, given the number of a socket, forks one process for each such order that arrives there: see `proofs.processes`.
"""

from __future__ import annotations

import enum
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

# What the store imports late is imported before the fork, so that a life is a matter of milliseconds.
import eventlog.filesystem
import eventlog.recovery  # noqa: F401
from eventlog.errors import LogError
from eventlog.storage import LogFile, PosixLogFile, PosixStorage
from eventlog.store import Store
from eventlog.writer import Writer

HEADER = struct.Struct("!cII")
"""Before each word: its kind, the process that says it, the length of what follows in bytes."""
BEFORE_OPEN, BEFORE_LOCK, BEFORE_WRITE, AFTER_WRITE = "before open", "before lock", "before write", "after write"
"""Where a step can be made to wait although the store has no such place: in the log file that it is given."""


class Said(enum.Enum):
    """What a process can say, and what it says with it."""

    STEP = b"t"
    """The name of a step, before it."""
    FOUND = b"f"
    """How many bytes an opening that holds the lock has read; then, if the order asks for it, the file's inode."""
    SUBMITTED = b"s"
    """Bytes, before they are written to the log."""
    CUT = b"c"
    """The log's size, after it was cut to that."""
    OPENED = b"o"
    """Seq and hash of the last record, after an opening returned."""
    ACKNOWLEDGED = b"a"
    """Seq and hash of the last record, after an append returned."""
    KEPT = b"k"
    """The head's seq, after it was kept."""
    REFUSED = b"r"
    """The class of a LogError, and its message."""
    WAITING = b"w"
    """Where it waits for its parent's leave."""
    LOSER_S = b"l"
    """How long a refused opening took: its processor time, and the waiting that the store asked for."""
    ENDED = b"e"
    """The last word, after the last step."""
    FAILED = b"x"
    """A traceback: of anything but a LogError."""


class Voice:
    """A process's pipes: one to say, one to be let go on."""

    def __init__(self, say_fd: int, leave_fd: int = -1) -> None:
        self._say_fd = say_fd
        self.leave_fd = leave_fd
        self.pauses: set[str] = set()
        self.tells_inodes = False

    def say(self, what: Said, payload: bytes | str | int = b"") -> None:
        """Say it at once; whole for all who share the pipe if it is shorter than a page."""
        told = payload if isinstance(payload, bytes) else str(payload).encode()
        view = memoryview(HEADER.pack(what.value, os.getpid(), len(told)) + told)
        while view:
            view = view[os.write(self._say_fd, view) :]

    def wait(self, where: str) -> None:
        """Wait until the parent lets one process go on."""
        self.say(Said.WAITING, where)
        os.read(self.leave_fd, 1)

    def wait_if_asked(self, where: str) -> None:
        """Wait once where the order said so."""
        if where in self.pauses:
            self.pauses.remove(where)
            self.wait(where)


class ToldFile(PosixLogFile):
    """The real log file. Unless inodes are asked for, makes no system call on it that the real one doesn't."""

    def __init__(self, path: str, *, create: bool, voice: Voice) -> None:
        super().__init__(path, create=create)
        self._voice = voice

    def try_lock(self) -> bool:
        """Wait here if asked."""
        self._voice.wait_if_asked(BEFORE_LOCK)
        return super().try_lock()

    def pieces(self, offset: int = 0) -> Iterator[bytes]:
        """Say how much there was."""
        end = offset
        for piece in super().pieces(offset):
            end += len(piece)
            yield piece
        inode = f" {os.fstat(self._fd).st_ino}" if self._voice.tells_inodes else ""
        self._voice.say(Said.FOUND, f"{end}{inode}")

    def append(self, data: bytes) -> int:
        """Say what will be written."""
        self._voice.wait_if_asked(BEFORE_WRITE)
        self._voice.say(Said.SUBMITTED, data)
        written = super().append(data)
        self._voice.wait_if_asked(AFTER_WRITE)
        return written

    def truncate(self, size_bytes: int) -> None:
        """Say what was cut."""
        super().truncate(size_bytes)
        self._voice.say(Said.CUT, size_bytes)


class ToldStorage(PosixStorage):
    """The real disk, whose log files tell."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice

    def open_log(self, path: str, *, create: bool) -> LogFile:
        """See ToldFile; wait here if asked."""
        self._voice.wait_if_asked(BEFORE_OPEN)
        return ToldFile(path, create=create, voice=self._voice)


class Life:
    """Takes the steps of one order. A LogError ends a step, anything else the process."""

    def __init__(self, order: dict[str, Any], voice: Voice) -> None:
        self._voice = voice
        self._name: str = order["name"]
        # Waiting can be made shorter; what is told of it is what the store asked for.
        self._haste: float = order.get("haste", 1)
        voice.tells_inodes = order.get("inodes", False)
        self._slept_s = 0.0
        self._store = Store(order["root"], storage=ToldStorage(voice), sleep=self._sleep)
        self._writer: Writer | None = None
        self._events = 0

    def take(self, steps: list[list[Any]]) -> None:
        """Take each step, whatever became of those before it."""
        for name, *arguments in steps:
            self._voice.say(Said.STEP, name)
            step: Callable[..., None] = getattr(self, f"_{name}")
            try:
                step(*arguments)
            except LogError as error:
                self._refused(error)

    def _open(self, create: int = 1) -> None:
        self._slept_s, begun_s = 0.0, time.process_time()
        try:
            opened = self._store.open_writer(self._name, run="life", create=bool(create))
        except LogError:
            self._voice.say(Said.LOSER_S, f"{time.process_time() - begun_s + self._slept_s:.3f}")
            raise
        self._writer = opened.writer
        self._voice.say(Said.OPENED, _named(opened.writer))
        self._events = max((record.data.get("n", 0) for record in opened.records), default=0)

    def _append(self, events: int, text_bytes: int) -> None:
        if self._writer is not None:
            numbers = range(self._events + 1, self._events + events + 1)
            batch = [("test.happened", {"n": n, "text": chr(97 + n % 26) * text_bytes}) for n in numbers]
            self._writer.append(batch, run="life")
            self._events += events
            self._voice.say(Said.ACKNOWLEDGED, _named(self._writer))

    def _head(self) -> None:
        if self._writer is not None:
            self._store.keep_head(self._writer)
            self._voice.say(Said.KEPT, self._writer.seq)

    def _seal(self) -> None:
        if self._writer is not None:
            self._store.seal(self._writer, run="life")
            self._voice.say(Said.ACKNOWLEDGED, _named(self._writer))
            self._voice.say(Said.KEPT, self._writer.seq)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _read(self) -> None:
        self._store.read(self._name)
        self._store.findings(self._name)
        self._store.pipelines()

    def _wait(self) -> None:
        self._voice.wait("step")

    def _linger(self) -> None:
        """Stay until the parent is gone or has closed its end; take no leave that is meant for another."""
        self._voice.say(Said.WAITING, "linger")
        poll = select.poll()
        poll.register(self._voice.leave_fd, 0)
        poll.poll()

    def _pause(self, where: str) -> None:
        self._voice.pauses.add(where)

    def _fork(self, steps: list[list[Any]]) -> None:
        """Let a fork of this process take steps of its own, with the writer that it inherits."""
        if os.fork() == 0:
            _to_its_end(lambda: self.take(steps), self._voice)

    def _become(self, uid: int) -> None:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)

    def _sleep(self, seconds: float) -> None:
        self._slept_s += seconds
        time.sleep(seconds / self._haste)

    def _refused(self, error: LogError) -> None:
        """Say so; a writer that failed must acknowledge nothing any more, also if it is asked again."""
        self._voice.say(Said.REFUSED, f"{type(error).__name__}: {error}")


def _named(writer: Writer) -> str:
    return f"{writer.head.seq} {writer.head.sha256}"


def _to_its_end(life: Callable[[], None], voice: Voice) -> None:
    """Live, then end this process without anything that the interpreter would do at its end."""
    code = 0
    try:
        life()
        voice.say(Said.ENDED)
    except BaseException:
        code = 1
        voice.say(Said.FAILED, traceback.format_exc()[-3_000:])
    finally:
        os._exit(code)


def live(order: dict[str, Any], voice: Voice) -> None:
    """Take the steps of an order, within its limits."""
    if (limit_bytes := order.get("file_bytes_max")) is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    Life(order, voice).take(order["steps"])


def serve(control: socket.socket) -> None:
    """Fork one process for each order; stop and bury them when asked to. When the parent is gone, kill who is left.

    Nobody is buried unasked, so that no signal ever reaches a process that took over a dead one's number.
    """
    unburied: set[int] = set()
    control.sendall(b"%d\n" % os.getpid())
    while True:
        message, fds, _, _ = socket.recv_fds(control, 1 << 16, 2)
        if not message:
            break
        order = json.loads(message)
        if "steps" in order:
            answer = os.fork()
            if answer == 0:
                control.close()
                voice = Voice(*fds)
                _to_its_end(lambda: live(order, voice), voice)  # noqa: B023 - the fork never sees another order
            unburied.add(answer)
            for fd in fds:
                os.close(fd)
        elif "stop" in order:
            os.kill(order["stop"], signal.SIGSTOP)
            os.waitid(os.P_PID, order["stop"], os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            answer = 0
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["bury"], 0)[1])
            unburied.remove(order["bury"])
        control.sendall(b"%d\n" % answer)
    for pid in unburied:
        os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Live once, or serve."""
    if sys.argv[1].isdigit():
        serve(socket.socket(fileno=int(sys.argv[1])))
    else:
        voice = Voice(sys.stdout.fileno())
        _to_its_end(lambda: live(json.loads(sys.argv[1]), voice), voice)


if __name__ == "__main__":
    main()
