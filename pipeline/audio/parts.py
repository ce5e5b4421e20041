"""A stretch of a converted recording as a file of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.audio.soundfiles import RATE_HZ, FlacWriter, read_samples, sample_count

PIECE = 60 * RATE_HZ
"""Samples that are held at once, two megabytes."""


@contextmanager
def part_file(path: Path, start: int, end: int, check: Callable[[], None]) -> Iterator[Path]:
    """Give samples [start, end) of a converted recording as a file: itself where that is all, else a copy.

    The copy is gone when the context ends.

    Raises:
        OSError: the recording can't be read, or there is no room for the copy.
    """
    if start == 0 and end >= sample_count(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="evt-") as folder:
        copy = Path(folder) / "part.flac"
        writer = FlacWriter(copy)
        for at in range(start, end, PIECE):
            check()
            writer.write(read_samples(path, at, min(at + PIECE, end)))
        writer.close()
        yield copy
