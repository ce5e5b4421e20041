"""Looks at files and removes them below one folder; no link is followed, so nothing outside can be reached."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import frozen

_ANY_DEPTH = 64
"""Deeper than any folder of ours."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@frozen
class Lying:
    """A file, or a folder with all that is in it, as it lies there.

    Attributes:
        path: below the folder that was opened.
        size_bytes: of the file, or of all files in the folder.
        files: how many there are.
        links: how many names the file has, 1 for a folder; its bytes are free when the last one is gone.
        inode: (device, number).
        changed_s: when it was last written, in seconds since 1970.
    """

    path: str
    size_bytes: int
    files: int
    links: int
    inode: tuple[int, int]
    changed_s: float
    is_folder: bool = False


@contextmanager
def opened(folder: Path) -> Iterator[int | None]:
    """Open a folder that is no link; None where there is none."""
    try:
        fd = os.open(folder, _FOLDER)
    except OSError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def lying(root: int, path: str) -> Lying | None:
    """Return the regular file at a path; None where there is none, or something else, or a link on the way."""
    with suppress(OSError), _parent(root, path) as (folder, name):
        return _file(folder, name, path)
    return None


def remove(root: int, path: str) -> int | None:
    """Remove the regular file at a path; return the bytes that come free, None where there is no such file.

    Raises:
        OSError: it can't be removed.
    """
    if (found := lying(root, path)) is None:
        return None
    with _parent(root, path) as (folder, name):
        os.unlink(name, dir_fd=folder)
    return found.size_bytes if found.links == 1 else 0


def remove_folder(root: int, path: str) -> None:
    """Remove a folder and all that is in it.

    Raises:
        OSError: something of it can't be removed.
    """
    with _parent(root, path) as (folder, name):
        shutil.rmtree(name, dir_fd=folder)


def remove_empty(root: int, path: str) -> None:
    """Remove the folders on the way to a path, from the innermost, as far as they are empty."""
    while "/" in path:
        path = path.rpartition("/")[0]
        try:
            with _parent(root, path) as (folder, name):
                os.rmdir(name, dir_fd=folder)
        except OSError:
            return


def within(root: int, deepest: int, at: str = "") -> Iterator[tuple[int, str, list[str]]]:
    """Yield folders, the outermost first and at most so deep: (descriptor, path with a slash behind, names)."""
    names = sorted(os.listdir(root))
    yield root, at, names
    for name in names if deepest > 0 else ():
        with suppress(OSError), _inside(root, name) as folder:
            yield from within(folder, deepest - 1, f"{at}{name}/")


def files_ending(root: int, suffix: str, deepest: int) -> list[Lying]:
    """Return the regular files with names that end so, at most so deep."""
    chosen = [
        _file(folder, name, at + name)
        for folder, at, names in within(root, deepest)
        for name in names
        if name.endswith(suffix)
    ]
    return [found for found in chosen if found is not None]


def folder_of(parent: int, at: str, name: str) -> Lying | None:
    """Return a folder with all that is in it; None where there is none, or a link."""
    with suppress(OSError):
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            sizes, inode = _sizes(parent, name), (found.st_dev, found.st_ino)
            return Lying(at + name, sum(sizes), len(sizes), 1, inode, found.st_mtime, is_folder=True)
    return None


def files_below(parent: int, name: str) -> list[Lying]:
    """Return the regular files in a folder and below it; none where there is no such folder."""
    with suppress(OSError), _inside(parent, name) as root:
        found = (_file(folder, file, at + file) for folder, at, names in within(root, _ANY_DEPTH) for file in names)
        return [item for item in found if item is not None]
    return []


def _file(folder: int, name: str, path: str) -> Lying | None:
    with suppress(OSError):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISREG(found.st_mode):
            inode = (found.st_dev, found.st_ino)
            return Lying(path, found.st_size, 1, found.st_nlink, inode, found.st_mtime)
    return None


def _sizes(root: int, name: str) -> list[int]:
    walk = os.fwalk(name, dir_fd=root, follow_symlinks=False)
    return [
        os.stat(file, dir_fd=folder, follow_symlinks=False).st_size
        for _, _, files, folder in walk
        for file in files
    ]


@contextmanager
def _parent(root: int, path: str) -> Iterator[tuple[int, str]]:
    """Open the folder that holds a path, step by step; raises OSError where a step is no folder."""
    *steps, name = path.split("/")
    folder = os.dup(root)
    try:
        for step in steps:
            inner = os.open(step, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder, name
    finally:
        os.close(folder)


@contextmanager
def _inside(root: int, name: str) -> Iterator[int]:
    fd = os.open(name, _FOLDER, dir_fd=root)
    try:
        yield fd
    finally:
        os.close(fd)
