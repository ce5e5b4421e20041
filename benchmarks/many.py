"""32 pipelines at once, each event durable: 32 writers in the threads of one process, as a batch has them.

    python -m benchmarks.many

`measure` returns events a second of all threads together. The limit is 32 threads that write and fdatasync files of
their own, and do nothing else.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.append import ENVELOPE, LARGE, Act, bare
from benchmarks.turns import Timed, in_turns, on_disk
from eventlog.record import encode
from eventlog.store import Store

THREADS = 32
ACTS, ROUNDS, AT_MOST_S = 20, 60, 25.0


def measure(folder: Path) -> dict[str, float]:
    """Return events a second: `write + fdatasync` and `append` with one thread, and with 32."""
    line = encode(data=LARGE, **ENVELOPE)
    acts = {"write + fdatasync": [], "append": []}
    store = Store(str(folder / "logs"))
    for number in range(THREADS):
        own = folder / str(number)
        own.mkdir()
        acts["write + fdatasync"].append(bare(str(own), line))
        acts["append"].append(writer(store, f"{number:02x}" * 8))
    variants = {f"{name}, {THREADS} threads": together(each) for name, each in acts.items()}
    variants |= {f"{name}, 1 thread": together(each[:1]) for name, each in acts.items()}
    found = in_turns(variants, acts=ACTS, rounds=ROUNDS, at_most_s=AT_MOST_S)
    return {name: (1 if name.endswith("1 thread") else THREADS) / seconds for name, seconds in found.items()}


def writer(store: Store, pipeline: str) -> Act:
    """Return an act that appends to a log of its own."""
    opened = store.open_writer(pipeline, run="01", create=True).writer
    return lambda: opened.append([("stage.succeeded", LARGE)], run="01")


def together(acts: Sequence[Act]) -> Timed:
    """Return what does each act in a thread of its own, so many times, and says how long the last of them took."""

    def run(count: int) -> float:
        start = threading.Barrier(len(acts) + 1)
        threads = [threading.Thread(target=repeat, args=(act, count, start)) for act in acts]
        for thread in threads:
            thread.start()
        start.wait()
        begun_s = time.perf_counter()
        for thread in threads:
            thread.join()
        return time.perf_counter() - begun_s

    return run


def repeat(act: Callable[[], object], count: int, start: threading.Barrier) -> None:
    """Do an act so many times once everybody is ready."""
    start.wait()
    for _ in range(count):
        act()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=on_disk()) as scratch:
        print(json.dumps(measure(Path(scratch)), indent=1))
