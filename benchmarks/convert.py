"""Measures the conversion to 16 kHz FLAC beside its limit (reading the file) and its peers (ffmpeg, pydub).

    python -m benchmarks.convert [--minutes 5 | --hours 3] [--rounds 5] [--levels] [--json]

`measure` returns seconds of wall time, medians of turns; `_cpu_s` are seconds of computing time, `_mib` is memory,
`_db` the level of what a tone of 11 kHz leaves behind, which 16 kHz can't hold. The recordings are the samples of
this repository, changed in level and order from one repetition to the next: `mono` and `room` (two microphones) are
WAVs at 48 kHz, the others are encoded by that ffmpeg. `ours` is a conversion as runs do it, by a child of a server;
`alone` is one with the start of Python and the server. Figures hold only against each other, in one run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RATE_HZ = 48_000
TONE_HZ = 11_000
AT_MOST_S = 85.0
LOSSY = {"mp3": ["-b:a", "96k"], "m4a": ["-b:a", "96k"], "opus": ["-b:a", "32k"]}

ALONE = """
import sys
from pathlib import Path
from pipeline.audio.sandbox.client import convert
from benchmarks.convert import Unwatched
convert(Path(sys.argv[1]), Path(sys.argv[2]), work=Unwatched())
"""
PEAK = """
import sys
from pathlib import Path
import av, numpy, soundfile, soxr
from pipeline.audio.convert import convert
from benchmarks.convert import Unwatched
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
before = peak()
convert(Path(sys.argv[1]), Path(sys.argv[2]), work=Unwatched())
print((peak() - before) / 1024)
"""
Run = Callable[[Path, Path], None]


class Unwatched:
    """A watcher that neither watches nor stops."""

    def check(self) -> None:
        """Nobody stops it."""

    def progress(self, done_s: float, total_s: float) -> None:
        """Nobody watches it."""


def ours(source: Path, folder: Path) -> None:
    from pipeline.audio.sandbox.client import convert

    convert(source, folder, work=Unwatched())


def alone(source: Path, folder: Path) -> None:
    subprocess.run([sys.executable, "-c", ALONE, source, folder], check=True, cwd=ROOT)


def ffmpeg(source: Path, folder: Path) -> None:
    form = ["-vn", "-ac", "1", "-ar", "16000", "-sample_fmt", "s16"]
    subprocess.run([*_ffmpeg(), "-i", source, *form, folder / "audio.flac"], check=True)


def pydub(source: Path, folder: Path) -> None:
    program = (
        "import sys, pydub; s = pydub.AudioSegment.from_wav(sys.argv[1]).set_channels(1).set_frame_rate(16000);"
        "s.export(sys.argv[2], format='wav')"  # its FLAC is ffmpeg's
    )
    command = [sys.executable, "-W", "ignore", "-c", program, source, folder / "audio.wav"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def read_only(source: Path, folder: Path) -> None:
    with source.open("rb", buffering=0) as file:
        while file.read(2**20):
            pass


def measure(folder: Path, *, minutes: float = 5, rounds: int = 5, at_most_s: float = AT_MOST_S) -> dict[str, float]:
    """Return the figures that the head of this file describes, by names like `mono_ours_s` and `mp3_ffmpeg_s`."""
    sources = write_speech(folder, minutes)
    sources |= {kind: encode(sources["mono"], kind, min(minutes, 60)) for kind in LOSSY}
    figures = {"mono_memory_mib": _memory_mib(sources["mono"], folder)}
    figures |= aliases_db(folder)
    ours(sources["mono"], folder)  # starts the server
    times: dict[str, list[float]] = {}
    begun_s = time.monotonic()
    for _ in range(rounds):
        turns = [(kind, run) for kind in sources for run in _runs(kind)]
        random.shuffle(turns)
        for kind, run in turns:
            wall_s, cpu_s = spent(run, sources[kind], folder)
            times.setdefault(f"{kind}_{run.__name__}_s", []).append(wall_s)
            times.setdefault(f"{kind}_{run.__name__}_cpu_s", []).append(cpu_s)
        if time.monotonic() - begun_s > at_most_s / 2:
            break
    return figures | {name: median(found) for name, found in times.items()}


def _runs(kind: str) -> list[Run]:
    return [read_only, ours, ffmpeg, *([alone, pydub] if kind == "mono" else [])]


def spent(run: Run, source: Path, folder: Path) -> tuple[float, float]:
    """Run a conversion in a folder of its own; return its seconds of wall and of computing time, children's too."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        cpu_s, begun_s = _cpu_s(), time.perf_counter()
        run(source, Path(out))
        return time.perf_counter() - begun_s, _cpu_s() - cpu_s


