"""Worker processes for large batches: each works on one recording at a time, so that Python uses every core.

Only recordings go there that this home has no log of and that light local engines do: nothing of them costs money,
leaves the machine or loads a large model, so no limit, pace or memory has to be shared between processes. All
others are worked on by threads of the command itself. docs/adr/0014-many-at-once.md has the reasons.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from cli.batching.recording import work_on
from cli.batching.roll import Item
from cli.batching.view import Row
from cli.diagnostics import write_to
from cli.outcomes import Outcome
from cli.wiring import shop_of
from eventlog.errors import EvtError
from pipeline.home import Home
from pipeline.pools import Pools
from pipeline.workshop import Workshop
from projections.fold import initial_state
from projections.limits import Limits
from projections.options import Named, resolve_options

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

WORTH_IT = 24
"""With fewer recordings the workers' start, a second of each core, takes longer than they save."""

_LOOK_S = 0.1
_STOP = None


@frozen
class Orders:
    """What a worker must know of the invocation; keys of services aren't among it.

    Attributes:
        log_file: of the diagnostics; None: there are none.
    """

    root: Path
    unsafe_fs: bool
    limits: Limits
    named: Named
    names: tuple[str, ...]
    debug: bool
    verbose: bool
    offline: str = ""
    log_file: Path | None = None


class _FarRow(Row):
    """What a recording in a worker is doing, told to the process that shows it."""

    def __init__(self, line: Connection, name: str, *, verbose: bool) -> None:
        super().__init__(self._tell, name, verbose=verbose)
        self._line = line
        self._lock = threading.Lock()
        self._shown: dict[str, str] = {}

    def _tell(self, text: str, always: bool) -> None:  # the form of every Row's post
        self.send("post", text, always)

    def changed(self) -> None:
        if self._shown != self.stages:
            self._shown = dict(self.stages)
            self.send("stages", self._shown)

    def send(self, *message: Any) -> None:
        with self._lock:
            self._line.send(message)


@define
class _Worker:
    process: Any
    line: Connection
    is_gone: bool = False
    """Its connection is; the system may tell of its end a little later."""

    def work_on(self, item: Item, row: Row, stop: threading.Event) -> Outcome:
        """Let the worker work on a recording; a worker that ends is an outcome too."""
        is_told = False
        try:
            self.line.send(item)
            while True:
                while not self.line.poll(_LOOK_S):
                    if stop.is_set() and not is_told:
                        is_told = True
                        self.line.send(_STOP)
                kind, *values = self.line.recv()
                if kind == "post":
                    row.post(*values)
                elif kind == "stages":
                    row.stages = values[0]
                else:
                    outcome: Outcome = values[0]
                    return outcome
        except (EOFError, OSError):
            self.is_gone = True
            outcome = Outcome(item.written, pipeline=item.pipeline)
            outcome.lose()
            return outcome


@define
class Crew:
    """The workers of one invocation; each is begun when there is work for it.

    Args:
        shop: of the invocation itself.
    """

    shop: Workshop
    orders: Orders
    _free: list[_Worker] = field(factory=list, init=False)
    _all: list[_Worker] = field(factory=list, init=False)
    _light: dict[str, bool] = field(factory=dict, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def takes(self, item: Item) -> bool:
        """Say whether a recording can be worked on by a worker."""
        try:
            if os.path.lexists(self.shop.store.path(item.pipeline)):
                return False
            options = resolve_options(item.wishes(self.orders.named, self.shop.home), initial_state(item.pipeline))
        except EvtError:
            return False  # the usual way says why
        wished = {name: options[name].value for name in ("diarizer", "transcriber", "model", "identify")}
        with self._lock:
            if repr(wished) not in self._light:
                self._light[repr(wished)] = _is_light(self.shop, wished)
            return self._light[repr(wished)]

    def work_on(self, item: Item, row: Row) -> Outcome:
        """Let a worker work on a recording; there are as many as threads call this at once."""
        with self._lock:
            self._free = [worker for worker in self._free if worker.process.is_alive()]
            worker = self._free.pop() if self._free else self._begin()
        outcome = worker.work_on(item, row, self.shop.stop)
        with self._lock:
            if not worker.is_gone:
                self._free.append(worker)
        return outcome

    def close(self) -> None:
        """End the workers, which have nothing left to do."""
        for worker in self._all:
            worker.line.close()
        for worker in self._all:
            worker.process.join()

    def _begin(self) -> _Worker:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self.orders), name="evt-worker", daemon=False)
        process.start()
        theirs.close()
        self._all.append(_Worker(process, ours))
        return self._all[-1]


def _is_light(shop: Workshop, wished: Mapping[str, Any]) -> bool:
    diarizers, transcribers, _ = shop.providers.engines(
        wished["diarizer"], wished["transcriber"], wished["model"], None, wished["identify"]
    )
    ready = [engine for engine in (*diarizers.values(), *transcribers.values()) if engine.lacking is None]
    return not any(engine.network or engine.billable or engine.heavy for engine in ready)


def serve(line: Connection, orders: Orders) -> None:
    """Work on what comes through a connection, one after another, until it is closed."""
    # Ctrl-C and SIGTERM reach a whole group; what they mean is told by the process that understands them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if orders.log_file is not None:
        with suppress(EvtError):  # it was taken away meanwhile, and the work counts for more
            write_to(orders.log_file)
    shop = shop_of(
        Home(orders.root),
        orders.limits,
        {},
        unsafe_fs=orders.unsafe_fs,
        offline=orders.offline,
        pools=Pools(cores=1),
    )
    items: SimpleQueue[Item] = SimpleQueue()
    threading.Thread(target=_listen, args=(line, items, shop), daemon=True).start()
    while True:
        item = items.get()
        row = _FarRow(line, item.name, verbose=orders.verbose)
        outcome = work_on(shop, item, orders.named, row, debug=orders.debug, names=orders.names)
        row.send("end", outcome)


def _listen(line: Connection, items: SimpleQueue[Item], shop: Workshop) -> None:
    """Pass on what comes; where nobody is left who could say anything, end at once, as after a kill."""
    try:
        while True:
            item = line.recv()
            if item is _STOP:
                shop.stop.set()
                shop.providers.close()
            else:
                items.put(item)
    except (EOFError, OSError):
        shop.providers.close()
        os._exit(0)
