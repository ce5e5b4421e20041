"""A simulated disk behind the storage protocol: what a crash, a failing sync or a full disk leaves of it.

It promises what POSIX does and no more: bytes are durable only after `sync`, and names, apart from them and each
change by itself, only after `sync_dir`. It knows nothing of logs. What happens to the bytes of a file: medium.py.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Hashable, Iterator

from attrs import define, field

from eventlog.storage import Signature
from proofs import medium
from proofs.medium import Choose, Inode, Write

MODES = ("kill", *medium.MODES)
"""What a crash leaves: see medium.py. kill: only the process died, maybe with a part of its last write taken."""
FILLS = ("nul", "stale")
"""What stands in a sector that was lost inside a file's size."""
FAULTS = ("fail", "late", "short", "full", "lie", "unlink")
"""What can happen to an operation that changes something, besides `crash`.

fail: EIO, and nothing was done; a failed sync reports success ever after. late: EIO, and all was done. short: a
write takes half, and then the disk is full. full: it is full already. lie: a sync does nothing. unlink: during a
sync somebody deletes the file.
"""

_DIRECTORY = 0
_GONE = -1
Names = dict[str, int]
"""What names stand for: the number of a file, _DIRECTORY, or, in a change, _GONE."""


class CrashError(BaseException):
    """The machine stopped before an operation. No program can catch that, so it is no Exception."""


