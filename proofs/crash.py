"""Crashes and errors at any operation of a simulated disk, against the real store, writer, reader and recovery.

A *state* is one disk as something may leave it, opened and held against the invariants I1–I8 of lives.py. Random
logs live several lives with a crash or a fault in each, so also inside recoveries. The small scope is gone through
whole: every workload of a few operations from a small alphabet, a crash at each operation of its last step in every
mode, with every outcome where these are few, and every kind of fault there; and for all but the longest workloads
everything once more inside the recovery.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import multiprocessing
import random
from collections.abc import Callable, Iterator, Sequence

from attrs import define, field

from proofs.aftermath import Examiner, Moment, examine_damage
from proofs.lives import Ledger, Life, Step
from proofs.medium import Choose
from proofs.report import BrokenPromiseError, Tally, command
from proofs.simfs import FAULTS, MODES, SimDisk

OPEN: Step = ("open", ())
CLOSE: Step = ("close", ())
ALPHABET: tuple[Step, ...] = (
    ("append", (10,)),
    ("append", (330, 330, 330)),  # three records over four or five sectors
    ("keep", ()),
    ("seal", ()),
    ("reopen", ()),
)
PATTERNS: tuple[tuple[str, ...], ...] = (
    *((fault,) for fault in FAULTS if fault != "lie"),
    ("lie",) * 99,
    *itertools.product(("fail", "late", "short"), ("fail", "crash")),
)
"""What happens to an operation and to those behind it."""
TRIES = 3
"""So many crashes are tried at a moment of a random life; behind the last of them the log goes on."""


def prove(*, states: int, depth: int, workload: int, jobs: int, seed: int) -> Tally:
    """Crash a simulated disk at any operation: nothing acknowledged is lost, and nothing false is found."""
    shares = [(states // jobs, depth, workload, seed, range(job, 2**63, jobs)) for job in range(jobs)]
    if jobs == 1:
        return _prove_share(shares[0])
    tally = Tally()
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for part in pool.imap_unordered(_prove_share, shares):
            tally.counts.update(part.counts)
    return tally


def _prove_share(share: tuple[int, int, int, int, range]) -> Tally:
    """Do the part of one process: those workloads and random logs whose turn is its."""
    states, depth, workload, seed, turns = share
    tally = Tally()
    for number, steps in enumerate(_workloads(depth), 1):
        if number == workload or (not workload and number in turns):
            with _repeatable(f"--states 0 --depth {depth} --workload {number} --seed {seed}"):
                Scope(random.Random(f"{seed} {number}"), tally).go_through(steps, twice=len(steps) <= depth)
    for turn in turns:
        if tally.counts["random states"] >= states:
            break
        with _repeatable(f"--states 1 --depth 0 --seed {seed + turn}"):
            live_randomly(random.Random(seed + turn), tally)
    return tally


def live_randomly(rng: random.Random, tally: Tally) -> None:
    """Let one log live several lives, each with its own script and its own crash or fault."""
    examiner, numbers = Examiner("random", tally), itertools.count()
    last = Moment(SimDisk(choose=rng.randrange), Ledger())
    tally.add("random logs")
    for _ in range(rng.randint(2, 4)):
        life, fired = Life(last.disk, last.ledger, numbers), len(last.disk.fired)
        last.disk.faults, last.disk.bad_reads = _random_faults(rng)
        moments = _moments(life, [OPEN, *_random_script(rng), CLOSE], lambda: rng.random() < 0.3)
        for fault in set(life.disk.fired[fired:]):
            tally.add(f"random lives with {fault}")
        for moment, _ in itertools.product(moments, range(TRIES)):
            after = moment.after(rng.choice(MODES), rng.choice(moment.fills()), rng.randrange)
            ending = examiner.examine(after)
        if ending != "recovered":
            return
        last = after.with_cuts()
    opened = last.disk.snapshot()
    Life(opened, last.ledger).do(OPEN)
    tally.add(f"random logs, {examine_damage(opened.snapshot(), rng.randrange)}")


@define
class Scope:
    """Goes through all that can happen to one workload."""

    rng: random.Random
    tally: Tally
    _examiner: Examiner = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._examiner = Examiner("exhaustive", self.tally)

    def go_through(self, steps: Sequence[Step], *, twice: bool) -> None:
        """Take the steps, and let everything happen to the last one; `twice`: and then to each recovery."""

        def begin() -> Life:
            life = Life(SimDisk(choose=self.rng.randrange))
            life.play(steps[:-1])
            return life

        self.tally.add("workloads")
        for moment in self._crashes(begin, steps[-1]):
            for after in self._aftermaths(moment, ways_max=64):
                if self._examiner.examine(after, " after a crash") == "recovered" and twice:
                    self._go_through_recovery(after)
        for moment in self._faults(begin, steps[-1]):
            for after in self._aftermaths(moment, ways_max=4):
                self._examiner.examine(after, " after a fault")

    def _go_through_recovery(self, after: Moment) -> None:
        """Let everything happen to a recovery; every fault, only to some of them, since they are much alike."""
        torn = after.with_cuts()

        def begin() -> Life:
            return Life(torn.disk.snapshot(), torn.ledger)

        for moment in self._crashes(begin, OPEN):
            for second in self._aftermaths(moment, ways_max=4):
                self._examiner.examine(second, " after a crash in the recovery")
        for moment in self._faults(begin, OPEN) if self.rng.random() < 0.1 else ():
            for second in self._aftermaths(moment, ways_max=2):
                self._examiner.examine(second, " after a fault in the recovery")

    def _crashes(self, begin: Callable[[], Life], step: Step) -> list[Moment]:
        """Return the moments before each operation of a step, and the one behind it."""
        moments = _moments(begin(), [step], lambda: True)
        self.tally.add("exhaustive crashes", len(moments))
        return moments

    def _faults(self, begin: Callable[[], Life], step: Step) -> Iterator[Moment]:
        """Yield the moments behind a step, one for each fault of each of its operations."""
        life = begin()
        operations, reads = life.disk.operations, life.disk.reads
        life.play([step])
        for at, pattern in itertools.product(range(operations, life.disk.operations), PATTERNS):
            yield from self._fault(begin(), step, dict(enumerate(pattern, at)), frozenset())
        for at in range(reads, life.disk.reads):
            yield from self._fault(begin(), step, {}, frozenset([at]))

    def _fault(self, life: Life, step: Step, faults: dict[int, str], bad_reads: frozenset[int]) -> Iterator[Moment]:
        """Yield the moment behind a step, unless its operation can't suffer that."""
        disk, fired = life.disk, len(life.disk.fired)
        disk.faults, disk.bad_reads = faults, bad_reads
        life.play([step])
        if len(disk.fired) > fired:
            self.tally.add("exhaustive faults")
            yield Moment(disk, life.ledger.ended(disk))

    def _aftermaths(self, moment: Moment, ways_max: int) -> Iterator[Moment]:
        """Yield what a crash may leave then, unless it was examined before."""
        for mode, fill in itertools.product(MODES, moment.fills()):
            most = ways_max if fill == "nul" else min(ways_max, 8)
            for after in _ways(functools.partial(moment.after, mode, fill), most, self.rng):
                if self._examiner.is_new(after):
                    after.disk.choose = self.rng.randrange
                    yield after


