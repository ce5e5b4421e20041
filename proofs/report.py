"""What every proof says: its counts, its seed, what it left out, and how to repeat a failure by one command."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping

from attrs import define, field


class BrokenPromiseError(AssertionError):
    """A promise did not hold; the message names the invariant and everything that repeats the case."""


@define
class Tally:
    """What a proof did.

    Attributes:
        counts: how many of each kind were tried, or ended in which way.
        skipped: what could not be tried here, and why, as sentences.
    """

    counts: Counter[str] = field(factory=Counter)
    skipped: list[str] = field(factory=list)

    def add(self, kind: str, number: int = 1) -> None:
        """Count something."""
        self.counts[kind] += number


def command(name: str, prove: Callable[..., Tally], budgets: Mapping[str, int]) -> None:
    """Run a proof from the command line and exit: 0 it held, 1 it did not.

    Args:
        name: the module, for the command that repeats a run.
        prove: called with the budgets and `seed` as keywords; raises BrokenPromiseError.
        budgets: how much to do unless the command line says otherwise, each an option of its own.
    """
    parser = argparse.ArgumentParser(prog=f"python -m proofs.{name}", description=prove.__doc__)
    for budget, number in budgets.items():
        parser.add_argument(f"--{budget}", type=int, default=number, help=f"default: {number}")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="default: a new one, printed")
    wanted = vars(parser.parse_args())
    repeat = f"python -m proofs.{name} " + " ".join(f"--{option} {number}" for option, number in wanted.items())
    print(f"{name}: {repeat}", flush=True)
    begun_s = time.monotonic()
    try:
        tally = prove(**wanted)
    except BrokenPromiseError as broken:
        print(f"{name}: BROKEN: {broken}\n{name}: repeat with: {repeat}")
        sys.exit(1)
    for kind, number in sorted(tally.counts.items()):
        print(f"{name}: {kind}: {number:,}")
    for sentence in tally.skipped:
        print(f"{name}: skipped: {sentence}")
    print(f"{name}: held, after {time.monotonic() - begun_s:.0f} s")