@define(eq=False)
class SimDisk:
    """A disk.

    Attributes:
        faults: `crash` or one of FAULTS, by the number of the operation that it happens to. Only operations that
            change something are counted, from 0; one that can't suffer its fault is spared.
        bad_reads: numbers of the reading operations that fail, with EIO, and half of the bytes read.
        choose: decides wherever more than one thing may come about.
        watch: called before each operation that changes something.
        capacity_bytes: of all files together; None: without end.
        fired: the faults that came about, also `read` and `stale`.
        writes: what was handed over to be written so far.
    """

    faults: dict[int, str] = field(factory=dict)
    bad_reads: frozenset[int] = frozenset()
    choose: Choose = lambda _: 0
    watch: Callable[[], None] | None = None
    capacity_bytes: int | None = None
    operations: int = 0
    reads: int = 0
    fired: list[str] = field(factory=list)
    writes: tuple[Write, ...] = ()
    _names: Names = field(factory=lambda: {"/": _DIRECTORY})
    _held_names: Names = field(factory=lambda: {"/": _DIRECTORY})
    _pending: tuple[Names, ...] = ()
    _inodes: list[Inode] = field(factory=lambda: [Inode()])
    _locks: dict[int, SimFile] = field(factory=dict)
    _last_write: tuple[int, int] | None = None

    def snapshot(self) -> SimDisk:
        """Return a copy that goes its own way, with nobody at work on it, no faults to come and room again."""
        return SimDisk(
            choose=self.choose,
            fired=list(self.fired),
            writes=self.writes,
            names=dict(self._names),
            held_names=dict(self._held_names),
            pending=self._pending,
            inodes=list(self._inodes),
            last_write=self._last_write,
        )

    def state(self) -> Hashable:
        """Return what two disks have in common only if nothing could ever tell them apart."""
        seen, held = (
            frozenset((path, self._inodes[number][:3]) for path, number in names.items())
            for names in (self._names, self._held_names)
        )
        return seen, held, tuple(tuple(change.items()) for change in self._pending)

    def is_settled(self) -> bool:
        """Say whether the medium holds all that is seen."""
        numbers = set(self._names.values())
        return not self._pending and all(self._inodes[number].is_durable() for number in numbers)

    def crash(self, mode: str, fill: str = "nul") -> None:
        """Stop the machine (or only the process, in mode `kill`) and start it again."""
        self.faults, self.bad_reads, self.watch, self._locks = {}, frozenset(), None, {}
        if mode == "kill":
            self._cut_last_write()
            return
        for change in self._pending:
            if mode == "all" or (mode != "none" and self.choose(2)):
                _apply(self._held_names, change)
        self._names, self._pending, self._last_write = dict(self._held_names), (), None
        for number in sorted(set(self._names.values()) - {_DIRECTORY}):
            self._inodes[number] = self._inodes[number].survivor(mode, self.choose, self._fill(fill))

    def open_log(self, path: str, *, create: bool) -> SimFile:
        """open, with O_CREAT if it is to be created."""
        if path not in self._names:
            if not create:
                raise FileNotFoundError(errno.ENOENT, "none", path)
            fault = self.step()
            self._create(path)
            _end(fault)
        return SimFile(self, path, self._number(path))

    def make_dir(self, path: str) -> None:
        """mkdir."""
        if path not in self._names:
            self._require_dir(os.path.dirname(path))
            fault = self.step()
            self._change({path: _DIRECTORY})
            _end(fault)

    def sync_dir(self, path: str) -> None:
        """Fsync of a directory."""
        self._require_dir(path)
        fault = self.step("lie")
        if fault != "lie":
            pending, self._pending = self._pending, ()
            for change in pending:
                if os.path.dirname(next(iter(change))) == path:
                    _apply(self._held_names, change)
                else:
                    self._pending += (change,)
        _end(fault)

    def write_new(self, path: str, data: bytes) -> None:
        """open(O_CREAT|O_TRUNC) → write → sync."""
        fault = self.step()
        if path in self._names:
            self._inodes[self._number(path)] = self._inodes[self._number(path)].resized(0)
        else:
            self._create(path)
        _end(fault)
        file = SimFile(self, path, self._number(path))
        if file.append(data) < len(data):
            raise OSError(errno.ENOSPC, "simulated")
        file.sync()

    def rename(self, old: str, new: str) -> None:
        """Rename; both names change in one."""
        number = self._number(old)
        fault = self.step()
        self._change({new: number, old: _GONE})
        _end(fault)

    def unlink(self, path: str) -> None:
        """Unlink."""
        self._number(path)
        fault = self.step()
        self._change({path: _GONE})
        _end(fault)

    def pieces(self, path: str, offset: int = 0) -> Iterator[bytes]:
        """Read a file."""
        return SimFile(self, path, self._number(path)).pieces(offset)

    def signature(self, path: str) -> Signature | None:
        """Stat; all folders look alike, as if each new one got the number of one that is gone."""
        if path not in self._names:
            return None
        if self._names[path] == _DIRECTORY:
            return Signature((0, _DIRECTORY), 0, 0)
        inode = self._inodes[self._number(path)]
        return Signature((0, self._names[path]), len(inode.seen), inode.changes)

    def names(self, path: str) -> list[str]:
        """Listdir."""
        self.require_readable()
        return sorted(os.path.basename(name) for name in self._names if os.path.dirname(name) == path != name)

    def holds(self, path: str) -> bool:
        """Say whether there is a file of this name, without an operation."""
        return self._names.get(path, _DIRECTORY) != _DIRECTORY

    def content(self, path: str) -> bytes:
        """Return a file's bytes without an operation."""
        return self._inodes[self._number(path)].seen

    def overwrite(self, path: str, content: bytes) -> None:
        """Change a file behind everybody's back, durably."""
        number = self._number(path)
        self._inodes[number] = Inode(content, content, changes=self._inodes[number].changes + 1)

    def remove(self, path: str) -> None:
        """Delete a file behind everybody's back, durably."""
        self._names.pop(path, None)
        self._held_names.pop(path, None)

    def step(self, *able: str) -> str:
        """Begin an operation that changes something; return the fault that happens to it; raise for `fail`.

        Args:
            able: the faults that it can suffer besides `fail` and `late`.
        """
        fault = self.due("fail", "late", *able)
        if fault == "fail":
            raise OSError(errno.EIO, "simulated")
        return fault

    def due(self, *able: str) -> str:
        """Count an operation that changes something; return the fault that happens to it, if it can suffer that."""
        if self.watch:
            self.watch()
        fault = self.faults.get(self.operations, "")
        self.operations += 1
        if fault not in ("crash", *able):
            fault = ""
        if fault:
            self.fired.append(fault)
        if fault == "crash":
            raise CrashError
        self._last_write = None
        return fault

    def require_readable(self) -> None:
        """Count an operation that only reads; raise if it is to fail."""
        if self.read_fails():
            raise OSError(errno.EIO, "simulated")

    def read_fails(self) -> bool:
        """Count an operation that only reads; say whether it is to fail."""
        self.reads += 1
        fails = self.reads - 1 in self.bad_reads
        if fails:
            self.fired.append("read")
        return fails

    def room(self) -> int:
        """Return how many bytes may still be written."""
        if self.capacity_bytes is None:
            return sys.maxsize
        return max(0, self.capacity_bytes - self._used_bytes())

    def fill_up(self, spare_bytes: int) -> None:
        """Let there be no more room than this."""
        self.capacity_bytes = self._used_bytes() + spare_bytes

    def _used_bytes(self) -> int:
        return sum(len(self._inodes[number].seen) for number in set(self._names.values()))

    def _number(self, path: str) -> int:
        number = self._names.get(path, _DIRECTORY)
        if number == _DIRECTORY:
            raise FileNotFoundError(errno.ENOENT, "none", path)
        return number

    def _create(self, path: str) -> None:
        self._require_dir(os.path.dirname(path))
        self._inodes.append(Inode())
        self._change({path: len(self._inodes) - 1})

    def _require_dir(self, path: str) -> None:
        if self._names.get(path) != _DIRECTORY:
            raise FileNotFoundError(errno.ENOENT, "no directory", path)

    def _change(self, change: Names) -> None:
        _apply(self._names, change)
        self._pending += (change,)

    def _cut_last_write(self) -> None:
        """Let the process have died inside its last write, if that was the last thing it did."""
        if self._last_write is not None:
            number, start = self._last_write
            whole = len(self._inodes[number].seen)
            taken = (whole, start, start + 1 + self.choose(max(1, whole - start - 1)))[self.choose(3)]
            if taken < whole:
                self._inodes[number] = self._inodes[number].resized(taken)
            self._last_write = None

    def _fill(self, fill: str) -> medium.Fill:
        if fill == "nul":
            return medium.nul
        stale = medium.stale(self.writes, self.choose)

        def noted(start: int, length: int) -> bytes:
            self.fired.append("stale")
            return stale(start, length)

        return noted


