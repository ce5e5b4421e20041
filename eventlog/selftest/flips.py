"""Every single bit of two small logs and their heads is flipped on disk: no false record, no silent loss."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import frozen

from eventlog.errors import CorruptLogError
from eventlog.reader import Tail
from eventlog.record import Record
from eventlog.selftest.bench import NAME, RUN, Bench, BrokenPromiseError, Tally
from eventlog.selftest.sample import short_event
from eventlog.store import Store

OPENINGS_MAX = 24
"""So many of the flipped logs are also opened for writing, which takes syncs."""
BATCHES = ((0,), (1, 2))


@frozen
class _Log:
    """A small log with a head beside it, and the records that were acknowledged."""

    store: Store
    truth: list[Record]

    @property
    def files(self) -> tuple[str, str]:
        path = self.store.path(NAME)
        return path, path.removesuffix(".jsonl") + ".head"


def prove(bench: Bench, tally: Tally) -> None:
    """Flip one bit after the other, in an order of chance, so that a shorter time takes a fair sample."""
    logs = [_written(bench, sealed=True), _written(bench, sealed=False)]
    flips = [(log, path, bit) for log in logs for path in log.files for bit in range(os.path.getsize(path) * 8)]
    bench.random("flips").shuffle(flips)
    for log, path, bit in flips:
        if tally.counts["flips"] and not tally.in_time:
            break
        with _flipped(path, bit) as content:
            _require_noticed(log, path, bit)
            if tally.counts["openings_refused"] < OPENINGS_MAX:
                _require_unopened(log, path, bit, content)
                tally.counts["openings_refused"] += 1
        tally.counts["flips"] += 1
        bench.step(f"{tally.counts['flips']:,} of {len(flips):,} bits")
    _require_whole(logs)
    tally.detail = f"{tally.counts['flips']:,} of {len(flips):,} single bits flipped; each noticed, no false record"
    if tally.counts["flips"] < len(flips):
        tally.skipped.append(f"{len(flips) - tally.counts['flips']:,} of {len(flips):,} flips: the time was up.")


def _written(bench: Bench, *, sealed: bool) -> _Log:
    store = bench.open_store(bench.root("sealed" if sealed else "unsealed"))
    opened = store.open_writer(NAME, run=RUN, create=True)
    truth = list(opened.records)
    for numbers in BATCHES:
        truth += opened.writer.append([short_event(number) for number in numbers], run=RUN)
    if sealed:
        truth += store.seal(opened.writer, run=RUN)
    else:
        store.keep_head(opened.writer)
    opened.writer.close()
    log = _Log(store, truth)
    _require_whole([log])
    return log


@contextmanager
def _flipped(path: str, bit: int) -> Iterator[bytes]:
    """Flip a bit of a file while the `with` lasts; yields the file's bytes."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        before = os.pread(fd, 1 << 20, 0)
        changed = before[bit // 8] ^ 1 << bit % 8
        os.pwrite(fd, bytes([changed]), bit // 8)
        try:
            yield before[: bit // 8] + bytes([changed]) + before[bit // 8 + 1 :]
        finally:
            os.pwrite(fd, before[bit // 8 : bit // 8 + 1], bit // 8)
    finally:
        os.close(fd)


def _require_noticed(log: _Log, path: str, bit: int) -> None:
    view = log.store.read(NAME)
    if view.records != log.truth[: len(view.records)]:
        raise BrokenPromiseError(f"With {_named(path, bit)} flipped a record was read that nobody wrote.")
    if view.verdict.tail is not Tail.CORRUPT:
        raise BrokenPromiseError(
            f"With {_named(path, bit)} flipped the log read as {view.verdict.tail.value}, not as damaged."
        )


def _require_unopened(log: _Log, path: str, bit: int, content: bytes) -> None:
    try:
        log.store.open_writer(NAME, run=RUN).writer.close()
    except CorruptLogError:
        with open(path, "rb") as file:
            if file.read() == content:
                return
        raise BrokenPromiseError(f"Opening the log with {_named(path, bit)} flipped changed the file.") from None
    raise BrokenPromiseError(f"With {_named(path, bit)} flipped the log could be opened for writing.")


def _named(path: str, bit: int) -> str:
    """Name a bit without the folder, which is gone when that is read."""
    return f"bit {bit} of {'/'.join(path.split('/')[-3:])}"


def _require_whole(logs: list[_Log]) -> None:
    for log in logs:
        view = log.store.read(NAME)
        if view.verdict.tail is not Tail.CLEAN or view.records != log.truth:
            raise BrokenPromiseError(f"The undamaged log {log.store.path(NAME)} was not read as it was written.")
