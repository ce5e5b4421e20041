"""What a durable append costs beside the bare write and sync that it can't do without, and what others cost.

    python -m benchmarks.append [FOLDER]

All variants take turns in one run, so that whatever disturbs the machine disturbs them alike. The processor's share
is measured on /dev/shm, where a sync is next to nothing; the durations on FOLDER.
"""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import orjson

from eventlog.record import Record, compose, encode
from eventlog.store import Store

Act = Callable[[], object]

SMALL = {"stage": "transcription", "attempt": 1, "words": 512, "language": "de"}
LARGE = {
    "stage": "transcription",
    "attempt": 1,
    "key": "a" * 64,
    "outputs": [{"name": "words.json", "size_bytes": 12345}],
    "metadata": {"language": "de", "words": 512},
    "duration_s": 12.25,
}
ENVELOPE = {
    "seq": 7,
    "time": "2026-11-23T14:02:11.532108Z",
    "type": "stage.succeeded",
    "pipeline": "4f2a9c1b7d3e0a11",
    "run": "01",
    "dur": 6,
    "prev": "0" * 64,
}
CPU_ROUNDS, CPU_ACTS = 200, 100
WALL_ROUNDS, WALL_ACTS = 100, 10


def cpu_us(acts: Mapping[str, Act]) -> dict[str, float]:
    """Return for each the best of all rounds: what the processor needs when nobody disturbs it."""
    best = dict.fromkeys(acts, float("inf"))
    for _ in range(CPU_ROUNDS):
        for name, act in acts.items():
            begun_ns = time.process_time_ns()
            for _ in range(CPU_ACTS):
                act()
            best[name] = min(best[name], (time.process_time_ns() - begun_ns) / CPU_ACTS / 1000)
    return best


def wall_us(acts: Mapping[str, Act]) -> dict[str, list[list[float]]]:
    """Return for each how long every act took, by rounds; the order changes, since each leaves the disk work."""
    spans: dict[str, list[list[float]]] = {name: [] for name in acts}
    names = list(acts)
    for _ in range(WALL_ROUNDS):
        random.shuffle(names)
        for name in names:
            act, found = acts[name], []
            for _ in range(WALL_ACTS):
                begun_ns = time.perf_counter_ns()
                act()
                found.append((time.perf_counter_ns() - begun_ns) / 1000)
            spans[name].append(found)
    return spans


def bare(folder: str, line: bytes) -> Act:
    """One write at the end of a file and one sync: the limit."""
    fd = os.open(os.path.join(folder, "bare"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def act() -> None:
        os.write(fd, line)
        os.fdatasync(fd)

    return act


def ours(folder: str, data: dict[str, Any]) -> Act:
    """`Writer.append` of one event."""
    writer = Store(os.path.join(folder, "logs")).open_writer("4f2a9c1b7d3e0a11", run="01", create=True).writer
    return lambda: writer.append([("stage.succeeded", data)], run="01")


def sqlite(folder: str, line: bytes) -> Act:
    """One insert for each commit, in the fastest mode that survives a loss of power."""
    base = sqlite3.connect(os.path.join(folder, "sqlite.db"), isolation_level=None)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=FULL")
    base.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, line BLOB)")
    return lambda: base.execute("INSERT INTO events (line) VALUES (?)", (line,))


def checkpoint(folder: str, line: bytes, *, sync_folder: bool) -> Act:
    """A file that is replaced as a whole: write → sync → rename, and the folder's sync for the new name."""
    path = os.path.join(folder, "checkpoint")
    folder_fd = os.open(folder, os.O_RDONLY)

    def act() -> None:
        fd = os.open(path + ".tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(fd, line)
        os.fdatasync(fd)
        os.close(fd)
        os.rename(path + ".tmp", path)
        if sync_folder:
            os.fsync(folder_fd)

    return act


def parts(data: dict[str, Any]) -> dict[str, Act]:
    """Return what composing a record consists of, each alone."""
    line = encode(data=data, **ENVELOPE)
    head, end, body = line[:-27], line[-27:], orjson.dumps(data)
    record, _ = compose(data=data, **ENVELOPE)
    digest = hashlib.sha256(head)

    def go_on() -> None:
        digest.update(end)
        digest.hexdigest()

    return {
        "compose": lambda: compose(data=data, **ENVELOPE),
        "sum": lambda: hashlib.sha256(head).hexdigest(),
        "chain": go_on,
        "read": lambda: Record(*record[:5], orjson.loads(body), *record[6:]),
        "nothing": lambda: None,
    }


def print_cpu(data: dict[str, Any]) -> None:
    line = encode(data=data, **ENVELOPE)
    print(f"processor, record of {len(line)} bytes, µs")
    if not os.path.isdir("/dev/shm"):
        print("  not run: there is no /dev/shm")
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        found = cpu_us({"bare": bare(folder, line), "append": ours(folder, data), **parts(data)})
    call = found["nothing"]
    sum_, chained, read = (found[name] - call for name in ("sum", "chain", "read"))
    encoding = found["compose"] - call - sum_ - chained - read
    beyond = found["append"] - found["bare"]
    print(f"  {beyond:6.1f}  append beyond write and fdatasync, which need {found['bare']:.1f}")
    print(
        f"  {encoding + sum_ + chained:6.1f}  of it to encode {encoding:.1f}, sum {sum_:.1f}, chain {chained:.1f}"
    )
    print(f"  {read:6.1f}  of it to read the record again, as a reader will find it")


def print_wall(data: dict[str, Any], where: str) -> None:
    line = encode(data=data, **ENVELOPE)
    with tempfile.TemporaryDirectory(dir=where) as folder:
        found = wall_us(
            {
                "write + fdatasync": bare(folder, line),
                "append": ours(folder, data),
                "SQLite, WAL, FULL": sqlite(folder, line),
                "write, sync, rename": checkpoint(folder, line, sync_folder=False),
                "  and sync the folder": checkpoint(folder, line, sync_folder=True),
            }
        )
    print(f"durable, record of {len(line)} bytes, {WALL_ROUNDS} rounds of {WALL_ACTS} each on {where}")
    print(f"  {'':22}{'median µs':>10}{'p99 µs':>10}  speed, bare = 1: ratio of medians, median ratio in a round")
    limits = found["write + fdatasync"]
    limit = statistics.median(chain.from_iterable(limits))
    for name, rounds in found.items():
        spans = list(chain.from_iterable(rounds))
        median, p99 = statistics.median(spans), statistics.quantiles(spans, n=100)[98]
        ratios = [statistics.median(a) / statistics.median(b) for a, b in zip(limits, rounds, strict=True)]
        print(f"  {name:22}{median:10.0f}{p99:10.0f}  {limit / median:.2f} {statistics.median(ratios):.2f}")


def main() -> None:
    for data in (SMALL, LARGE):
        print_cpu(data)
    for data in (SMALL, LARGE):
        print_wall(data, *sys.argv[1:2] or ["."])


if __name__ == "__main__":
    main()
