"""New records of one, several or all logs, each shown once; for `tail -f`. Reads only, holds no lock.

A line is shown when its newline is there and it fits the chain. Its batch may not be durable yet, so a record
that is shown can vanish in a crash; the one that takes its number is then shown too.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from attrs import define, field

from eventlog.errors import LogError
from eventlog.reader import Scanner, Tail
from eventlog.record import GENESIS_PREV, Record, is_name
from eventlog.storage import Signature
from eventlog.store import Store


@define(eq=False, repr=False)
class _Place:
    """How far one log was read, and what was shown of it; nothing up to `floor` is ever shown."""

    floor: int = 0
    seq: int = 0
    offset: int = 0
    prev: str = GENESIS_PREV
    signature: Signature | None = None
    shown: set[str] = field(factory=set)


class Follower:
    """Remembers how far each log was read; `poll` returns what is new.

    Args:
        store: where the logs are.
        pipelines: which ones, whether or not they exist yet; None: all, also those that begin later.
        seen: per log the seq up to which nothing is to be shown; 0 for those it doesn't name.
        newest: of what the logs hold at the first poll, return so many of the last records of each at most; None:
            all. The others are read and dropped, one at a time.
    """

    def __init__(
        self,
        store: Store,
        pipelines: Sequence[str] | None = None,
        *,
        seen: Mapping[str, int] | None = None,
        newest: int | None = None,
    ) -> None:
        self._store = store
        self._pipelines = pipelines
        self._seen = dict(seen or {})
        self._newest = newest
        self._places: dict[str, _Place] = {}

    def poll(self, changed: Collection[str] | None = None) -> list[Record]:
        """Return the records that are new since the last poll; never waits, never raises for a damaged log.

        A log that can't be read just now has no news; what it holds is shown when it can be read again.

        Args:
            changed: look only at these of the logs that are followed; None: at all.

        Returns:
            Those of one log by seq, those of several merged by time.

        Raises:
            LogStorageError: the disk can't list the logs.
        """
        names = self._names(changed)
        found = [news for news in map(self._readable_news, names) if news]
        news = found[0] if len(found) == 1 else list(heapq.merge(*found, key=lambda record: record.time))
        self._newest = None
        return news

    def _names(self, changed: Collection[str] | None) -> Iterable[str]:
        if changed is None:
            return self._store.pipelines() if self._pipelines is None else self._pipelines
        if self._pipelines is None:
            return filter(is_name, changed)
        return (name for name in self._pipelines if name in changed)

    def _readable_news(self, pipeline: str) -> list[Record]:
        place = self._places.get(pipeline)
        if place is None:
            place = self._places[pipeline] = _Place(self._seen.get(pipeline, 0))
        before = place.signature
        try:
            news = self._appended(pipeline, place)
            return self._news(pipeline, place) if news is None else news
        except LogError:
            place.signature = before
            return []

    def _appended(self, pipeline: str, place: _Place) -> list[Record] | None:
        """Return what was appended, and nothing else happened; None: look thoroughly. Short: somebody waits."""
        before = place.signature
        if before is None or self._newest is not None:
            return None
        grown = self._store.grown(pipeline, before, place.offset)
        if grown is None:
            return None
        scanner = Scanner(pipeline, seq=place.seq, offset=place.offset, prev=place.prev)
        records = list(scanner.feed(grown.data))
        if scanner.offset != place.offset + len(grown.data):
            return None
        place.signature = grown.signature
        place.seq, place.offset, place.prev = scanner.seq, scanner.offset, scanner.prev
        news = [record for record in records if record.seq > place.floor and record.line_sha256 not in place.shown]
        place.shown.update([record.line_sha256 for record in news])
        return news

    def _news(self, pipeline: str, place: _Place) -> list[Record]:
        signature = self._store.signature(pipeline)
        if signature is None:
            # A new file may get the number of one that is gone.
            place.seq, place.offset, place.prev = 0, 0, GENESIS_PREV
        if signature is None or signature == place.signature:
            return []
        replaced = place.signature is not None and signature.identity != place.signature.identity
        # Taken before reading: what is written meanwhile is found again next time.
        place.signature = signature
        if replaced or signature.size_bytes < place.offset:
            place.seq, place.offset, place.prev = 0, 0, GENESIS_PREV
        records, tail = self._read(pipeline, place)
        if tail is Tail.CORRUPT and not records:
            # What follows does not fit, and it is more than half a line: the file may be another one than it was.
            place.seq, place.offset, place.prev = 0, 0, GENESIS_PREV
            records, _ = self._read(pipeline, place)
        return records

    def _read(self, pipeline: str, place: _Place) -> tuple[list[Record], Tail]:
        """Read from the end of the last good record, so that half a line is read again when it is whole."""
        scanner = Scanner(pipeline, seq=place.seq, offset=place.offset, prev=place.prev)
        records = list(deque(self._unseen(scanner, place), maxlen=self._newest))
        place.seq, place.offset, place.prev = scanner.seq, scanner.offset, scanner.prev
        if self._newest is not None:
            place.floor = max(place.floor, scanner.seq - self._newest)
        place.shown.update(record.line_sha256 for record in records)
        return records, scanner.verdict().tail

    def _unseen(self, scanner: Scanner, place: _Place) -> Iterator[Record]:
        for record in self._store.records_from(scanner):
            if record.seq > place.floor and record.line_sha256 not in place.shown:
                yield record
