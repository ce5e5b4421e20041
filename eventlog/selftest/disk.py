"""Which file system it is, what it can promise, and how long it takes to make a record durable."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from eventlog.folders import make_dirs_durably
from eventlog.selftest.bench import NAME, RUN, Bench, Tally, shown_time
from eventlog.selftest.sample import short_event

TIMES_MAX = 400
PLAUSIBLE_SYNC_S = 20e-6
"""No disk answers faster; a device whose cache survives a power cut takes some tens of microseconds."""


def prove(bench: Bench, tally: Tally) -> None:
    """Measure; nothing here can break a promise, but a sync that is too fast is worth a hint."""
    system = bench.file_system(bench.folder)
    half_s = (time.monotonic() + tally.until_s) / 2
    sync_s = _sync_times_s(bench, half_s)
    append_s = _append_times_s(bench, tally.until_s)
    tally.counts.update(
        appends=len(append_s),
        append_median_us=_us(_quantile(append_s, 0.5)),
        append_p99_us=_us(_quantile(append_s, 0.99)),
        syncs=len(sync_s),
        sync_median_us=_us(_quantile(sync_s, 0.5)),
    )
    median, p99 = shown_time(_quantile(append_s, 0.5)), shown_time(_quantile(append_s, 0.99))
    tally.detail = f"{system.kind}: a durable append takes {median} (median of {len(append_s)}; p99 {p99})"
    if system.durability != "disk":
        tally.hints.append(f"What is written to {system.kind} outlasts the process, but not surely the machine.")
    elif _quantile(sync_s, 0.5) < PLAUSIBLE_SYNC_S:
        tally.hints.append(
            f"This disk answers a sync in {shown_time(_quantile(sync_s, 0.5))}, faster than a disk can. Ask who "
            "runs it: a power cut may take records that evt called safe."
        )


def _sync_times_s(bench: Bench, until_s: float) -> list[float]:
    """Return how long a sync takes after a write of a record's size, without a log around it."""
    root = bench.root("sync")
    make_dirs_durably(bench.storage, root)
    file = bench.storage.open_log(os.path.join(root, "sync"), create=True)
    try:
        return _times_s(bench, file.sync, until_s, before=lambda: file.append(b"x" * 300))
    finally:
        file.close()


def _append_times_s(bench: Bench, until_s: float) -> list[float]:
    writer = bench.open_store(bench.root("disk")).open_writer(NAME, run=RUN, create=True).writer
    try:
        return _times_s(bench, lambda: writer.append([short_event(0)], run=RUN), until_s)
    finally:
        writer.close()


def _times_s(
    bench: Bench, act: Callable[[], object], until_s: float, *, before: Callable[[], object] = lambda: None
) -> list[float]:
    times_s: list[float] = []
    while not times_s or (len(times_s) < TIMES_MAX and time.monotonic() < until_s):
        before()
        begun_s = time.perf_counter()
        act()
        times_s.append(time.perf_counter() - begun_s)
        bench.step(f"{len(times_s)} times")
    return times_s


def _quantile(times_s: list[float], share: float) -> float:
    return sorted(times_s)[int(share * (len(times_s) - 1))]


def _us(time_s: float) -> int:
    return round(time_s * 1e6)
