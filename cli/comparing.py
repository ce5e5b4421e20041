"""Carrying out a comparison: which pipeline each variant is, what all of them will cost, and then one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from attrs import define, evolve, field

from cli.batching.recording import work_on
from cli.batching.roll import Item
from cli.batching.work import may_repeat
from cli.commands.plan import in_words
from cli.errors import SettingsError
from cli.exit_codes import DECISION, OK, REFUSED
from cli.outcomes import Outcome
from cli.progress import PlainReporter
from cli.render import printable
from cli.reports.costs import price_words
from eventlog.errors import EvtError
from pipeline import forks
from pipeline.endings import require_unblocked
from pipeline.look import Look, look
from pipeline.workshop import Workshop
from projections.decisions import REUSE, STALE
from projections.family import number_of
from projections.graph import AUDIO_CONVERSION, STAGES
from projections.options import Named
from projections.prices import plan_total


@define
class Seat:
    """A variant that is to be compared.

    Attributes:
        named: its wishes; none where a pipeline is compared as it is.
        seen: its pipeline before anything is done; of one that has yet to begin, the base with these wishes.
        pipeline: its id; None: it has yet to begin.
    """

    named: Named
    seen: Look
    pipeline: str | None
    outcome: Outcome | None = None

    @property
    def code(self) -> int:
        """The exit code of a plan."""
        return REFUSED if self.seen.plan.blocked else DECISION if self.seen.plan.asks else OK


def wanted_engines(flags: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what each variant asks for: every transcriber, with its models, with every diarizer.

    Raises:
        SettingsError: several models are named beside several transcribers.
    """
    names, models, diarizers = (list(dict.fromkeys(flags[name])) for name in ("transcriber", "model", "diarizer"))
    if len(models) > 1 and len(names) > 1:
        raise SettingsError(
            "Several --model beside several --transcriber: which belongs to which? Write --transcriber NAME:MODEL."
        )
    transcribers = [_with_model(name) for name in names] or [{}]
    chosen = (
        [{"model": model, **words} for words, model in product(transcribers, models)] if models else transcribers
    )
    speakers: list[dict[str, str]] = [{"diarizer": name} for name in diarizers] or [{}]
    return [{**words, **who} for words, who in product(chosen, speakers) if words or who]


def _with_model(name: str) -> dict[str, str]:
    base, _, model = name.partition(":")
    return {"transcriber": base, "model": model} if model and base != "script" else {"transcriber": name}