def _moments(life: Life, steps: Sequence[Step], is_wanted: Callable[[], bool]) -> list[Moment]:
    """Take steps; return the moments before their operations that are wanted, and the one behind them all."""
    moments: list[Moment] = []

    def look() -> None:
        if is_wanted():
            moments.append(Moment(life.disk.snapshot(), life.ledger.ended(life.disk)))

    life.disk.watch = look
    life.play(steps)
    life.disk.watch = None
    return [*moments, Moment(life.disk, life.ledger.ended(life.disk))]


@define
class Choices:
    """Takes given possibilities first and then always the first one, and remembers what there was."""

    path: list[int]
    taken: list[int] = field(factory=list)
    of: list[int] = field(factory=list)

    def __call__(self, number: int) -> int:
        """Choose between so many."""
        place = len(self.taken)
        self.taken.append(self.path[place] if place < len(self.path) else 0)
        self.of.append(number)
        return self.taken[-1]

    def next_path(self) -> list[int] | None:
        """Return the possibilities to take next; None: they were all taken."""
        taken = list(self.taken)
        while taken and taken[-1] + 1 == self.of[len(taken) - 1]:
            taken.pop()
        return [*taken[:-1], taken[-1] + 1] if taken else None


def _ways(outcome: Callable[[Choose], Moment], ways_max: int, rng: random.Random) -> list[Moment]:
    """Return every outcome if there are at most so many, else so many by chance."""
    found: list[Moment] = []
    path: list[int] | None = []
    while path is not None:
        if len(found) == ways_max:
            return [outcome(rng.randrange) for _ in range(ways_max)]
        choices = Choices(path)
        found.append(outcome(choices))
        path = choices.next_path()
    return found


def _workloads(depth: int) -> Iterator[tuple[Step, ...]]:
    for length in range(depth + 1 if depth else 0):
        for steps in itertools.product(ALPHABET, repeat=length):
            yield (OPEN, *steps)


def _random_script(rng: random.Random) -> list[Step]:
    script: list[Step] = []
    for _ in range(rng.randint(1, 6)):
        sizes = tuple(rng.choice((0, 10, 100, 230, 512, 1500)) for _ in range(rng.choice((1, 1, 1, 2, 3, 5))))
        what = rng.choice(("append", "append", "append", "append", "keep", "seal", "reopen"))
        script.append((what, sizes if what == "append" else ()))
    return script


def _random_faults(rng: random.Random) -> tuple[dict[int, str], frozenset[int]]:
    """Return faults and bad reads: as often in the opening as anywhere, and often one hard upon the other."""
    at = rng.randrange(rng.choice((4, 24)))
    kind = rng.choice(("crash",) * 8 + ("fail", "fail", "late", "short", "full", "unlink", "lie", "read"))
    if kind == "read":
        return {}, frozenset([at])
    if kind == "lie":
        return dict.fromkeys(range(at, at + 99), kind), frozenset()
    second = {at + rng.choice((1, 1, 2, 3)): rng.choice(("fail", "fail", "late", "crash"))}
    return {at: kind, **(second if rng.random() < 0.4 else {})}, frozenset()


@contextlib.contextmanager
def _repeatable(options: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise BrokenPromiseError(
            f"{type(error).__name__}: {error}\n  this one alone: python -m proofs.crash {options}"
        ) from error


if __name__ == "__main__":
    command("crash", prove, {"states": 100_000, "depth": 3, "workload": 0, "jobs": 1})
