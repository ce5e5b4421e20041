"""Whether 256 folders are enough for the logs and files of a million recordings; it takes minutes.

    python -m benchmarks.million [FOLDER]

Small files are put into one folder, into 256 by the first two digits of their names, and into 65,536 by the first
four. Then all are listed with size and times, as `evt list` does, single ones are looked up, and some are made as
the store makes a log. What counts is how the cost of one file grows with their number.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

COUNTS = (1_000, 100_000, 1_000_000)
DEPTHS = {"1 folder": 0, "256 folders": 2, "65,536 folders": 4}
LOOKUPS = 2_000
CONTENT = b"x" * 64


def measure(folder: Path, counts: Sequence[int] = COUNTS) -> dict[str, float]:
    """Return µs for one file, by what is done, layout and number of files."""
    return dict(figures(folder, counts))


def figures(folder: Path, counts: Sequence[int]) -> Iterator[tuple[str, float]]:
    """Yield what `measure` returns, as it comes."""
    for count in counts:
        for layout, digits in DEPTHS.items():
            with tempfile.TemporaryDirectory(dir=folder) as root:
                for act, us in _measure(root, count, digits).items():
                    yield f"{act}, {layout}, {count:,} files", us


def _measure(root: str, count: int, digits: int) -> dict[str, float]:
    names = [hashlib.sha256(str(number).encode()).hexdigest()[:16] for number in range(count)]
    for shard in {name[:digits] for name in names}:
        os.makedirs(os.path.join(root, shard), exist_ok=True)
    asked = random.Random(count).choices(names, k=LOOKUPS)

    def path(name: str) -> str:
        return os.path.join(root, name[:digits], name + ".jsonl") if digits else os.path.join(root, name + ".jsonl")

    def create() -> None:
        for name in names:
            _write(path(name))

    def create_durably() -> None:
        for number in range(20):
            made = path(f"{number * 5:02x}ff" + "0" * 12)
            os.makedirs(os.path.dirname(made), exist_ok=True)
            _write(made, durably=True)

    def look_up() -> None:
        for name in asked:
            os.stat(path(name))

    return {
        "create": _us(create, count),
        "scan": _us(lambda: _scan(root), count),
        "look up": _us(look_up, LOOKUPS),
        "create durably": _us(create_durably, 20),
    }


def _write(path: str, *, durably: bool = False) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(fd, CONTENT)
    if durably:
        os.fdatasync(fd)
    os.close(fd)
    if durably:
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _scan(root: str) -> int:
    found = 0
    for entry in os.scandir(root):
        found += _scan(entry.path) if entry.is_dir() else entry.stat().st_size // len(CONTENT)
    return found


def _us(act: Callable[[], object], times: int) -> float:
    begun = time.perf_counter()
    act()
    return (time.perf_counter() - begun) / times * 1e6


def main() -> None:
    """Print a table."""
    for name, us in figures(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.gettempdir()), COUNTS):
        print(f"{name:50} {us:10.1f} µs a file", flush=True)


if __name__ == "__main__":
    main()
