"""Stores that break a promise each, for those who should notice. Child processes import them by name."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eventlog.errors import CorruptLogError, LogStorageError, WriterDeadError
from eventlog.opening import OpenLog
from eventlog.reader import Tail, Verdict
from eventlog.record import Record, encode
from eventlog.storage import LogFile, PosixLogFile, PosixStorage
from eventlog.store import LogView, Store
from eventlog.writer import Event, Writer


class BrokenStorage(PosixStorage):
    """The local disk, with another kind of log file."""

    def __init__(self, kind: type[PosixLogFile]) -> None:
        self._kind = kind

    def open_log(self, path: str, *, create: bool) -> LogFile:
        return self._kind(path, create=create)


class BufferingFile(PosixLogFile):
    """Keeps what is appended until it is closed."""

    held = b""

    def append(self, data: bytes) -> int:
        self.held += data
        return len(data)

    def size_bytes(self) -> int | None:
        size = super().size_bytes()
        return None if size is None else size + len(self.held)

    end_bytes = size_bytes

    def close(self) -> None:
        if self.held:
            super().append(self.held)
        self.held = b""
        super().close()


class LateFile(BufferingFile):
    """Writes some milliseconds after it has said so."""

    def __init__(self, path: str, *, create: bool) -> None:
        super().__init__(path, create=create)
        self._turn = threading.Lock()

    def append(self, data: bytes) -> int:
        with self._turn:
            super().append(data)
        threading.Timer(0.005, self.close, [False]).start()
        return len(data)

    def size_bytes(self) -> int | None:
        with self._turn:
            return super().size_bytes()

    end_bytes = size_bytes

    def close(self, finally_: bool = True) -> None:
        with self._turn:
            if finally_:
                super().close()
            elif self.held:
                PosixLogFile.append(self, self.held)
                self.held = b""


class OpenDoorFile(PosixLogFile):
    """Lets everybody write."""

    def try_lock(self) -> bool:
        return True


class StaleLockFile(PosixLogFile):
    """Locks by a file that only an orderly end removes."""

    def try_lock(self) -> bool:
        try:
            os.close(os.open(self._path + ".lock", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        self._locked = True
        return True

    def close(self) -> None:
        if getattr(self, "_locked", False):
            os.unlink(self._path + ".lock")
        super().close()


class KeepingFile(PosixLogFile):
    """Does not take back what it has written of a batch."""

    has_written = False

    def append(self, data: bytes) -> int:
        self.has_written = True
        return super().append(data)

    def truncate(self, size_bytes: int) -> None:
        if not self.has_written:
            super().truncate(size_bytes)


class GreedyFile(PosixLogFile):
    """Takes back more than it has written."""

    def truncate(self, size_bytes: int) -> None:
        super().truncate(size_bytes - 1)


class SyncLessFile(PosixLogFile):
    """Answers a sync at once."""

    def sync(self) -> None:
        pass


class WrappingFile(PosixLogFile):
    """Claims that all was written, and that the file has the size that it would have then."""

    lacking = 0

    def append(self, data: bytes) -> int:
        try:
            written = super().append(data)
        except OSError:
            written = 0
        self.lacking += len(data) - written
        return len(data)

    def size_bytes(self) -> int | None:
        size = super().size_bytes()
        return None if size is None else size + self.lacking

    end_bytes = size_bytes


class BufferingStore(Store):
    def __init__(self, root: str) -> None:
        super().__init__(root, storage=BrokenStorage(BufferingFile))


class LateStore(Store):
    def __init__(self, root: str) -> None:
        super().__init__(root, storage=BrokenStorage(LateFile))


class OpenDoorStore(Store):
    def __init__(self, root: str) -> None:
        super().__init__(root, storage=BrokenStorage(OpenDoorFile))


class StaleLockStore(Store):
    def __init__(self, root: str) -> None:
        super().__init__(root, storage=BrokenStorage(StaleLockFile))


class SlowRefusalStore(Store):
    def __init__(self, root: str) -> None:
        super().__init__(root, sleep=lambda duration_s: time.sleep(duration_s * 2.5))


class ClaimingStore(Store):
    def __init__(self, root: str) -> None:
        super().__init__(root, storage=BrokenStorage(WrappingFile))


class KeepingStore(Store):
    def __init__(self, root: str) -> None:
        super().__init__(root, storage=BrokenStorage(KeepingFile))


class GreedyStore(Store):
    def __init__(self, root: str) -> None:
        super().__init__(root, storage=BrokenStorage(GreedyFile))


class ForgetfulStore(Store):
    """Cuts the last record off before it opens a log."""

    def open_writer(self, pipeline: str, **options: Any) -> OpenLog:
        path = Path(self.path(pipeline))
        if path.exists() and (content := path.read_bytes()).endswith(b"\n"):
            os.truncate(path, len(content) - len(content.splitlines(keepends=True)[-1]))
        return super().open_writer(pipeline, **options)


class SpoilingFile(PosixLogFile):
    """Spoils a byte of what it writes."""

    def append(self, data: bytes) -> int:
        return super().append(data.replace(b"test.happened", b"test.hoppened"))


class SpoilingStore(Store):
    def __init__(self, root: str) -> None:
        super().__init__(root, storage=BrokenStorage(SpoilingFile))


class RewritingStore(Store):
    """Writes the last record again before it opens a log, at another time."""

    def open_writer(self, pipeline: str, **options: Any) -> OpenLog:
        path = Path(self.path(pipeline))
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        if lines and lines[-1].endswith(b"\n"):
            fields = {name: value for name, value in json.loads(lines[-1]).items() if name not in ("v", "sum")}
            moment = f"2026-11-23T14:02:11.{time.time_ns() // 1000 % 10**6:06d}Z"
            path.write_bytes(b"".join(lines[:-1]) + encode(**{**fields, "time": moment}))
        return super().open_writer(pipeline, **options)


class SparingStore(Store):
    """Does not tell of the last record when it opens a log."""

    def open_writer(self, pipeline: str, **options: Any) -> OpenLog:
        opened = super().open_writer(pipeline, **options)
        return OpenLog(opened.writer, opened.records[:-1] or opened.records)


class BrokenWriter:
    """Stands before a real writer."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def append(self, events: Sequence[Event], *, run: str) -> list[Record]:
        return self._writer.append(events, run=run)