@define(eq=False)
class SimFile:
    """An open log on a simulated disk."""

    disk: SimDisk
    path: str
    number: int

    def try_lock(self) -> bool:
        """flock(LOCK_EX|LOCK_NB)."""
        return self.disk._locks.setdefault(self.number, self) is self

    def size_bytes(self) -> int | None:
        """Fstat and stat."""
        self.disk.require_readable()
        return len(self._inode.seen) if self.disk._names.get(self.path) == self.number else None

    def end_bytes(self) -> int | None:
        """Fstat."""
        self.disk.require_readable()
        return len(self._inode.seen) if self.number in self.disk._names.values() else None

    def pieces(self, offset: int = 0) -> Iterator[bytes]:
        """Read."""
        content = self._inode.seen[offset:]
        fails = self.disk.read_fails()
        if piece := content[: len(content) // 2] if fails else content:
            yield piece
        if fails:
            raise OSError(errno.EIO, "simulated")

    def append(self, data: bytes) -> int:
        """write(O_APPEND), once."""
        start = len(self._inode.seen)
        self.disk.writes += (Write(self.path, start, data),)
        fault = self.disk.step("short", "full")
        if fault in ("short", "full"):
            self.disk.fill_up(len(data) // 2 if fault == "short" else 0)
        taken = data[: self.disk.room()]
        if len(taken) < len(data) and not fault:
            self.disk.fired.append("full")
        if len(taken) == 0 < len(data):
            raise OSError(errno.ENOSPC, "simulated")
        self._inode = self._inode.resized(start, taken)
        self.disk._last_write = (self.number, start)
        _end(fault)
        return len(taken)

    def truncate(self, size_bytes: int) -> None:
        """ftruncate."""
        fault = self.disk.step()
        self._inode = self._inode.resized(size_bytes)
        _end(fault)

    def sync(self) -> None:
        """Fdatasync."""
        fault = self.disk.due("fail", "late", "lie", "unlink")
        if fault == "unlink":
            self.disk.remove(self.path)
        if fault == "fail":
            self._inode = self._inode.sync_failed(self.disk.choose)
            raise OSError(errno.EIO, "simulated")
        if fault != "lie":
            self._inode = self._inode.synced()
        _end(fault)

    def drop_cache(self) -> None:
        """posix_fadvise(DONTNEED)."""
        self._inode = self._inode.reread()

    def close(self) -> None:
        """Close, which unlocks."""
        if self.disk._locks.get(self.number) is self:
            del self.disk._locks[self.number]

    @property
    def _inode(self) -> Inode:
        return self.disk._inodes[self.number]

    @_inode.setter
    def _inode(self, inode: Inode) -> None:
        self.disk._inodes[self.number] = inode


def _apply(names: Names, change: Names) -> None:
    for path, number in change.items():
        if number == _GONE:
            names.pop(path, None)
        elif os.path.dirname(path) in names:  # a name in a directory that was lost is lost with it
            names[path] = number


def _end(fault: str) -> None:
    """Report an error for an operation that was carried out."""
    if fault == "late":
        raise OSError(errno.EIO, "simulated")
