"""All pipelines of a home, a row each, without reading the logs that are as they were: the rest is remembered.

What is remembered of a folder of logs is believed only together with what the file system says of each of its
files, and with the code that folded them; everything else is folded again. So the index may be lost, old, damaged,
of another version or written by two commands at once: a list gets slower by that, and never wrong. Why it is so:
docs/adr/0016-index.md.

Imports no fold and no log: nothing of these is needed where nobody touched a log.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from eventlog.scan import PURGED, Folder, folders
from pipeline.listing.index import read

DAMAGED_LOG, UNREADABLE, GONE = "damaged", "unreadable", "gone"
"""What a log can be, beside what its pipeline can be."""

Details = dict[str, Any]
"""What `projections.summary.Summary` holds of a pipeline, as JSON values."""


class Row(NamedTuple):
    """By what a pipeline is chosen, sorted and shown in a table.

    Attributes:
        completed: how many stages are.
        created_at, updated_at: as records write times; empty: not known.
        name: as recorded; None: not known.
        also: the other names under which the recording was met; None: no other.
        stages: those that failed or are under way, separated by spaces.
        providers: the engines that diarized and transcribed, a line each.
        cost: currency and amount, as a text that sorts as amounts do; None: nothing, or not known.
        has_people: the transcript may name people.
        newer: the evt that wrote events which this one doesn't know, as far as the log says; None: it knows all.
        parts: how many files are joined to this recording; 0: it is one file.
    """

    pipeline: str
    status: str
    completed: int
    created_at: str
    updated_at: str
    name: Any
    also: list[Any] | None
    duration_s: float | None
    stages: str
    providers: str
    cost: str | None
    has_people: bool
    newer: str | None = None
    parts: int = 0

    @property
    def names(self) -> list[Any]:
        """Every recorded name."""
        return [self.name, *(self.also or ())]


class Listing:
    """The pipelines that there are: `rows`, one for each, by id.

    Args:
        logs: the folder of all logs.
        index: where the database is, or shall be; it need not be usable.
        others: names of what may be pipelines that lost their logs.
        now_s: tells the time, and so which files may still change without a new time stamp.
        remembers: what was read is kept in the index; otherwise nothing is changed, whatever state it is in.

    Raises:
        LogStorageError: the logs can't be listed.
    """

    def __init__(
        self,
        logs: Path,
        index: Path,
        others: Iterable[str] = (),
        now_s: Callable[[], float] = time.time,
        *,
        remembers: bool = True,
    ) -> None:
        self._logs, self._index, self._remembers = logs, index, remembers
        self._fresh: dict[str, Details] = {}
        self._unchanged: dict[str, Kept] = {}
        self.rows: list[Row] = []
        code, begun_s = _code(), now_s()
        kept, changed = kept_folders(index, changes=remembers), []
        for folder in folders(str(logs)):
            old = kept.pop(folder.name, None)
            if old is not None and old.seen == seen_by(code, folder.files):
                self._unchanged[folder.name] = old
                self.rows += old.rows
            else:
                changed.append((folder, old))
        if changed or kept:
            self._renew(code, begun_s, changed, gone=kept)
        self._add(set(others))

    def _add(self, others: set[str]) -> None:
        """Add pipelines of which there is no log, only something else."""
        others = others.difference(row.pipeline for row in self.rows)
        if not others:
            return
        from eventlog.record import is_name

        for pipeline in filter(is_name, others):
            if os.path.lexists(self._logs / pipeline[:2] / (pipeline + PURGED)):
                continue
            row, self._fresh[pipeline] = self._read(pipeline)
            self.rows.append(row)
        self.rows.sort(key=_by_id)

    def details(self, pipelines: Collection[str]) -> dict[str, Details]:
        """Return the details of some of the pipelines, by id."""
        found = {pipeline: self._fresh[pipeline] for pipeline in pipelines if pipeline in self._fresh}
        wanted = set(pipelines) - found.keys()
        seen = {
            name: kept.seen
            for name, kept in self._unchanged.items()
            if wanted and any(row.pipeline in wanted for row in kept.rows)
        }
        for details in kept_details(self._index, seen, changes=self._remembers).values():
            found |= {pipeline: details[pipeline] for pipeline in wanted & details.keys()}
        return found | {pipeline: self._read(pipeline)[1] for pipeline in wanted - found.keys()}

    def _renew(
        self, code: str, begun_s: float, changed: Sequence[tuple[Folder, Kept | None]], gone: Iterable[str]
    ) -> None:
        from pipeline.listing.renewal import Renewal

        renewal = Renewal(self._logs, self._index, code, begun_s, remembers=self._remembers)
        for folder, old in changed:
            renewal.renew(folder, old)
        renewal.finish(gone)
        self._fresh = {pipeline: line.details for pipeline, line in renewal.lines.items()}
        self.rows += (line.row for line in renewal.lines.values())
        self.rows.sort(key=_by_id)

    def _read(self, pipeline: str) -> tuple[Row, Details]:
        from eventlog.store import Store
        from pipeline.listing.renewal import read_line

        return read_line(Store(str(self._logs)), pipeline)


class Kept(NamedTuple):
    """What the index holds of one folder, whole.

    Attributes:
        seen: see `seen_by`.
        columns: of its rows, as JSON; without what can't be relied on next time.
    """

    seen: bytes
    columns: bytes

    @property
    def rows(self) -> Iterator[Row]:
        """The rows of the folder's pipelines, by id."""
        return map(Row._make, zip(*orjson.loads(self.columns), strict=True))

    def files(self, code: str) -> Sequence[Sequence[Any]]:
        """Return the folder's files as they were; none if other code has folded them."""
        by, files = orjson.loads(self.seen)
        return files if by == code else ()


