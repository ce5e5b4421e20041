"""Measures the conversion beside ffmpeg: wall time, CPU time, peak memory, size.

    python benchmarks/convert.py --corpus DIR [--hours 3] [--ffmpeg PATH] [--rounds 3] [--lossy] [--levels]

The recordings are made from the real speech of the corpus (its folder may also stand in EVT_CORPUS), changed in
level and order from one repetition to the next. Every conversion runs in a process of its own; the programs take
turns, and the medians are shown. `--lossy` also measures an hour of MP3, AAC and Opus, encoded by that ffmpeg;
`--levels` compares FLAC's compression levels. Numbers hold only against each other, in one table.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).parents[1]
RATE_HZ = 48_000
SPEECH = ("jfk_16k_mono.wav", "three_speakers.wav", "pyannote_sample/sample.wav", "quilter.wav")

OURS = """
import sys
from pathlib import Path
from pipeline.audio.convert import convert
class Work:
    def check(self): pass
    def progress(self, done_s, total_s): pass
convert(Path(sys.argv[1]), Path(sys.argv[2]), work=Work())
"""
IMPORTS = "import av, numpy, soundfile, soxr, pipeline.audio.convert"
Command = Callable[[Path, Path], list[str]]


def ours(source: Path, folder: Path) -> list[str]:
    return [sys.executable, "-c", OURS, str(source), str(folder)]


def ffmpeg(binary: str) -> Command:
    """Return the command that does the same: mono mix, 16 kHz, s16, FLAC."""

    def command(source: Path, folder: Path) -> list[str]:
        form = ["-ac", "1", "-ar", "16000", "-sample_fmt", "s16"]
        return [binary, "-v", "error", "-y", "-i", str(source), "-vn", *form, str(folder / "audio.flac")]

    return command


def measure(command: list[str]) -> dict[str, float]:
    """Run a command; return wall and CPU seconds, and peak resident memory in MiB."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"failed: {command[0]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "wall_s": time.perf_counter() - started,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mib": used.ru_maxrss * unit / 2**20,
    }


def write_speech(corpus: Path, folder: Path, hours: float) -> dict[str, Path]:
    """Write WAVs of varied speech at 48 kHz: mono, two microphones in a room, one speaker per channel."""
    import soundfile

    rng = np.random.default_rng(1)
    speech = load_speech(corpus)
    total = int(hours * 3600 * RATE_HZ)
    paths = {name: folder / f"{name}.wav" for name in ("mono", "room", "call")}
    with (
        soundfile.SoundFile(paths["mono"], "w", RATE_HZ, 1, "PCM_16") as mono,
        soundfile.SoundFile(paths["room"], "w", RATE_HZ, 2, "PCM_16") as room,
        soundfile.SoundFile(paths["call"], "w", RATE_HZ, 2, "PCM_16") as call,
    ):
        while mono.frames < total:
            one, other = (np.roll(speech, int(rng.integers(len(speech)))) for _ in range(2))
            one, other = (each[: total - mono.frames] * rng.uniform(0.3, 0.9) for each in (one, other))
            noise = rng.normal(0, 5e-4, (len(one), 2)).astype(np.float32)
            mono.write(one + noise[:, 0])
            room.write(np.stack([one, 0.8 * np.roll(one, 24)], axis=1) + noise)
            call.write(np.stack([one, other], axis=1) + noise)
    return paths


def load_speech(corpus: Path) -> np.ndarray:
    import soundfile
    import soxr

    parts = [soundfile.read(corpus / name, dtype="float32")[0] for name in SPEECH]
    return np.clip(soxr.resample(np.concatenate(parts), 16_000, RATE_HZ), -1, 1)


def encode(binary: str, wavs: list[Path]) -> list[Path]:
    """Encode the first hour of each as MP3, AAC and Opus."""
    encoded = []
    for wav in wavs:
        for end, options in {".mp3": ["-b:a", "96k"], ".m4a": ["-b:a", "96k"], ".opus": ["-b:a", "32k"]}.items():
            encoded.append(wav.with_suffix(end))
            command = [binary, "-v", "error", "-y", "-t", "3600", "-i", str(wav), *options, str(encoded[-1])]
            subprocess.run(command, check=True)
    return encoded


def compare(sources: list[Path], programs: dict[str, Command], rounds: int) -> None:
    """Print one table: each source by each program, in turns."""
    print(
        f"{'source':12} {'program':8} {'wall s':>8} {'cpu s':>8} {'peak MiB':>9} {'MB out':>7} {'wall ratio':>11}"
    )
    for source in sources:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in programs}
        for _ in range(rounds):
            for name, command in programs.items():
                runs[name].append(run_once(command, source))
        report(source.name, {name: median_of(each) for name, each in runs.items()})


def run_once(command: Command, source: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=source.parent) as out:
        figures = measure(command(source, Path(out)))
        figures["out_mb"] = sum(file.stat().st_size for file in Path(out).iterdir()) / 1e6
    return figures


def median_of(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: median(run[key] for run in runs) for key in runs[0]}


def report(source: str, figures: dict[str, dict[str, float]]) -> None:
    peer_s = figures.get("ffmpeg", {}).get("wall_s")
    for name, row in figures.items():
        ratio = f"{row['wall_s'] / peer_s:11.2f}" if peer_s else f"{'not run':>11}"
        print(
            f"{source:12} {name:8} {row['wall_s']:8.2f} {row['cpu_s']:8.2f} {row['peak_mib']:9.0f} "
            f"{row['out_mb']:7.1f} {ratio}",
            flush=True,
        )


def compare_levels(wav: Path) -> None:
    """Print time and size of libsndfile's FLAC at each level, for ten minutes at 16 kHz."""
    import soundfile
    import soxr

    speech = soundfile.read(wav, frames=600 * RATE_HZ, dtype="float32")[0]
    samples = (soxr.resample(speech, RATE_HZ, 16_000) * 32767).astype(np.int16)
    for level in range(9):
        path = wav.with_suffix(".flac")
        started_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        soundfile.write(path, samples, 16_000, "PCM_16", compression_level=level / 8)
        cpu_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime - started_s
        print(f"flac level {level}: {cpu_s:.3f} s cpu, {path.stat().st_size} bytes", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=os.environ.get("EVT_CORPUS"))
    parser.add_argument("--ffmpeg", help="the peer's binary; without it the peer is not run")
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lossy", action="store_true")
    parser.add_argument("--levels", action="store_true")
    options = parser.parse_args()
    if options.corpus is None:
        print("not run: no corpus; name it with --corpus or EVT_CORPUS")
        return
    programs: dict[str, Command] = {"ours": ours}
    if options.ffmpeg:
        programs["ffmpeg"] = ffmpeg(options.ffmpeg)
    else:
        print("ffmpeg: not run (name its binary with --ffmpeg)")
    run(options, programs)


def run(options: argparse.Namespace, programs: dict[str, Command]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        # In a process of its own: peak memory is inherited, and this one must stay smaller than what it measures.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            wavs = pool.submit(write_speech, options.corpus, Path(scratch), options.hours).result()
        base = measure([sys.executable, "-c", IMPORTS])
        print(json.dumps({"imports_mib": round(base["peak_mib"]), "imports_s": round(base["wall_s"], 2)}))
        compare(list(wavs.values()), programs, options.rounds)
        if options.lossy and options.ffmpeg:
            compare(encode(options.ffmpeg, [wavs["mono"], wavs["room"]]), programs, options.rounds)
        if options.levels:
            compare_levels(wavs["mono"])


if __name__ == "__main__":
    main()
