"""Opening a log for its only writer. The order of the steps is the contract of docs/format.md, *Writing*.

Lock → sync file and folder → forget the cache → read → judge → recover → record what was cut. Nothing is acted on
that isn't on stable storage, and nothing is cut that may have been acknowledged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime

from attrs import frozen

from eventlog import recovery, refusals
from eventlog.archive import Archiving
from eventlog.filesystem import FileSystem
from eventlog.folders import Folders
from eventlog.locking import LOCK_TRIES, lock
from eventlog.place import Place
from eventlog.reader import Head, Tail, Verdict, scan
from eventlog.record import FORMAT_VERSION, Record
from eventlog.storage import LogFile, Storage, replace_durably
from eventlog.values import Value
from eventlog.writer import Event, Writer

CREATED = "log.created"


@frozen(eq=False, repr=False)
class OpenLog(Value):
    """A log open for writing, and everything that it held, the recovery's own records included."""

    writer: Writer
    records: list[Record]


@frozen
class Opening:
    """One opening of one log.

    Attributes:
        folders: makes the log's folder, and knows which ones this process made durable.
        run: id of the invocation, for the records that the opening itself writes.
        system: what the file system of the log's folder can promise.
        sleep: waits between two tries to lock.
    """

    place: Place
    storage: Storage
    folders: Folders
    run: str
    clock: Callable[[], datetime]
    system: FileSystem
    sleep: Callable[[float], None]

    def open(self, *, create: bool, traces: bool, even_a_copy: bool = False) -> OpenLog:
        """See `Store.open_writer`."""
        with self._locked(create=create, traces=traces, even_a_copy=even_a_copy) as file:
            return self._opened(file, self._kept_head(), traces=traces)

    def salvage(self) -> OpenLog:
        """See `Store.salvage`. Copy the whole log aside → cut it → set the head aside → open."""
        with self._locked() as file:
            kept = self._kept_head()
            records, verdict = self._judge(file, kept)
            if verdict.tail is Tail.NEWER:
                self._require_usable(verdict)
            if verdict.tail is Tail.CORRUPT and not verdict.is_short:
                recovery.set_damaged_aside(self.storage, file, verdict, self.place)
            elif not recovery.is_half_mended(self.storage, self.place, records, kept):
                raise refusals.whole(self.place, verdict)
            self._drop_head(kept, verdict)
            return self._opened_with_new_head(file)

    def accept_short(self) -> OpenLog:
        """See `Store.accept_short`. Set the head aside → open."""
        with self._locked() as file:
            kept = self._kept_head()
            _, verdict = self._judge(file, kept)
            if not verdict.is_short:
                self._require_usable(verdict)
                raise refusals.whole(self.place, verdict)
            self._drop_head(kept, verdict)
            return self._opened_with_new_head(file)

    @contextlib.contextmanager
    def _locked(
        self, *, create: bool = False, traces: bool = False, even_a_copy: bool = False
    ) -> Iterator[LogFile]:
        """Give the locked log; whatever fails while it is opened closes it and becomes an error of ours."""
        try:
            if not even_a_copy and self.place.is_copy(self.storage):
                raise refusals.read_only(self.place)
            file = self._find(create=create, traces=traces or recovery.has_traces(self.storage, self.place))
            try:
                yield file
            except BaseException:
                file.close()
                raise
        except OSError as error:
            raise refusals.unwritable(self.place, error) from error

    def _find(self, *, create: bool, traces: bool) -> LogFile:
        """Open and lock the log, put back from its archive if need be; its folders' names are durable before."""
        for _ in range(LOCK_TRIES):
            with contextlib.suppress(FileNotFoundError):
                return self._lock(self.place.log)
            # Somebody else may have put it back just now, or away again.
            if not self._archiving.restore() and not self._is_anywhere():
                break
        # A purge writes its tombstone before it takes the log away: whoever waited for the lock finds it here.
        if self.place.is_purged(self.storage):
            raise refusals.purged(self.place) from None
        if traces or not create:
            raise refusals.missing(self.place, gone=traces) from None
        self.folders.make(self.place.folder)
        if self.storage.signature(self.place.copy) is not None:
            # An import that was cut short left it; what begins now is no copy of anything.
            self.storage.unlink(self.place.copy)
            self.storage.sync_dir(self.place.folder)
        return self._lock(self.place.log, create=True)

    def _lock(self, path: str, *, create: bool = False) -> LogFile:
        return lock(self.storage, self.place, path, self.sleep, create=create)

    def _is_anywhere(self) -> bool:
        return any(self.storage.signature(path) is not None for path in (self.place.log, self.place.archive))

    @property
    def _archiving(self) -> Archiving:
        return Archiving(self.place, self.storage, self.sleep)

    def _judge(self, file: LogFile, kept: Head | None) -> tuple[list[Record], Verdict]:
        """Sync file and folder → forget the cache → read: nothing is believed that a power cut could take back."""
        file.sync()
        self.storage.sync_dir(self.place.folder)
        file.drop_cache()
        return scan(file.pieces(), self.place.pipeline, kept)

    def _opened(self, file: LogFile, kept: Head | None, *, traces: bool = False) -> OpenLog:
        records, verdict = self._judge(file, kept)
        self._require_usable(verdict)
        self._archiving.drop_older(file)
        self._settle_tombstone(verdict)
        if (traces or kept is not None) and verdict.seq == 0 and verdict.tail is not Tail.UNTERMINATED:
            raise refusals.missing(self.place, gone=True)
        if verdict.tail is Tail.UNTERMINATED:
            records, verdict = recovery.complete_last_line(file, self.place, kept)
        elif verdict.tail is Tail.TORN:
            recovery.cut_torn_tail(self.storage, file, verdict, self.place)
        writer = Writer(file, self.place.pipeline, verdict, self.clock)
        records += writer.append(self._opening_events(records), run=self.run)
        return OpenLog(writer, records)

    def _settle_tombstone(self, verdict: Verdict) -> None:
        """Refuse an empty log beside a tombstone; one that holds records goes on, and the tombstone goes.

        Somebody put that log back, or a purge was cut short before it took the log away.
        """
        if self.storage.signature(self.place.tombstone) is not None:
            if verdict.seq == 0:
                raise refusals.purged(self.place)
            self.storage.unlink(self.place.tombstone)
            self.storage.sync_dir(self.place.folder)

    def _opened_with_new_head(self, file: LogFile) -> OpenLog:
        opened = self._opened(file, self._kept_head())
        replace_durably(self.storage, self.place.head, opened.writer.head.to_bytes())
        return opened

    def _opening_events(self, records: list[Record]) -> list[Event]:
        created = {
            "format": FORMAT_VERSION,
            "durability": self.system.durability,
            "file_system": self.system.kind,
        }
        begun: list[Event] = [] if records else [(CREATED, created)]
        return begun + recovery.unrecorded(self.storage, self.place, records)

    def _kept_head(self) -> Head | None:
        return self.place.kept_head(self.storage)

    def _drop_head(self, kept: Head | None, verdict: Verdict) -> None:
        """Set the head aside if it speaks of records that the log does not have."""
        if kept is not None and kept.seq > verdict.seq:
            recovery.set_head_aside(self.storage, kept, self.place)

    def _require_usable(self, verdict: Verdict) -> None:
        if (error := refusals.unusable(self.place, verdict)) is not None:
            raise error
