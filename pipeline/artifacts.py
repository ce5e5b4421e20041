"""The files of one pipeline: written once, synced before anybody is told, verified when they are opened.

`<root>/<stage>/<attempt>/<name>`. A file gets its name only when it is whole and on stable storage; until then
it lies in the attempt's scratch folder, which the next run clears.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from attrs import Factory, field, frozen

from eventlog.folders import Folders
from eventlog.storage import PosixStorage, replace_durably, sync_path
from pipeline.errors import ArtifactMismatchError, ArtifactMissingError
from projections.events import ArtifactRef

_PIECE_BYTES = 1 << 20
SCRATCH = ".scratch"
"""What is in the making, in each attempt's folder."""
_SALT = "salt"


@frozen
class Artifacts:
    """All files of one pipeline.

    Attributes:
        root: the folder of the pipeline.
        folders: makes the folders in it, and knows which are durable already.
    """

    root: Path
    folders: Folders = field(default=Factory(lambda: Folders(PosixStorage())), eq=False, repr=False)

    def attempt(self, stage: str, number: int) -> AttemptFolder:
        """Return the folder of an attempt; it is made at the first write."""
        return self.folder(stage, str(number))

    def folder(self, kind: str, name: str) -> AttemptFolder:
        """Return the folder of something that is no attempt; it is made at the first write."""
        return AttemptFolder(self, self.root / kind / name)

    def path(self, ref: ArtifactRef) -> Path:
        """Return where an artifact is, whether or not it is there; never outside of the pipeline's folder."""
        return self.root / _inside(ref.path)

    def looks_whole(self, ref: ArtifactRef) -> bool:
        """Say whether a file of the right size is there; its content is not read."""
        try:
            # Asked of every file at every plan: no Path is made for it.
            status = os.stat(os.path.join(self.root, _inside(ref.path)))
            return stat.S_ISREG(status.st_mode) and status.st_size == ref.size_bytes
        except (OSError, ValueError):  # ValueError: a NUL in the path
            return False

    def is_whole(self, ref: ArtifactRef) -> bool:
        """Say whether the file is there with the content that was recorded."""
        try:
            self.open(ref)
        except (ArtifactMissingError, ArtifactMismatchError):
            return False
        return True

    def open(self, ref: ArtifactRef) -> Path:
        """Return the path of an artifact whose content was compared with its digest.

        Raises:
            ArtifactMissingError: the file is gone or can't be read.
            ArtifactMismatchError: its content is not what was recorded.
        """
        with self._readable(ref):
            digest = file_sha256(os.path.join(self.root, _inside(ref.path)))
        self._require(ref, digest)
        return self.path(ref)

    def read_json(self, ref: ArtifactRef) -> dict[str, Any]:
        """Return the content of a JSON artifact, verified."""
        content: dict[str, Any] = orjson.loads(self.read(ref))
        return content

    def read(self, ref: ArtifactRef) -> bytes:
        """Return the content of an artifact after it was compared with its digest; raises what `open` does."""
        with self._readable(ref):
            content = self.path(ref).read_bytes()
        self._require(ref, hashlib.sha256(content).hexdigest())
        return content

    @contextmanager
    def _readable(self, ref: ArtifactRef) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            raise ArtifactMissingError(
                f"The file {self.path(ref)} is gone or can't be read ({getattr(error, 'strerror', error)}). "
                "`evt run` makes it again if something needs it."
            ) from error

    def _require(self, ref: ArtifactRef, digest: str) -> None:
        if digest != ref.sha256:
            raise ArtifactMismatchError(
                f"The file {self.path(ref)} was changed since it was made. `evt run` makes it again if needed."
            )

    def salt(self) -> str:
        """Return the pipeline's salt, which every JSON artifact begins with.

        The digests of artifacts stand in the log; without a salt, the digest of a short utterance could be
        found by guessing. One salt per pipeline, and not one per file, keeps equal content equal.
        """
        return (self.root / _SALT).read_text().strip()

    def known_salt(self) -> str | None:
        """Return the pipeline's salt; None where it has none yet."""
        path = self.root / _SALT
        content = path.read_bytes() if path.is_file() else b""
        return content.decode().strip() if is_salt(content) else None

    def ensure_salt(self) -> None:
        """Make the salt if there is none; once per run, before its stages share it."""
        if self.known_salt() is None:
            self._put_salt(secrets.token_hex(16).encode() + b"\n")

    def take_salt(self, other: Artifacts) -> None:
        """Have the salt of another pipeline, if it has one, so that equal content is equal in both."""
        content = (other.root / _SALT).read_bytes() if (other.root / _SALT).is_file() else b""
        if is_salt(content):
            self._put_salt(content)

    def _put_salt(self, content: bytes) -> None:
        self.folders.make(str(self.root))
        replace_durably(self.folders.storage, str(self.root / _SALT), content)

    def take(self, ref: ArtifactRef, other: Artifacts, path: str) -> None:
        """Have a file of another pipeline here too: verify → link → sync → rename → sync the folder.

        No file is ever written twice, so both may share its bytes; where they can't, it is copied.

        Args:
            ref: the file as it is there.
            other: where it is.
            path: what it is called here, `<stage>/<attempt>/<name>`.

        Raises:
            ArtifactMissingError, ArtifactMismatchError: it is not there, or not what was recorded.
        """
        stage, number, name = path.split("/", 2)
        folder = self.attempt(stage, int(number))
        source, made = other.open(ref), folder.scratch() / name.replace("/", "-")
        made.unlink(missing_ok=True)
        try:
            os.link(source, made)
        except OSError:
            shutil.copyfile(source, made)
        folder.adopt(made, name)
        folder.close()

    def clear_scratch(self) -> None:
        """Remove what dead attempts left half done; only the holder of the log's lock may do this."""
        for folder in self.root.glob(f"*/*/{SCRATCH}"):
            shutil.rmtree(folder, ignore_errors=True)

    def has_files(self) -> bool:
        """Say whether any file of this pipeline is there."""
        return any(path.is_file() for path in self.root.rglob("*"))


