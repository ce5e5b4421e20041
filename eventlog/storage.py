"""The only code that touches the disk: a small protocol, and what it is on a POSIX system.

Each method is one durable step or none; which system calls it makes, and in which order, stands in its
docstring. Tests put a simulated disk in its place.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import sys
import weakref
from collections.abc import Iterator
from typing import Protocol

from attrs import frozen

from eventlog.values import Value

READ_PIECE_BYTES = 1 << 20


@frozen(eq=False, repr=False)
class Signature(Value):
    """Tells two states of one path apart.

    Attributes:
        identity: the file itself; another one after a replacement.
        size_bytes: its size.
        changed: when its bytes changed, in the system's own count.
    """

    identity: tuple[int, int]
    size_bytes: int
    changed: int


class LogFile(Protocol):
    """One log, open for its only writer."""

    def try_lock(self) -> bool:
        """Take the exclusive lock on the file itself; False: somebody else has it. Never waits."""

    def size_bytes(self) -> int | None:
        """Return the size now; None if the file at the path is not this one any more."""

    def end_bytes(self) -> int | None:
        """Return the size now, wherever the path leads; None if this object lost its file. Half of `size_bytes`."""

    def pieces(self, offset: int = 0) -> Iterator[bytes]:
        """Yield the file's bytes from `offset`."""

    def append(self, data: bytes) -> int:
        """Write at the end, once; return how many bytes were taken, which may be fewer than given."""

    def truncate(self, size_bytes: int) -> None:
        """Cut the file to this size. Not durable before `sync`."""

    def sync(self) -> None:
        """Return when the file's bytes and size are on stable storage."""

    def drop_cache(self) -> None:
        """Forget cached pages, so that the next read shows what the disk holds."""

    def close(self) -> None:
        """Release the lock and the file. Never fails."""


class Storage(Protocol):
    """A disk as the log needs it."""

    def open_log(self, path: str, *, create: bool) -> LogFile:
        """Open a log for writing; FileNotFoundError if it isn't there and `create` is false."""

    def make_dir(self, path: str) -> None:
        """Make a directory, private to the user, unless it is there. Not durable before `sync_dir`."""

    def sync_dir(self, path: str) -> None:
        """Return when the directory's names are on stable storage."""

    def write_new(self, path: str, data: bytes) -> None:
        """Write a whole file and sync its bytes; its name is durable only after `sync_dir`."""

    def rename(self, old: str, new: str) -> None:
        """Give a file its name, replacing what was there. Not durable before `sync_dir`."""

    def unlink(self, path: str) -> None:
        """Take a file's name away. Not durable before `sync_dir`."""

    def pieces(self, path: str, offset: int = 0) -> Iterator[bytes]:
        """Yield a file's bytes from `offset`; FileNotFoundError if there is none."""

    def signature(self, path: str) -> Signature | None:
        """Return what differs as soon as the file does; None if there is none."""

    def names(self, path: str) -> list[str]:
        """Return the names in a directory, sorted; none if the directory isn't there."""


def replace_durably(storage: Storage, path: str, data: bytes) -> None:
    """Put a file in place so that after a crash it is there whole or, unchanged, as before.

    Write under a temporary name → sync → rename → sync the directory.
    """
    temporary = path + ".tmp"
    storage.write_new(temporary, data)
    storage.rename(temporary, path)
    storage.sync_dir(os.path.dirname(path))


def sync_fd(fd: int) -> None:
    """Make a file's bytes and size durable: F_FULLFSYNC on macOS, where fsync stops at the drive's cache.

    Source: fcntl(2) of macOS; a file system without F_FULLFSYNC answers ENOTSUP and gets fsync.
    """
    if sys.platform == "darwin":
        try:
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
            os.fsync(fd)
    else:
        os.fdatasync(fd)


