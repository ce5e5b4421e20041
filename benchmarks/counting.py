"""Prints how well the built-in diarizer counts the speakers of generated conversations, two at a time.

`EVT_CORPUS=… python -m benchmarks.counting`, some minutes on two cores; `benchmarks.mixtures` says what is mixed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from attrs import frozen

from benchmarks.mixtures import RATE, VOICES_MAX, numbered, shared_voices

SEED = 11
MIXTURES = 120
PROCESSES = 2


@frozen
class Outcome:
    """What the diarizer made of one conversation; the seconds of one processor are without those for generating."""

    name: str
    duration_s: float
    voices: int
    found: int
    error_counted: float
    error_given: float
    took_s: float


def conversations(corpus: Path, count: int, seed: int) -> None:
    """Print the counts and errors on the first conversations of a seed."""
    found = []
    for one in outcomes(corpus, count, seed):
        found.append(one)
        print(
            f"  {one.name} {one.duration_s:4.0f} s, {one.voices} voices, found {one.found}, "
            f"DER {one.error_counted:.3f}, given the count {one.error_given:.3f}",
            flush=True,
        )
    report(found)


def outcomes(corpus: Path, count: int, seed: int) -> Iterator[Outcome]:
    """Diarize the first conversations of a seed, without and with their count."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(outcome, corpus, seed), range(count))


def outcome(corpus: Path, seed: int, index: int) -> Outcome:
    from benchmarks.accuracy import count, diarized, written  # which prints this part of the table, too
    from pipeline.speech.metrics import diarization_error

    mixture = numbered(shared_voices(corpus), seed, index)
    with tempfile.TemporaryDirectory() as scratch:
        path = written(Path(scratch) / "mixture.flac", mixture.samples)
        turns, took_s = diarized(path, None)
        found = count(turns)
        known = turns if found == mixture.voices else diarized(path, mixture.voices)[0]
    return Outcome(
        mixture.name,
        len(mixture.samples) / RATE,
        mixture.voices,
        found,
        diarization_error(mixture.truth, turns).rate,
        diarization_error(mixture.truth, known).rate,
        took_s,
    )


def report(found: Sequence[Outcome]) -> None:
    """Print what was counted, by how many voices there are and by how long they speak."""
    from benchmarks.accuracy import show

    off = np.array([one.found - one.voices for one in found])
    short = np.array([one.duration_s < 60 for one in found])
    voices = np.array([one.voices for one in found])
    groups = {f"{count} voices": voices == count for count in range(1, VOICES_MAX + 1)}
    for name, chosen in {**groups, "below a minute": short, "a minute and more": ~short}.items():
        if chosen.any():
            exact, near = np.mean(off[chosen] == 0), np.mean(np.abs(off[chosen]) <= 1)
            print(f"  {name}: {chosen.sum()} mixtures, exact {exact:.2f}, within one {near:.2f}")
    show("count exact", np.mean(off == 0), at_least=0.70)
    show("count within one", np.mean(np.abs(off) <= 1), at_least=0.95)
    show("DER mixtures, counted, median", np.median([one.error_counted for one in found]))
    show("DER mixtures, given, median", np.median([one.error_given for one in found]))
    show("CPU time per second of audio, mean", np.mean([one.took_s / one.duration_s for one in found]), at_most=0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Count the speakers of generated conversations.")
    parser.add_argument("--mixtures", type=int, default=MIXTURES)
    parser.add_argument("--seed", type=int, default=SEED)
    named = parser.parse_args()
    corpus = os.environ.get("EVT_CORPUS")
    if corpus is None:
        sys.exit("not run: set EVT_CORPUS to the folder of the shared recordings")
    conversations(Path(corpus), named.mixtures, named.seed)


if __name__ == "__main__":
    main()
