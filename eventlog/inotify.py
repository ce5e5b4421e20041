"""Linux tells at once which names under watched folders change: the only file that knows inotify's calls.

Source: inotify(7) and <sys/inotify.h>; the numbers are part of the kernel's interface.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
from typing import NamedTuple

_MODIFY, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x8, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _Q_OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
_ONLYDIR, _ISDIR = 0x0100_0000, 0x4000_0000
_NAMES = _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_GONE = _DELETE_SELF | _MOVE_SELF | _UNMOUNT
_HEADER = struct.Struct("iIII")
_BUFFER_BYTES = 1 << 16


class Change(NamedTuple):
    """One change.

    Attributes:
        folder: the watched folder; empty where changes were lost, so that anything may have changed.
        name: what changed in it; empty: the folder itself was moved or removed.
        is_new_folder: a folder of this name came to be.
        is_folder: what changed is a folder, or was one.
    """

    folder: str
    name: str
    is_new_folder: bool
    is_folder: bool = False


class Inotify:
    """Watches folders, each without what lies below it; raises OSError where the system has no more to give.

    Args:
        only_closed: of files that are written to, tell when they are closed, not of each write.
    """

    def __init__(self, *, only_closed: bool = False) -> None:
        self._written = _CLOSE_WRITE if only_closed else _MODIFY
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._folders: dict[int, str] = {}
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def watch(self, folder: str) -> None:
        """Tell from now on what changes in a folder."""
        mask = ctypes.c_uint32(_NAMES | self._written | _GONE | _ONLYDIR)
        number = self._checked(self._libc.inotify_add_watch(self._fd, os.fsencode(folder), mask), folder)
        self._folders[number] = folder

    def wait(self, timeout_s: float) -> list[Change]:
        """Return what has changed, as soon as anything has; nothing after so many seconds."""
        if not self._poll.poll(max(0, round(timeout_s * 1000))):
            return []
        return self._changes(os.read(self._fd, _BUFFER_BYTES))

    def close(self) -> None:
        """Watch no more."""
        os.close(self._fd)

    def _changes(self, data: bytes) -> list[Change]:
        changes: list[Change] = []
        offset = 0
        while offset < len(data):
            number, mask, _, length = _HEADER.unpack_from(data, offset)
            offset += _HEADER.size
            name = os.fsdecode(data[offset : offset + length].rstrip(b"\0"))
            offset += length
            folder = self._folders.get(number, "")
            if mask & _IGNORED:
                self._folders.pop(number, None)
            elif mask & _Q_OVERFLOW:
                changes.append(Change("", "", is_new_folder=False))
            elif folder:
                is_new_folder = bool(mask & _ISDIR and mask & (_CREATE | _MOVED_TO))
                changes.append(Change(folder, name, is_new_folder, bool(mask & _ISDIR)))
        return changes

    def _checked(self, result: int, path: str | None = None) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        return result