def _cpu_s() -> float:
    """Return what this process, its children and those of the server have used."""
    from pipeline.audio.sandbox.client import SERVER

    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    total_s = sum(each.ru_utime + each.ru_stime for each in used)
    if SERVER.pid is not None and sys.platform == "linux":
        while Path(f"/proc/{SERVER.pid}/task/{SERVER.pid}/children").read_text():
            time.sleep(0.001)  # its time counts once it is gone
        ticks = Path(f"/proc/{SERVER.pid}/stat").read_text().rpartition(")")[2].split()[11:15]
        total_s += sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return total_s


def _memory_mib(source: Path, folder: Path) -> float:
    """Return the peak of a conversion above what the libraries take once they are loaded."""
    command = [sys.executable, "-c", PEAK, source, folder]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)


def aliases_db(folder: Path) -> dict[str, float]:
    """Return how loud a tone of 11 kHz is after each conversion, against what it was."""
    import soundfile

    tone = 0.9 * np.sin(2 * np.pi * TONE_HZ * np.arange(10 * RATE_HZ) / RATE_HZ)
    soundfile.write(folder / "tone.wav", tone, RATE_HZ)
    levels = {}
    for run in (ours, ffmpeg, pydub):
        with tempfile.TemporaryDirectory(dir=folder) as out:
            run(folder / "tone.wav", Path(out))
            (made,) = Path(out).iterdir()
            left = soundfile.read(made)[0][16_000:-16_000]  # its beginning is a click
            levels[f"alias_{run.__name__}_db"] = 20 * np.log10(max(1e-9, float(np.std(left) / np.std(tone))))
    return levels


def write_speech(folder: Path, minutes: float) -> dict[str, Path]:
    """Write WAVs of varied speech at 48 kHz: mono, and two microphones in a room."""
    import soundfile

    rng, speech = np.random.default_rng(1), load_speech()
    total = int(minutes * 60 * RATE_HZ)
    paths = {name: folder / f"{name}.wav" for name in ("mono", "room")}
    with (
        soundfile.SoundFile(paths["mono"], "w", RATE_HZ, 1, "PCM_16", format="RF64") as mono,
        soundfile.SoundFile(paths["room"], "w", RATE_HZ, 2, "PCM_16", format="RF64") as room,
    ):
        while mono.frames < total:
            one = np.roll(speech, int(rng.integers(len(speech))))[: total - mono.frames] * rng.uniform(0.3, 0.9)
            noise = rng.normal(0, 5e-4, (len(one), 2)).astype(np.float32)
            mono.write(one + noise[:, 0])
            room.write(np.stack([one, 0.8 * np.roll(one, 24)], axis=1) + noise)
    return paths


def load_speech() -> np.ndarray:
    import soundfile
    import soxr

    parts = [soundfile.read(ROOT / "samples" / name, dtype="float32")[0] for name in ("jfk.wav", "quilter.wav")]
    return np.clip(soxr.resample(np.concatenate(parts), 16_000, RATE_HZ), -1, 1).astype(np.float32)


def encode(wav: Path, kind: str, minutes: float) -> Path:
    encoded = wav.with_suffix(f".{kind}")
    subprocess.run([*_ffmpeg(), "-t", str(60 * minutes), "-i", wav, *LOSSY[kind], encoded], check=True)
    return encoded


def _ffmpeg() -> list[str]:
    import imageio_ffmpeg

    return [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"]


def print_levels(wav: Path) -> None:
    """Print time and size of libsndfile's FLAC at each level."""
    import soundfile
    import soxr

    speech = soundfile.read(wav, frames=600 * RATE_HZ, dtype="float32")[0]
    samples = (soxr.resample(speech, RATE_HZ, 16_000) * 32767).astype(np.int16)
    for level in range(9):
        path, started_s = wav.with_suffix(".flac"), time.process_time()
        soundfile.write(path, samples, 16_000, "PCM_16", compression_level=level / 8)
        print(f"flac level {level}: {time.process_time() - started_s:.3f} s, {path.stat().st_size} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--hours", type=float, help="instead of minutes; the lossy ones last an hour at most")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--levels", action="store_true", help="compare FLAC's levels of compression instead")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    minutes = 60 * given.hours if given.hours else given.minutes
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="evt-bench-") as folder:
        if given.levels:
            return print_levels(write_speech(Path(folder), 10)["mono"])
        figures = measure(Path(folder), minutes=minutes, rounds=given.rounds, at_most_s=3600 if given.hours else 85)
    if given.json:
        print(json.dumps(figures))
        return None
    for name, value in sorted(figures.items()):
        peer = figures.get(name.replace("_ours_", "_ffmpeg_")) if "_ours_" in name else None
        print(
            f"{name:24} {value:10.3f}"
            + (f"  {value / peer:.2f} of ffmpeg's" if peer and "alias" not in name else "")
        )
    return None


if __name__ == "__main__":
    main()