@frozen
class AttemptFolder:
    """The folder of one attempt."""

    _artifacts: Artifacts
    path: Path

    def scratch(self) -> Path:
        """Return a folder for files in the making; it goes away with the attempt, so its name need not last."""
        folder = self.path / SCRATCH
        self._folders.make(str(self.path))
        self._folders.storage.make_dir(str(folder))
        return folder

    def adopt(self, made: Path, name: str) -> ArtifactRef:
        """Give a finished scratch file its name: sync → rename → sync the folder."""
        sync_path(made)
        ref = self._ref(name, file_sha256(made), made.stat().st_size)
        self._name_synced({name: made})
        return ref

    def _name_synced(self, made: Mapping[str, Path]) -> None:
        """Give files that are whole and synced their names: rename each → sync each folder once."""
        folders = self._folders
        targets = {name: os.path.join(self.path, name) for name in made}
        parents = dict.fromkeys(os.path.dirname(target) for target in targets.values())
        for parent in parents:
            folders.make(parent)
        for name, path in made.items():
            folders.storage.rename(str(path), targets[name])
        for parent in parents:
            folders.storage.sync_dir(parent)

    def _ref(self, name: str, sha256: str, size_bytes: int) -> ArtifactRef:
        folder = os.path.relpath(self.path, self._artifacts.root)
        return ArtifactRef(f"{folder}/{name}", sha256, size_bytes)

    @property
    def _folders(self) -> Folders:
        return self._artifacts.folders

    def reserve(self, name: str, size_bytes: int) -> None:
        """Take room on the disk for a file that must not be lost once it comes; raises OSError if there is none."""
        with (self._made(name)).open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size_bytes)
            else:
                file.write(bytes(size_bytes))

    def release(self, name: str) -> None:
        """Give back the room for a file that doesn't come."""
        self._made(name).unlink(missing_ok=True)

    def put_bytes(self, name: str, content: bytes) -> ArtifactRef:
        """Store a file, in the room that was reserved for it if any was; the same steps as `adopt`."""
        return self.put_all({name: content})[0]

    def put_all(self, contents: Mapping[str, bytes]) -> tuple[ArtifactRef, ...]:
        """Store several files: write and sync each → rename each → sync the folder, once for all."""
        self._name_synced({name: self._written(name, content) for name, content in contents.items()})
        return tuple(
            self._ref(name, hashlib.sha256(content).hexdigest(), len(content)) for name, content in contents.items()
        )

    def put_json(self, name: str, value: Mapping[str, Any]) -> ArtifactRef:
        """Store JSON values, the pipeline's salt first."""
        return self.put_bytes(name, orjson.dumps({"salt": self._artifacts.salt(), **value}) + b"\n")

    def _made(self, name: str) -> Path:
        return self.scratch() / name.replace("/", "-")

    def _written(self, name: str, content: bytes) -> Path:
        """Write a scratch file and sync it."""
        made = self._made(name)
        if not os.path.exists(made):
            self._folders.storage.write_new(str(made), content)
            return made
        with made.open("r+b") as file:
            file.write(content)
            file.truncate()
        sync_path(made)
        return made

    def close(self) -> None:
        """Remove the scratch folder, if there is one."""
        scratch = self.path / SCRATCH
        try:
            scratch.rmdir()
        except OSError:
            shutil.rmtree(scratch, ignore_errors=True)


def leads_out(path: str) -> bool:
    """Say whether a path in a log leads out of its pipeline's folder; evt writes none such, a stranger may."""
    return path.startswith("/") or (".." in path and ".." in path.split("/"))


def _inside(path: str) -> str:
    """Return a path that a log names; for one that leads out, a name that no file of ours has."""
    return f"outside {path.replace('/', ' ')}" if leads_out(path) else path


def is_salt(content: bytes) -> bool:
    """Say whether this is what a salt's file holds."""
    return re.fullmatch(rb"[0-9a-f]{32}\n", content) is not None


def file_sha256(path: str | Path) -> str:
    """Return the sha256 of a regular file's content, read in pieces."""
    digest = hashlib.sha256()
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        while piece := os.read(fd, _PIECE_BYTES):
            digest.update(piece)
    finally:
        os.close(fd)
    return digest.hexdigest()