def seen_by(code: str, files: Sequence[Sequence[Any]]) -> bytes:
    """Return what has to be the same for rows to be believed: the code that folds, and a folder's files.

    Empty where that can't be written down, and so not be remembered: a name that is no text, a time beyond 2554.
    """
    try:
        return orjson.dumps((code, files))
    except TypeError:
        return b""


_by_id = itemgetter(0)

SCHEMA = """CREATE TABLE IF NOT EXISTS folders (
    name BLOB PRIMARY KEY, seen BLOB, columns_sum INTEGER, details_sum INTEGER, columns BLOB, details BLOB)"""
REPLACE = "INSERT OR REPLACE INTO folders VALUES (?, ?, ?, ?, ?, ?)"
"""The two sums are over `seen` and what they are named after. Details stand last, where a query skips them."""


def kept_folders(index: Path, *, changes: bool = True) -> dict[str, Kept]:
    """Return what the index holds that is whole, by the folder's name."""
    query = "SELECT name, seen, columns_sum, columns FROM folders"
    return {
        os.fsdecode(name): Kept(seen, columns)
        for name, seen, kept, columns in read(index, query, changes=changes)
        if isinstance(name, bytes) and is_whole(kept, seen, columns)
    }


def kept_details(index: Path, seen: Mapping[str, bytes], *, changes: bool = True) -> dict[str, dict[str, Details]]:
    """Return the details of pipelines that belong to just these files, by the folder's name and the pipeline's."""
    query = "SELECT name, seen, details_sum, details FROM folders WHERE name = ?"
    return {
        os.fsdecode(name): orjson.loads(details)
        for name, found, kept, details in read(
            index, query, [(os.fsencode(name),) for name in seen], changes=changes
        )
        if isinstance(name, bytes) and is_whole(kept, found, details) and seen.get(os.fsdecode(name)) == found
    }


def sum_of(seen: bytes, content: bytes) -> int:
    """Return what no damaged content has: damage, not malice, is what a database in a private folder meets."""
    return zlib.crc32(content, zlib.crc32(seen))


def is_whole(kept: object, seen: object, content: object) -> bool:
    """Say whether content is as it was written. A damaged database may hand out any type."""
    return isinstance(seen, bytes) and isinstance(content, bytes) and kept == sum_of(seen, content)


def _code() -> str:
    """Return what differs as soon as another version of evt folds, or the same one was changed."""
    here = os.path.dirname(os.path.abspath(__file__))
    found = []
    packages = os.path.dirname(os.path.dirname(here))
    for folder in (here, *(os.path.join(packages, name) for name in ("eventlog", "projections"))):
        with os.scandir(folder) as entries:
            files = [(entry.name, entry.stat()) for entry in entries if entry.name.endswith(".py")]
        found += sorted((folder, name, is_.st_size, is_.st_mtime_ns) for name, is_ in files)
    return f"{zlib.crc32(repr(found).encode()):08x}-{max(file[-1] for file in found)}"
