"""The bytes of one file on a simulated medium: what is durable, and what a crash makes of the rest. Pure.

Bytes become durable by the 512-byte sector, the size apart from them. What was lost inside the size reads as NULs
(ext4, XFS, Btrfs, APFS: the size follows the blocks, or unwritten blocks are marked so) or, where size and blocks
may reach the medium in any order, as *stale* bytes, those that lay there before: ext3 and ext4 mounted with
data=writeback, ext2, FAT.

Source: ext4(5) on data=writeback: "it can allow old data to appear in files after a crash and journal recovery".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

SECTOR = 512
MODES = ("none", "all", "prefix", "subset", "sector", "size", "byte")
"""What a crash keeps of what is not yet synced.

None, all; the first sectors; any sectors; one sector, or all but one; only the new size; or all up to any byte.
"""

Choose = Callable[[int], int]
"""Decides between so many possibilities; 0 is the usual one."""
Fill = Callable[[int, int], bytes]
"""Gives the bytes of a lost sector, by its offset in the file and its length."""


class Inode(NamedTuple):
    """A file's bytes.

    Attributes:
        seen: as processes see them.
        held: as the medium holds them.
        dirty: the sectors that the system knows it has yet to write.
        changes: how often they were changed.
    """

    seen: bytes = b""
    held: bytes = b""
    dirty: frozenset[int] = frozenset()
    changes: int = 0

    def resized(self, size_bytes: int, data: bytes = b"") -> Inode:
        """Return it cut to this size, and with these bytes behind that."""
        seen = self.seen[:size_bytes] + data
        end = max(len(self.seen), len(seen))
        touched = range(size_bytes // SECTOR, -(-end // SECTOR)) if end > size_bytes else ()
        return Inode(seen, self.held, self.dirty.union(touched), self.changes + 1)

    def synced(self) -> Inode:
        """Return it with all that is dirty on the medium."""
        held = self.seen if self.dirty == _sectors(self.seen) else self._written(self.dirty, len(self.seen), nul)
        return self._replace(held=held, dirty=frozenset())

    def sync_failed(self, choose: Choose) -> Inode:
        """Return it as after a failed sync: what is still to be written is forgotten, as Linux does.

        The medium got the size and no bytes, or nothing, or any of the sectors.
        """
        way = choose(3)
        kept = [sector for sector in sorted(self.dirty) if choose(2)] if way == 2 else ()
        held = self.held if way == 1 else self._written(kept, len(self.seen), nul)
        return self._replace(held=held, dirty=frozenset())

    def reread(self) -> Inode:
        """Return it as it is seen when clean sectors are read from the medium again."""
        return self._replace(seen=self._written(self.dirty, len(self.seen), nul))

    def survivor(self, mode: str, choose: Choose, fill: Fill) -> Inode:
        """Return what a crash leaves of it."""
        held = self.held if mode == "none" or self.is_durable() else self._torn(mode, choose, fill)
        return Inode(held, held, changes=self.changes + 1)

    def is_durable(self) -> bool:
        """Say whether the medium holds what is seen."""
        return not self.dirty and self.seen == self.held

    def _torn(self, mode: str, choose: Choose, fill: Fill) -> bytes:
        if mode == "all":
            return self._written(self.dirty, len(self.seen), fill)
        # Of a size that shrank without a sync, either may be there.
        size_bytes = len(self.held) if len(self.seen) < len(self.held) and choose(2) else len(self.seen)
        dirty = sorted(self.dirty)
        if mode == "byte" and dirty:
            return self._torn_byte(dirty[0] * SECTOR, size_bytes, choose, fill)
        kept = _kept(mode, dirty, choose)
        if mode == "prefix":
            reach = (kept[-1] + 1) * SECTOR if kept else 0
            size_bytes = min(size_bytes, max(reach, len(self.held)))
        return self._written(kept, size_bytes, fill)

    def _torn_byte(self, start: int, size_bytes: int, choose: Choose, fill: Fill) -> bytes:
        # Only the very last byte is often what decides.
        tear = size_bytes - 1 if choose(3) == 2 else start + choose(max(1, size_bytes - start))
        before = self._written(self.dirty, size_bytes, nul)[:tear]
        if choose(2):
            size_bytes = min(size_bytes, max(tear, len(self.held)))
        return before + self._written((), size_bytes, fill)[tear:]

    def _written(self, sectors: Collection[int], size_bytes: int, fill: Fill) -> bytes:
        """Return what the medium holds, of this size, when these sectors are written as they are seen."""
        content = bytearray(self.held[:size_bytes])
        while (start := len(content)) < size_bytes:
            sector = start // SECTOR
            length = min(size_bytes, (sector + 1) * SECTOR) - start
            content += bytes(length) if sector in sectors else fill(start, length)
        for sector in sectors:
            start, end = sector * SECTOR, min((sector + 1) * SECTOR, size_bytes)
            if start < end:
                content[start:end] = self.seen[start:end].ljust(end - start, b"\0")
        return bytes(content)


class Write(NamedTuple):
    """Bytes that somebody handed over to be written, whether or not all were taken."""

    path: str
    offset: int
    data: bytes


def nul(_: int, length: int) -> bytes:
    """Fill a lost sector with NULs."""
    return bytes(length)


def stale(writes: Sequence[Write], choose: Choose) -> Fill:
    """Fill a lost sector with what may have lain there: most plausibly something that was written earlier.

    What once had the same place in its file; or any write from its beginning, up to its end, or from a byte in it.
    """

    def fill(start: int, length: int) -> bytes:
        way = choose(4)
        here = [write.data[start - write.offset :] for write in writes if write.offset <= start]
        pieces = [piece for piece in (here if way == 0 else [write.data for write in writes]) if piece]
        if not pieces:
            return bytes(length)
        piece = pieces[choose(len(pieces))]
        repeated = piece * (length // len(piece) + 2)
        if way == 2:
            return repeated[-length:]
        begin = choose(len(piece)) if way == 3 else 0
        return repeated[begin : begin + length]

    return fill


def _kept(mode: str, dirty: list[int], choose: Choose) -> list[int]:
    if mode == "prefix":
        return dirty[: choose(len(dirty) + 1)]
    if mode == "subset":
        return [sector for sector in dirty if choose(2)]
    if mode == "sector" and dirty:
        one, alone = dirty[choose(len(dirty))], choose(2) == 0
        return [sector for sector in dirty if (sector == one) == alone]
    return []


def _sectors(content: bytes) -> set[int]:
    return set(range(-(-len(content) // SECTOR)))
