"""How much room a home takes, by kind. Nothing is read but what the file system says of each file."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from attrs import frozen

from eventlog.scan import ARCHIVE, HEAD, LOG, Folder
from pipeline.artifacts import SCRATCH
from pipeline.home import Home

LOGS, ARCHIVES, HEADS, ASIDE = "logs", "archives", "heads", "set aside"
INDEX, MAKING, OTHER = "index", "scratch", "other"
_TEMPORARY = ".tmp"


@frozen
class Amount:
    """So many files, and so many bytes in them."""

    files: int = 0
    size_bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        """Return both together."""
        return Amount(self.files + other.files, self.size_bytes + other.size_bytes)

    def times(self, factor: float) -> Amount:
        """Return what so many times as much would be."""
        return Amount(round(self.files * factor), round(self.size_bytes * factor))


@frozen
class Usage:
    """What a home takes.

    Attributes:
        kinds: amounts by kind: those above, and the folders of a pipeline's files, such as `transcription`.
        measured, pipelines: of so many pipelines with files out of so many they were counted. Where these differ,
            the kinds in their folders are estimates: ids are digests, so the first of them are a fair sample.
    """

    kinds: dict[str, Amount]
    measured: int
    pipelines: int

    @property
    def total(self) -> Amount:
        """All of it."""
        return sum(self.kinds.values(), Amount())

    @property
    def is_estimate(self) -> bool:
        """Whether some of the files were not counted."""
        return self.measured < self.pipelines


def usage(home: Home, folders: Sequence[Folder], *, goes_on: Callable[[], bool] = lambda: True) -> Usage:
    """Return what a home takes.

    Args:
        home: the home.
        folders: its logs, as `eventlog.scan.folders` has them.
        goes_on: asked between pipelines; False ends the counting, and the rest is estimated.
    """
    kinds: defaultdict[str, Amount] = defaultdict(Amount)
    for folder in folders:
        for file in folder.files:
            kinds[_kind_of_log_file(str(file[0]))] += Amount(1, int(file[3]))
    names = sorted(home.pipelines_with_files())
    sample: defaultdict[str, Amount] = defaultdict(Amount)
    measured = 0
    for name in names:
        if measured and not goes_on():
            break
        for kind, size_bytes in _files_of(str(home.artifacts(name))):
            sample[kind] += Amount(1, size_bytes)
        measured += 1
    for kind, amount in sample.items():
        kinds[kind] += amount.times(len(names) / measured)
    for entry in _entries(str(home.root)):
        if entry.name not in {"logs", "artifacts"}:
            kind = INDEX if entry.name.startswith(home.index.name) else OTHER
            for size_bytes in _sizes(entry):
                kinds[kind] += Amount(1, size_bytes)
    return Usage({kind: kinds[kind] for kind in sorted(kinds)}, measured, len(names))


def _kind_of_log_file(name: str) -> str:
    if name.endswith(_TEMPORARY):
        return MAKING
    found = {LOG: LOGS, ARCHIVE: ARCHIVES, HEAD: HEADS}
    return next((kind for suffix, kind in found.items() if name.endswith(suffix)), ASIDE)


def _files_of(folder: str) -> Iterator[tuple[str, int]]:
    """Yield kind and size of each file of a pipeline."""
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _inside(entry, entry.name)
        else:
            yield OTHER, _size(entry)


def _inside(folder: os.DirEntry[str], kind: str) -> Iterator[tuple[str, int]]:
    """Yield the size of each file below a folder; those in the making are a kind of their own."""
    for entry in _entries(folder.path):
        if entry.is_dir(follow_symlinks=False):
            yield from _inside(entry, MAKING if entry.name == SCRATCH else kind)
        else:
            yield MAKING if entry.name.endswith(_TEMPORARY) else kind, _size(entry)


def _sizes(entry: os.DirEntry[str]) -> Iterator[int]:
    if not entry.is_dir(follow_symlinks=False):
        yield _size(entry)
        return
    for inner in _entries(entry.path):
        yield from _sizes(inner)


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
