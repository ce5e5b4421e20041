"""A simulated disk behind the storage protocol: what a crash, a failing sync or a full disk leaves of it.

Bytes are durable by 512-byte sector and only after `sync`; names are durable by directory and only after
`sync_dir`. It knows nothing of logs: whoever uses it gets what POSIX promises, and no more.
"""

from __future__ import annotations

import copy
import errno
import os
import random
from collections.abc import Iterator

from attrs import define, field

from eventlog.storage import Signature

SECTOR = 512
MODES = ("kill", "none", "all", "prefix", "subset", "size", "byte")
"""What a crash keeps of the bytes not yet synced.

kill: everything, since only the process died. none and all of them; the first sectors; any sectors; only the
file's new size, full of NULs; or a prefix that ends inside a sector. What is lost inside the size is NUL.
"""


Change = dict[str, "Inode | bool | None"]
"""New meanings of names: a file, None for a directory, False for nothing."""


class CrashError(BaseException):
    """The machine stopped before an operation. No program can catch that, so it is no Exception."""


@define
class Inode:
    """A file: what processes see, what the medium holds, and which sectors differ."""

    number: int
    seen: bytearray = field(factory=bytearray)
    held: bytearray = field(factory=bytearray)
    dirty: set[int] = field(factory=set)
    locked_by: SimFile | None = None
    version: int = 0

    def touch(self, start: int, end: int) -> None:
        self.version += 1
        self.dirty |= set(range(start // SECTOR, -(-end // SECTOR)))

    def settle(self, sectors: set[int], size_bytes: int) -> None:
        """Let the medium hold these sectors as they are seen, and this size; the rest of it stays."""
        self.held = self.held[:size_bytes] + bytes(max(0, size_bytes - len(self.held)))
        for sector in sectors:
            part = slice(sector * SECTOR, min((sector + 1) * SECTOR, size_bytes))
            if part.start < size_bytes:
                self.held[part] = self.seen[part].ljust(part.stop - part.start, b"\0")

    def crash(self, mode: str, rng: random.Random) -> None:
        dirty = sorted(self.dirty)
        # Of a size that shrank without a sync, either may be there.
        size_bytes = (
            rng.choice([len(self.seen), len(self.held)]) if len(self.seen) < len(self.held) else len(self.seen)
        )
        if mode in ("kill", "all"):
            self.settle(self.dirty, len(self.seen))
        elif mode == "prefix":
            kept = dirty[: rng.randint(0, len(dirty))]
            reach = (kept[-1] + 1) * SECTOR if kept else 0
            self.settle(set(kept), min(size_bytes, max(reach, len(self.held))))
        elif mode == "subset":
            self.settle({sector for sector in dirty if rng.random() < 0.5}, size_bytes)
        elif mode == "size":
            self.settle(set(), size_bytes)
        elif mode == "byte" and size_bytes > len(self.held):
            self.settle(self.dirty, rng.randint(len(self.held), size_bytes))
        self.seen, self.dirty = bytearray(self.held), set()


@define
class SimDisk:
    """A disk; `faults` names what happens at which operation, counted from 0.

    Faults: `crash`; `fail`: EIO, and a failed sync reports success ever after; `lie`: a sync that does nothing;
    `short`: a write that takes half, after which the disk is full; `unlink`: a sync during which somebody deletes
    the file.
    """

    faults: dict[int, str] = field(factory=dict)
    operations: int = 0
    capacity_bytes: int | None = None
    fired: list[str] = field(factory=list)
    _names: dict[str, Inode | None] = field(factory=lambda: {"/": None})
    _held_names: dict[str, Inode | None] = field(factory=lambda: {"/": None})
    _pending: list[Change] = field(factory=list)
    _inodes: int = 0

    def crash(self, mode: str, seed: int = 0) -> None:
        """Stop the machine (or only the process, in mode `kill`) and start it again."""
        rng = random.Random(seed)
        if mode != "kill":
            for change in self._pending:
                if mode == "all" or (mode != "none" and rng.random() < 0.5):
                    _apply(self._held_names, change)
            self._names, self._pending = dict(self._held_names), []
        for inode in {id(node): node for node in self._names.values() if node}.values():
            if mode != "kill":
                inode.crash(mode, rng)
            inode.locked_by = None
        self.faults = {}

    def snapshot(self) -> SimDisk:
        """Return a copy that goes its own way."""
        return copy.deepcopy(self)

    def step(self, *, can_fail: bool = True) -> str | None:
        """Count an operation and return the fault that is due; every operation begins here."""
        fault = self.faults.get(self.operations)
        self.operations += 1
        if fault:
            self.fired.append(fault)
        if fault == "crash":
            raise CrashError
        if fault == "fail" and can_fail:
            raise OSError(errno.EIO, "simulated")
        return fault

    def open_log(self, path: str, *, create: bool) -> SimFile:
        if path not in self._names:
            if not create:
                raise FileNotFoundError(errno.ENOENT, "none", path)
            self.step()
            self._create(path)
        return SimFile(self, path, self._file(path))

    def make_dir(self, path: str) -> None:
        if path not in self._names:
            self._require_dir(os.path.dirname(path))
            self.step()
            self._change({path: None})

    def sync_dir(self, path: str) -> None:
        self._require_dir(path)
        if self.step() != "lie":
            for change in [change for change in self._pending if os.path.dirname(next(iter(change))) == path]:
                _apply(self._held_names, change)
                self._pending.remove(change)

    def write_new(self, path: str, data: bytes) -> None:
        self.step()
        file = SimFile(self, path, self._create(path))
        if file.append(data) < len(data):
            raise OSError(errno.ENOSPC, "simulated")
        file.sync()

    def rename(self, old: str, new: str) -> None:
        inode = self._file(old)
        self.step()
        self._change({new: inode, old: False})

    def pieces(self, path: str, offset: int = 0) -> Iterator[bytes]:
        if content := bytes(self._file(path).seen[offset:]):
            yield content

    def signature(self, path: str) -> Signature | None:
        if path not in self._names:
            return None
        inode = self._file(path)
        return Signature((0, inode.number), len(inode.seen), inode.version)

    def names(self, path: str) -> list[str]:
        return sorted(os.path.basename(name) for name in self._names if os.path.dirname(name) == path != name)

    def overwrite(self, path: str, content: bytes) -> None:
        """Change a file behind everybody's back, durably."""
        inode = self._file(path)
        inode.seen, inode.held, inode.dirty = bytearray(content), bytearray(content), set()
        inode.version += 1

    def remove(self, path: str) -> None:
        """Delete a file behind everybody's back, durably."""
        del self._names[path]
        self._held_names.pop(path, None)

    def content(self, path: str) -> bytes:
        return bytes(self._file(path).seen)

    def _file(self, path: str) -> Inode:
        inode = self._names.get(path)
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, "none", path)
        return inode

    def _create(self, path: str) -> Inode:
        self._require_dir(os.path.dirname(path))
        self._inodes += 1
        inode = Inode(self._inodes)
        self._change({path: inode})
        return inode

    def _require_dir(self, path: str) -> None:
        if self._names.get(path, False) is not None:
            raise FileNotFoundError(errno.ENOENT, "no directory", path)

    def _change(self, change: Change) -> None:
        _apply(self._names, change)
        self._pending.append(change)


def _apply(names: dict[str, Inode | None], change: Change) -> None:
    for path, inode in change.items():
        if inode is False:
            names.pop(path, None)
        elif os.path.dirname(path) in names:  # a name in a directory that was lost is lost with it
            names[path] = inode


@define(eq=False)
class SimFile:
    """An open log on a simulated disk."""

    disk: SimDisk
    path: str
    inode: Inode

    def try_lock(self) -> bool:
        if self.inode.locked_by is None:
            self.inode.locked_by = self
        return self.inode.locked_by is self

    def size_bytes(self) -> int | None:
        return len(self.inode.seen) if self.disk._names.get(self.path) is self.inode else None

    def end_bytes(self) -> int | None:
        return len(self.inode.seen)

    def pieces(self, offset: int = 0) -> Iterator[bytes]:
        if content := bytes(self.inode.seen[offset:]):
            yield content

    def append(self, data: bytes) -> int:
        if self.disk.step() == "short":
            data = data[: len(data) // 2]
            self.disk.capacity_bytes = len(self.inode.seen) + len(data)
        if self.disk.capacity_bytes is not None:
            room = self.disk.capacity_bytes - len(self.inode.seen)
            if room <= 0 and data:
                raise OSError(errno.ENOSPC, "simulated")
            data = data[:room]
        start = len(self.inode.seen)
        self.inode.seen += data
        self.inode.touch(start, len(self.inode.seen))
        return len(data)

    def truncate(self, size_bytes: int) -> None:
        self.disk.step()
        end = len(self.inode.seen)
        del self.inode.seen[size_bytes:]
        self.inode.touch(size_bytes, end)

    def sync(self) -> None:
        fault = self.disk.step(can_fail=False)
        if fault == "unlink":
            self.disk.remove(self.path)
        if fault != "lie":
            # After a failure the system takes the pages for clean: they are seen, but never written.
            self.inode.settle(set() if fault == "fail" else self.inode.dirty, len(self.inode.seen))
            self.inode.dirty = set()
        if fault == "fail":
            raise OSError(errno.EIO, "simulated")

    def drop_cache(self) -> None:
        if not self.inode.dirty:
            self.inode.seen = bytearray(self.inode.held)

    def close(self) -> None:
        if self.inode.locked_by is self:
            self.inode.locked_by = None