@define
class Comparing:
    """One comparison: the base, and the variants that sit side by side."""

    shop: Workshop
    base: Item
    as_it_is: Named
    reporter: PlainReporter
    debug: bool
    seats: list[Seat] = field(factory=list)

    def seat(self, wanted: Sequence[Named]) -> None:
        """Find the pipelines of all variants; where one is wanted, the base comes before it, where none is, all.

        Raises:
            SettingsError: there is nothing to compare.
            LogError: a log can't be read.
        """
        base = self._look(self.base.pipeline)
        begun = forks.has_begun(base.state)
        if len(wanted) < 2 and begun:
            self.seats.append(Seat(self.as_it_is, base, self.base.pipeline))
        if not wanted:
            there = (self._look(name) for name in forks.variants(self.shop, self.base.pipeline))
            self.seats += [Seat(self.as_it_is, seen, seen.pipeline) for seen in there if seen.state.forked]
        taken = [forks.described(seat.seen) for seat in self.seats]
        for named in wanted:
            asked = self._asked(named)
            if forks.described(asked) not in taken:
                taken.append(forks.described(asked))
                pipeline = forks.find(self.shop, asked, self.base.recording, named)
                is_new = pipeline is None or (not begun and bool(self.seats))
                seen = asked if is_new or not begun else self._look(str(pipeline))
                self.seats.append(Seat(named, seen, None if is_new else pipeline))
        if len(self.seats) < 2:
            raise SettingsError(
                "There is nothing to compare: name two different engines, with --transcriber or --diarizer; "
                "or one, if the recording has a transcript."
            )

    def plan_lines(self) -> Iterator[str]:
        """Yield the plan of each variant that isn't done, and what all will cost."""
        prices = []
        done: set[Any] = set()
        for number, seat in enumerate(self.seats, 1):
            shared = [
                step.stage for step in seat.seen.plan.stages if step.price and _work_of(seat, step.stage) in done
            ]
            done |= {work for stage in STAGES if (work := _work_of(seat, stage)) is not None}
            if seat.seen.plan.is_done:
                yield f"{number}: {seat.pipeline} is done"
                continue
            yield f"{number}: {printable(self.base.name)} ({seat.pipeline or 'a new variant'})"
            yield from in_words(seat.seen).splitlines()
            if shared:
                yield f"  Note: what {' and '.join(shared)} costs is paid once, by a variant before this one."
            priced = (step for step in seat.seen.plan.stages if step.price and step.stage not in shared)
            prices += [step.price for step in priced if step.price]
        if prices:
            limits, rates = self.shop.ledger.limits, self.shop.ledger.rates
            yield f"All together: {price_words(plan_total(prices, limits, rates, 'USD'))}."

    def carry_out(self) -> None:
        """Work on each variant in turn; what happens to one stops no other."""
        for seat in self.seats:
            if not self.shop.stop.is_set():
                seat.outcome = self._outcome(seat)
                self.reporter.close()

    def ask(self) -> None:
        """Ask once whether what may be paid already is sent again; go on with what waits for that word."""
        waiting = [seat for seat in self.seats if seat.outcome is not None and seat.outcome.is_in_doubt]
        if not waiting or self.shop.stop.is_set() or not may_repeat(self.shop, len(waiting)):
            return
        for seat in waiting:
            if not self.shop.stop.is_set():
                seat.outcome = self._outcome(seat)
                self.reporter.close()

    @property
    def outcomes(self) -> list[Outcome]:
        """What came of each, in order."""
        return [seat.outcome for seat in self.seats if seat.outcome is not None]

    def done(self) -> list[Look]:
        """Return the variants that have a transcript."""
        found = (self._look(seat.pipeline) for seat in self.seats if seat.pipeline and seat.outcome)
        return [seen for seen in found if seen.plan.is_done]

    def _outcome(self, seat: Seat) -> Outcome:
        try:
            pipeline, named = self._place(seat)
        except EvtError as error:
            outcome = Outcome(seat.pipeline or self.base.written, pipeline=seat.pipeline)
            outcome.refuse(error)
            return outcome
        seat.pipeline = pipeline
        return work_on(self.shop, self._item(seat), named, self.reporter, debug=self.debug, delivers=False)

    def _place(self, seat: Seat) -> tuple[str, Named]:
        """Return the pipeline of a variant, begun if need be, and what it is to be told."""
        if not seat.named.options and seat.pipeline is not None:
            return seat.pipeline, self.as_it_is
        asked = self._asked(seat.named)
        if not forks.has_begun(asked.state):
            return self.base.pipeline, seat.named
        pipeline = forks.find(self.shop, asked, self.base.recording, seat.named)
        if pipeline is None:
            require_unblocked(asked)
            pipeline = forks.begin(self.shop, asked, self.base.recording, seat.named)
        if number_of(pipeline) < 2:
            return pipeline, self.as_it_is
        # The base keeps its options as they are; a variant is told anew whether it may have gaps.
        gaps = {name: value for name, value in seat.named.options.items() if name == "allow_gaps"}
        return pipeline, evolve(self.as_it_is, options=gaps)

    def _item(self, seat: Seat) -> Item:
        pipeline = seat.pipeline or self.base.pipeline
        written = pipeline if number_of(pipeline) > 1 else self.base.written
        return evolve(self.base, written=written, pipeline=pipeline)

    def _asked(self, named: Named) -> Look:
        return forks.asked_of(self.shop, self.base.pipeline, self.base.recording, named)

    def _look(self, pipeline: str) -> Look:
        return look(self.shop, pipeline, self.base.recording, self.as_it_is, lambda *_: None)


def _work_of(seat: Seat, stage: str) -> Any:
    """Return what tells the work of a stage from that of any other variant; None where that can't be told yet."""
    step = seat.seen.plan[stage]
    if step.engine is None or step.reads != (AUDIO_CONVERSION,):
        return None
    if step.reused is not None and step.decision in {REUSE, STALE}:
        options = step.reused.started.options
    else:
        options = {name: seat.seen.options[name].value for name in step.engine.key_options}
    ours = {name: repr(options.get(name)) for name in step.engine.key_options if name != "model"}
    return stage, step.engine.name, step.engine.model, step.engine.origin, tuple(sorted(ours.items()))
