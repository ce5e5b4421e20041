"""A file of the user's that comes whole or not at all, and never in the place of another."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eventlog.storage import sync_path
from pipeline.errors import BundleError

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What file systems answer that can't give a file a second name."""


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """Give a locked file to be filled, beside the place where it shall be; what is left of it at the end goes."""
    fd = -1
    try:
        if not target.name:
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        made = target.with_name(f".{target.name}.evt-tmp")
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "there is something of that name")
        fd = _locked(made)
        yield made
    except OSError as error:
        raise BundleError(
            f"The bundle {target} can't be made: {error.strerror or error}. Nothing was handed over; choose "
            "another name or folder."
        ) from error
    finally:
        if fd >= 0:
            with suppress(FileNotFoundError):
                os.unlink(made)
            os.close(fd)


def _locked(made: Path) -> int:
    """Return a new file that is ours alone; what a killed command left of it is replaced."""
    while True:
        fd = os.open(made, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise OSError(errno.EBUSY, "another command is making it") from None
        mine = os.fstat(fd)
        is_new = mine.st_size == 0 and mine.st_nlink == 1
        if is_new and os.path.samestat(mine, os.lstat(made)):
            return fd
        # It may be a whole bundle under two names: it is not written to.
        with suppress(FileNotFoundError):
            os.unlink(made)
        os.close(fd)


def give_name(made: Path, target: Path) -> None:
    """Link → sync the folder: nothing that has this name by now is replaced."""
    try:
        os.link(made, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "there is something of that name") from None
        os.rename(made, target)
    try:
        sync_path(target.parent)
    except OSError:
        os.unlink(target)  # what is not there for certain is not there
        raise