class GarblingWriter(BrokenWriter):
    """Writes something else than it was given."""

    def append(self, events: Sequence[Event], *, run: str) -> list[Record]:
        return super().append([(type_, {**data, "odd": "?"}) for type_, data in events], run=run)


class TwiceWriter(BrokenWriter):
    """Writes everything twice."""

    def append(self, events: Sequence[Event], *, run: str) -> list[Record]:
        return super().append(events, run=run) + super().append(events, run=run)


class ForkBlindWriter(BrokenWriter):
    """Says nothing when a fork wants to write."""

    def append(self, events: Sequence[Event], *, run: str) -> list[Record]:
        try:
            return super().append(events, run=run)
        except WriterDeadError:
            return []


class SilentWriter(BrokenWriter):
    """Says nothing when the disk refuses."""

    def append(self, events: Sequence[Event], *, run: str) -> list[Record]:
        try:
            return super().append(events, run=run)
        except LogStorageError:
            return []


class BrokenWriterStore(Store):
    writer_type: type[BrokenWriter] = BrokenWriter

    def open_writer(self, pipeline: str, **options: Any) -> OpenLog:
        opened = super().open_writer(pipeline, **options)
        return OpenLog(self.writer_type(opened.writer), opened.records)  # type: ignore[arg-type]


class GarblingStore(BrokenWriterStore):
    writer_type = GarblingWriter


class TwiceStore(BrokenWriterStore):
    writer_type = TwiceWriter


class ForkBlindStore(BrokenWriterStore):
    writer_type = ForkBlindWriter


class SilentStore(BrokenWriterStore):
    writer_type = SilentWriter


class TrustingStore(Store):
    """Reads whatever is JSON."""

    def read(self, pipeline: str) -> LogView:
        view = super().read(pipeline)
        lines = Path(self.path(pipeline)).read_bytes().splitlines()
        return LogView([_believed(line) for line in lines if _is_json(line)], view.verdict)


class ShortStore(Store):
    """Does not read the last record."""

    def read(self, pipeline: str) -> LogView:
        view = super().read(pipeline)
        return LogView(view.records[:-1], view.verdict)


class CuttingStore(Store):
    """Takes the first damage for the end."""

    def read(self, pipeline: str) -> LogView:
        view = super().read(pipeline)
        return LogView(view.records, Verdict(Tail.CLEAN, view.verdict.seq, view.verdict.offset))


class LenientStore(Store):
    """Opens a damaged log."""

    def open_writer(self, pipeline: str, **options: Any) -> OpenLog:
        try:
            return super().open_writer(pipeline, **options)
        except CorruptLogError:
            return super().open_writer("another", create=True, **options)


class MendingStore(Store):
    """Refuses a damaged log, but not before it has cut off the damage."""

    def open_writer(self, pipeline: str, **options: Any) -> OpenLog:
        try:
            return super().open_writer(pipeline, **options)
        except CorruptLogError as error:
            os.truncate(self.path(pipeline), error.offset)
            raise


class RefusingStore(Store):
    """Has a disk that refuses."""

    def open_writer(self, pipeline: str, **options: Any) -> OpenLog:
        raise LogStorageError("The log could not be written: no space left on device. Make room.")


class StuckStore(Store):
    """Never comes back."""

    def open_writer(self, pipeline: str, **options: Any) -> OpenLog:
        time.sleep(3600)
        raise AssertionError


class RaisingStore(Store):
    """Has a defect."""

    def open_writer(self, pipeline: str, **options: Any) -> OpenLog:
        raise NotImplementedError


class LosingSealStore(Store):
    """Loses the record that seals a log."""

    def seal(self, writer: Writer, *, run: str) -> list[Record]:
        records = super().seal(writer, run=run)
        path = Path(self.path(writer.pipeline))
        os.truncate(path, sum(map(len, path.read_bytes().splitlines(keepends=True)[:-1])))
        return records


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line)["data"], dict)
    except (ValueError, KeyError, TypeError):
        return False


def _believed(line: bytes) -> Record:
    found = json.loads(line)
    known = {name: found.get(name) for name in ("seq", "time", "type", "pipeline", "run", "dur", "prev")}
    body = line.partition(b'"data":')[2].rpartition(b',"dur":')[0].decode()
    return Record(**known, body=body, line_sha256=hashlib.sha256(line + b"\n").hexdigest())
