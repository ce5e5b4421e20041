"""Logs on the disk as bytes, without a writer: fast, and as damaged as a test wants them."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable
from pathlib import Path

import orjson

from eventlog.reader import Head
from eventlog.record import GENESIS_PREV, compose, decode
from eventlog.store import Store
from pipeline.listing.listing import Details, Listing, Row
from pipeline.listing.renewal import read_line
from projections import events as ev

LATER_S = 60.0
"""So much later, files that were just written are settled."""

_TICKS = itertools.count(1_700_000_000_000_000_000, 1_000_000)


def lines_of(pipeline: str, events: Iterable[ev.Event], month: int = 11) -> list[bytes]:
    """Return the lines of a log of these events, a second apart; a run begins at each run.started."""
    lines: list[bytes] = []
    runs, prev = 0, GENESIS_PREV
    for seq, event in enumerate(events, 1):
        runs += event.type == "run.started"
        record, line = compose(
            seq=seq,
            time=f"2026-{month:02d}-23T14:{seq // 60:02d}:{seq % 60:02d}.000000Z",
            type=event.type,
            pipeline=pipeline,
            run=f"run{runs}",
            data=ev.to_data(event),
            dur=seq - 1,
            prev=prev,
        )
        prev = record.line_sha256
        lines.append(line)
    return lines


def head_of(line: bytes) -> bytes:
    """Return the head file that names this line."""
    record = decode(line)
    return Head(record.seq, record.line_sha256).to_bytes()


def place(logs: Path, name: str, content: bytes) -> Path:
    """Write a file beside the logs whose names begin alike, with a time of its own, as if time had passed."""
    path = logs / name[:2] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    tick_ns = next(_TICKS)
    os.utime(path, ns=(tick_ns, tick_ns))
    return path


def listed(logs: Path, index: Path, later_s: float = LATER_S) -> dict[str, tuple[Row, Details]]:
    """Return what a list shows; so much later, all files are settled."""
    found = Listing(logs, index, now_s=lambda: time.time() + later_s)
    details = found.details([row.pipeline for row in found.rows])
    assert [row.pipeline for row in found.rows] == sorted(details)
    return {row.pipeline: (row, details[row.pipeline]) for row in found.rows}


def truth(logs: Path) -> dict[str, tuple[Row, Details]]:
    """Return what a list has to show: each log by itself, also one of which only the head is left."""
    store = Store(str(logs))
    left = {path.stem for path in logs.glob("*/*.head")}
    pairs = {pipeline: read_line(store, pipeline) for pipeline in {*store.pipelines(), *left}}
    return {pipeline: as_kept(row, details) for pipeline, (row, details) in pairs.items()}


def as_kept(row: Row, details: Details) -> tuple[Row, Details]:
    """Return values as JSON has them."""
    return Row(*orjson.loads(orjson.dumps(tuple(row)))), orjson.loads(orjson.dumps(details))
