"""Fetches a model into the hub's cache: each file is verified before it is placed, and a broken fetch goes on.

First the contents, then the links to them, then the name of the revision: so what isn't whole is never found.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import http.client
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from eventlog.storage import sync_fd, sync_path
from pipeline.models.cached import BLOBS, LOCKS, PART, REF, SNAPSHOTS, blob_behind
from pipeline.models.catalogue import Choice, Kind, kind_of
from pipeline.models.errors import ModelFetchError, ModelRefusedError
from pipeline.models.hub_client import AGAIN, File, Hub, Listing
from pipeline.providers.hub import hub_folder

PIECE_BYTES = 1 << 20
RESUMES_MAX = 20
"""So often a file whose connection is cut goes on by itself, as long as each time something came."""
ROOM_LEFT_BYTES = 100_000_000
"""So much of the disk stays free."""

Progress = Callable[[int], None]
"""Is told how many bytes more are here."""


@frozen
class Offer:
    """A model as it would be fetched.

    Attributes:
        files: what the engine reads, those that it can't do without last.
        folder: of the repository in the cache.
        here_bytes: how much of it is here already.
        free_bytes: of the disk.
    """

    choice: Choice
    kind: Kind
    listing: Listing
    files: tuple[File, ...]
    folder: Path
    here_bytes: int
    free_bytes: int

    @property
    def size_bytes(self) -> int:
        """Of all files; equal ones lie there once."""
        return sum({file.digest: file.size_bytes for file in self.files}.values())

    @property
    def snapshot(self) -> Path:
        """Where its files will be."""
        return self.folder / SNAPSHOTS / self.listing.revision


@frozen
class Steps:
    """Who is told what happens: bytes that are here, and that another program is waited for."""

    progress: Progress
    waits: Callable[[], None]


def offer_of(hub: Hub, cache: Path, choice: Choice) -> Offer:
    """Ask the hub for a model and look at what is here of it; nothing is fetched.

    Raises:
        ModelRefusedError: it is none that an engine can use, its terms aren't accepted, or there is no room.
        ModelFetchError: the hub can't be reached.
    """
    listing = hub.describe(choice.repository)
    paths = {file.path for file in listing.files}
    kind = kind_of(paths) if choice.kind is None else choice.kind
    if kind is None or not set(kind.needed) <= paths:
        raise ModelRefusedError(
            f"{hub.page(choice.repository)} holds no model that evt can use: one of faster-whisper has model.bin, "
            "config.json and tokenizer.json, one of pyannote.audio config.yaml."
        )
    if listing.gated and hub.token is None:
        raise hub.gate(choice.repository)
    wanted = sorted(filter(lambda file: kind.wants(file.path), listing.files), key=lambda f: f.path in kind.needed)
    folder = hub_folder(cache, choice.repository)
    here = {file.digest: min(_size(folder, file), file.size_bytes) for file in wanted}
    exists = next(path for path in [folder, *folder.parents] if path.exists())
    offer = Offer(choice, kind, listing, tuple(wanted), folder, sum(here.values()), shutil.disk_usage(exists).free)
    _require_room(offer)
    return offer


def fetch(hub: Hub, offer: Offer, steps: Steps) -> int:
    """Fetch what is missing, verify all, and place it; return how many bytes came.

    Raises:
        ModelFetchError: it broke off, or wrong bytes came; nothing of them was placed.
        ModelRefusedError: the hub doesn't give it.
        OSError: the disk doesn't take it.
    """
    (offer.folder / BLOBS).mkdir(parents=True, exist_ok=True)
    came = sum(_obtain(hub, offer, file, steps) for file in {file.digest: file for file in offer.files}.values())
    for file in offer.files:
        _link(offer.snapshot / file.path, offer.folder / BLOBS / file.digest)
    for folder in {offer.snapshot, *((offer.snapshot / file.path).parent for file in offer.files)}:
        sync_path(folder)
    ref = offer.folder / REF
    ref.parent.mkdir(exist_ok=True)
    _put(ref, lambda path: path.write_text(offer.listing.revision, "ascii"))
    if not offer.kind.is_whole(offer.snapshot):
        raise ModelFetchError(f"Another program removed files of {offer.choice.name} meanwhile. {AGAIN}")
    return came


def _size(folder: Path, file: File) -> int:
    for name in (file.digest, file.digest + PART):
        with contextlib.suppress(OSError):
            return (folder / BLOBS / name).stat().st_size
    return 0


def _require_room(offer: Offer) -> None:
    missing = offer.size_bytes - offer.here_bytes
    if missing and offer.free_bytes < missing + ROOM_LEFT_BYTES:
        raise ModelRefusedError(
            f"There is no room for {offer.choice.name} in {offer.folder.parent}: {missing / 1e9:.2f} GB are to be "
            f"fetched, {offer.free_bytes / 1e9:.2f} GB are free. Free some, or choose another place with "
            "$HF_HUB_CACHE."
        )


def _obtain(hub: Hub, offer: Offer, file: File, steps: Steps) -> int:
    """See to it that a content is here and right; return how many bytes came."""
    blob = offer.folder / BLOBS / file.digest
    with _locked(offer.folder.parent / LOCKS / offer.folder.name / f"{file.digest}.lock", steps.waits):
        if _is_right(blob, file):
            steps.progress(file.size_bytes)
            return 0
        part = blob.with_name(blob.name + PART)
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            with open(fd, "r+b") as opened:
                came = _fill(hub, offer, file, _Filling(opened, file, steps.progress))
                opened.flush()
                sync_fd(opened.fileno())
        except (ModelFetchError, ModelRefusedError):
            if part.stat().st_size == 0:
                part.unlink()
            raise
        os.replace(part, blob)
        sync_path(blob.parent)
        return came


class _Filling:
    """A part of a file that grows, with the digest of what is there."""

    def __init__(self, opened: Any, file: File, progress: Progress) -> None:
        self.file = file
        self._opened = opened
        self._progress = progress
        self.done = 0
        if os.fstat(opened.fileno()).st_size > file.size_bytes:
            opened.truncate(0)
        self._hash = _hasher(file)
        while piece := opened.read(PIECE_BYTES):
            self._take(piece)

    def restart(self) -> None:
        """Forget what is there."""
        self._opened.seek(0)
        self._opened.truncate()
        self._progress(-self.done)
        self.done, self._hash = 0, _hasher(self.file)

    def add(self, piece: bytes) -> None:
        """Write what came."""
        self._opened.write(piece)
        self._take(piece)

    def is_right(self) -> bool:
        """Say whether all is there, and what was announced."""
        return self.done == self.file.size_bytes and self._hash.hexdigest() == self.file.digest

    def _take(self, piece: bytes) -> None:
        self._hash.update(piece)
        self.done += len(piece)
        self._progress(len(piece))


def _fill(hub: Hub, offer: Offer, file: File, filling: _Filling) -> int:
    """Fetch the rest of a file; a connection that is cut goes on as long as it brings something."""
    came = 0
    for _ in range(RESUMES_MAX):
        if filling.done == file.size_bytes:
            break
        before = filling.done
        came += _read_on(hub, offer, file, filling)
        if filling.done == before:
            break
    if filling.done < file.size_bytes:
        raise ModelFetchError(
            f"{hub.endpoint} broke off in the middle of {file.path}, after {filling.done} of {file.size_bytes} "
            f"bytes. {AGAIN}"
        )
    if not filling.is_right():
        filling.restart()
        raise ModelFetchError(
            f"What {hub.endpoint} gave as {file.path} of {offer.choice.repository} isn't what it announced (other "
            "digest). Nothing of it was kept; the same command fetches that file anew."
        )
    return came


def _read_on(hub: Hub, offer: Offer, file: File, filling: _Filling) -> int:
    """Read until the end of the file, or of the connection; return how many bytes came."""
    came = 0
    with hub.read(offer.choice.repository, offer.listing.revision, file, filling.done) as (start, stream):
        if start != filling.done:
            if start:
                raise ModelFetchError(f"{hub.endpoint} gave another part of {file.path} than asked for. {AGAIN}")
            filling.restart()
        while piece := _next(stream, min(PIECE_BYTES, file.size_bytes - filling.done)):
            filling.add(piece)
            came += len(piece)
    return came


def _next(stream: Any, most: int) -> bytes:
    """Return what comes next; nothing where the connection broke off, which looks like an end."""
    try:
        return bytes(stream.read1(most)) if most else b""
    except (OSError, http.client.HTTPException):
        return b""


def _hasher(file: File) -> Any:
    """Return what makes the digest that the hub names a file by. Source: git-hash-object(1)."""
    if len(file.digest) == 64:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % file.size_bytes, usedforsecurity=False)


def _is_right(blob: Path, file: File) -> bool:
    try:
        with blob.open("rb") as opened:
            if os.fstat(opened.fileno()).st_size != file.size_bytes:
                return False
            found = _hasher(file)
            while piece := opened.read(PIECE_BYTES):
                found.update(piece)
    except OSError:
        return False
    return bool(found.hexdigest() == file.digest)


@contextlib.contextmanager
def _locked(path: Path, waits: Callable[[], None]) -> Iterator[None]:
    """Hold the lock that Hugging Face's tools hold for a content; where there are no locks, go on without."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK}:
                waits()
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _link(path: Path, blob: Path) -> None:
    """Let a file of a snapshot lead to its content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if blob_behind(path) != blob.name:
        _put(path, lambda new: new.symlink_to(os.path.relpath(blob, path.parent)))


def _put(path: Path, make: Callable[[Path], object]) -> None:
    """Make a small file or a link under another name, then give it its own at once."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    make(new)
    os.replace(new, path)
    sync_path(path.parent)
