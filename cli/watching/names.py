"""What deliveries are called where recordings come one by one, so that none takes the place of another's.

The same recordings give the same names after a restart: where a transcript of a recording lies already, it stays.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from attrs import define, field

from cli.watching.arrivals import Arrivals
from eventlog.errors import LogNotFoundError
from eventlog.store import Store
from pipeline.delivery import Stems, Target, delivered_digests
from projections.fold import fold, initial_state
from projections.graph import EXPORT, FORMATS


@define
class WatchNames:
    """Settles a recording's stem when its turn comes: `talk`, else `talk.mp3`, else with the id's first digits.

    Args:
        arrivals: the recordings that are there now; those that would share a stem keep their suffix.
        output_dir: where deliveries lie.
        store: knows which of them are a recording's own.
    """

    arrivals: Arrivals
    output_dir: Path
    store: Store
    _taken: dict[str, str] = field(factory=dict, init=False)
    _stems: Stems = field(factory=lambda: Stems.of(()), init=False)
    _version: int = field(default=-1, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def stem(self, name: str, pipeline: str) -> str:
        """Return the stem of a recording of this name and base pipeline."""
        with self._lock:
            choices = list(dict.fromkeys(self._choices(name, pipeline)))
            chosen = self._own(choices, pipeline) or self._free(choices, name, pipeline)
            self._taken[chosen.casefold()] = pipeline
            return chosen

    def _choices(self, name: str, pipeline: str) -> Iterator[str]:
        for others in ((), (f"{Path(name).stem}.other",), (name, name)):
            yield Stems.of([name, *others]).stem(name, pipeline)

    def _own(self, choices: list[str], pipeline: str) -> str | None:
        """Return the stem under which exports of this recording lie."""
        there = [stem for stem in choices if self._may_take(stem, pipeline) and self._is_there(stem)]
        exports = self._exports(pipeline) if there else frozenset()
        # Not the first one: another recording's transcript may be the same, but not in all formats.
        own = {stem: len(exports & delivered_digests(self._target(stem), FORMATS)) for stem in there}
        best = max(there, key=lambda stem: own[stem], default=None)
        return best if best is not None and own[best] else None

    def _free(self, choices: list[str], name: str, pipeline: str) -> str:
        """Return the shortest stem that is nobody else's; where none is, delivering finds a place beside."""
        if self._version != self.arrivals.version:
            self._version = self.arrivals.version
            self._stems = Stems.of(os.path.basename(path) for path in self.arrivals.names())
        first = choices.index(self._stems.stem(name, pipeline))
        free = (stem for stem in choices[first:] if self._may_take(stem, pipeline) and not self._is_there(stem))
        return next(free, choices[-1])

    def _may_take(self, stem: str, pipeline: str) -> bool:
        return self._taken.get(stem.casefold(), pipeline) == pipeline

    def _is_there(self, stem: str) -> bool:
        return any(os.path.lexists(next(self._target(stem).places(name))) for name in FORMATS)

    def _target(self, stem: str) -> Target:
        return Target(self.output_dir, stem)

    def _exports(self, pipeline: str) -> frozenset[str]:
        """Return the digests of all exports that a recording ever had."""
        try:
            state = fold(initial_state(pipeline), self.store.stream(pipeline))
        except LogNotFoundError:
            return frozenset()
        return frozenset(ref.sha256 for attempt in state.attempts.get(EXPORT, ()) for ref in attempt.outputs)
