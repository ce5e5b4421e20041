"""The one way from an effect to the log: append, and move the state only by what `append` returned."""

from __future__ import annotations

import logging
import threading

from eventlog.opening import OpenLog
from eventlog.store import Store
from pipeline.errors import ClosedError
from projections.events import CallStarted, Event, to_data
from projections.fold import fold, initial_state
from projections.plan import closed
from projections.state import PipelineState

_LOG = logging.getLogger("evt.recorder")


def require_open(state: PipelineState) -> None:
    """Refuse to write into the log of a pipeline that was handed over or erased.

    Raises:
        ClosedError: it was.
    """
    if (reason := closed(state)) is not None:
        raise ClosedError(f"Nothing was done on {state.pipeline_id}: {reason}.")


class Recorder:
    """A pipeline's open log and its state; several stages of one run share it."""

    def __init__(self, store: Store, opened: OpenLog, run: str) -> None:
        self.run = run
        self._store = store
        self._writer = opened.writer
        self._lock = threading.Lock()
        self._state = fold(initial_state(opened.writer.pipeline), opened.records)

    @property
    def state(self) -> PipelineState:
        """The state after everything that is on stable storage."""
        return self._state

    def record(self, *events: Event) -> None:
        """Append events as one batch, then fold them; once this returns, a billable call may begin."""
        if events:
            with self._lock:
                batch = [(event.type, to_data(event)) for event in events]
                self._state = fold(self._state, self._writer.append(batch, run=self.run))
                for event in events if _LOG.isEnabledFor(logging.DEBUG) else ():
                    _LOG.debug("%s %s", self._writer.pipeline, _in_short(event))
                if any(isinstance(event, CallStarted) and event.billable for event in events):
                    # Nothing vouches for the newest batch but the head, and this one must not be lost unseen.
                    self._store.keep_head(self._writer)

    def finish(self) -> None:
        """Keep the head beside the log, after a seal if the pipeline was ever finished; nothing follows."""
        with self._lock:
            if self._state.was_completed:
                self._state = fold(self._state, self._store.seal(self._writer, run=self.run))
            else:
                self._store.keep_head(self._writer)


def _in_short(event: Event) -> str:
    """Return what an event is about, without anything that a user or a service wrote."""
    facts = {name: getattr(event, name, None) for name in ("stage", "attempt", "call", "kind", "outcome")}
    error = getattr(event, "error", None)
    facts["code"] = error.code if error is not None else None
    return " ".join([event.type, *(f"{name}={value}" for name, value in facts.items() if value is not None)])
