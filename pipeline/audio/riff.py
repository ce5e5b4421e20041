"""WAV files whose samples are more than their header says: the size of a chunk has 32 bits, 4 GB.

Recorders go on writing behind that and leave the size wrapped around, or all ones; one that was switched off leaves
zero. Read as it stands, such a file ends hours early. Here it gets, for its reader alone, the header of an RF64,
which has room for the size.

Source: EBU Tech 3306 (RF64), 3.5; Multimedia Programming Interface and Data Specifications 1.0 (RIFF).
"""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import BinaryIO

WRAP = 2**32
OPEN_END = 0xFFFF_0000
"""A size from here on says that the writer didn't know it, as does 0."""

CHUNKS_MAX = 1000


class Mended(io.RawIOBase):
    """A file as a reader sees it: another header before its samples."""

    def __init__(self, file: BinaryIO, header: bytes, start: int, length: int) -> None:
        super().__init__()
        self._file, self._header, self._start = file, header, start
        self._length = len(header) + length
        self._at = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be read anywhere."""
        return True

    def tell(self) -> int:
        """Return where reading is."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # of bytes, as its callers give it
        """Fill a buffer as far as there is something; return how far."""
        wanted = max(0, min(len(buffer), self._length - self._at))
        if self._at < len(self._header):
            found = self._header[self._at : self._at + wanted]
        else:
            self._file.seek(self._start + self._at - len(self._header))
            found = self._file.read(wanted)
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def mended(path: Path) -> Mended | None:
    """Return a WAV file with a header that says how long it is; None where its own does, or it is no WAV file.

    Raises:
        OSError: it can't be read.
    """
    file = path.open("rb")
    head = file.read(12)
    found = _samples(file, os.fstat(file.fileno()).st_size) if head[:4] == b"RIFF" and head[8:] == b"WAVE" else None
    if found is None:
        file.close()
        return None
    form, start, length = found
    frame = max(1, int.from_bytes(form[12:14], "little"))
    sizes = struct.pack("<QQQI", 4 + 36 + len(form) + 8 + length, length, length // frame, 0)
    header = (
        b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<I", len(sizes)) + sizes + form + b"data\xff\xff\xff\xff"
    )
    return Mended(file, header, start, length)


def _samples(file: BinaryIO, size: int) -> tuple[bytes, int, int] | None:
    """Return the chunk of the format, where samples begin, and how many bytes; None: as the header says."""
    form, at = b"", 12
    for _ in range(CHUNKS_MAX):
        file.seek(at)
        header = file.read(8)
        if len(header) < 8:
            return None
        name, stated = header[:4], int.from_bytes(header[4:], "little")
        start = at + 8
        if name == b"fmt ":
            form = header + file.read(min(stated, 1024))
        if name == b"data":
            length = _length(stated, size - start)
            is_said = length is None or _are_chunks(file, start + stated, size)
            return None if is_said or not form else (form, start, length or 0)
        at = start + stated + stated % 2
    return None


def _length(stated: int, present: int) -> int | None:
    """Return how many bytes of samples there are where the stated number can't be it; None: it can."""
    if stated == 0 or (stated >= OPEN_END and present >= OPEN_END):
        return present or None
    wraps = (present - stated) // WRAP
    return stated + wraps * WRAP if wraps > 0 and stated < OPEN_END else None


def _are_chunks(file: BinaryIO, at: int, size: int) -> bool:
    """Say whether chunks, one after another, lead from a place to the end of a file: then the samples end there."""
    at += at % 2
    for _ in range(CHUNKS_MAX):
        file.seek(at)
        header = file.read(8)
        if len(header) < 8 or not header[:4].isascii() or not header[:4].decode().isprintable():
            return False
        length = int.from_bytes(header[4:], "little")
        at += 8 + length + length % 2
        if at >= size:
            return at - size <= 1
    return False
