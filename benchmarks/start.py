"""CPU time of starting evt, beside `python -c "import click, orjson, attrs"` in the same run.

usage: python benchmarks/start.py [--rounds 15]

Goals: --help ≤ 1.0, list ≤ 1.2, replay ≤ 1.3 of that import. Medians of the ratios
within a round, in which all take turns; and the best time of each, since noise only ever adds.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EVT = str(Path(sys.executable).with_name("evt"))


LIMIT = "import click, orjson, attrs"


def measure(folder: Path) -> dict[str, float]:
    """Return the median CPU seconds of each command; `import click, orjson, attrs` is the limit."""
    return {name: statistics.median(found) for name, found in times_of(folder, rounds=9).items()}


def times_of(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of each command, by rounds, in which all take turns."""
    script = str(ROOT / "samples" / "demo.toml")
    base = [EVT, "--home", f"{folder}/home"]
    sample = str(ROOT / "samples" / "jfk.wav")
    engines = ["--diarizer", f"script:{script}", "--transcriber", f"script:{script}"]
    subprocess.run([*base, "run", sample, "-o", folder, *engines], capture_output=True, check=False)
    subprocess.run([*base, "run", sample, "-o", folder], capture_output=True, check=True)
    commands = {
        LIMIT: [sys.executable, "-c", LIMIT],
        "evt --help": [EVT, "--help"],
        "evt list": [*base, "list"],
        "evt replay": [*base, "replay", "jfk.wav"],
        "evt replay --json": [*base, "replay", "jfk.wav", "--json"],
        "evt run (nothing to do)": [*base, "run", sample, "-o", str(folder)],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for command in commands.values():
        cpu_s(command)
    for _ in range(rounds):
        for name, command in commands.items():
            times[name].append(cpu_s(command))
    return times


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="evt-start-") as folder:
        times = times_of(Path(folder), rounds)
    limits = times[LIMIT]
    print(f"{'command':<30}{'CPU ms':>10}{'ratio':>8}{'ratio of the best':>20}")
    for name, found in times.items():
        ratio = statistics.median(one / limit for one, limit in zip(found, limits, strict=True))
        best = min(found) / min(limits)
        print(f"{name:<30}{statistics.median(found) * 1000:>10.0f}{ratio:>8.2f}{best:>20.2f}")


def cpu_s(command: list[str]) -> float:
    """Return the CPU seconds, user and system, of one run of a command."""
    # An installed program has its bytecode; measuring the compiler instead would say nothing.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()
