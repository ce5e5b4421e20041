"""The logs of one folder: open, read, list. `<root>/<first 2>/<pipeline>.jsonl`, its head beside it.

The order of the steps at opening is the contract of docs/format.md: nothing is acted on that isn't on stable
storage, and nothing is cut that may have been acknowledged.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from attrs import frozen

from eventlog.errors import (
    CorruptLogError,
    LogError,
    LogGoneError,
    LogLockedError,
    LogNotFoundError,
    LogStorageError,
    UnsafeFileSystemError,
)
from eventlog.reader import UNREADABLE_HEAD, Head, Scanner, Tail, Verdict, scan
from eventlog.record import FORMAT_VERSION, Record, is_name, repeated_key
from eventlog.storage import LogFile, PosixStorage, Signature, Storage, make_dirs_durably, replace_durably
from eventlog.values import Value

if TYPE_CHECKING:
    from eventlog.filesystem import FileSystem
    from eventlog.writer import Event, Writer

CREATED = "log.created"
SEALED = "log.sealed"
LOCK_WAIT_S = 0.5
"""How long an opening waits for another writer to finish before it says that there is one."""
_LOCK_TRIES = 10


def utc_now() -> datetime:
    """Return the time now, UTC."""
    return datetime.now(UTC)


@frozen(eq=False, repr=False)
class LogView(Value):
    """What a reader finds: the good records, and how the log ends."""

    records: list[Record]
    verdict: Verdict


@frozen(eq=False, repr=False)
class OpenLog(Value):
    """A log open for writing, and everything that it held, the recovery's own records included."""

    writer: Writer
    records: list[Record]


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

    def path(self, pipeline: str) -> str:
        """Return where a pipeline's log is, whether or not it exists.

        Raises:
            LogNotFoundError: there can be no log of that name.
        """
        if not is_name(pipeline):
            raise LogNotFoundError(
                f"{pipeline!r} can't be the name of a log; list the ones there are.", pipeline=pipeline
            )
        return os.path.join(self._folder(pipeline), pipeline + ".jsonl")

    def pipelines(self) -> list[str]:
        """Return the names of all logs, sorted."""
        try:
            return sorted(self._found())
        except OSError as error:
            raise LogStorageError(f"The logs in {self.root} can't be listed: {error}.") from error

    def _found(self) -> Iterator[str]:
        for shard in self._storage.names(self.root):
            for name in self._storage.names(os.path.join(self.root, shard)) if len(shard) <= 2 else ():
                pipeline = name.removesuffix(".jsonl")
                if pipeline != name and pipeline[:2] == shard and is_name(pipeline):
                    yield pipeline

    def read(self, pipeline: str) -> LogView:
        """Return a log's good records and how it ends; takes no lock and changes nothing.

        A log that is being written may end in a part of its next record, which reads as torn. A head that
        can't be understood reads as corrupt behind the last record.

        Raises:
            LogNotFoundError: there is no such log.
            LogGoneError: only its head is left.
            LogStorageError: the disk can't read it.
        """
        path = self.path(pipeline)
        with self._reading(pipeline):
            # The head first: the log may grow in between, and a head that is behind says nothing.
            kept = self._kept_head(pipeline)
            try:
                records, verdict = scan(self._storage.pieces(path), pipeline, kept)
            except FileNotFoundError:
                raise self._not_there(pipeline, gone=kept is not None) from None
        return LogView(records, verdict)

    def stream(self, pipeline: str) -> Iterator[Record]:
        """Yield a log's good records without holding them; how it ends is not told. Raises what `read` does."""
        with self._reading(pipeline):
            kept = self._kept_head(pipeline)
        yield from self.records_from(Scanner(pipeline, kept))

    def records_from(self, scanner: Scanner) -> Iterator[Record]:
        """Yield the good records behind those that a scanner has seen; it then knows how far they reach.

        Raises what `read` does.
        """
        with self._reading(scanner.pipeline):
            try:
                for piece in self._storage.pieces(self.path(scanner.pipeline), scanner.offset):
                    yield from scanner.feed(piece)
            except FileNotFoundError:
                raise self._not_there(scanner.pipeline, gone=scanner.kept is not None) from None

    def signature(self, pipeline: str) -> Signature | None:
        """Return what differs as soon as a log's file does; None if there is no file."""
        with self._reading(pipeline):
            return self._storage.signature(self.path(pipeline))

    def findings(self, pipeline: str) -> list[str]:
        """Return, as sentences, what a thorough check finds beside the verdict of `read`; usually nothing.

        Keys that stand twice in one object, and quarantined tails that the log does not name or that differ
        from what it says of them.
        """
        records = self.read(pipeline).records
        with self._reading(pipeline):
            lines = b"".join(self._storage.pieces(self.path(pipeline))).split(b"\n")
            doubled = [
                f"Record {record.seq} has the key {key!r} twice; which one counts is undefined."
                for record, line in zip(records, lines, strict=False)
                if (key := repeated_key(line)) is not None
            ]
            from eventlog.recovery import quarantine_findings

            return doubled + quarantine_findings(self._storage, self._folder(pipeline), pipeline, records)

    def open_writer(self, pipeline: str, *, run: str, create: bool = False, traces: bool = False) -> OpenLog:
        """Open a log for its only writer: lock → sync file and folder → drop caches → scan → judge → recover.

        Args:
            pipeline: the log's name.
            run: id of the invocation, for the records that the opening itself writes.
            create: begin the log if there is none.
            traces: the caller knows of things that only a log of this name can have left.

        Raises:
            LogNotFoundError: there is none and `create` is false.
            LogGoneError: there is none, but its head or other traces are left.
            LogLockedError: another writer has it.
            CorruptLogError: it is damaged; nothing was changed.
            UnsafeFileSystemError: the file system can't keep the promises.
            LogStorageError: the disk failed.
        """
        path = self.path(pipeline)
        self._require_safe(pipeline)
        try:
            kept = self._kept_head(pipeline)
            traces = traces or kept is not None
            file = self._open_file(pipeline, path, create=create and not traces)
            try:
                return self._open_locked(file, pipeline, kept, run=run, traces=traces)
            except BaseException:
                file.close()
                raise
        except FileNotFoundError:
            raise self._not_there(pipeline, gone=traces) from None
        except OSError as error:
            raise self._storage_error(pipeline, error) from error

    def seal(self, writer: Writer, *, run: str) -> list[Record]:
        """End a finished log: `log.sealed` as its last record, and its head kept beside it."""
        records = writer.append([(SEALED, {})], run=run)
        self.keep_head(writer)
        return records

    def keep_head(self, writer: Writer) -> None:
        """Write the head beside the log: the only defence against a lost end that leaves no other trace."""
        try:
            replace_durably(self._storage, self._head_path(writer.pipeline), writer.head.to_bytes())
        except OSError as error:
            raise self._storage_error(writer.pipeline, error) from error

    def read_head(self, pipeline: str) -> Head | None:
        """Return the head kept beside a log; None if there is none.

        Raises:
            CorruptLogError: it can't be understood.
            LogStorageError: the disk can't read it.
        """
        self.path(pipeline)
        with self._reading(pipeline):
            kept = self._kept_head(pipeline)
        if kept is UNREADABLE_HEAD:
            raise CorruptLogError(
                f"{self._head_path(pipeline)} can't be understood. Restore it from a backup, or move it away if "
                "you know that the log is whole.",
                pipeline=pipeline,
                seq=1,
                offset=0,
            )
        return kept

    def _kept_head(self, pipeline: str) -> Head | None:
        try:
            return Head.from_bytes(b"".join(self._storage.pieces(self._head_path(pipeline))))
        except FileNotFoundError:
            return None

    def _folder(self, pipeline: str) -> str:
        return os.path.join(self.root, pipeline[:2])

    def _head_path(self, pipeline: str) -> str:
        return os.path.join(self._folder(pipeline), pipeline + ".head")

    def _open_file(self, pipeline: str, path: str, *, create: bool) -> LogFile:
        """Open and lock the log; its folders' names are durable before it is there."""
        try:
            return self._lock(pipeline, path, create=False)
        except FileNotFoundError:
            if not create:
                raise
        make_dirs_durably(self._storage, self._folder(pipeline))
        return self._lock(pipeline, path, create=True)

    def _lock(self, pipeline: str, path: str, *, create: bool) -> LogFile:
        for attempt in range(_LOCK_TRIES + 1):
            file = self._storage.open_log(path, create=create)
            try:
                # A file that was replaced between opening and locking is not the log any more.
                if file.try_lock() and file.size_bytes() is not None:
                    return file
            except OSError:
                file.close()
                raise
            file.close()
            if attempt < _LOCK_TRIES:
                self._sleep(LOCK_WAIT_S / _LOCK_TRIES)
        raise LogLockedError(
            f"Another process is writing the log of {pipeline}. Wait until it has finished, or stop it.",
            pipeline=pipeline,
        )

    def _system_of(self, folder: str) -> FileSystem:
        from eventlog.filesystem import file_system_of

        return (self._file_system or file_system_of)(folder)

    def _require_safe(self, pipeline: str) -> None:
        system = self._system_of(self._folder(pipeline))
        if not system.safe and not self._unsafe_fs:
            raise UnsafeFileSystemError(
                f"{self.root} lies on a {system.kind} file system, where a log can't keep its promises. "
                "Choose a folder on a local disk with --home, or allow it with --unsafe-fs.",
                kind=system.kind,
                path=self.root,
            )

    def _open_locked(self, file: LogFile, pipeline: str, kept: Head | None, *, run: str, traces: bool) -> OpenLog:
        # What only a writer needs is imported here, so that reading a log starts fast.
        from eventlog.recovery import complete_last_line, cut_torn_tail
        from eventlog.writer import Writer

        folder = self._folder(pipeline)
        # Nothing is believed that a power cut could still take back, the file's own name included.
        file.sync()
        self._storage.sync_dir(folder)
        file.drop_cache()
        records, verdict = scan(file.pieces(), pipeline, kept)
        self._require_usable(pipeline, verdict, traces=traces)
        if verdict.tail is Tail.UNTERMINATED:
            records, verdict = complete_last_line(file, pipeline, kept)
        elif verdict.tail is Tail.TORN:
            cut_torn_tail(self._storage, file, verdict, folder, pipeline)
        writer = Writer(file, pipeline, verdict, self._clock)
        records += writer.append(self._opening_events(pipeline, records), run=run)
        return OpenLog(writer, records)

    def _opening_events(self, pipeline: str, records: list[Record]) -> list[Event]:
        folder = self._folder(pipeline)
        events: list[Event] = []
        if not records:
            system = self._system_of(folder)
            created = {"format": FORMAT_VERSION, "durability": system.durability, "file_system": system.kind}
            events.append((CREATED, created))
        from eventlog.recovery import unrecorded_cuts

        return events + unrecorded_cuts(self._storage, folder, pipeline, records)

    def _require_usable(self, pipeline: str, verdict: Verdict, *, traces: bool) -> None:
        if verdict.tail is Tail.NEWER:
            raise LogError(
                f"The log of {pipeline} was written by a newer evt: {verdict.reason}. Install that version.",
                pipeline=pipeline,
            )
        if verdict.tail is Tail.CORRUPT:
            raise self.corrupt_error(pipeline, verdict)
        if traces and verdict.seq == 0 and verdict.tail is not Tail.UNTERMINATED:
            raise self._not_there(pipeline, gone=True)

    @contextlib.contextmanager
    def _reading(self, pipeline: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise LogStorageError(
                f"The log {self.path(pipeline)} can't be read: {error}. Check its permissions and the disk.",
                pipeline=pipeline,
            ) from error

    def corrupt_error(self, pipeline: str, verdict: Verdict) -> CorruptLogError:
        """Return the error that says where a log is damaged and what to do about it."""
        return CorruptLogError(
            f"The log {self.path(pipeline)} is damaged at record {verdict.seq + 1} (byte {verdict.offset}): "
            f"{verdict.reason}. Nothing was changed. Restore the file from a backup; "
            f"`evt show {pipeline}` still reports the {verdict.seq} records before it.",
            pipeline=pipeline,
            seq=verdict.seq + 1,
            offset=verdict.offset,
        )

    def _not_there(self, pipeline: str, *, gone: bool) -> LogError:
        if gone:
            return LogGoneError(
                f"The log {self.path(pipeline)} is gone, but what it described is still there. "
                "Restore it from a backup. It is not begun anew, because then nothing would tell what was done "
                "and paid.",
                pipeline=pipeline,
            )
        return LogNotFoundError(f"There is no log {self.path(pipeline)}.", pipeline=pipeline)

    def _storage_error(self, pipeline: str, error: OSError) -> LogStorageError:
        return LogStorageError(
            f"The log {self.path(pipeline)} can't be opened for writing: {error}. "
            "Check the folder's permissions and the free space, then repeat the command.",
            pipeline=pipeline,
        )
