"""From a path to a recording: which bytes it holds, under which name, without reading it twice.

A digest is remembered under what the file system says of the file (device, inode, size, both times). The memory
is disposable: a lost or damaged one costs a reading, never a wrong answer.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import field, frozen

from eventlog.errors import LogNotFoundError
from eventlog.store import Store
from pipeline.artifacts import file_sha256
from pipeline.errors import SourceRejectedError
from pipeline.listing.index import RACY_S, read, write
from pipeline.upkeep.tombstones import tombstone_of
from projections.events import recorded_input
from projections.state import PipelineState

JOINED = "evt joined recording 1\n"
"""What is digested before the digests of the parts; a stored form, see docs/recordings.md."""

PARTS_MAX_BYTES = 48_000
"""Names and digests of parts that a record holds; with 30 characters each, names of 350 files."""


@frozen
class Recording:
    """A file to transcribe, as it was when its digest was taken; or several, one after another.

    Attributes:
        path: absolute; of several the first one's.
        sha256: of its content; of several see `joined`.
        size_bytes: of all together.
        signature: what the file system said of it; compared again after it was read.
        parts: the files of which it is joined, in their order; empty: it is a file.
    """

    path: Path
    sha256: str
    size_bytes: int
    signature: tuple[int, ...] = field(eq=False)
    parts: tuple[Recording, ...] = ()

    @property
    def files(self) -> tuple[Recording, ...]:
        """The files to read, in their order."""
        return self.parts or (self,)

    @property
    def name(self) -> str | dict[str, str]:
        """The file's name; {"bytes_hex": …} where its bytes are not text."""
        return recordable_name(self.path.name)

    def require_unchanged(self) -> None:
        """Raise SourceRejectedError if a file is not the one whose digest was taken."""
        for file in self.files:
            try:
                same = _signature(file.path) == file.signature
            except OSError:
                same = False
            if not same:
                raise SourceRejectedError(
                    f"{shown(file.path)} changed while it was being read. Wait until it is complete, "
                    "then run again."
                )


def identify(path: Path, index: Path, *, verify: bool = False) -> Recording:
    """Return the recording at a path.

    Args:
        path: the file, as the user named it.
        index: the database of remembered digests.
        verify: read the file even if its digest is remembered.

    Raises:
        SourceRejectedError: it is missing, a directory, empty, not a regular file, unreadable, or changes.
    """
    path = path.absolute()
    signature = _checked_signature(path)
    sha256 = None if verify else _remembered(index, signature)
    if sha256 is None:
        try:
            sha256 = file_sha256(path)
        except OSError as error:
            raise SourceRejectedError(f"{shown(path)} can't be read: {error.strerror}.") from error
        recording = Recording(path, sha256, signature[2], signature)
        recording.require_unchanged()
        _remember(index, signature, sha256, time.time())
    return Recording(path, sha256, signature[2], signature)


def joined(parts: Sequence[Recording]) -> Recording:
    """Return files as one recording, in their order; a single file is that itself.

    Its digest is the SHA-256 of the line `JOINED` and of the digest of each part in hex, each ended by a line feed.

    Raises:
        SourceRejectedError: a file is there twice, or there are too many.
    """
    if len(parts) == 1:
        return parts[0]
    seen: dict[str, Recording] = {}
    for part in parts:
        if (other := seen.setdefault(part.sha256, part)) is not part:
            raise SourceRejectedError(
                f"{shown(part.path)} is the same file as {shown(other.path)}: no part of a recording stands in it "
                "twice. Leave one out."
            )
    if sum(len(repr(part.name)) + 120 for part in parts) > PARTS_MAX_BYTES:
        raise SourceRejectedError(f"{len(parts)} parts are more than one log record can name. Join fewer at once.")
    digest = hashlib.sha256((JOINED + "".join(f"{part.sha256}\n" for part in parts)).encode()).hexdigest()
    first = parts[0]
    return Recording(first.path, digest, sum(part.size_bytes for part in parts), first.signature, tuple(parts))


def again(recording: Recording, index: Path) -> Recording:
    """Return a recording as it is now.

    Raises:
        SourceRejectedError: as `identify`, or it is not what it was.
    """
    now = joined([identify(file.path, index) for file in recording.files])
    if now.sha256 != recording.sha256:
        raise SourceRejectedError("The recording was changed since this command began. Run it again.")
    return now


def remembered(paths: Iterable[Path], index: Path) -> Iterator[tuple[Path, str]]:
    """Yield (path, sha256) of the files whose digests are remembered; none is read."""
    signatures: dict[Path, tuple[int, ...]] = {}
    for path in paths:
        with suppress(OSError, ValueError):
            signatures[path] = _signature(path)
    known = dict(_recalled(index, signatures.values()))
    yield from ((path, known[signature]) for path, signature in signatures.items() if signature in known)


