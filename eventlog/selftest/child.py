"""The children's side: writes, holds, forks or meets a limit, and tells the parent line by line what came of it."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

from eventlog.errors import EvtError, LogStorageError, WriterDeadError
from eventlog.opening import OpenLog
from eventlog.record import Record
from eventlog.recovery import RECOVERED
from eventlog.selftest.bench import NAME, RUN, BrokenPromiseError
from eventlog.selftest.sample import HAPPENED, event, short_event
from eventlog.store import Store

BATCH_MAX = 5
LIMITS = 48
"""At how many bytes of a batch the system says that the file may not grow further."""
EXIT_CODES: dict[type[EvtError], int] = {LogStorageError: 3, BrokenPromiseError: 4}
"""How the parent knows what its child has met."""
_KEEP_HEAD_ONE_IN = 8


def main() -> None:
    """Do what the command line says; what goes wrong is said on stderr."""
    action, opener, seed = sys.argv[1:]
    module, _, name = opener.partition(":")
    open_store: Callable[[str], Store] = getattr(import_module(module), name)
    try:
        say("ready")
        if root := sys.stdin.readline():
            _ACTIONS[action](open_store(json.loads(root)), int(seed))
    except BrokenPipeError:
        # The parent is gone; what is here has no meaning without it.
        sys.exit(1)
    except EvtError as error:
        sys.stderr.write(str(error))
        sys.exit(next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1))


def say(*words: object) -> None:
    """Tell the parent, past all buffers: what is said when this process is killed has been said."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def _write(store: Store, seed: int) -> None:
    """Append until killed; each batch is announced before and acknowledged after."""
    opened = _open(store)
    number = sum(record.type == HAPPENED for record in opened.records)
    rng = random.Random(f"{seed} batches from {number}")
    say("open")
    _acknowledge(opened.records[-1:])
    while True:
        end = number + rng.randint(1, BATCH_MAX)
        say("submitted", end)
        _acknowledge(opened.writer.append([event(seed, n) for n in range(number, end)], run=RUN))
        number = end
        if rng.randrange(_KEEP_HEAD_ONE_IN) == 0:
            store.keep_head(opened.writer)


def _acknowledge(records: list[Record]) -> None:
    say("acknowledged", *(f"{record.seq}:{record.line_sha256}" for record in records))


def _hold(store: Store, seed: int) -> None:
    """Be the writer until the parent is gone."""
    _open(store)
    say("open")
    sys.stdin.read()


def _fork(store: Store, seed: int) -> None:
    """Fork while writing: the fork may not write, and its parent goes on."""
    writer = _open(store).writer
    if (pid := os.fork()) == 0:
        refused = False
        try:
            writer.append([short_event(0)], run=RUN)
        except WriterDeadError:
            refused = True
        finally:
            os._exit(0 if refused else 1)
    say("refused" if os.waitpid(pid, 0)[1] == 0 else "wrote")
    writer.append([short_event(1)], run=RUN)
    say("went on")


def _limit(store: Store, seed: int) -> None:
    """Let the system refuse a batch at many of its bytes; before each the limit of the one before is lifted."""
    rng = random.Random(f"{seed} limits")
    opened = _open(store)
    for number in range(LIMITS):
        before = _content(store)
        opened.records.extend(opened.writer.append(_BATCH, run=RUN))
        # The next batch is as long as this one, or longer by a digit of `seq`.
        size = len(_content(store)) - len(before)
        at = (0, 1, size - 1)[number] if number < 3 else rng.randrange(size)
        _refuse(store, opened, at)
        opened.writer.close()
        opened = _reopened(store, opened, at)
        say("held", at)
    say("done")


_BATCH = [short_event(0), short_event(1)]


def _refuse(store: Store, opened: OpenLog, at: int) -> None:
    """Append a batch of which only `at` bytes can be written."""
    before = _content(store)
    with _size_limit(len(before) + at):
        try:
            opened.writer.append(_BATCH, run=RUN)
        except LogStorageError:
            pass
        else:
            raise BrokenPromiseError(f"A batch of which {at} bytes could be written was acknowledged.")
        try:
            opened.writer.append(_BATCH, run=RUN)
        except WriterDeadError:
            pass
        else:
            raise BrokenPromiseError("A writer went on after a write had failed.")
    if not _content(store).startswith(before):
        raise BrokenPromiseError(f"A refused batch ({at} bytes of it) changed what was there before.")


def _reopened(store: Store, opened: OpenLog, at: int) -> OpenLog:
    """Open the log again after a refusal; it must hold what was acknowledged and nothing of the refused batch."""
    again = _open(store)
    known, rest = again.records[: len(opened.records)], again.records[len(opened.records) :]
    if known != opened.records:
        raise BrokenPromiseError(f"After a refused batch ({at} bytes of it) acknowledged records were not found.")
    if any(record.type != RECOVERED for record in rest):
        raise BrokenPromiseError(f"A batch that was refused ({at} bytes of it) was found in the log.")
    return again


@contextmanager
def _size_limit(size_bytes: int) -> Iterator[None]:
    """Let no file grow beyond this size; a write that would is cut short or refused, as on a full disk."""
    # Not every system has it; who asked for this test looked before.
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _open(store: Store) -> OpenLog:
    return store.open_writer(NAME, run=RUN, create=True)


def _content(store: Store) -> bytes:
    with open(store.path(NAME), "rb") as file:
        return file.read()


_ACTIONS: dict[str, Callable[[Store, int], None]] = {
    "write": _write,
    "hold": _hold,
    "fork": _fork,
    "limit": _limit,
}
