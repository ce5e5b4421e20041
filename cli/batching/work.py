"""Works on all that an invocation named: one recording as it always looked, many at once with one view of all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import click
from attrs import define, evolve, field

from cli.batching.crew import WORTH_IT, Crew, Orders
from cli.batching.crowd import Crowd, OneAtATime
from cli.batching.recording import work_on
from cli.batching.roll import Entry, Roll
from cli.batching.sources import unopened
from cli.batching.summary import Summary
from cli.batching.view import BatchView, Row, Totals, make_view
from cli.diagnostics import written_to
from cli.outcomes import Outcome, tell
from cli.output import say
from cli.progress import PlainReporter, make_reporter
from cli.render import printable
from cli.signals import stop_on_signals
from eventlog.errors import EvtError
from pipeline.pools import REMOTE_SIZE
from pipeline.workshop import Workshop
from projections.family import base_of
from projections.graph import DEFAULTS
from projections.options import Named


@define
class BatchWork:
    """The recordings of one invocation and what came of them.

    Attributes:
        names: what the speakers are called, in their order.
        codes: the exit code of each recording that ended.
        reports: of each, for `--json`; else empty, so that memory stays flat.
        doubtful: those that wait for a word about what may be paid already.
        has_run: something was done for one of them.
    """

    shop: Workshop
    roll: Roll
    named: Named
    names: tuple[str, ...] = ()
    debug: bool = False
    quiet: bool = False
    as_json: bool = False
    codes: dict[Entry | int, int] = field(factory=dict)
    reports: dict[Entry | int, dict[str, Any]] = field(factory=dict)
    doubtful: list[Entry] = field(factory=list)
    has_run: bool = False
    unsafe_fs: bool = False
    _families: OneAtATime = field(factory=OneAtATime, init=False)
    _crew: Crew | None = field(default=None, init=False)

    def carry_out(self, *, verbose: bool, may_ask: bool, notes: Iterable[str] = ()) -> list[int]:
        """Work on all; return the signals that were received meanwhile."""
        try:
            if len(self.roll.entries) + len(self.roll.refusals) == 1:
                return self._carry_out_one(verbose=verbose, may_ask=may_ask, notes=notes)
            return self._carry_out_many(verbose=verbose, may_ask=may_ask, notes=notes)
        finally:
            self.shop.providers.close()
            if self._crew is not None:
                self._crew.close()

    def ordered_reports(self) -> list[dict[str, Any]]:
        """Return the reports of what was refused, then of the recordings in the order in which they were named."""
        keys = (*range(len(self.roll.refusals)), *self.roll.entries)
        return [self.reports[key] for key in keys if key in self.reports]

    def _carry_out_one(self, *, verbose: bool, may_ask: bool, notes: Iterable[str]) -> list[int]:
        reporter = make_reporter(quiet=self.quiet, verbose=verbose)
        received = stop_on_signals(self.shop)
        try:
            for note in notes:
                reporter.line(f"Note: {note}")
            self._refuse_all(None)
            for entry in self.roll.entries:
                self._work_on_one(entry, reporter)
            for entry in self._ask_once() if may_ask else ():
                self._work_on_one(entry, reporter)
        finally:
            reporter.close()
        return received

    def _carry_out_many(self, *, verbose: bool, may_ask: bool, notes: Iterable[str]) -> list[int]:
        totals = Totals(len(self.roll.entries) + len(self.roll.refusals), self.shop.clock_s())
        summary = Summary(totals)
        view = make_view(totals, self.shop.clock_s, self._cost, quiet=self.quiet, verbose=verbose)
        received = stop_on_signals(self.shop, view.forget)
        for note in notes:
            view.post(printable(f"Note: {note}"))
        self._refuse_all(summary)
        jobs = jobs_of(self.shop, self.named)
        if len(self.roll.entries) >= WORTH_IT and min(jobs, self.shop.pools.cores) > 1:
            limits, home = self.shop.ledger.limits, self.shop.home
            offline = self.shop.providers.offline
            orders = Orders(home.root, self.unsafe_fs, limits, self.named, self.names, self.debug, verbose, offline)
            orders = evolve(orders, log_file=written_to())
            self._crew = Crew(self.shop, orders)
        self.work_on_many(self.roll.in_order(), jobs, view, summary)
        if may_ask and (waiting := self._ask_once()):
            totals.waiting -= len(waiting)
            self.work_on_many(waiting, jobs, view, summary)
        for line in () if self.quiet else summary.lines(self.shop.clock_s(), self._cost()):
            say(line, err=True)
        return received

    def _cost(self) -> str:
        return cost_words(self.shop)

    def _refuse_all(self, summary: Summary | None) -> None:
        """Say of everything that can't be worked on why."""
        for number, refusal in enumerate(self.roll.refusals):
            outcome = Outcome(refusal.written)
            outcome.refuse(refusal.error)
            self._note(number, outcome, summary)
            tell(outcome, as_json=self.as_json, quiet=True)

    def _work_on_one(self, entry: Entry, reporter: PlainReporter) -> None:
        """Work on the only recording, with bars for its stages."""
        outcome = self._outcome(entry, reporter)
        reporter.close()
        self._note(entry, outcome, None)
        tell(outcome, as_json=self.as_json, quiet=self.quiet)

    def work_on_many(self, entries: Iterable[Entry], jobs: int, view: BatchView, summary: Summary) -> None:
        """Work on a stream of recordings, so many at once, and say what came of each as it ends."""

        def work(entry: Entry) -> tuple[Row, Outcome]:
            row = view.begin(entry.name)
            try:
                return row, self._outcome(entry, row)
            finally:
                view.end(row)

        try:
            for ended in Crowd(entries, work, jobs, self.shop.stop).results():
                if ended is None:
                    view.show()
                    continue
                entry, (_, outcome) = ended
                view.show(self._ended(entry, outcome, view, summary))
        finally:
            view.show()
            view.clear()

    def _ended(
        self, entry: Entry, outcome: Outcome, view: BatchView, summary: Summary
    ) -> Callable[[], None] | None:
        """Note what came of a recording; return what tells of it; None: nobody need know."""
        self._note(entry, outcome, summary)
        return lambda: tell(outcome, as_json=self.as_json, quiet=self.quiet)

    def _ask_once(self) -> list[Entry]:
        """Ask, once for all, whether what may be paid already is sent again; return what to run then."""
        if not self.doubtful or self.shop.stop.is_set() or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return []
        waiting, self.doubtful = self.doubtful, []
        return waiting if may_repeat(self.shop, len(waiting)) else []

    def _outcome(self, entry: Entry, reporter: PlainReporter) -> Outcome:
        outcome = Outcome(entry.written)
        try:
            item = self.roll.item(entry)
        except EvtError as error:
            outcome.refuse(error)
        except OSError as error:
            outcome.refuse(unopened(entry.written, error).error)
        else:
            # Two names of one recording, or variants of it, would refuse one another.
            with self._families.alone(base_of(item.pipeline)):
                if self.shop.stop.is_set():
                    outcome.leave()
                    return outcome
                if self._crew is not None and isinstance(reporter, Row) and self._crew.takes(item):
                    return self._crew.work_on(item, reporter)
                return work_on(self.shop, item, self.named, reporter, debug=self.debug, names=self.names)
        return outcome

    def _note(self, entry: Entry | int, outcome: Outcome, summary: Summary | None) -> None:
        self.codes[entry] = outcome.code
        self.has_run |= bool(outcome.ran)
        if self.as_json:
            self.reports[entry] = outcome.as_json()
        if outcome.is_in_doubt and isinstance(entry, Entry):
            self.doubtful.append(entry)
        if summary is not None:
            summary.add(outcome)


