"""Logs for tests: stores with a steady clock, lines of a small log, and any data that JSON can hold."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from eventlog.filesystem import FileSystem
from eventlog.record import GENESIS_PREV, decode, encode
from eventlog.storage import Storage
from eventlog.store import Store

PIPELINE = "4f2a9c1b7d3e0a11"
RUN = "01"
TIME = "2026-11-23T14:02:11.532108Z"


def ticking() -> Callable[[], datetime]:
    """Return a clock that goes on by a millisecond at each look."""
    ticks = itertools.count()
    return lambda: datetime(2026, 11, 23, 14, 2, 11, tzinfo=UTC) + timedelta(milliseconds=next(ticks))


def store_on(storage: Storage, root: str = "/logs") -> Store:
    """Return a store on any disk, with a steady clock and a file system that keeps its promises."""
    return Store(
        root,
        storage=storage,
        clock=ticking(),
        file_system=lambda _: FileSystem("simulated", "disk", safe=True),
        sleep=lambda _: None,
    )


def write_log(store: Store, *, events: int, head: bool) -> str:
    """Write a log of so many events, each a batch, and return its path."""
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    for _ in range(events):
        writer.append([("test.happened", {"n": 1})], run=RUN)
    if head:
        store.keep_head(writer)
    writer.close()
    return store.path(PIPELINE)


def line_of(**changed: Any) -> bytes:
    """Return one record's line with these fields changed."""
    fields: dict[str, Any] = {
        "seq": 1,
        "time": TIME,
        "type": "test.happened",
        "pipeline": PIPELINE,
        "run": RUN,
        "data": {},
        "dur": 0,
        "prev": GENESIS_PREV,
    }
    return encode(**{**fields, **changed})


def chain(batches: Sequence[int], data: Sequence[dict[str, Any]] = ({"text": "größer"},)) -> list[bytes]:
    """Return the lines of a log that was written in batches of these sizes."""
    lines: list[bytes] = []
    prev = GENESIS_PREV
    for size in batches:
        durable = len(lines)
        for _ in range(size):
            lines.append(line_of(seq=len(lines) + 1, data=data[len(lines) % len(data)], dur=durable, prev=prev))
            prev = decode(lines[-1]).line_sha256
    return lines


texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["\u2028", "\x85", "\x9b31m", "\u202e", "\u200b\ufeff", "\x00\x1b[2J", "\x7f", '","sum":"', "\U000e0041", '\\"']
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(texts, values, max_size=5)
