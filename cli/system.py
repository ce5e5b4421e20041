"""What the operating system knows: who holds a lock, how much room a disk has."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def allow_many_files() -> None:
    """Let this process hold as many files open as the system allows it: each log that is locked is one."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def is_locked(path: str | Path) -> bool | None:
    """Say whether somebody holds a log's lock; None where the system can't tell."""
    holders = lock_holders(path)
    return None if holders is None else bool(holders)


def lock_holders(path: str | Path) -> list[int] | None:
    """Return the process ids that hold a log's lock, from the system's table; None where it has none.

    No reader takes the lock itself to find out: that made writers' openings fail in trials.

    Source: /proc/locks of Linux, proc(5): `1: FLOCK ADVISORY WRITE <pid> <major>:<minor>:<inode> 0 EOF`.
    """
    held = held_locks()
    try:
        status = os.stat(path)
    except OSError:
        return None
    return None if held is None else held.get(lock_name(status.st_dev, status.st_ino), [])


def held_locks() -> dict[str, list[int]] | None:
    """Return who holds locks, as process ids by `lock_name`; None where the system has no table."""
    try:
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return None
    held: dict[str, list[int]] = {}
    for fields in lines:
        if fields[1] == "FLOCK":
            held.setdefault(fields[5], []).append(int(fields[4]))
    return held


def lock_name(device: int, inode: int) -> str:
    """Return what the system's table of locks calls a file."""
    return f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"


def process_of(pid: int) -> tuple[str, bool] | None:
    """Return the name of a process and whether it was stopped, as by Ctrl-Z; None: it is not there or not seen.

    Source: /proc/<pid>/stat of Linux, proc(5): `123 (evt) S …`; T and t are stopped.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    return name, rest.split()[:1] in (["T"], ["t"])
