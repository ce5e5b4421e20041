"""Listing ten thousand pipelines beside the least that it can do, in one run; milliseconds.

    python -m benchmarks.listing [FOLDER]

A listing that is never wrong asks the file system about every file: `scandir` and `stat` of each are its limit.
An index that was lost is built by folding every log: that fold alone is the limit of building it.
"""

from __future__ import annotations

import gc
import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cli.choosing import Wanted, page
from eventlog.record import GENESIS_PREV, compose
from eventlog.store import Store
from pipeline.listing.listing import Listing
from projections import events as ev
from projections.fold import fold, initial_state
from projections.graph import DIARIZATION, STAGES, TRANSCRIPTION

PIPELINES = 10_000
ROUNDS = 9
REBUILDS = 2
SETTLED_S = 60.0
"""So much later the listings take place; otherwise files that were just made are not remembered."""


def make_home(folder: Path, pipelines: int = PIPELINES) -> Path:
    """Write logs of twenty real events, and the head of each, and return their folder."""
    logs = folder / "logs"
    for number in range(pipelines):
        pipeline = hashlib.sha256(b"%d" % number).hexdigest()[:16]
        (logs / pipeline[:2]).mkdir(parents=True, exist_ok=True)
        lines, head = _log(pipeline, number)
        (logs / pipeline[:2] / f"{pipeline}.jsonl").write_bytes(lines)
        (logs / pipeline[:2] / f"{pipeline}.head").write_bytes(head)
    return logs


def measure(folder: Path, pipelines: int = PIPELINES) -> dict[str, float]:
    """Return the median of each variant, in milliseconds; the folder holds the home afterwards."""
    logs = make_home(folder, pipelines)
    index = folder / "index.sqlite"

    def listing() -> Listing:
        return Listing(logs, index, now_s=lambda: time.time() + SETTLED_S)

    def rebuild() -> None:
        index.unlink(missing_ok=True)
        assert len(listing().rows) == pipelines

    def filtered() -> None:
        rows = listing().rows
        wanted = Wanted(statuses=frozenset({"failed"}))
        page([row for row in rows if wanted.holds(row)], limit=50)

    found = _medians({"bare fold": lambda: _fold_all(logs), "rebuild": rebuild}, REBUILDS)
    return found | _medians(
        {
            "scandir+stat": lambda: _scan(logs),
            "listing": lambda: listing().rows,
            "listing, a page of the failed": filtered,
        },
        ROUNDS,
    )


def _scan(logs: Path) -> int:
    found = 0
    for shard in os.listdir(logs):
        with os.scandir(logs / shard) as entries:
            for entry in entries:
                found += entry.stat(follow_symlinks=False).st_size > 0
    return found


def _fold_all(logs: Path) -> None:
    store = Store(str(logs))
    for pipeline in store.pipelines():
        reading = store.stream(pipeline)
        fold(initial_state(pipeline), reading)
        assert reading.verdict.seq


def _medians(acts: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return for each the median of rounds in which all take turns."""
    times: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds):
        for name, act in acts.items():
            gc.collect()
            begun_s = time.perf_counter()
            act()
            times[name].append((time.perf_counter() - begun_s) * 1000)
    return {name: statistics.median(found) for name, found in times.items()}


def _log(pipeline: str, number: int) -> tuple[bytes, bytes]:
    """Return the bytes of a log of twenty events, and those of its head."""
    lines: list[bytes] = []
    prev = GENESIS_PREV
    for seq, (type_, data) in enumerate(_events(number), 1):
        time_ = f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d}T14:{number % 60:02d}:{seq:02d}.{number:06d}Z"
        record, line = compose(
            seq=seq, time=time_, type=type_, pipeline=pipeline, run="01", data=data, dur=seq - 1, prev=prev
        )
        prev = record.line_sha256
        lines.append(line)
    return b"".join(lines), b'{"seq":%d,"sha256":"%b"}\n' % (len(lines), prev.encode())


def _events(number: int) -> list[tuple[str, dict[str, object]]]:
    """Return twenty events: a run, stages with a call each for words and turns; every tenth fails at the last."""
    created = ev.PipelineCreated(
        {"name": f"interview {number:05d}.wav", "size_bytes": 10**6 + number, "sha256": f"{number:064x}"}, "0.1.0"
    )
    run = ev.RunStarted("anna", 1, "host", "boot", {"evt": "0.1.0"}, {}, {}, {})
    events: list[ev.Event] = [created, run, ev.InputSeen(f"copy of {number:05d}.wav")]
    for stage in STAGES:
        options = {"provider": "builtin"} if stage in {DIARIZATION, TRANSCRIPTION} else {}
        events.append(
            ev.StageStarted(
                stage=stage,
                attempt=1,
                key="a" * 64,
                version=1,
                cause="first",
                changes=(),
                options=options,
                inputs={},
            )
        )
        if options:
            call, ref = f"{stage}-1", ev.ArtifactRef(f"{stage}/1/calls/1.json", "b" * 64, 1000)
            events.append(
                ev.CallStarted(
                    call=call,
                    stage=stage,
                    attempt=1,
                    provider="builtin",
                    operation="diarize",
                    unit="whole",
                    request="c" * 64,
                    billable=False,
                )
            )
            events.append(ev.CallSucceeded(call=call, response=ref, latency_s=1.5))
        if stage == STAGES[-1] and number % 10 == 0:
            events.append(ev.StageFailed(stage, 1, ev.StageError("disk", "The disk is full."), 1.0))
        else:
            ref = ev.ArtifactRef(f"{stage}/1/out", "d" * 64, 1000)
            events.append(ev.StageSucceeded(stage, 1, (ref,), {"duration_s": 60.0 + number, "words": 100}, 1.0))
    events.append(ev.RunFinished("failed" if number % 10 == 0 else "completed", 12.5))
    store: list[tuple[str, dict[str, object]]] = [("log.created", {"format": 1, "file_system": "ext4"})]
    return [*store, *((event.type, ev.to_data(event)) for event in events), ("log.sealed", {})]


def main() -> None:
    """Measure and print a table."""
    with tempfile.TemporaryDirectory(prefix="evt-listing-", dir=sys.argv[1] if sys.argv[1:] else None) as folder:
        found = measure(Path(folder))
    print(f"{PIPELINES:,} pipelines of 20 events, each with its head: ms, and so many times its limit")
    limits = {"rebuild": "bare fold", "bare fold": "bare fold"}
    for name, took_ms in found.items():
        print(f"  {took_ms:8.1f}  {took_ms / found[limits.get(name, 'scandir+stat')]:5.2f}  {name}")


if __name__ == "__main__":
    main()
