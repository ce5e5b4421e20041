"""The logs of one folder: list, read, open, keep their heads. What they are: docs/format.md.

Reading takes no lock and changes nothing; opening for writing is `eventlog.opening`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from attrs import evolve, frozen

from eventlog.compression import BadFrameError
from eventlog.errors import LogError, LogNotFoundError, LogStorageError
from eventlog.folders import Folders
from eventlog.place import Place
from eventlog.reader import UNREADABLE_HEAD, Head, Scanner, Tail, Verdict
from eventlog.record import Record, is_name, oddity_of
from eventlog.scan import ARCHIVE, LOG
from eventlog.storage import PosixStorage, Signature, Storage, replace_durably
from eventlog.values import Value

if TYPE_CHECKING:
    from eventlog.archive import Archived, Archiving
    from eventlog.filesystem import FileSystem
    from eventlog.opening import Opening, OpenLog
    from eventlog.purging import Purging
    from eventlog.writer import Writer

SEALED = "log.sealed"
T = TypeVar("T")


def utc_now() -> datetime:
    """Return the time now, UTC."""
    return datetime.now(UTC)


@frozen(eq=False, repr=False)
class LogView(Value):
    """What a reader finds: the good records, and how the log ends."""

    records: list[Record]
    verdict: Verdict


class Grown(NamedTuple):
    """What was appended to a log's file, and the file's signature from before it was read."""

    signature: Signature
    data: bytes


class Reading:
    """A log that is being read: iterate once over its good records, then ask how it ends.

    Damage is what is seen twice: while a torn tail is cut off and written over, a reader may see half of each.
    """

    def __init__(self, records: Iterator[Record], scanner: Scanner, again: Callable[[], Reading]) -> None:
        self._records = records
        self._scanner = scanner
        self._again = again

    def __iter__(self) -> Iterator[Record]:
        """Yield the good records; raises what `Store.read` does."""
        return self._records

    @property
    def verdict(self) -> Verdict:
        """How the log ends; records that were not asked for are read and dropped."""
        verdict = self._first_verdict
        if verdict.tail is not Tail.CORRUPT or self._again()._first_verdict.tail is Tail.CORRUPT:
            return verdict
        return evolve(verdict, tail=Tail.TORN, is_short=False, reason="it was being written while it was read")

    @property
    def _first_verdict(self) -> Verdict:
        """How the log ends at first sight."""
        for _ in self._records:
            pass
        return self._scanner.verdict()


class Store:
    """The logs under one folder.

    Args:
        root: the folder; made at the first write.
        storage: the disk.
        clock: gives the time of each record, UTC.
        file_system: tells what a folder's file system can promise.
        unsafe_fs: write even where the promises don't hold.
        sleep: waits between two tries to lock.
    """

    def __init__(
        self,
        root: str,
        *,
        storage: Storage | None = None,
        clock: Callable[[], datetime] = utc_now,
        file_system: Callable[[str], FileSystem] | None = None,
        unsafe_fs: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.root = os.path.abspath(root)
        self._storage = storage or PosixStorage()
        self._clock = clock
        self._file_system = file_system
        self._unsafe_fs = unsafe_fs
        self._sleep = sleep
        self._folders = Folders(self._storage)

    def path(self, pipeline: str) -> str:
        """Return where a pipeline's log is, whether or not it exists; if it is archived, where its archive is.

        Raises:
            LogNotFoundError: there can be no log of that name.
            LogStorageError: the disk can't tell.
        """
        place = self._place(pipeline)
        with self._reading(place):
            return place.found(self._storage)

    def is_archived(self, pipeline: str) -> bool:
        """Say whether a log is in its archive; every method reads it there, and opening it puts it back."""
        return self.path(pipeline) == self._place(pipeline).archive

    def pipelines(self, *, of: str = "") -> list[str]:
        """Return the names of all logs, sorted; with `of`, of those that begin so: one folder is read."""
        try:
            return sorted({name for name in self._found(of[:2]) if name.startswith(of)})
        except OSError as error:
            raise LogStorageError(f"The logs in {self.root} can't be listed: {error}.") from error

    def is_empty(self) -> bool:
        """Say whether there is no log yet; looks no further than to the first one.

        Raises:
            LogStorageError: the disk can't tell.
        """
        try:
            return next(self._found(""), None) is None
        except OSError as error:
            raise LogStorageError(f"The logs in {self.root} can't be listed: {error}.") from error

    def _found(self, of: str) -> Iterator[str]:
        for shard in [of] if len(of) == 2 else self._storage.names(self.root):
            for name in self._storage.names(os.path.join(self.root, shard)) if len(shard) <= 2 else ():
                pipeline = name.removesuffix(ARCHIVE).removesuffix(LOG)
                if pipeline != name and pipeline[:2] == shard and is_name(pipeline):
                    yield pipeline

    def read(self, pipeline: str) -> LogView:
        """Return a log's good records and how it ends; takes no lock and changes nothing.

        A log that is being written may end in a part of its next record, which reads as torn. A head that
        can't be understood reads as corrupt behind the last record.

        Raises:
            LogNotFoundError: there is no such log.
            LogGoneError: only its head, or what was set aside for it, is left.
            LogStorageError: the disk can't read it.
        """
        reading = self.stream(pipeline)
        view = LogView(list(reading), reading._first_verdict)
        if view.verdict.tail is Tail.CORRUPT:
            # Damage is what is seen twice.
            reading = self.stream(pipeline)
            view = LogView(list(reading), reading._first_verdict)
        return view

    def stream(self, pipeline: str) -> Reading:
        """Return what `read` does without holding all records at once; its errors come with the first record."""
        place = self._place(pipeline)
        with self._reading(place):
            # The head first: the log may grow in between, and a head that is behind says nothing.
            scanner = Scanner(pipeline, place.kept_head(self._storage))
        return Reading(self.records_from(scanner), scanner, again=lambda: self.stream(pipeline))

    def records_from(self, scanner: Scanner) -> Iterator[Record]:
        """Yield the good records behind those that a scanner has seen; it then knows how far they reach.

        Raises what `read` does.
        """
        place = self._place(scanner.pipeline)
        with self._reading(place):
            for piece in self._pieces(place, scanner.offset):
                yield from scanner.feed(piece)

    def signature(self, pipeline: str) -> Signature | None:
        """Return what differs as soon as a log's file, or its archive, does; None if there is neither."""
        place = self._place(pipeline)
        with self._reading(place):
            return self._storage.signature(place.log) or self._storage.signature(place.archive)

    def grown(self, pipeline: str, before: Signature, offset: int) -> Grown | None:
        """Return what stands behind an offset of the file that had this signature; None if that can't be told."""
        path = Place(self.root, pipeline).log
        try:
            now = self._storage.signature(path)
            if now is None or now.identity != before.identity or now.size_bytes < offset:
                return None
            if now.size_bytes == before.size_bytes and now.changed == before.changed:
                return Grown(now, b"")
            return Grown(now, b"".join(self._storage.pieces(path, offset)))
        except OSError:
            return None

    def findings(self, pipeline: str, gone: Collection[str] = ()) -> list[str]:
        """Return, as sentences, what a thorough check finds beside the verdict of `read`; usually nothing.

        A `sum` that is wrong although the next record vouches for its line, keys that stand twice, and files that
        were set aside and that the log does not name, or that differ from what it says of them, and an archive
        beside the log that contradicts it.

        Args:
            pipeline: the log's name.
            gone: names of files that were set aside, and removed on purpose.
        """
        from eventlog.archive import archive_findings
        from eventlog.recovery import aside_findings

        place = self._place(pipeline)
        reading = self.stream(pipeline)
        named = [record for record in reading if record.type.startswith("log.")]
        with self._reading(place):
            odd = [
                f"Record {seq} {oddity}."
                for seq, line in enumerate(self._lines(place, reading.verdict.offset), 1)
                if (oddity := oddity_of(line + b"\n")) is not None
            ]
            return odd + aside_findings(self._storage, place, named, gone) + archive_findings(self._storage, place)

    def has_unrecorded(self, pipeline: str) -> bool:
        """Say whether a file was set aside that the log does not name yet: an earlier command was cut short."""
        from eventlog.recovery import unrecorded

        place = self._place(pipeline)
        named = [record for record in self.stream(pipeline) if record.type.startswith("log.")]
        with self._reading(place):
            return bool(unrecorded(self._storage, place, named))

    def content(self, pipeline: str) -> Iterator[bytes]:
        """Yield a log's bytes in pieces, also of one that is archived; raises what `read` does."""
        place = self._place(pipeline)
        with self._reading(place):
            yield from self._pieces(place)

    def is_copy(self, pipeline: str) -> bool:
        """Say whether a log is a copy of one that is written elsewhere, and so only read."""
        place = self._place(pipeline)
        with self._reading(place):
            return place.is_copy(self._storage)

    def set_aside(self, pipeline: str) -> list[str]:
        """Return the names of the files that were set aside for a log."""
        from eventlog.recovery import set_aside

        place = self._place(pipeline)
        with self._reading(place):
            return set_aside(self._storage, place)

    @contextlib.contextmanager
    def held(self, pipeline: str, *, create: bool = False) -> Iterator[None]:
        """Hold the lock of a log, or of its archive, and leave it as it is.

        Args:
            pipeline: the log's name.
            create: make an empty file if there is no log.

        Raises:
            LogLockedError: a writer has it.
            LogError: as for `read`.
        """
        from eventlog.locking import lock

        place = self._place(pipeline)
        with self._reading(place):
            if create:
                self._folders.make(place.folder)
            file = lock(self._storage, place, place.found(self._storage), self._sleep, create=create)
        try:
            yield
        finally:
            file.close()

    def adopt(self, pipeline: str, staged: str, head: Head, *, copy: bool) -> None:
        """Put a log in place that came from elsewhere; the caller holds the lock and has checked it.

        Mark it, if it is a copy → rename, sync the folder → else take a mark away → keep the head. What was there
        is a beginning of it, or nothing.

        Args:
            pipeline: the log's name.
            staged: the file, whole and synced, on the same file system.
            head: its last record.
            copy: it is written elsewhere, and only read here.

        Raises:
            LogStorageError: the disk failed; repeat it.
        """
        from eventlog import refusals

        place = self._place(pipeline)
        try:
            self._folders.make(place.folder)
            if copy:
                replace_durably(self._storage, place.copy, b"\n")
            if self._storage.signature(staged) is not None:
                self._storage.rename(staged, place.log)
                self._storage.sync_dir(place.folder)
            if not copy and self._storage.signature(place.copy) is not None:
                self._storage.unlink(place.copy)
                self._storage.sync_dir(place.folder)
            replace_durably(self._storage, place.head, head.to_bytes())
        except OSError as error:
            raise refusals.unwritable(place, error) from error

    def tombstone(self, pipeline: str) -> bytes | None:
        """Return what the tombstone of a purged log says; None where there is a log, or no tombstone.

        Raises:
            LogStorageError: the disk can't read it.
        """
        place = self._place(pipeline)
        with self._reading(place):
            return b"".join(self._storage.pieces(place.tombstone)) if place.is_purged(self._storage) else None

    def tombstones(self, *, of: str = "") -> list[str]:
        """Return the names of all logs that were purged, sorted; with `of`, of those that begin so."""
        from eventlog.purging import tombstones

        try:
            return [name for name in tombstones(self._storage, self.root, of) if self.tombstone(name) is not None]
        except OSError as error:
            raise LogStorageError(f"The logs in {self.root} can't be listed: {error}.") from error

    def purging(self, pipeline: str) -> Purging:
        """Return what takes a log away, leaves a tombstone, and lifts that; see there."""
        from eventlog.purging import Purging

        return Purging(self._place(pipeline), self._storage)

    def open_writer(
        self, pipeline: str, *, run: str, create: bool = False, traces: bool = False, even_a_copy: bool = False
    ) -> OpenLog:
        """Open a log for its only writer: lock → sync file and folder → drop caches → scan → judge → recover.

        Args:
            pipeline: the log's name.
            run: id of the invocation, for the records that the opening itself writes.
            create: begin the log if there is none.
            traces: the caller knows of things that only a log of this name can have left.
            even_a_copy: also a log that is only read here; what is written into it parts it from the other one.

        Raises:
            LogNotFoundError: there is none and `create` is false.
            LogPurgedError: it was purged, and nobody lifted its tombstone.
            LogGoneError: there is none, but its head or other traces are left.
            LogLockedError: another writer has it.
            ReadOnlyLogError: it is a copy of one that is written elsewhere.
            CorruptLogError: it is damaged; nothing was changed.
            UnsafeFileSystemError: the file system can't keep the promises.
            LogStorageError: the disk failed.
        """
        return self._opening(pipeline, run).open(create=create, traces=traces, even_a_copy=even_a_copy)

    def salvage(self, pipeline: str, *, run: str) -> OpenLog:
        """Set a damaged log aside whole and open what was good of it: `log.salvaged` says so.

        A head that names lost records is set aside too, and replaced. Repeating it after a crash goes on.

        Raises:
            LogWholeError: nothing is damaged; if the log is only shorter than its head says, accept that instead.
            LogError: as for `open_writer`; a log of a newer version is left alone.
        """
        return self._opening(pipeline, run).salvage()

    def accept_short(self, pipeline: str, *, run: str) -> OpenLog:
        """Open a log that is shorter than its head says, or whose head can't be understood: `log.restored` says so.

        Raises:
            LogWholeError: no head speaks against the log.
            LogError: as for `open_writer`.
        """
        return self._opening(pipeline, run).accept_short()

    def archive(self, pipeline: str, *, only_try: bool = False) -> Archived:
        """Put a sealed log into its archive, from which it comes back byte for byte; return what that saves.

        Repeating it after a crash goes on. The head stays, and all methods read the archive as they do the log.

        Args:
            pipeline: the log's name.
            only_try: do all but the writing.

        Raises:
            NotArchivedError: it is not sealed, or not as logs usually are.
            LogError: as for `open_writer`.
        """
        return self._archiving(pipeline, lambda archiving: archiving.archive(only_try=only_try))

    def unarchive(self, pipeline: str) -> bool:
        """Put a log back from its archive, as `open_writer` does by itself; False: there is no archive.

        Raises:
            CorruptLogError: the archive is damaged; nothing was changed.
            LogError: as for `open_writer`.
        """
        return self._archiving(pipeline, lambda archiving: archiving.undo())

    def seal(self, writer: Writer, *, run: str) -> list[Record]:
        """End a finished log: `log.sealed` as its last record, and its head kept beside it."""
        records = writer.append([(SEALED, {})], run=run)
        self.keep_head(writer)
        return records

    def keep_head(self, writer: Writer) -> None:
        """Write the head beside the log: the only defence against a lost end that leaves no other trace.

        Raises:
            WriterDeadError: the writer may write nothing any more; the head that is there may be a newer one.
            LogStorageError: the disk failed; the head is the old one or this one.
        """
        from eventlog import refusals

        writer.require_alive()

        place = self._place(writer.pipeline)
        try:
            replace_durably(self._storage, place.head, writer.head.to_bytes())
        except OSError as error:
            raise refusals.unwritable(place, error) from error

    def read_head(self, pipeline: str) -> Head | None:
        """Return the head kept beside a log; None if there is none.

        Raises:
            CorruptLogError: it can't be understood.
            LogStorageError: the disk can't read it.
        """
        place = self._place(pipeline)
        with self._reading(place):
            kept = place.kept_head(self._storage)
        if kept is UNREADABLE_HEAD:
            from eventlog import refusals

            raise refusals.head_unreadable(place)
        return kept

    def unusable(self, pipeline: str, verdict: Verdict) -> LogError | None:
        """Return why a log that ends like this may be read but not built upon; None if it may be."""
        from eventlog import refusals

        return refusals.unusable(self._place(pipeline), verdict)

    def _archiving(self, pipeline: str, act: Callable[[Archiving], T]) -> T:
        from eventlog import recovery, refusals
        from eventlog.archive import Archiving

        opening = self._opening(pipeline, "")
        place = opening.place
        try:
            return act(Archiving(place, self._storage, self._sleep))
        except FileNotFoundError:
            raise recovery.absence(self._storage, place) from None
        except OSError as error:
            raise refusals.unwritable(place, error) from error

    def _pieces(self, place: Place, offset: int = 0) -> Iterator[bytes]:
        """Yield a log's bytes from `offset`, wherever it lies."""
        try:
            yield from self._storage.pieces(place.log, offset)
        except FileNotFoundError:
            from eventlog.archive import log_pieces

            yield from log_pieces(self._storage, place, offset)

    def _place(self, pipeline: str) -> Place:
        if not is_name(pipeline):
            raise LogNotFoundError(
                f"{pipeline!r} can't be the name of a log; list the ones there are.", pipeline=pipeline
            )
        return Place(self.root, pipeline)

    def _opening(self, pipeline: str, run: str) -> Opening:
        # What only a writer needs is imported here, so that reading a log starts fast.
        from eventlog import refusals
        from eventlog.filesystem import file_system_of
        from eventlog.opening import Opening

        place = self._place(pipeline)
        with self._reading(place):
            system = (self._file_system or file_system_of)(place.folder)
        if not system.safe and not self._unsafe_fs:
            raise refusals.unsafe(place, system)
        return Opening(place, self._storage, self._folders, run, self._clock, system, self._sleep)

    def _lines(self, place: Place, end: int) -> Iterator[bytes]:
        """Yield the lines of a log's good prefix, which ends at this offset."""
        rest = b""
        for piece in self._pieces(place):
            *lines, rest = (rest + piece[:end]).split(b"\n")
            end -= len(piece[:end])
            yield from lines
            if end <= 0:
                return

    @contextlib.contextmanager
    def _reading(self, place: Place) -> Iterator[None]:
        """Turn what the disk says into an error of ours."""
        try:
            yield
        except FileNotFoundError:
            from eventlog import recovery

            raise recovery.absence(self._storage, place) from None
        except OSError as error:
            from eventlog import refusals

            raise refusals.unreadable(place, error) from error
        except BadFrameError as error:
            from eventlog import refusals

            raise refusals.archive_damaged(place, str(error)) from None
