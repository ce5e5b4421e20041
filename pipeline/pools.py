"""Who works at once: a pool for each kind of work, each of its own size, and what is nearest to done goes first.

A place is taken only while something works, so a slow upload keeps no core idle, and two large models never fight
for memory. Places are never taken within places, so nobody waits for somebody who waits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from heapq import heapify, heappop, heappush

from attrs import Factory, define, field

from projections.engine import Engine
from projections.graph import STAGES

CONVERSION, LIGHT, MODEL, REMOTE = "conversion", "light", "model", "remote"

REMOTE_SIZE = 8
"""So many calls at once each service gets from one process, unless the user wants more; below the limits of all."""

_LOOK_S = 0.1

Rank = tuple[int, int, int]
"""Who goes first: stages left, then the number of the pipeline, then of the place that was asked for."""


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pool_of(engine: Engine) -> str:
    """Return the pool of an engine's calls; each service has one of its own, so that none waits for another."""
    if engine.network:
        return f"{REMOTE} {engine.origin}"
    return MODEL if engine.heavy else LIGHT


@define
class _Pool:
    size: int
    taken: int = 0
    waiting: list[Rank] = field(factory=list)
    changed: threading.Condition = field(factory=threading.Condition)

    @contextmanager
    def place(self, rank: Rank, check: Callable[[], None]) -> Iterator[None]:
        with self.changed:
            heappush(self.waiting, rank)
            try:
                while self.taken >= self.size or self.waiting[0] != rank:
                    self.changed.wait(_LOOK_S)
                    check()
            except BaseException:
                self.waiting.remove(rank)
                heapify(self.waiting)
                self.changed.notify_all()
                raise
            heappop(self.waiting)
            self.taken += 1
            self.changed.notify_all()
        try:
            yield
        finally:
            with self.changed:
                self.taken -= 1
                self.changed.notify_all()


@define
class Pools:
    """The pools of one process.

    Args:
        cores: how many conversions, and how many calls of light engines, run at once.
        models: how many calls of engines that need the machine's memory for themselves.
        remote: how many calls each service is sent at once.
    """

    cores: int = Factory(cores)
    models: int = 1
    remote: int = REMOTE_SIZE
    _pools: dict[str, _Pool] = field(factory=dict, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _numbers: int = field(default=0, init=False)

    def number(self) -> int:
        """Return a new number; pipelines that have a lower one go first."""
        with self._lock:
            self._numbers += 1
            return self._numbers

    def place(self, pool: str, stage: str, number: int, check: Callable[[], None]) -> AbstractContextManager[None]:
        """Wait for a place in a pool, have it for as long as the context lasts.

        Args:
            pool: CONVERSION, or see `pool_of`.
            stage: what the place is for; later stages go first.
            number: of the pipeline, see `number`.
            check: called while waiting; what it raises ends the wait.
        """
        rank = (-STAGES.index(stage) if stage in STAGES else 0, number, self.number())
        return self._pool(pool).place(rank, check)

    def _pool(self, name: str) -> _Pool:
        sizes: Mapping[str, int] = {CONVERSION: self.cores, LIGHT: self.cores, MODEL: self.models}
        with self._lock:
            return self._pools.setdefault(name, _Pool(max(1, sizes.get(name, self.remote))))
