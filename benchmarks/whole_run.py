"""A whole run whose stages do nothing, beside the bare writes and syncs that it can't do without.

    python -m benchmarks.whole_run [FOLDER]

What one recording needs by contract (docs/format.md, *Writing*; docs/architecture.md, *One run*), and what `bare`
does, in this order and without a check or a thought:

- the log: its shard folder is made and named durably (1 sync), the opening syncs file and folder (2), 14 batches
  are acknowledged one by one (14): `log.created`; how the run begins; for each stage `stage.started` before it
  begins and `stage.succeeded` after it; `run.finished`; `log.sealed`;
- the head beside the log: the file and its name (2);
- the pipeline's folder is named durably (1), so is its salt (2);
- for each of the five stages: two folders are named durably (2), a file is synced, renamed, its name synced (2).

Those are 42 syncs. A batch's first recordings also sync what lies above, once per process: not counted. Ours is the
same in one process, `look`, `run` and delivery, with stages that store a few bytes, and all that it computes. Both
take turns, recording by recording.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from eventlog.storage import PosixStorage
from pipeline.providers.registry import Providers
from pipeline.stages import STAGE_FUNCTIONS
from pipeline.work import StageResult, StageWork
from pipeline.workshop import Workshop
from projections.graph import AUDIO_CONVERSION
from projections.options import Named
from tests.support.shop import make_shop, run_once

STAGES = ("audio_conversion", "diarization", "transcription", "merge", "export")
BATCHES = 14
LINE = b"x" * 599 + b"\n"
RECORDINGS = 60


def measure(folder: Path, recordings: int = RECORDINGS) -> dict[str, float]:
    """Return seconds per recording: `bare` is the limit, `ours` the run, `ours_cpu` its processor time; medians."""
    real = dict(STAGE_FUNCTIONS)
    STAGE_FUNCTIONS.update(dict.fromkeys(real, do_nothing))
    try:
        shop = make_shop(folder / "home")
        (folder / "out").mkdir()
        # The first ones import what a run needs.
        found = [_round(shop, folder, number) for number in range(recordings + 5)][5:]
    finally:
        STAGE_FUNCTIONS.update(real)
    names = ("bare", "ours", "ours_cpu")
    return {name: statistics.median(one[at] for one in found) for at, name in enumerate(names)}


def _round(shop: Workshop, folder: Path, number: int) -> tuple[float, float, float]:
    recording = folder / f"{number}.wav"
    recording.write_bytes(number.to_bytes(4, "big") * 80_000)
    script = folder / "script.toml"
    script.write_text("")
    named = Named({"diarizer": f"script:{script}", "transcriber": f"script:{script}"})
    begun_s = time.perf_counter()
    bare(folder / "bare", number)
    bare_s = time.perf_counter() - begun_s
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    result, _ = run_once(shop, recording, folder / "out", named)
    took_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
    assert result is not None, "there was something to do"
    assert result.outcome == "completed", result
    return bare_s, took_s, cpu_s


def do_nothing(work: StageWork, providers: Providers) -> StageResult:
    """Store a few bytes where a stage stores its result."""
    ref = work.folder.put_bytes("transcript.txt", work.step.stage.encode())
    if work.step.stage != AUDIO_CONVERSION:
        return StageResult((ref,), {})
    return StageResult((ref,), {"pcm": {"audio": "0" * 64}, "samples": {"audio": 160_000}, "duration_s": 10.0})


def bare(root: Path, number: int) -> None:
    """Make the syncs of one recording, as the module says."""
    disk = PosixStorage()
    shard, files = f"{root}/logs/{number:04}", f"{root}/artifacts/{number:04}"
    os.makedirs(root / "logs", exist_ok=True)
    os.makedirs(root / "artifacts", exist_ok=True)
    _made(disk, shard)
    fd = os.open(f"{shard}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.fdatasync(fd)
    disk.sync_dir(shard)
    _append(fd, 2)
    _made(disk, files)
    _put(disk, files, "salt")
    for stage in STAGES:
        _append(fd, 1)
        _made(disk, f"{files}/{stage}")
        _made(disk, f"{files}/{stage}/1")
        _put(disk, f"{files}/{stage}/1", "made")
        _append(fd, 1)
    _append(fd, BATCHES - 12)
    _put(disk, shard, "head")
    os.close(fd)


def _made(disk: PosixStorage, path: str) -> None:
    disk.make_dir(path)
    disk.sync_dir(os.path.dirname(path))


def _put(disk: PosixStorage, folder: str, name: str) -> None:
    disk.write_new(f"{folder}/{name}.tmp", LINE)
    disk.rename(f"{folder}/{name}.tmp", f"{folder}/{name}")
    disk.sync_dir(folder)


def _append(fd: int, times: int) -> None:
    for _ in range(times):
        os.write(fd, LINE)
        os.fdatasync(fd)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="evt-run-", dir=sys.argv[1] if sys.argv[1:] else None) as folder:
        found = measure(Path(folder))
    for name, seconds in found.items():
        print(f"{name:<10}{seconds * 1000:8.1f} ms")
    print(f"speed, bare = 1: {found['bare'] / found['ours']:.2f}")


if __name__ == "__main__":
    main()