def may_repeat(shop: Workshop, waiting: int) -> bool:
    """Ask whether what may be paid already is sent again; if so, the ledger lets it."""
    number = "One recording waits" if waiting == 1 else f"{waiting} recordings wait"
    if not click.confirm(f"{number} for your word, see above. Send once more what may be paid already?", err=True):
        return False
    shop.ledger.let_repeat()
    return True


def jobs_of(shop: Workshop, named: Named) -> int:
    """Return how many recordings are worked on at once: the cores, and more where services are waited for."""
    if shop.ledger.limits.jobs is not None:
        return shop.ledger.limits.jobs
    wished = {**DEFAULTS, **named.files, **named.environment, **named.options}
    diarizers, transcribers, _ = shop.providers.engines(wished["diarizer"], wished["transcriber"], wished["model"])
    remote = any(engine.network for engine in (*diarizers.values(), *transcribers.values()))
    return shop.pools.cores + (REMOTE_SIZE if remote else 0)


def cost_words(shop: Workshop) -> str:
    """Return what this invocation paid, or may have, in words; empty: nothing that costs was begun."""
    amounts = shop.ledger.begun()
    if not amounts:
        return ""
    total = shop.ledger.sum_of(amounts)
    return f"up to {total} paid" if total else "what was paid is unknown"
