"""Archives: reading a log wherever it lies, putting it away and back. docs/format.md, *Archived logs*.

At every moment the log is there whole, or its archive is, or both; where both are, the log counts. Whoever takes a
log away holds the log's lock; whoever takes an archive away, or replaces it, holds the archive's.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator

from attrs import frozen

from eventlog import recovery, refusals
from eventlog.compression import BadFrameError
from eventlog.locking import lock
from eventlog.packing import pack, unpack
from eventlog.place import Place
from eventlog.reader import Head, Scanner, Tail
from eventlog.record import Record
from eventlog.storage import LogFile, Storage, replace_durably
from eventlog.store import SEALED
from eventlog.values import Value

_LOOKS = 10
LOG_BYTES_MAX = 64 << 20
"""No larger log is put away, since it is held in memory while it is packed and compared; 150,000 records or so."""


@frozen(eq=False, repr=False)
class Archived(Value):
    """What an archive saves: the log's bytes, and the archive's."""

    log_bytes: int
    archive_bytes: int


def log_pieces(storage: Storage, place: Place, offset: int = 0) -> Iterator[bytes]:
    """Yield a log's bytes from `offset`, from its file or out of its archive.

    Raises:
        FileNotFoundError: there is neither.
        BadFrameError: the archive is damaged.
    """
    # Between two looks a log may be put away or back; at each moment one of the two is there.
    for _ in range(_LOOKS):
        with contextlib.suppress(FileNotFoundError):
            yield from storage.pieces(place.log, offset)
            return
        with contextlib.suppress(FileNotFoundError):
            yield from _behind(offset, unpack(storage.pieces(place.archive)))
            return
        if storage.signature(place.log) is None and storage.signature(place.archive) is None:
            break
    raise FileNotFoundError(place.log)


def archive_findings(storage: Storage, place: Place) -> list[str]:
    """Return, as sentences, what is wrong with an archive beside a log that is there too."""
    if storage.signature(place.archive) is None or storage.signature(place.log) is None:
        return []
    log = b"".join(storage.pieces(place.log))
    problem = _contradiction(storage.pieces(place.archive), log)
    return [f"{place.archive} lies beside the log and {problem}."] if problem else []


@frozen
class Archiving:
    """Puts one log into its archive, or back.

    Attributes:
        sleep: waits between two tries to lock.
    """

    place: Place
    storage: Storage
    sleep: Callable[[float], None]

    def archive(self, *, only_try: bool = False) -> Archived:
        """See `Store.archive`. Lock → judge → pack → write, sync, compare → rename, sync → delete the log, sync."""
        with contextlib.closing(self._lock_log()) as file:
            log, head = self._sealed(file)
            frame = self._packed(log, head)
            if not only_try:
                with self._older_archive(log):
                    # The head tells of a log that is lost with its archive, and that it may not be begun anew.
                    replace_durably(self.storage, self.place.head, head.to_bytes())
                    self._write(self.place.archive, frame)
                    self._delete(self.place.log, file, len(log))
            return Archived(len(log), len(frame))

    def restore(self) -> bool:
        """Put the log back if only its archive is there; False: there is no archive (any more).

        Lock the archive → write, sync, read back → rename, sync → delete the archive, sync.

        Raises:
            CorruptLogError: the archive is damaged; nothing was changed.
            LogLockedError: somebody else is doing the same.
        """
        try:
            file = self._lock(self.place.archive)
        except FileNotFoundError:
            return False
        with contextlib.closing(file):
            if self.storage.signature(self.place.log) is None:
                file.drop_cache()
                try:
                    log = b"".join(unpack(file.pieces()))
                except BadFrameError as error:
                    raise refusals.archive_damaged(self.place, str(error)) from None
                self._write(self.place.log, log)
                self._delete(self.place.archive, file)
        return True

    def undo(self) -> bool:
        """See `Store.unarchive`."""
        was_there = self.restore()
        if was_there:
            # Where somebody has put it away again by now, nothing lies beside it.
            with contextlib.suppress(FileNotFoundError), contextlib.closing(self._lock(self.place.log)) as file:
                self.drop_older(file)
        return was_there

    def drop_older(self, file: LogFile) -> None:
        """Delete an archive beside our locked log: a crash left it when it had no use any more.

        Raises:
            CorruptLogError: it holds something that the log does not begin with; nothing was changed.
        """
        if self.storage.signature(self.place.archive) is not None:
            with self._older_archive(b"".join(file.pieces())) as older:
                if older is not None:
                    self._delete(self.place.archive, older)

    def _sealed(self, file: LogFile) -> tuple[bytes, Head]:
        """Return a log that may be put away, as the disk holds it, and its head."""
        file.sync()
        self.storage.sync_dir(self.place.folder)
        file.drop_cache()
        scanner = Scanner(self.place.pipeline, self.place.kept_head(self.storage))
        named: list[Record] = []
        last = ""
        for piece in file.pieces():
            for record in scanner.feed(piece):
                last = record.type
                named += [record] if last.startswith("log.") else []
        verdict = scanner.verdict()
        if (error := refusals.unusable(self.place, verdict)) is not None:
            raise error
        if verdict.tail is not Tail.CLEAN or verdict.head is None or last != SEALED:
            raise refusals.not_archived(self.place, "it is not finished and sealed")
        if recovery.unrecorded(self.storage, self.place, named):
            raise refusals.not_archived(self.place, "a file was set aside that it does not name yet")
        if verdict.offset > LOG_BYTES_MAX:
            raise refusals.not_archived(self.place, f"it has more than {LOG_BYTES_MAX >> 20} MiB")
        return b"".join(file.pieces()), verdict.head

    def _packed(self, log: bytes, head: Head) -> bytes:
        """Return the archive of a log; it was unpacked again, and that was the log."""
        try:
            frame = pack(log, head)
        except BadFrameError as error:
            raise refusals.not_archived(self.place, str(error)) from None
        if _contradiction([frame], log, whole=True):
            raise refusals.not_archived(self.place, "it would not come back byte for byte; see `evt validate`")
        return frame

    @contextlib.contextmanager
    def _older_archive(self, log: bytes) -> Iterator[LogFile | None]:
        """Give the locked archive that lies beside a log; None if there is none, as usual."""
        if self.storage.signature(self.place.archive) is None:
            yield None
            return
        try:
            file = self._lock(self.place.archive)
        except FileNotFoundError:
            yield None
            return
        with contextlib.closing(file):
            if problem := _contradiction(file.pieces(), log):
                raise refusals.two_logs(self.place, problem)
            yield file

    def _write(self, path: str, data: bytes) -> None:
        """Write a file under another name → sync → read it back and compare → rename → sync the folder."""
        temporary = path + ".tmp"
        self.storage.write_new(temporary, data)
        if _sha256(self._read_back(temporary)) != _sha256([data]):
            raise OSError(f"{temporary} did not come back as it was written")
        self.storage.rename(temporary, path)
        self.storage.sync_dir(self.place.folder)

    def _read_back(self, path: str) -> Iterator[bytes]:
        """Yield what the disk holds, and not what the system remembers of it."""
        with contextlib.closing(self.storage.open_log(path, create=False)) as file:
            file.drop_cache()
            yield from file.pieces()

    def _delete(self, path: str, file: LogFile, size_bytes: int | None = None) -> None:
        """Delete a file that we hold locked, if it is still there and as we know it."""
        found = file.size_bytes()
        if found is None or found != (found if size_bytes is None else size_bytes):
            raise OSError(f"{path} was changed, moved or replaced by somebody else")
        self.storage.unlink(path)
        self.storage.sync_dir(self.place.folder)

    def _lock_log(self) -> LogFile:
        for _ in range(_LOOKS):
            with contextlib.suppress(FileNotFoundError):
                return self._lock(self.place.log)
            if self.storage.signature(self.place.archive) is not None:
                raise refusals.not_archived(self.place, "it is already")
            # It may have been put back between the two looks.
            if self.storage.signature(self.place.log) is None:
                break
        raise FileNotFoundError(self.place.log)

    def _lock(self, path: str) -> LogFile:
        return lock(self.storage, self.place, path, self.sleep)


def _behind(offset: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what comes behind the first so many bytes."""
    for piece in pieces:
        if offset < len(piece):
            yield piece[offset:]
        offset = max(0, offset - len(piece))


def _contradiction(frame: Iterable[bytes], log: bytes, *, whole: bool = False) -> str:
    """Return what speaks against an archive being of a log or (not `whole`) its beginning; empty: nothing."""
    at = 0
    try:
        for piece in unpack(frame):
            if not log.startswith(piece, at):
                return "holds something else than the log does"
            at += len(piece)
    except BadFrameError as error:
        return f"is damaged: {error}"
    return "holds only a part of the log" if whole and at < len(log) else ""


def _sha256(pieces: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.digest()
