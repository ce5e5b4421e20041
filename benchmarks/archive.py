"""How small archives are and how fast they are made, beside gzip, and zstd without what archives leave out.

    python -m benchmarks.archive [FOLDER]

The smallest log is that of a real `evt run` with the script engine. The larger ones are the same with more calls,
half of them paid, each with digests, times and prices of its own. All are packed in turns, over and over.
"""

from __future__ import annotations

import gzip
import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.runs import RATE, evt_run, write_script
from benchmarks.truth import Said
from eventlog.compression import LEVEL
from eventlog.filesystem import FileSystem
from eventlog.packing import pack, unpack
from eventlog.reader import Head, scan
from eventlog.record import Record
from eventlog.store import Store
from pipeline.speech.values import Turn

SIZES = (20, 200, 2_000)
ROUND_S = 0.3
"""So long each way is repeated for one figure; the best of all rounds counts."""
ROUNDS = 5


def measure(folder: Path) -> dict[str, float]:
    """Return `WAY, N records` in times smaller, and `… speed, N records` in MB of log a second.

    Ways: evt (an archive), gzip -6, and zstd at the archives' level, of the log as it is. For evt also the speed of
    `unpack`, and of `archive`, which is all that `Store.archive` does: judge, pack, unpack, compare, write.
    """
    figures: dict[str, float] = {}
    first = real_run(folder)
    for size in SIZES:
        log, head = first if size == SIZES[0] else longer(folder / str(size), first[0], size)
        frame = pack(log, head)
        ways: dict[str, Callable[[], bytes]] = {
            "evt": partial(pack, log, head),
            "gzip -6": partial(gzip.compress, log, 6),
            "zstd": partial(_zstd, log),
        }
        for name, way in ways.items():
            figures[f"{name}, {size} records"] = len(log) / len(way())
        ways["unpack"] = lambda frame=frame: b"".join(unpack([frame]))  # type: ignore[misc]
        assert ways["unpack"]() == log
        for name, megabytes_s in _speeds(ways, len(log)).items():
            figures[f"{name} speed, {size} records"] = megabytes_s
        figures[f"archive speed, {size} records"] = _whole(folder / f"whole {size}", log, head)
    return figures


def real_run(folder: Path) -> tuple[bytes, Head]:
    """Return the log of a run of a few chunks, and its head."""
    import soundfile

    recording, script = folder / "talk.wav", folder / "script.toml"
    noise = np.random.default_rng(1).normal(0, 0.1, RATE * 8)
    soundfile.write(recording, noise, RATE)
    words = [Said(f"word{n}", n * 0.7, n * 0.7 + 0.5, "A") for n in range(10)]
    write_script(script, words, [Turn(0.0, 8.0, "A")], "chunk_s = [2.0, 3.0]")
    evt_run(
        recording, folder, "--diarizer", f"script:{script}", "--transcriber", f"script:{script}", "--allow-gaps"
    )
    (path,) = folder.glob("home/logs/*/*.jsonl")
    return _with_head(path.read_bytes(), path.stem)


def longer(root: Path, log: bytes, size: int) -> tuple[bytes, Head]:
    """Return a log with more calls behind the first one, so that it has so many records, and its head."""
    records, _ = scan([log], _name(log))
    at = next(number for number, record in enumerate(records) if record.type == "call.succeeded") + 1
    rng, ticks = random.Random(size), count()

    def clock() -> datetime:
        return datetime(2026, 11, 23, 14, tzinfo=UTC) + timedelta(
            microseconds=next(ticks) * 412_345 + rng.randrange(9**5)
        )

    store = Store(str(root), clock=clock, file_system=lambda _: FileSystem("benchmark", "disk", safe=True))
    opened = store.open_writer(_name(log), run=records[0].run, create=True)
    calls = [event for number in range(size) for event in _call(number, rng)][: size - len(records)]
    events = [*map(_event, records[1:at]), *calls, *map(_event, records[at:])]
    for begin in range(0, len(events), 100):
        opened.writer.append(events[begin : begin + 100], run=records[0].run)
    opened.writer.close()
    return _with_head(Path(store.path(_name(log))).read_bytes(), _name(log))


def _call(number: int, rng: random.Random) -> list[tuple[str, dict[str, Any]]]:
    """Return a call and its answer, as the transcriptions of a long recording are."""
    digest, call = f"{rng.getrandbits(256):064x}", f"transcription.1.{number + 1}"
    begin_s, cost = number * 27.4 + rng.random(), f"{rng.random() / 100:.6f}"
    started: dict[str, Any] = {"call": call, "stage": "transcription", "attempt": 1, "provider": "openai"}
    started |= {"operation": "transcribe", "unit": f"{begin_s:.2f}-{begin_s + 27:.2f}", "request": digest}
    ended: dict[str, Any] = {"call": call}
    path = f"transcription/1/calls/{number + 1}-{digest[:16]}.json"
    ended["response"] = {
        "path": path,
        "sha256": f"{rng.getrandbits(256):064x}",
        "size_bytes": rng.randrange(900, 9000),
    }
    ended |= {"latency_s": round(rng.random() * 9, 3), "found": False}
    if number % 2:
        price = {"amount": cost, "currency": "USD"}
        started |= {"billable": True, "model": "whisper-1", "expected": price, "at_most": price}
        ended["cost"] = {**price, "basis": "estimated"}
    else:
        started["billable"] = False
    return [("call.started", started), ("call.succeeded", ended)]


def _event(record: Record) -> tuple[str, dict[str, Any]]:
    return record.type, dict(record.data)


def _name(log: bytes) -> str:
    return log.split(b'"pipeline":"')[1].split(b'"')[0].decode()


def _with_head(log: bytes, name: str) -> tuple[bytes, Head]:
    _, verdict = scan([log], name)
    assert verdict.head is not None
    return log, verdict.head


def _zstd(log: bytes) -> bytes:
    from backports import zstd

    return zstd.compress(log, LEVEL)


def _speeds(ways: dict[str, Callable[[], bytes]], size_bytes: int) -> dict[str, float]:
    """Return MB/s of each way, the best of rounds in which all take turns; of the processor, not of the clock."""
    best_s = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            begun, times = time.process_time(), 0
            while times == 0 or time.process_time() - begun < ROUND_S / ROUNDS:
                way()
                times += 1
            best_s[name] = min(best_s[name], (time.process_time() - begun) / times)
    return {name: size_bytes / 1e6 / seconds for name, seconds in best_s.items()}


def _whole(root: Path, log: bytes, head: Head) -> float:
    """Return MB/s of archiving a log that is there, by the processor's time; syncs wait, and cost none."""
    name, best_s = _name(log), float("inf")
    store = Store(str(root), file_system=lambda _: FileSystem("benchmark", "disk", safe=True))
    path = Path(store.path(name))
    path.parent.mkdir(parents=True)
    path.write_bytes(log)
    path.with_suffix(".head").write_bytes(head.to_bytes())
    for _ in range(ROUNDS):
        begun = time.process_time()
        store.archive(name)
        best_s = min(best_s, time.process_time() - begun)
        store.unarchive(name)
    return len(log) / 1e6 / best_s


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        for name, value in measure(Path(folder)).items():
            unit = "MB/s" if "speed" in name else "times smaller"
            print(f"{name:32} {value:8.1f} {unit}")


if __name__ == "__main__":
    main()
