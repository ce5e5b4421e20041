"""Many short recordings with an engine that does nothing: two cores against one, and whether memory stays flat.

Each recording is ten seconds of WAV; a script diarizes and transcribes it, so what is measured is evt itself:
identifying, converting, logs, artifacts, merge, export, delivery. The whole command line runs as users run it, in a
process that may use one core, then two (`os.sched_setaffinity`, so Linux only), each with a home of its own.
`python benchmarks/batch.py FOLDER [COUNT]`; in /dev/shm nothing waits for a disk, so that only cores count.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import threading
import time
import wave
from pathlib import Path

import numpy as np

RATE_HZ = 16000
SECONDS = 10
ROUNDS = 2
"""The cases take turns, and the fastest run of each counts, since others use the machine too."""

_SCRIPT = """turns = [[0.0, 3.0, "SPEAKER_00"], [3.0, 9.0, "SPEAKER_01"]]
words = [["one", 0.2, 0.6], ["two", 1.5, 1.9], ["three", 4.0, 4.5]]
"""
_PROGRAM = "from cli.main import main; main()"


def measure(folder: Path, count: int = 60) -> dict[str, float]:
    """Return seconds of wall time with one core and two, their ratio, and the peak memory of a process.

    `wall_s_1`, `wall_s_2`; `cpu_s_1`: processor time for one recording, children included; `ratio`: how much faster
    two cores are; `peak_mb_begin`: resident memory when a tenth is done; `peak_mb_end`: at the end.
    """
    write_recordings(folder / "in", count)
    figures: dict[str, float] = {}
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise SystemExit("This compares two cores with one, and there is only one.")
    for number in (1, 2) * ROUNDS:
        run = {f"{name}_{number}": value for name, value in _run(folder, set(allowed[:number]), count).items()}
        if run[f"wall_s_{number}"] < figures.get(f"wall_s_{number}", float("inf")):
            figures |= run
    figures["ratio"] = figures["wall_s_1"] / figures["wall_s_2"]
    return figures


def write_recordings(folder: Path, count: int) -> None:
    """Write so many WAV files, each with samples of its own: a few tones, louder and softer as speech is."""
    folder.mkdir(parents=True, exist_ok=True)
    times = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    tone = np.sin(2 * np.pi * 180 * times) * (np.sin(2 * np.pi * 1.7 * times) > 0) * 8000
    for number in range(count):
        samples = tone.astype("<i2")
        samples[:64] = number
        with wave.open(str(folder / f"r{number:05d}.wav"), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes(samples.tobytes())


def _run(folder: Path, cores: set[int], count: int) -> dict[str, float]:
    home, out, script = folder / "home", folder / "out", folder / "script.toml"
    script.write_text(_SCRIPT)
    for left in (home, out):
        shutil.rmtree(left, ignore_errors=True)
    engines = ["--diarizer", f"script:{script}", "--transcriber", f"script:{script}"]
    arguments = [sys.executable, "-c", _PROGRAM, "--home", str(home), "run", str(folder / "in"), "-o", str(out)]
    before, begun_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(
        [*arguments, "-q", *engines],
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),  # noqa: PLW1509 # nothing else runs here
    )
    sizes: list[tuple[int, float]] = []
    watcher = threading.Thread(target=_watch, args=(process, out, sizes))
    watcher.start()
    process.wait()
    wall_s = time.monotonic() - begun_s
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert process.returncode == 0, process.returncode
    assert len(list(out.glob("*.txt"))) == count
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    early = next((size for done, size in sizes if done >= count / 10), 0.0)
    return {
        "wall_s": wall_s,
        "cpu_s": cpu_s / count,
        "peak_mb_begin": early,
        "peak_mb_end": max((size for _, size in sizes), default=0.0),
    }


def _watch(process: subprocess.Popen[bytes], out: Path, sizes: list[tuple[int, float]]) -> None:
    """Note how much memory a process has, and how many recordings are done by then."""
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            return
        peak = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0")
        sizes.append((len(list(out.glob("*.txt"))), int(peak.split()[1]) / 1024))
        time.sleep(0.2)


if __name__ == "__main__":
    for name, value in measure(Path(sys.argv[1]), *map(int, sys.argv[2:3])).items():
        print(f"{name:<16} {value:8.3f}")