def pipeline_id_of(recording: Recording, store: Store) -> str:
    """Return the id of a recording's pipeline: the first 16 hex of its digest, more where two share them."""
    for digits in range(16, 65, 4):
        pipeline = recording.sha256[:digits]
        try:
            first = next((r for r in store.stream(pipeline) if r.type == "pipeline.created"), None)
        except LogNotFoundError:
            if (purged := tombstone_of(store, pipeline)) is None or purged.sha256 in {None, recording.sha256}:
                return pipeline
            continue
        if first is None or recorded_input(first.data).get("sha256") == recording.sha256:
            return pipeline
    raise AssertionError("two recordings have the same sha256")


def lies_where_it_was(state: PipelineState) -> bool:
    """Say whether a file of the recording's size lies at a path at which a run found it; nothing is read."""
    for path in {name_of(run.started.input_path) for run in state.runs if run.started.input_path is not None}:
        with suppress(OSError, ValueError):
            found = os.stat(path)
            if stat.S_ISREG(found.st_mode) and found.st_size == state.input.get("size_bytes"):
                return True
    return False


def recordable_name(name: str) -> str | dict[str, str]:
    """Return a file name as the log can hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return {"bytes_hex": os.fsencode(name).hex()}
    return name


def name_of(recorded: Any) -> str:
    """Return a file name from the log as the system knows it; what is none, as any text."""
    try:
        return os.fsdecode(bytes.fromhex(recorded["bytes_hex"]))
    except (KeyError, TypeError, ValueError):
        return str(recorded)


def shown(path: Path | str) -> str:
    """Return a path as a message may show it: no control characters, no broken characters."""
    text = str(path).encode("utf-8", "replace").decode()
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def _checked_signature(path: Path) -> tuple[int, ...]:
    try:
        mode = path.stat().st_mode
        signature = _signature(path)
    except OSError as error:
        reason = "There is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise SourceRejectedError(f"{shown(path)} can't be opened: {reason}. Check the name.") from error
    except ValueError as error:  # a NUL in a path that a log names
        raise SourceRejectedError(f"{shown(path)} can't be a file: {error}. Check the name.") from error
    if stat.S_ISDIR(mode):
        raise SourceRejectedError(f"{shown(path)} is a folder. Name the recordings in it.")
    if not stat.S_ISREG(mode):
        raise SourceRejectedError(f"{shown(path)} is not a regular file. Copy the recording into one first.")
    if signature[2] == 0:
        raise SourceRejectedError(f"{shown(path)} is empty. Check that it was copied completely.")
    return signature


def _signature(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


_TABLE = """CREATE TABLE IF NOT EXISTS digests (
    device TEXT, inode TEXT, size_bytes INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, sha256 TEXT, sum INTEGER,
    PRIMARY KEY (device, inode))"""


def _remembered(index: Path, signature: tuple[int, ...]) -> str | None:
    return next((sha256 for _, sha256 in _recalled(index, [signature])), None)


def _recalled(index: Path, signatures: Iterable[tuple[int, ...]]) -> Iterator[tuple[tuple[int, ...], str]]:
    wanted = {(str(signature[0]), str(signature[1])): signature for signature in signatures}
    known = {(device.encode(), inode.encode()): signature for (device, inode), signature in wanted.items()}
    columns = "device, inode, size_bytes, mtime_ns, ctime_ns, sha256, sum"
    query = f"SELECT {columns} FROM digests WHERE device = ? AND inode = ?"  # noqa: S608 - no text of anybody's in it
    for device, inode, *found, sha256, kept in read(index, query, list(wanted)):
        signature = known.get((device, inode))
        is_same = signature is not None and found == list(signature[2:]) and isinstance(sha256, bytes)
        if signature is not None and is_same and kept == _sum(signature, sha256):
            yield signature, sha256.decode()


def _remember(index: Path, signature: tuple[int, ...], sha256: str, now_s: float) -> None:
    device, inode, *rest = signature
    if now_s - max(signature[3], signature[4]) / 1e9 < RACY_S:
        return
    row = (str(device), str(inode), *rest, sha256, _sum(signature, sha256.encode()))
    write(index, _TABLE, [("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?, ?)", [row])])


def forget_digest(index: Path, sha256: str) -> None:
    """Remember no more which files have this content."""
    write(index, _TABLE, [("DELETE FROM digests WHERE sha256 = ?", [(sha256,)])])


def _sum(signature: tuple[int, ...], sha256: bytes) -> int:
    """Return what a damaged row doesn't have."""
    return zlib.crc32(b"%b %b" % (repr(signature).encode(), sha256))
