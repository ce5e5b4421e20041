"""One writer at most: a second is refused in time, a dead one is in nobody's way, a forked one can't write."""

from __future__ import annotations

import time

from eventlog.errors import LogLockedError
from eventlog.selftest.bench import NAME, RUN, Bench, BrokenPromiseError, Tally, numbered, shown_time
from eventlog.selftest.children import Child
from eventlog.store import Store

ROUNDS_MAX = 5
REFUSED_WITHIN_S = 1.0
_LATE_MAX = 3
"""So many in a row are no accident of a busy machine."""


def prove(bench: Bench, tally: Tally) -> None:
    """Be the second writer beside a living one, then the next after a killed one; then let one fork."""
    root = bench.root("lock")
    store = bench.open_store(root)
    waited_s: list[float] = []
    while not waited_s or waited_s[-1] > REFUSED_WITHIN_S or (len(waited_s) < ROUNDS_MAX and tally.in_time):
        with Child(bench, "hold") as holder:
            holder.begin(root).hear()
            waited_s.append(_refused_after_s(store))
            holder.kill()
        _require_punctual(waited_s)
        tally.counts["refused"] += 1
        _take_over(store)
        tally.counts["taken_over"] += 1
        bench.step(numbered(len(waited_s), "round"))
    tally.counts["refused_ms_max"] = round(max(waited_s) * 1000)
    tally.detail = (
        f"{numbered(len(waited_s), 'second writer')} refused after {shown_time(max(waited_s))} at most; "
        f"{numbered(len(waited_s), 'lock')} of killed writers taken over"
    )
    if max(waited_s) > REFUSED_WITHIN_S:
        tally.hints.append(f"A second writer waited {shown_time(max(waited_s))}; this machine seems to be busy.")
    if bench.machine.fork:
        _require_forks_refused(bench)
        tally.counts["forks_refused"] += 1
        tally.detail += "; a fork refused"
    else:
        tally.skipped.append("Whether a forked process can write: there is no fork here.")


def _refused_after_s(store: Store) -> float:
    begun_s = time.monotonic()
    try:
        opened = store.open_writer(NAME, run=RUN)
    except LogLockedError:
        waited_s = time.monotonic() - begun_s
    else:
        opened.writer.close()
        raise BrokenPromiseError("A second process could write a log that another one was writing.")
    return waited_s


def _require_punctual(waited_s: list[float]) -> None:
    last_s = waited_s[-_LATE_MAX:]
    if len(last_s) == _LATE_MAX and min(last_s) > REFUSED_WITHIN_S:
        raise BrokenPromiseError(f"Second writers were refused only after {shown_time(min(last_s))}.")


def _take_over(store: Store) -> None:
    try:
        store.open_writer(NAME, run=RUN).writer.close()
    except LogLockedError:
        raise BrokenPromiseError("A log stayed locked after its writer had been killed.") from None


def _require_forks_refused(bench: Bench) -> None:
    with Child(bench, "fork") as parent:
        if parent.begin(bench.root("fork")).hear() != "refused":
            raise BrokenPromiseError("A forked process could write the log of its parent.")
        parent.hear()
