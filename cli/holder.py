"""Who holds a log that somebody else wants to write: for information only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from cli.render import moment
from cli.system import lock_holders
from eventlog.errors import LogLockedError
from eventlog.store import Store
from projections.fold import fold, initial_state


@contextlib.contextmanager
def naming_the_holder(store: Store) -> Iterator[None]:
    """Add to a refusal who seems to hold the log."""
    try:
        yield
    except LogLockedError as error:
        text = f"{error} {_holder(store, error.pipeline)}".strip()
        raise LogLockedError(text, pipeline=error.pipeline) from error


def _holder(store: Store, pipeline: str) -> str:
    """Return a sentence about the last run, if it can be the one that holds the lock, else about the process."""
    pids = lock_holders(store.path(pipeline))
    last = fold(initial_state(pipeline), store.stream(pipeline)).last_run
    # Of another machine's process, or one outside this container, the table knows no number.
    known = [pid for pid in pids or () if pid > 0]
    if last is not None and last.outcome is None and (not known or last.started.pid in known):
        return f"It is pid {last.started.pid} on {last.started.host}, since {moment(last.started_at)} UTC."
    return f"It is pid {known[0]} on this machine." if known else ""
