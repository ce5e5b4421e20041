"""CPU time of starting evt, beside `python -c "import click, orjson, attrs"` in the same run.

    python -m benchmarks.start

`measure` returns ms of processor time of a whole process, user and system: medians of rounds in turns.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.turns import on_disk

ROOT = Path(__file__).resolve().parents[1]
EVT = str(Path(sys.executable).with_name("evt"))
ROUNDS = 21


def measure(folder: Path) -> dict[str, float]:
    """Return ms: the import that is the limit, and commands of evt on a home of one pipeline."""
    script, sample = str(ROOT / "samples" / "demo.toml"), str(ROOT / "samples" / "jfk.wav")
    base, out = [EVT, "--home", str(folder / "home")], str(folder / "out")
    engines = ["--diarizer", f"script:{script}", "--transcriber", f"script:{script}"]
    subprocess.run([*base, "run", sample, "-o", out, *engines], capture_output=True, check=False)
    subprocess.run([*base, "run", sample, "-o", out], capture_output=True, check=True)
    commands = {
        "import click, orjson, attrs": [sys.executable, "-c", "import click, orjson, attrs"],
        "evt --help": [EVT, "--help"],
        "evt list": [*base, "list"],
        "evt replay": [*base, "replay", "jfk.wav"],
        "evt replay --json": [*base, "replay", "jfk.wav", "--json"],
        "evt run (nothing to do)": [*base, "run", sample, "-o", out],
    }
    for command in commands.values():
        cpu_s(command)
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            times[name].append(cpu_s(command))
    return {name: statistics.median(found) * 1000 for name, found in times.items()}


def cpu_s(command: list[str]) -> float:
    """Return the CPU seconds, user and system, of one run of a command."""
    # An installed program has its bytecode; measuring the compiler instead would say nothing.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=on_disk()) as scratch:
        print(json.dumps(measure(Path(scratch)), indent=1))
