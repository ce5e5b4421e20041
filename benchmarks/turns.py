"""Variants of one thing that take turns, so that whatever disturbs the machine disturbs them alike."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

Timed = Callable[[int], float]
"""Does something so many times and returns how long that took, in seconds."""


def timed(act: Callable[[], object]) -> Timed:
    """Return an act as one that is timed from outside."""

    def many(count: int) -> float:
        begun_s = time.perf_counter()
        for _ in range(count):
            act()
        return time.perf_counter() - begun_s

    return many


def in_turns(variants: Mapping[str, Timed], *, acts: int, rounds: int, at_most_s: float) -> dict[str, float]:
    """Return for each variant the seconds of one act: the median of its rounds.

    The order changes from round to round, since each leaves the disk work to do.

    Args:
        variants: what takes turns.
        acts: how many each does in its turn.
        rounds: how many turns there are, unless the time is over before; one at least.
        at_most_s: no round is begun later than this.
    """
    begun_s = time.monotonic()
    spans: dict[str, list[float]] = {name: [] for name in variants}
    order = list(variants)
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            spans[name].append(variants[name](acts) / acts)
        if time.monotonic() - begun_s > at_most_s:
            break
    return {name: statistics.median(found) for name, found in spans.items()}


def on_disk() -> Path:
    """Return a folder that is on the disk of this project, for runs by hand: /tmp may be memory."""
    folder = Path(__file__).resolve().parent.parent / "build"
    folder.mkdir(exist_ok=True)
    return folder
