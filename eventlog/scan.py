"""What the file system says of all logs of a store, without opening one: the base of what is remembered of them.

Imports next to nothing, since a listing of logs that nobody touched needs no more than this.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

LOG, ARCHIVE, HEAD = ".jsonl", ".jsonl.zst", ".head"
"""How the names of a log, of its archive and of its head end."""
COPY = ".copy"
"""How the name of a file ends that says that the log beside it is a copy."""
PURGED, LIFTED = ".purged", ".lifted"
"""How the name of a tombstone ends, which says that the log was purged; and of one that was lifted since."""
SUFFIXES = (LOG, ARCHIVE, HEAD)
"""The files that decide how a log reads: the log itself or its archive, and the head kept beside it."""


class FileStat(NamedTuple):
    """What differs as soon as a file does; times are those of its content and of its inode, in nanoseconds."""

    name: str
    inode: int
    mode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int

    @property
    def is_regular(self) -> bool:
        """Whether it can be a log at all."""
        return stat.S_ISREG(self.mode)


class Folder(NamedTuple):
    """One of the folders that hold logs: its name in the store, and the `FileStat`s in it, by name, as tuples."""

    name: str
    files: Sequence[Sequence[str | int]]

    def pipelines(self) -> dict[str, list[FileStat]]:
        """Return the files of each pipeline that decide how its log reads; a head that lost its log is one.

        Not one whose log was purged, of which a purge that was cut short left a head.
        """
        from eventlog.record import is_name

        found: dict[str, list[FileStat]] = {}
        for file in map(FileStat._make, self.files):
            suffix = next((suffix for suffix in SUFFIXES if file.name.endswith(suffix)), None)
            pipeline = file.name.removesuffix(suffix or "")
            if suffix and pipeline[:2] == self.name and is_name(pipeline):
                found.setdefault(pipeline, []).append(file)
        names = {file[0] for file in self.files}
        for pipeline in [name for name in found if name + PURGED in names]:
            if not {pipeline + LOG, pipeline + ARCHIVE} & names:
                del found[pipeline]
        return found


def folders(root: str) -> Iterator[Folder]:
    """Yield the folders that may hold logs, by name; none if there is no such root.

    Raises:
        LogStorageError: one of them can't be listed.
    """
    try:
        for name in sorted(os.listdir(root)):
            if len(name) <= 2:
                yield Folder(name, _files(os.path.join(root, name)))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        from eventlog.errors import LogStorageError

        raise LogStorageError(f"The logs in {root} can't be listed: {error}.") from error


def _files(path: str) -> list[tuple[str, int, int, int, int, int]]:
    """Open → scandir → fstatat of each file, as plain tuples: making others takes longer than the system does."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    is_ = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                found.append((entry.name, is_.st_ino, is_.st_mode, is_.st_size, is_.st_mtime_ns, is_.st_ctime_ns))
    finally:
        os.close(fd)
    found.sort()
    return found
