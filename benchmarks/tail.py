"""How soon `evt tail -f` sees what another process appends, and what waiting costs.

    python -m benchmarks.tail [FOLDER]

Limit: the wake-up of a reader that blocks on a FIFO. A writer in a process of its own takes the time, then appends
(or writes to the FIFO); the follower takes it again when it has the record, read, checked and typed. In turns: the
FIFO, a folder of one log, a folder of 10,000 logs, and one who looks every 50 ms.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from eventlog.follow import Follower
from eventlog.store import Store
from eventlog.watch import changes

EVENTS, LOGS, IDLE_S, ROUNDS = 100, 10_000, 5.0, 3
PAUSE_S = 0.003
"""Between two events, so that the follower waits when one comes; looking every 50 ms takes the same pauses."""

FIFO_WRITER = """
import os, random, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY)
for n in range(int(sys.argv[2])):
    time.sleep(float(sys.argv[3]) * random.uniform(0.5, 1.5))
    os.write(fd, b"%020d" % time.monotonic_ns())
"""
LOG_WRITER = """
import random, sys, time
from eventlog.store import Store
writer = Store(sys.argv[1]).open_writer("bench", run="01", create=True).writer
sys.stdin.readline()
for n in range(int(sys.argv[2])):
    time.sleep(float(sys.argv[3]) * random.uniform(0.5, 1.5))
    writer.append([("test.happened", {"at": time.monotonic_ns()})], run="01")
"""


def measure(folder: Path) -> dict[str, float]:
    """Return µs: p50 and p99 of each, `fifo` the limit; `idle_cpu`: of the processor, per second of waiting."""
    few, many = folder / "few", folder / "many"
    _fill(many, LOGS)
    ways: dict[str, Callable[[], list[float]]] = {
        "fifo": lambda: _fifo(folder),
        "ours": lambda: _ours(few, changes),
        "ours_10000_logs": lambda: _ours(many, changes),
        "look_50ms": lambda: _ours(few, _every_50_ms),
    }
    delays: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            delays[name] += way()
    found = {}
    for name, spans in delays.items():
        found[f"{name}_p50"] = statistics.median(spans)
        found[f"{name}_p99"] = statistics.quantiles(spans, n=100)[98]
    found["idle_cpu"] = _idle_cpu_us(many)
    return found


def _fifo(folder: Path) -> list[float]:
    path = folder / "fifo"
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    delays = []
    with subprocess.Popen([sys.executable, "-c", FIFO_WRITER, str(path), str(EVENTS), str(PAUSE_S)]):
        fd = os.open(path, os.O_RDONLY)
        while data := os.read(fd, 20):
            delays.append((time.monotonic_ns() - int(data)) / 1000)
        os.close(fd)
    return delays


def _ours(root: Path, watch: Callable[[str], Iterator[frozenset[str] | None]]) -> list[float]:
    command = [sys.executable, "-c", LOG_WRITER, str(root), str(EVENTS), str(PAUSE_S)]
    delays: list[float] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None, "it was asked for"
        while not (root / "be" / "bench.jsonl").exists():
            time.sleep(0.01)
        follower, steps = Follower(Store(str(root)), newest=0), watch(str(root))
        follower.poll(next(steps))
        process.stdin.write("\n")
        process.stdin.flush()
        while len(delays) < EVENTS:
            records, now = follower.poll(next(steps)), time.monotonic_ns()
            events = (record for record in records if record.type == "test.happened")
            delays += [(now - record.data["at"]) / 1000 for record in events]
    return delays


def _every_50_ms(root: str) -> Iterator[frozenset[str] | None]:
    while True:
        yield None
        time.sleep(0.05)


def _idle_cpu_us(root: Path) -> float:
    steps = changes(str(root))
    next(steps)
    begun_s, until_s = time.process_time(), time.monotonic() + IDLE_S
    while time.monotonic() < until_s:
        next(steps)
    return (time.process_time() - begun_s) / IDLE_S * 1e6


def _fill(root: Path, logs: int) -> None:
    line = Path(__file__).name.encode() + b"\n"
    for number in range(logs):
        path = root / f"{number % 256:02x}" / f"{number % 256:02x}{number:06}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(line)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="evt-tail-", dir=sys.argv[1] if sys.argv[1:] else None) as folder:
        found = measure(Path(folder))
    for name, value in found.items():
        print(f"{name:<22}{value:12.0f} µs")
    print(f"ours / fifo, p50: {found['ours_p50'] / found['fifo_p50']:.2f}")


if __name__ == "__main__":
    main()
