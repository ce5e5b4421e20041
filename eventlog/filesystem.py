"""Which file system a path lies on, and what it can promise.

Source: /proc/self/mountinfo of Linux, proc(5); what mount(8) prints on macOS, which was read, not tried there.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable

from attrs import frozen

from eventlog.values import Value

UNSAFE = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "drvfs",
        "virtiofs",
        "vboxsf",
        "afpfs",
        "webdav",
        "macfuse",
        "osxfuse",
    }
)
"""Network and shared file systems: appends race, locks are emulated, errors come late."""
VOLATILE = frozenset({"tmpfs", "ramfs", "overlay"})
"""What is written survives the process; whether it survives the machine can't be told, or it does not."""
_OCTAL = re.compile(r"\\([0-7]{3})")


@frozen(eq=False, repr=False)
class FileSystem(Value):
    """Where a log lies.

    Attributes:
        kind: the system's own word, e.g. `ext4`; `unknown` where it can't be told.
        durability: `disk`, or `process` where nothing survives a power loss.
        safe: whether the log's promises hold there.
    """

    kind: str
    durability: str
    safe: bool


def file_system_of(path: str) -> FileSystem:
    """Return the file system of a path that exists."""
    kind = _kind(os.path.realpath(path))
    safe = kind not in UNSAFE and not kind.startswith("fuse")
    return FileSystem(kind, "process" if kind in VOLATILE else "disk", safe)


def _kind(path: str) -> str:
    inside = [(point, kind) for point, kind in _mounts() if _lies_in(path, point)]
    # The longest mount point holds the path; of several mounts on it, the last one is seen.
    inside.sort(key=lambda mount: len(mount[0]))
    return inside[-1][1] if inside else "unknown"


def _lies_in(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")


def _mounts() -> list[tuple[str, str]]:
    """Return (mount point, kind) of every mount, in the order in which they were made; none if it can't be told."""
    if sys.platform == "darwin":
        import subprocess

        listed = subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=False)
        return printed_mounts(listed.stdout.splitlines())
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            return [_mount(line) for line in mounts]
    except FileNotFoundError:
        return []


def printed_mounts(lines: Iterable[str]) -> list[tuple[str, str]]:
    """Return (mount point, kind) from the lines of macOS: `//anna@nas/audio on /Volumes/audio (smbfs, nodev)`."""
    matches = [re.fullmatch(r".+? on (/.*) \(([^,)]+).*\)", line) for line in lines]
    return [(match[1], match[2]) for match in matches if match]


def _mount(line: str) -> tuple[str, str]:
    before, _, after = line.partition(" - ")
    point = _OCTAL.sub(lambda match: chr(int(match.group(1), 8)), before.split(" ")[4])
    return point, after.split(" ")[0]