def sync_path(path: str | os.PathLike[str]) -> None:
    """Make a file or a directory that is already there durable."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if sys.platform == "darwin":
            sync_fd(fd)
        else:
            os.fsync(fd)
    finally:
        _close(fd)


class PosixLogFile:
    """A log on a POSIX file system; see `LogFile` for what each method owes."""

    def __init__(self, path: str, *, create: bool) -> None:
        """open(O_RDWR|O_APPEND|O_CLOEXEC|O_NOFOLLOW|O_NONBLOCK) → fstat: only a regular file will do."""
        self._path = path
        self._fd = _open_regular(path, os.O_RDWR | os.O_APPEND | (os.O_CREAT if create else 0))
        self._identity = _identity(os.fstat(self._fd))
        self._owner_pid = os.getpid()
        _open_logs.add(self)

    def try_lock(self) -> bool:
        """flock(LOCK_EX|LOCK_NB)."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def size_bytes(self) -> int | None:
        """Stat, which must show the inode that was opened; as long as it is open, no other file has its number."""
        try:
            there = os.lstat(self._path)
        except FileNotFoundError:
            return None
        return there.st_size if _identity(there) == self._identity else None

    def end_bytes(self) -> int | None:
        """Fstat. Had somebody closed our descriptor, another file could have its number by now."""
        mine = os.fstat(self._fd)
        return mine.st_size if _identity(mine) == self._identity else None

    def pieces(self, offset: int = 0) -> Iterator[bytes]:
        """Pread in pieces of a mebibyte."""
        return _pieces(self._fd, offset)

    def append(self, data: bytes) -> int:
        """write, once."""
        return os.write(self._fd, data)

    def truncate(self, size_bytes: int) -> None:
        """ftruncate."""
        os.ftruncate(self._fd, size_bytes)

    def sync(self) -> None:
        """fdatasync, or F_FULLFSYNC on macOS."""
        sync_fd(self._fd)

    def drop_cache(self) -> None:
        """posix_fadvise(DONTNEED), where there is such a call.

        After a failed sync the cache still shows bytes that the disk does not hold.
        """
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """flock(LOCK_UN) → close; a forked child only closes its copy.

        The lock belongs to every copy, so that without unlocking a child that lives on would keep it. No failure
        matters here: what was acknowledged is synced, and a close that reports an error has closed.
        """
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                if os.getpid() == self._owner_pid:
                    fcntl.flock(fd, fcntl.LOCK_UN)
            _close(fd)


_open_logs: weakref.WeakSet[PosixLogFile] = weakref.WeakSet()


def _close_in_fork() -> None:
    """Close a forked child's copies, with which it would keep the lock of a writer that was killed."""
    for file in list(_open_logs):
        file.close()


os.register_at_fork(after_in_child=_close_in_fork)


class PosixStorage:
    """The local disk; see `Storage` for what each method owes."""

    def open_log(self, path: str, *, create: bool) -> LogFile:
        """See PosixLogFile."""
        return PosixLogFile(path, create=create)

    def make_dir(self, path: str) -> None:
        """mkdir(0700)."""
        if not os.path.isdir(path):
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)

    def sync_dir(self, path: str) -> None:
        """open → fsync → close."""
        sync_path(path)

    def write_new(self, path: str, data: bytes) -> None:
        """open(O_CREAT|O_TRUNC, 0600) → write all → sync → close."""
        fd = _open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            sync_fd(fd)
        finally:
            _close(fd)

    def rename(self, old: str, new: str) -> None:
        """rename."""
        os.rename(old, new)

    def unlink(self, path: str) -> None:
        """unlink."""
        os.unlink(path)

    def pieces(self, path: str, offset: int = 0) -> Iterator[bytes]:
        """Open read-only → pread in pieces of a mebibyte → close."""
        fd = _open_regular(path, os.O_RDONLY)
        try:
            yield from _pieces(fd, offset)
        finally:
            _close(fd)

    def signature(self, path: str) -> Signature | None:
        """Stat."""
        try:
            found = os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return Signature(_identity(found), found.st_size, found.st_mtime_ns)

    def names(self, path: str) -> list[str]:
        """Listdir."""
        try:
            return sorted(os.listdir(path))
        except (FileNotFoundError, NotADirectoryError):
            return []


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _close(fd: int) -> None:
    """Close a file that was only read, or that is synced: an error says nothing, and it is closed all the same."""
    with contextlib.suppress(OSError):
        os.close(fd)


def _pieces(fd: int, offset: int) -> Iterator[bytes]:
    while piece := os.pread(fd, READ_PIECE_BYTES, offset):
        yield piece
        offset += len(piece)


def _open_regular(path: str, flags: int) -> int:
    """open(… O_CLOEXEC|O_NOFOLLOW|O_NONBLOCK, 0600) → fstat: only a regular file will do.

    Without O_NONBLOCK a FIFO in the file's place would hang us.
    """
    try:
        fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, "a symbolic link is not followed", path) from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return fd
