"""What commands cost as a home and a log grow: within this process, so that the start of Python hides nothing.

    python -m benchmarks.growth

`measure` returns ms, each figure named `WHAT, NUMBER`: the number of pipelines, or of
records in one log.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.append import LARGE
from benchmarks.homes import Example, evt, example, write_long, write_pipelines
from benchmarks.turns import on_disk
from eventlog.store import Store

PIPELINES = (10, 100, 1_000, 10_000)
RECORDS = (30, 100, 1_000, 10_000, 100_000)
ROUNDS, AT_MOST_S = 7, 4.0
APPENDS = 50


def measure(folder: Path) -> dict[str, float]:
    """Return the figures of both tables."""
    (folder / "example").mkdir()
    like = example(folder / "example")
    return many_pipelines(folder, like) | long_logs(like)


def many_pipelines(folder: Path, like: Example) -> dict[str, float]:
    """Return what `evt list` takes without and with its index, and how a pipeline is found."""
    home, there, found = folder / "home", 0, {}
    home.mkdir()
    for size in PIPELINES:
        made = write_pipelines(home, there, size, like)
        there = size
        listing = evt(home, "list")
        listing()
        found[f"list, index gone, {size}"] = median_ms(listing, before=lambda: forget(home))
        found[f"list, {size}"] = median_ms(listing)
        found[f"look up first digits, {size}"] = median_ms(evt(home, "path", made[-1][:12]))
        found[f"look up an id, {size}"] = median_ms(evt(home, "path", made[-1]))
    shutil.rmtree(home)
    return found


def long_logs(like: Example) -> dict[str, float]:
    """Return what replaying, showing, opening and appending take."""
    found: dict[str, float] = {}
    for size in RECORDS:
        write_long(like.home, like, size)
        found[f"replay, {size}"] = median_ms(evt(like.home, "replay", like.pipeline))
        found[f"show, {size}"] = median_ms(evt(like.home, "show", like.pipeline))
        found |= writing(like, size)
    return found


def writing(like: Example, size: int) -> dict[str, float]:
    """Return what opening a log of so many records for writing takes, and then one append."""
    store = Store(str(like.home / "logs"))
    opened: list[float] = []
    begun_s = time.monotonic()
    writer = None
    while writer is None or (len(opened) < ROUNDS and time.monotonic() - begun_s < AT_MOST_S):
        if writer is not None:
            writer.close()
        before_s = time.perf_counter()
        writer = store.open_writer(like.pipeline, run="01").writer
        opened.append(time.perf_counter() - before_s)
    spans = []
    for _ in range(APPENDS):
        before_s = time.perf_counter()
        writer.append([("stage.progressed", LARGE)], run="01")
        spans.append(time.perf_counter() - before_s)
    writer.close()
    return {f"open for writing, {size}": ms(opened), f"append, {size}": ms(spans)}


def forget(home: Path) -> None:
    """Delete the index, and whatever lies beside it."""
    for path in home.glob("*.sqlite*"):
        path.unlink()


def median_ms(act: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """Return the median of some calls."""
    spans: list[float] = []
    begun_s = time.monotonic()
    while len(spans) < ROUNDS and time.monotonic() - begun_s < AT_MOST_S:
        before()
        before_s = time.perf_counter()
        act()
        spans.append(time.perf_counter() - before_s)
    return ms(spans)


def ms(spans_s: list[float]) -> float:
    return statistics.median(spans_s) * 1000


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=on_disk()) as scratch:
        print(json.dumps(measure(Path(scratch)), indent=1, ensure_ascii=False))
