"""Taking the lock of a file that others may move, replace or delete at the same moment."""

from __future__ import annotations

from collections.abc import Callable

from eventlog import refusals
from eventlog.place import Place
from eventlog.storage import LogFile, Storage

LOCK_WAIT_S = 0.5
"""How long somebody waits for another process to finish before it is said that there is one."""
LOCK_TRIES = 10


def lock(
    storage: Storage, place: Place, path: str, sleep: Callable[[float], None], *, create: bool = False
) -> LogFile:
    """Open the file at a path of a log's place, and lock it.

    Raises:
        FileNotFoundError: there is none, and `create` is false.
        LogLockedError: somebody else has it.
    """
    for attempt in range(LOCK_TRIES + 1):
        file = storage.open_log(path, create=create)
        try:
            # A file that was replaced between opening and locking is not the one at the path any more.
            if file.try_lock() and file.size_bytes() is not None:
                return file
        except OSError:
            file.close()
            raise
        file.close()
        if attempt < LOCK_TRIES:
            sleep(LOCK_WAIT_S / LOCK_TRIES)
    raise refusals.locked(place)
