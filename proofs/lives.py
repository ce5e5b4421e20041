"""What the processes of one log handed over and were told, and what the next one must find: the invariants.

I1 acknowledged ⊆ recovered. I2 recovered = a byte prefix of what was submitted, but for what openings themselves
wrote. I3 what an opening returned survives the next crash. I4 recovering again changes nothing, also after a crash
inside a recovery. I5 after an input/output error nothing is acknowledged, and every call raises WriterDeadError.
I6 nothing acknowledged that is damaged is ever dropped silently. I7 one writer, seq without gaps. I8 replayed
projection = live projection; a projection being any pure function of the records, these are compared.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from attrs import define, evolve, field, frozen

from eventlog.errors import LogError, LogLockedError, WriterDeadError
from eventlog.filesystem import FileSystem
from eventlog.reader import Head, Tail
from eventlog.record import Record
from eventlog.recovery import RECOVERED
from eventlog.store import Store
from eventlog.writer import Writer
from proofs.report import BrokenPromiseError
from proofs.simfs import CrashError, SimDisk

PIPELINE = "0123456789abcdef"
RUN = "01"
Step = tuple[str, tuple[int, ...]]
"""open, append (with so many characters of text in each record), keep (the head), seal, reopen, or close."""

_NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def store_on(disk: SimDisk) -> Store:
    """Return a store on a simulated disk, which is where the real one runs."""
    return Store(
        "/logs",
        storage=disk,
        clock=lambda: _NOON,
        file_system=lambda _: FileSystem("simulated", "disk", safe=True),
        sleep=lambda _: None,
    )


LOG = store_on(SimDisk()).path(PIPELINE)


def require(holds: bool, promise: str) -> None:
    """Raise BrokenPromiseError unless it holds; the promise begins with its name."""
    if not holds:
        raise BrokenPromiseError(promise)


@frozen
class Ledger:
    """What all processes of one log handed over and were told so far.

    Attributes:
        submitted: what the log would hold had nothing been lost since the last opening that succeeded.
        acknowledged_bytes: so many of them somebody was told to be durable.
        own: writes of openings that did not succeed; lines of theirs may follow.
        cuts: hashes of torn tails on the medium, which the next opening has to name, whatever comes between.
        mark: how many writes of the disk are accounted for.
        is_open: whether the writes from there on are a writer's; otherwise they are an opening's.
        has_revenants: whether the last opening returned records that are told of at `check`.
    """

    submitted: bytes = b""
    acknowledged_bytes: int = 0
    own: tuple[bytes, ...] = ()
    cuts: frozenset[str] = frozenset()
    mark: int = 0
    is_open: bool = False
    has_revenants: bool = False

    def ended(self, disk: SimDisk) -> Ledger:
        """Return it after the process is gone."""
        written, mark = _written(disk, self.mark), len(disk.writes)
        if self.is_open:
            return evolve(self, submitted=self.submitted + b"".join(written), mark=mark, is_open=False)
        return evolve(self, own=self.own + written, mark=mark)

    def opened(self, disk: SimDisk, records: Sequence[Record]) -> Ledger:
        """Return it after an opening returned these records, which are held against it."""
        found = disk.content(LOG)
        has_revenants = self.check(found, disk)
        require(_hashes(found) == [record.line_sha256 for record in records], "I8 an opening returns what is there")
        require([record.seq for record in records] == list(range(1, len(records) + 1)), "I7 seq without gaps")
        missing = self.cuts - {record.data["sha256"] for record in records if record.type == RECOVERED}
        require(not missing or "lie" in disk.fired, f"I6 every tail that is cut off is named, but not {missing}")
        return Ledger(found, len(found), mark=len(disk.writes), is_open=True, has_revenants=has_revenants)

    def appended(self, disk: SimDisk, records: Sequence[Record]) -> Ledger:
        """Return it after an append returned these records."""
        data = b"".join(_written(disk, self.mark))
        require(_hashes(data) == [record.line_sha256 for record in records], "I8 an append returns what it wrote")
        submitted = self.submitted + data
        return Ledger(submitted, len(submitted), mark=len(disk.writes), is_open=True)

    def check(self, found: bytes, disk: SimDisk) -> bool:
        """Hold the whole lines that are found against I1, unless the disk lied, and I2.

        Returns:
            Whether there are revenants: records that an earlier process handed over, that nobody was told of and
            that an opening did not find, and that are back in their place. Only stale bytes and lying disks can do
            that, and the format has nothing to tell them by.
        """
        beyond = [] if self.submitted.startswith(found) else beyond_common_lines(found, self.submitted)
        own = _lines(self.own + _written(disk, self.mark))
        strange = [line for line in beyond if line not in own]
        is_excused = not {"lie", "stale"}.isdisjoint(disk.fired)
        has_revenants = bool(strange) and is_excused and _lines(_written(disk)).issuperset(strange)
        require(has_revenants or not strange, f"I2 recovered = a prefix of what was submitted, but {strange[:1]}")
        kept, told = len(found) - sum(map(len, beyond)), self.acknowledged_bytes
        require(kept >= told or "lie" in disk.fired, f"I1 acknowledged ⊆ recovered, but {kept} of {told} bytes")
        return has_revenants


@define
class Life:
    """One process that writes the log.

    Attributes:
        ledger: what it and those before it were told.
        numbers: for the events, so that no two are alike.
        told: the records that the last opening and the appends since returned.
    """

    disk: SimDisk
    ledger: Ledger = Ledger()
    numbers: Iterator[int] = field(factory=itertools.count)
    told: list[Record] = field(factory=list)
    _writer: Writer | None = None

    def play(self, steps: Iterable[Step]) -> None:
        """Take steps until a crash or an error ends the life."""
        fired = len(self.disk.fired)
        try:
            for step in steps:
                self.do(step)
        except CrashError:
            self.ledger = self.ledger.ended(self.disk)
        except LogError as error:
            require(len(self.disk.fired) > fired, f"I6 an error where nothing failed: {error}")
            self._require_dead()
            self.ledger = self.ledger.ended(self.disk)

    def do(self, step: Step) -> None:
        """Take one step; it may not return if an operation of it failed."""
        what, sizes = step
        fired = len(self.disk.fired)
        if what == "open":
            self._open()
        elif what == "append":
            self._append(sizes)
        elif what == "keep":
            self._keep()
            return
        elif what == "seal":
            self._seal()
        elif what == "reopen":
            self._reopen()
        else:
            self._close()
        failed = set(self.disk.fired[fired:]) - {"lie"}
        require(not failed, f"I5 no acknowledgement after an error, but {what} returned in spite of {failed}")

    def require_alone(self) -> None:
        """Try to open the log a second time, which must not succeed."""
        with contextlib.suppress(LogLockedError):
            store_on(self.disk).open_writer(PIPELINE, run=RUN)
            require(False, "I7 one writer, but a second one was let in")

    def require_replayed(self) -> None:
        """Read the log, which must give what was told."""
        view = store_on(self.disk).read(PIPELINE)
        require(view.verdict.tail is Tail.CLEAN, f"I8 a log that is in use is clean, but {view.verdict.reason}")
        require(_essence(view.records) == _essence(self.told), "I8 replayed = live")

    def _open(self) -> None:
        self._writer, self.ledger = None, self.ledger.ended(self.disk)
        opened = store_on(self.disk).open_writer(PIPELINE, run=RUN, create=True)
        self._writer, self.told = opened.writer, opened.records
        if not self.disk.holds(LOG):
            # Who deletes the file during an opening is met by the first append.
            self._append((1,))
        self.ledger = self.ledger.opened(self.disk, opened.records)

    def _append(self, sizes: Sequence[int]) -> None:
        events = [("test.happened", {"n": next(self.numbers), "text": "x" * size}) for size in sizes]
        records = self._alive().append(events, run=RUN)
        require([(record.type, record.data) for record in records] == events, "I8 what was asked for was written")
        self._hear(records)

    def _hear(self, records: list[Record]) -> None:
        self.ledger = self.ledger.appended(self.disk, records)
        self.told = self.told + records

    def _keep(self) -> None:
        """Keep the head; if that fails, nothing has happened to the log, and the writer goes on."""
        fired = len(self.disk.fired)
        failed = False
        try:
            store_on(self.disk).keep_head(self._alive())
        except LogError:
            failed = True
        met = set(self.disk.fired[fired:]) - {"lie"}
        require(failed == bool(met), f"I5 keeping a head {failed=} where {met} happened")

    def _seal(self) -> None:
        writer = self._alive()
        try:
            self._hear(store_on(self.disk).seal(writer, run=RUN))
        except LogError:
            if writer.seq > len(self.told):
                self._writer = None  # the record is there and only its head is not: no error of the writer
            raise

    def _reopen(self) -> None:
        told = self.told
        self._close()
        self._open()
        require(_essence(self.told) == _essence(told), "I4 opening what is whole changes nothing")

    def _close(self) -> None:
        self._alive().close()
        self._writer = None

    def _alive(self) -> Writer:
        assert self._writer is not None
        return self._writer

    def _require_dead(self) -> None:
        """Hold the writer against I5, if there is one: an opening that failed returned none."""
        writes = len(self.disk.writes)
        for _ in range(2 if self._writer else 0):
            outcome = "it returned"
            try:
                self._alive().append([("test.happened", {})], run=RUN)
            except LogError as error:
                outcome = type(error).__name__
            require(outcome == WriterDeadError.__name__, f"I5 every call after an error raises that, but {outcome}")
        require(len(self.disk.writes) == writes, "I5 nothing is written after an error")
        if self._writer:
            last = Head(self.told[-1].seq, self.told[-1].line_sha256)
            require(self._writer.head == last, "I5 the head is the last record that was acknowledged")


def beyond_common_lines(content: bytes, other: bytes) -> list[bytes]:
    """Return the lines of a content from the first one on that is another one there."""
    lines = content.splitlines(keepends=True)
    pairs = zip(lines, other.splitlines(keepends=True), strict=False)
    return lines[sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)) :]


def _written(disk: SimDisk, mark: int = 0) -> tuple[bytes, ...]:
    return tuple(write.data for write in disk.writes[mark:] if write.path == LOG)


def _lines(writes: Iterable[bytes]) -> set[bytes]:
    return {line + b"\n" for write in writes for line in write.split(b"\n")}


def _hashes(content: bytes) -> list[str]:
    return [hashlib.sha256(line).hexdigest() for line in content.splitlines(keepends=True)]


def _essence(records: Iterable[Record]) -> list[tuple[object, ...]]:
    return [(r.seq, r.time, r.type, r.run, r.data, r.dur, r.prev, r.line_sha256, r.extra) for r in records]
