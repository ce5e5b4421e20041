"""What an append costs beside the bare system calls that it can't do without, in one run on one disk.

    python benchmarks/append.py [FOLDER]

The processor's share is measured on /dev/shm, where a sync is next to nothing; the durations on FOLDER.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

from eventlog.record import decode, encode
from eventlog.store import Store

DATA = {
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
LINE = encode(data=DATA, **ENVELOPE)


def cpu_us(act: Callable[[], object], times: int = 200) -> float:
    """Return the best of two hundred rounds: what the processor needs when nobody disturbs it."""
    rounds = []
    for _ in range(200):
        begun = time.process_time_ns()
        for _ in range(times):
            act()
        rounds.append((time.process_time_ns() - begun) / times / 1000)
    return min(rounds)


def wall_us(act: Callable[[], object], times: int = 300) -> tuple[float, float]:
    """Return the median and the 99th percentile."""
    spans = []
    for _ in range(times):
        begun = time.perf_counter_ns()
        act()
        spans.append((time.perf_counter_ns() - begun) / 1000)
    return statistics.median(spans), statistics.quantiles(spans, n=100)[98]


class Bare:
    """The calls of one append and nothing else: fstat, stat, write, fdatasync, fstat, stat."""

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, "bare")
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def append(self) -> None:
        """Write one line, durably, to the right file."""
        os.fstat(self.fd)
        os.stat(self.path)
        os.write(self.fd, LINE)
        os.fdatasync(self.fd)
        os.fstat(self.fd)
        os.stat(self.path)


def main() -> None:
    print(
        f"record of {len(LINE)} bytes; one sha256 of it {cpu_us(lambda: hashlib.sha256(LINE).hexdigest()):.2f} µs"
    )
    print(f"encode  {cpu_us(lambda: encode(data=DATA, **ENVELOPE)):7.1f} µs")
    print(f"decode  {cpu_us(lambda: decode(LINE)):7.1f} µs")
    for what, folder in (("processor", "/dev/shm"), ("disk", sys.argv[1] if sys.argv[1:] else ".")):
        if not os.path.isdir(folder):
            print(f"{what}: not run, there is no {folder}")
            continue
        with tempfile.TemporaryDirectory(dir=folder) as inside:
            bare = Bare(inside)
            writer = Store(os.path.join(inside, "logs")).open_writer("bench", run="01", create=True).writer

            def append() -> None:
                writer.append([("stage.succeeded", DATA)], run="01")  # noqa: B023 - called within the loop

            if what == "processor":
                floor, ours = cpu_us(bare.append), cpu_us(append)
                print(f"append  {ours:7.1f} µs of processor, the bare calls {floor:.1f}, ours {ours - floor:.1f}")
            else:
                (floor, floor_p99), (ours, ours_p99) = wall_us(bare.append), wall_us(append)
                print(f"append  {ours:7.0f} µs median, {ours_p99:.0f} p99; bare calls {floor:.0f}, {floor_p99:.0f}")
            writer.close()


if __name__ == "__main__":
    main()
