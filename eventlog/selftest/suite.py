"""All tests one after the other, each with its share of the time; what they came to; what none of them can tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, evolve, field, frozen

from eventlog.errors import EvtError, LogStorageError
from eventlog.selftest import chain, disk, flips, kill, limit, lock
from eventlog.selftest.bench import NAME, RUN, Bench, Tally

OK, FAILED, SKIPPED = "ok", "failed", "skipped"

NOT_COVERED = (
    "Real power cuts: a kill ends the process, not the machine.",
    "Devices that say that they synced and did not: nothing here can tell. A head that is kept on another machine "
    "tells of every loss; `evt head` prints it.",
    "What happens to the files later. `evt validate` looks at any time.",
)


@frozen
class Trial:
    """One test: its share of the time, and what it means if it fails."""

    name: str
    prove: Callable[[Bench, Tally], None]
    share: float
    failed_means: str


TRIALS = (
    Trial("disk", disk.prove, 0.10, "This folder's disk can't be written reliably."),
    Trial("kill", kill.prove, 0.50, "What evt calls safe can be lost here when a program is ended."),
    Trial("lock", lock.prove, 0.08, "Two programs can write the same log here and spoil it."),
    Trial("size limit", limit.prove, 0.10, "A full disk can spoil a log here."),
    Trial("flips", flips.prove, 0.20, "Damage to a log can go unnoticed here."),
    Trial("chain", chain.prove, 0.02, "A log written here can't be checked with other programs."),
)


@define
class Result:
    """What a test came to.

    Attributes:
        outcome: ok, failed or skipped.
        detail: what was done, what failed, or why nothing could be done, in words.
        skipped: what of it could not be tried here, as sentences.
    """

    name: str
    outcome: str
    counts: dict[str, int]
    seconds: float
    detail: str
    skipped: list[str] = field(factory=list)
    hints: list[str] = field(factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "name": self.name,
            "outcome": self.outcome,
            "counts": self.counts,
            "seconds": round(self.seconds, 2),
            "detail": self.detail,
            "hints": self.hints,
        }


def selftest(bench: Bench, seconds: float, trials: tuple[Trial, ...] = TRIALS) -> Iterator[Result]:
    """Yield the result of each test as it ends; the next one begins when it is asked for."""
    until_s = time.monotonic()
    for trial in trials:
        begun_s = time.monotonic()
        # What one test leaves of its time is the next one's; what one takes too long is not.
        until_s = max(until_s, begun_s) + seconds * trial.share
        tally = Tally(until_s)
        outcome = _try(trial, bench, tally)
        took_s = time.monotonic() - begun_s
        counts = dict(tally.counts)
        yield Result(trial.name, outcome, counts, took_s, tally.detail, tally.skipped, tally.hints)


def require_usable(bench: Bench) -> None:
    """Write one log.

    Raises:
        UnsafeFileSystemError: the file system can't keep the promises.
        LogStorageError: the disk refuses; the tests would only say so again.
    """
    bench.open_store(bench.root("first")).open_writer(NAME, run=RUN, create=True).writer.close()


def _try(trial: Trial, bench: Bench, tally: Tally) -> str:
    try:
        trial.prove(evolve(bench, step=lambda text: bench.step(f"{trial.name}: {text}")), tally)
    except (LogStorageError, OSError) as error:
        tally.detail = f"It could not be tried to its end: {str(error).rstrip('.')}."
        return FAILED
    except EvtError as error:
        tally.detail = f"{error} {trial.failed_means}"
        return FAILED
    return OK if tally.tried else SKIPPED
