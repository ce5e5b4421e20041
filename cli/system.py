"""What the operating system knows: who holds a lock, how much room a disk has."""

from __future__ import annotations

import os
from pathlib import Path


def is_locked(path: str | Path) -> bool | None:
    """Say whether somebody holds a log's lock; None where the system can't tell."""
    holders = lock_holders(path)
    return None if holders is None else bool(holders)


def lock_holders(path: str | Path) -> list[int] | None:
    """Return the process ids that hold a log's lock, from the system's table; None where it has none.

    No reader takes the lock itself to find out: that made writers' openings fail in trials.

    Source: /proc/locks of Linux, proc(5): `1: FLOCK ADVISORY WRITE <pid> <major>:<minor>:<inode> 0 EOF`.
    """
    try:
        table = Path("/proc/locks").read_text()
        status = os.stat(path)
    except OSError:
        return None
    name = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    lines = [line.split() for line in table.splitlines()]
    return [int(fields[4]) for fields in lines if fields[1] == "FLOCK" and fields[5] == name]
