"""What a peer's script and the benchmark say to each other: a number in, the seconds of so many acts out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

EVENT = {
    "stage": "transcription",
    "attempt": 1,
    "key": "a" * 64,
    "outputs": [{"name": "words.json", "size_bytes": 12345}],
    "metadata": {"language": "de", "words": 512},
    "duration_s": 12.25,
}
"""The data of benchmarks/append.py, which every peer keeps as well."""


def serve(act: Callable[[int], float]) -> None:
    """Answer every number on stdin with the seconds that so many acts took, until it ends.

    Whatever else is printed by a library goes to stderr.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    act(3)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(act(int(line)), file=answers, flush=True)
