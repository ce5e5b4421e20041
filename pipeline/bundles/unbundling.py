"""Reads a bundle into a folder, as files; what isn't right in it is refused before it fills the disk.

A stranger made it: its names are those of the manifest that `pipeline.bundles.form` let pass, and everything is
checked against sizes and digests on its way to the disk.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

from eventlog.compression import BadFrameError, decompress
from eventlog.storage import sync_fd, sync_path
from pipeline.bundles.form import Limits, Manifest, Packed, manifest_of
from pipeline.errors import BundleError

_PIECE_BYTES = 1 << 20


def unbundle(bundle: Path, into: Path, limits: Limits, clock_s: Callable[[], float]) -> Manifest:
    """Write the files of a bundle to `into/ID/PATH`, each synced, and return its manifest.

    Args:
        bundle: the file.
        into: a folder that is empty.
        limits: what is taken at most.
        clock_s: tells how long it takes.

    Raises:
        BundleError: it is no bundle, or not whole, or too much; the folder holds a part of it.
        OSError: it can't be read, or the disk is full.
    """
    with _reading(bundle, limits, clock_s) as content:
        manifest = manifest_of(content.line(limits.manifest_bytes), limits)
        _require_room(into, manifest.size_bytes)
        for member in manifest.members:
            for packed in member.files:
                _write(into / member.pipeline / packed.path, packed, content)
        content.require_end()
    for folder, _, _ in os.walk(into, topdown=False):
        sync_path(folder)
    return manifest


def verify(bundle: Path, limits: Limits, clock_s: Callable[[], float]) -> Manifest:
    """Read a bundle from the disk to its end, each file against its digest, write nothing, return its manifest.

    Raises:
        BundleError, OSError: as for `unbundle`.
    """
    with _reading(bundle, limits, clock_s) as content:
        manifest = manifest_of(content.line(limits.manifest_bytes), limits)
        for member in manifest.members:
            for packed in member.files:
                for _ in content.file(packed):
                    pass
        content.require_end()
    return manifest


@contextmanager
def _reading(bundle: Path, limits: Limits, clock_s: Callable[[], float]) -> Iterator[_Content]:
    until_s = clock_s() + limits.seconds

    def check() -> None:
        if clock_s() > until_s:
            raise _bad(f"it takes longer than {limits.seconds:.0f} seconds")

    with open(_opened(bundle), "rb", buffering=0) as file:
        pieces = decompress(_pieces(file.fileno()), ratio_max=limits.ratio, more_bytes=limits.more_bytes)
        try:
            yield _Content(pieces, check)
        except BadFrameError as error:
            raise _bad(str(error)) from None


@define
class _Content:
    """What a bundle unpacks to, taken from the front, as long as `check` lets it."""

    _pieces: Iterator[bytes]
    _check: Callable[[], None]
    _rest: memoryview = field(factory=lambda: memoryview(b""))

    def take(self, most: int) -> memoryview:
        """Return the next bytes, at most so many; none at the end."""
        if not self._rest:
            self._check()
            self._rest = memoryview(next(self._pieces, b""))
        taken, self._rest = self._rest[:most], self._rest[most:]
        return taken

    def line(self, most: int) -> bytes:
        """Return the next line."""
        line = b""
        while piece := self.take(_PIECE_BYTES):
            end = bytes(piece).find(b"\n") + 1
            line += piece[:end] if end else piece
            if len(line) > most:
                raise _bad(f"its first line is longer than {most} bytes")
            if end:
                if end < len(piece):
                    self._rest = memoryview(bytes(piece[end:]) + bytes(self._rest))
                return line
        raise _bad("its first line is not whole")

    def file(self, packed: Packed) -> Iterator[memoryview]:
        """Yield the bytes of a file, which stand next; they are checked when the last one was yielded."""
        digest, left = hashlib.sha256(), packed.size_bytes
        while left:
            piece = self.take(min(left, _PIECE_BYTES))
            if not piece:
                raise _bad("it ends too early")
            digest.update(piece)
            left -= len(piece)
            yield piece
        if digest.hexdigest() != packed.sha256:
            raise _bad(f"a file in it, {packed.path}, is not what its manifest says")

    def require_end(self) -> None:
        """Refuse what stands behind the last file."""
        if self.take(1):
            raise _bad("it holds more than its manifest says")


def _opened(bundle: Path) -> int:
    fd = os.open(bundle, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)  # what was just written is read from the disk
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(
            errno.EINVAL, "not a regular file; what comes through a pipe must be put into one first", str(bundle)
        )
    return fd


def _pieces(fd: int) -> Iterator[bytes]:
    while piece := os.read(fd, _PIECE_BYTES):
        yield piece


def _require_room(into: Path, size_bytes: int) -> None:
    free = shutil.disk_usage(into).free
    if size_bytes > free:
        raise BundleError(
            f"The bundle holds {size_bytes} bytes, and the disk of the home has room for {free}. Make room, or "
            "choose another home. Nothing was placed."
        )


def _write(path: Path, packed: Packed, content: _Content) -> None:
    _make_folder(path.parent)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb", buffering=0) as file:
        for piece in content.file(packed):
            written = 0
            while written < len(piece):
                written += file.write(piece[written:])
        sync_fd(file.fileno())


def _make_folder(path: Path) -> None:
    """Make a folder and those that it lies in, private to the user, each of them."""
    if not path.is_dir():
        _make_folder(path.parent)
        path.mkdir(mode=0o700)


def _bad(problem: str) -> BundleError:
    return BundleError(f"This is no bundle that can be imported: {problem}. Nothing was placed.")
