"""Removes a model from the hub's cache: what its revision alone uses, and what broken fetches left.

What an engine can't do without goes first, and the name of the revision before the contents: so what is left
after a death is never taken for a model, and the next removal finds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from pipeline.models.cached import BLOBS, LOCKS, REF, SNAPSHOTS, Lying, digest_of, linked
from pipeline.models.catalogue import KINDS
from pipeline.models.errors import ModelRefusedError


@frozen
class Going:
    """What a removal would take, or took: how many files, and how many bytes they free."""

    files: int
    size_bytes: int


def survey(lying: Lying) -> Going:
    """Return what would go; nothing is changed.

    Raises:
        ModelRefusedError: the folder is a link, so that what is in it belongs elsewhere.
    """
    if lying.folder.is_symlink():
        raise ModelRefusedError(f"{lying.folder} is a link; nothing is removed through it. Remove it yourself.")
    paths = list(_going(lying))
    return Going(len(paths), sum(map(_frees, paths)))


def drop(lying: Lying) -> Going:
    """Remove it; return what really went.

    Raises:
        ModelRefusedError: another program fetches it.
        OSError: a file can't be removed; the next removal goes on.
    """
    files = size = 0
    with contextlib.ExitStack() as stack:
        for digest in {digest_of(blob) for blob in lying.loose}:
            stack.enter_context(_unfetched(lying, digest))
        for path in list(_going(lying)):
            frees = _frees(path)
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                files, size = files + 1, size + frees
    _sweep(lying.folder)
    return Going(files, size)


def _going(lying: Lying) -> Iterator[Path]:
    """Yield what is to go, in that order; no link is followed."""
    gone = lying.snapshot
    if gone is not None:
        needed = {name for kind in KINDS for name in kind.needed}
        entries = [Path(folder) / name for folder, _, names in os.walk(gone) for name in names]
        yield from sorted(entries, key=lambda path: (str(path.relative_to(gone)) not in needed, path))
        yield lying.folder / REF
    found = {**linked(lying.folder)}
    ours = {*found.pop(gone.name, {}).values()} if gone else set()
    stays = {blob for links in found.values() for blob in links.values()}
    yield from (lying.folder / BLOBS / blob for blob in sorted({*ours, *lying.loose} - stays))


def _frees(path: Path) -> int:
    """Return how many bytes are free without a file: none where it is a link or has another name."""
    try:
        status = path.lstat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 else 0


@contextlib.contextmanager
def _unfetched(lying: Lying, digest: str) -> Iterator[None]:
    """Hold the lock of a content, if there is one; refuse where another program fetches it."""
    path = lying.folder.parent / LOCKS / lying.folder.name / f"{digest}.lock"
    if not path.exists():
        yield
        return
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ModelRefusedError(
                f"Another program fetches {lying.folder.name} just now; nothing was removed. Let it end first."
            ) from None
        except OSError:
            pass  # no locks on this file system
        yield


def _sweep(folder: Path) -> None:
    """Remove folders that are empty now."""
    inner = [Path(path) for path, _, _ in os.walk(folder / SNAPSHOTS, topdown=False)]
    for path in [*inner, folder / BLOBS, (folder / REF).parent, folder]:
        with contextlib.suppress(OSError):
            os.rmdir(path)


def other_revisions(lying: Lying) -> int:
    """Return how many revisions would stay, which other programs asked for."""
    gone = lying.snapshot.name if lying.snapshot else None
    return sum(bool(links) and revision != gone for revision, links in linked(lying.folder).items())
