"""The one way from an effect to the log: append, and move the state only by what `append` returned."""

from __future__ import annotations

import threading

from eventlog.store import OpenLog, Store
from eventlog.writer import Writer
from projections.events import Event, to_data
from projections.fold import fold, initial_state
from projections.state import PipelineState


class Recorder:
    """A pipeline's open log and its state; several stages of one run share it."""

    def __init__(self, opened: OpenLog, run: str) -> None:
        self.run = run
        self._writer = opened.writer
        self._lock = threading.Lock()
        self._state = fold(initial_state(opened.writer.pipeline), opened.records)

    @property
    def state(self) -> PipelineState:
        """The state after everything that is on stable storage."""
        return self._state

    @property
    def writer(self) -> Writer:
        """The open log."""
        return self._writer

    def seal(self, store: Store) -> None:
        """End the log of a finished pipeline."""
        with self._lock:
            self._state = fold(self._state, store.seal(self._writer, run=self.run))

    def record(self, *events: Event) -> None:
        """Append events as one batch, then fold them."""
        if events:
            with self._lock:
                batch = [(event.type, to_data(event)) for event in events]
                self._state = fold(self._state, self._writer.append(batch, run=self.run))
