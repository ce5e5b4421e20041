"""Works on recordings as they come into folders: `BatchWork` on a stream that has no end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from attrs import define, field

from cli.batching.roll import Entry
from cli.batching.summary import Summary
from cli.batching.view import BatchView, Totals, make_view
from cli.batching.work import BatchWork, cost_words, jobs_of
from cli.exit_codes import DECISION, FAILED, REFUSED, worst
from cli.outcomes import Outcome, tell
from cli.output import say
from cli.render import count, json_line, printable
from cli.signals import stop_on_signals
from cli.watching.folders import FolderWatch
from pipeline.delivery import EQUAL

_SWEPT_EVERY_S = 86_400.0
_HELD_S = 30.0
"""After so long a recording is looked at again that another process works on."""


@define
class WatchTotals(Totals):
    """What has become of what came."""

    coming: Callable[[], int] = field(default=lambda: 0, kw_only=True)

    def words(self, now_s: float) -> list[str]:
        """Return what was done since the start; nobody knows what will come."""
        parts = [f"{self.done - self.reused} done", *self.troubles()]
        coming = self.coming()
        return ["watching", *parts, *([f"{coming} coming"] if coming else [])]


@define
class WatchWork(BatchWork):
    """The recordings that come into folders, and what came of them; keeps nothing of one that ended.

    Attributes:
        watch: the folders.
        retry_s: what failed is tried again after so long; None: when it has changed.
        sweep: keeps the user's `retention`; called once a day, when a recording has ended.
        has_ended: nothing new is begun.
    """

    watch: FolderWatch = field(kw_only=True)
    retry_s: float | None = None
    sweep: Callable[[], None] = lambda: None
    has_ended: bool = False
    _codes: set[int] = field(factory=set, init=False)
    _held: set[str] = field(factory=set, init=False)
    _swept_s: float = field(default=0.0, init=False)

    def carry_on(self, *, verbose: bool, notes: Iterable[str] = ()) -> list[int]:
        """Work until somebody says stop, or with `once` until all is done; return the signals received."""
        totals = WatchTotals(0, self.shop.clock_s(), coming=lambda: len(self.watch.arrivals.coming()))
        summary = Summary(totals)
        self._swept_s = totals.begun_s

        def cost() -> str:
            return cost_words(self.shop)

        view = make_view(totals, self.shop.clock_s, cost, quiet=self.quiet, verbose=verbose)
        received = stop_on_signals(self.shop, view.forget)
        self.watch.note = lambda text: view.post(f"Note: {text}")
        for note in notes:
            view.post(printable(f"Note: {note}"))
        if not self.watch.once:
            folders = ", ".join(map(printable, self.watch.folders))
            view.post(f"Watching {folders}, and what is below. Ctrl-C ends it.")
        try:
            self.work_on_many(self._entries(), jobs_of(self.shop, self.named), view, summary)
            self._tell_of_the_rest(view)
        finally:
            self.shop.providers.close()
        if totals.total > totals.reused and not self.quiet:
            for line in summary.lines(self.shop.clock_s(), cost()):
                say(line, err=True)
        return received

    def exit_code(self) -> int:
        """Return the worst of all codes; that of a decision where the money ran out."""
        return worst([*self._codes, *([DECISION] if self.shop.ledger.is_spent else [])])

    def _entries(self) -> Iterator[Entry]:
        for path in self.watch.paths():
            yield Entry(path, os.path.basename(path), Path(path))

    def _tell_of_the_rest(self, view: BatchView) -> None:
        left = self.watch.arrivals.coming()
        if self.watch.once and left:
            told = f"{count(len(left), 'recording')} left out, since not whole yet, e.g. {printable(min(left))}."
            view.post(f"Note: {told}")
            view.show()
            view.clear()

    def _ended(
        self, entry: Entry, outcome: Outcome, view: BatchView, summary: Summary
    ) -> Callable[[], None] | None:
        arrivals, path = self.watch.arrivals, entry.written
        changed = outcome.error is not None and not outcome.is_waiting and arrivals.has_changed(path)
        arrivals.ended(path, None if changed else self._again_s(outcome))
        if changed and not os.path.lexists(path) and outcome.outcome == "refused":
            return None
        if changed:
            view.post(f"Note: {printable(path)} changed while it was worked on; it is taken when it is whole.")
            return None
        if outcome.is_held and not self.watch.once:
            if path not in self._held:
                view.post(f"Note: {printable(path)} is looked at again later: {outcome.error}")
            self._held.add(path)
            return None
        self._held.discard(path)
        self._note(entry, outcome, summary)
        if self.shop.ledger.is_spent and not self.has_ended:
            self.has_ended = True
            view.post("Note: --max-batch-cost is reached, so nothing new is begun.")
        if not outcome.ran and outcome.error is None and all(d.outcome == EQUAL for d in outcome.deliveries):
            return None
        return lambda: self._tell(outcome)

    def _tell(self, outcome: Outcome) -> None:
        tell(outcome, as_json=self.as_json, quiet=self.quiet)
        if self.as_json:
            say(json_line(outcome.as_json(), indented=False))
        if self.shop.clock_s() - self._swept_s > _SWEPT_EVERY_S:
            self._swept_s = self.shop.clock_s()
            self.sweep()

    def _again_s(self, outcome: Outcome) -> float | None:
        """Return after how long a recording is tried again as it is; None: never."""
        if outcome.is_held and not self.watch.once:
            return _HELD_S
        is_broken = outcome.outcome == "failed" and outcome.code == REFUSED
        return self.retry_s if outcome.code in {FAILED, REFUSED} and not is_broken else None

    def _note(self, entry: Entry | int, outcome: Outcome, summary: Summary | None) -> None:
        self._codes.add(outcome.code)
        if summary is not None:
            summary.totals.total += 1
            summary.add(outcome)
