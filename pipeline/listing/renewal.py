"""Folds the logs that changed, and remembers what came of it. What is remembered, and why: `listing.py`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from attrs import evolve

from eventlog.errors import CorruptLogError, LogError, LogStorageError
from eventlog.reader import Tail
from eventlog.scan import FileStat, Folder
from eventlog.store import Store
from pipeline.listing import listing
from pipeline.listing.index import RACY_S, write
from pipeline.listing.listing import DAMAGED_LOG, GONE, UNREADABLE, Details, Kept, Row
from projections.fold import fold, initial_state
from projections.summary import Summary, summarize, summary_as_json

WRITE_AFTER_S = 2.0
"""Work of this length is remembered before it goes on: a list that is killed loses no more."""


class Line(NamedTuple):
    """A pipeline's row and details, and the files that they were read from."""

    files: list[FileStat]
    row: Row
    details: Details


class Renewal:
    """One command's work on the folders that changed.

    Args:
        logs: the folder of all logs.
        index: where the database is, or shall be.
        code: see `listing.seen_by`.
        begun_s: the time before the first file was looked at.
        remembers: see `listing.Listing`.

    Attributes:
        lines: of the pipelines in these folders, by id.
    """

    def __init__(self, logs: Path, index: Path, code: str, begun_s: float, *, remembers: bool = True) -> None:
        self.lines: dict[str, Line] = {}
        self._store = Store(str(logs))
        self._index, self._code, self._remembers = index, code, remembers
        self._settled_ns = int((begun_s - RACY_S) * 1e9)
        self._to_write: list[tuple[Any, ...]] = []
        self._written_s = time.monotonic()

    def renew(self, folder: Folder, old: Kept | None) -> None:
        """Read the lines of a folder, as far as the index doesn't hold them.

        Args:
            folder: as it is.
            old: what the index holds of it.
        """
        known = self._known(folder.name, old) if old else {}
        passing: set[str] = set()
        lines: list[Line] = []
        for pipeline, files in sorted(folder.pipelines().items()):
            line = known.get(pipeline)
            if line is None or line.files != files:
                line = Line(files, *read_line(self._store, pipeline))
            self.lines[pipeline] = line
            if self._is_settled(line):
                lines.append(line)
            else:
                passing.update(file.name for file in files)
        if not self._remembers:
            return
        seen = listing.seen_by(self._code, [file for file in folder.files if file[0] not in passing])
        if seen and (old is None or seen != old.seen):
            self._keep(folder.name, seen, lines)

    def finish(self, gone: Iterable[str] = ()) -> None:
        """Remember what was read, and forget folders that are gone."""
        names = [(os.fsencode(name),) for name in gone]
        if self._remembers and (self._to_write or names):
            deletion = ("DELETE FROM folders WHERE name = ?", names)
            write(self._index, listing.SCHEMA, [deletion, (listing.REPLACE, self._to_write)])
        self._to_write, self._written_s = [], time.monotonic()

    def _known(self, name: str, old: Kept) -> dict[str, Line]:
        """Return the lines that the index holds whole, with the files that they belong to."""
        files = Folder(name, old.files(self._code)).pipelines()
        wanted = {name: old.seen} if files else {}
        details = listing.kept_details(self._index, wanted, changes=self._remembers).get(name, {})
        return {
            row.pipeline: Line(files[row.pipeline], row, details[row.pipeline])
            for row in (old.rows if details else ())
        }

    def _is_settled(self, line: Line) -> bool:
        """Say whether every later change of the files will show, and reading them again would give the same."""
        changed_ns = max(max(file.mtime_ns, file.ctime_ns) for file in line.files)
        return changed_ns < self._settled_ns and line.row.status not in {UNREADABLE, GONE}

    def _keep(self, name: str, seen: bytes, lines: list[Line]) -> None:
        columns = orjson.dumps([*zip(*(line.row for line in lines), strict=True)])
        details = orjson.dumps({line.row.pipeline: line.details for line in lines})
        sums = listing.sum_of(seen, columns), listing.sum_of(seen, details)
        self._to_write.append((os.fsencode(name), seen, *sums, columns, details))
        if time.monotonic() - self._written_s > WRITE_AFTER_S:
            self.finish()


def read_line(store: Store, pipeline: str) -> tuple[Row, Details]:
    """Return the row and the details of a pipeline, from its log; of a damaged log what its good records say."""
    summary = read_summary(store, pipeline)
    return row_of(summary), summary_as_json(summary)


def read_summary(store: Store, pipeline: str) -> Summary:
    """Return what a list shows of a pipeline; of a damaged log what its good records say."""
    try:
        reading = store.stream(pipeline)
        state = fold(initial_state(pipeline), reading)
    except LogError as error:
        status = {LogStorageError: UNREADABLE, CorruptLogError: DAMAGED_LOG}.get(type(error), GONE)
        return evolve(summarize(initial_state(pipeline)), status=status, error=str(error))
    summary, verdict = summarize(state), reading.verdict
    if verdict.tail in {Tail.CORRUPT, Tail.NEWER}:
        return evolve(summary, status=DAMAGED_LOG, error=verdict.reason)
    return summary


def row_of(summary: Summary) -> Row:
    """Return by what a pipeline is chosen, sorted and shown in a table."""
    return Row(
        pipeline=summary.pipeline_id,
        status=summary.status,
        completed=len(summary.completed_stages),
        created_at=summary.created_at or "",
        updated_at=summary.last_updated or "",
        name=summary.name,
        also=list(summary.names[1:]) or None,
        duration_s=_number(summary.duration_s),
        stages=" ".join((*summary.failed_stages, *summary.current_stages)),
        providers="\n".join(str(provider) for provider in summary.engines.values()),
        cost=_cost(summary),
        has_people=summary.has_people,
        newer=summary.newer,
        parts=len(summary.parts),
    )


def _number(value: Any) -> float | None:
    """Return a length as logs of ours hold it; any other value says nothing."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _cost(summary: Summary) -> str | None:
    """Return currency and amount of what was paid at most, as a text that sorts as amounts do."""
    known = [money for sums in summary.cost if (money := sums.at_most) is not None]
    return f"{known[0].currency} {known[0].amount:020.6f}" if known else None
