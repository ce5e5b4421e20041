"""The work on one recording of an invocation, from its item to its outcome; whatever happens is an outcome."""

from __future__ import annotations

import traceback

from cli.batching.items import sidecar_note
from cli.batching.roll import Item
from cli.holder import naming_the_holder
from cli.outcomes import Outcome
from cli.progress import PlainReporter
from eventlog.errors import EvtError
from pipeline import runner
from pipeline.annotations.speakers import is_ordered_so, ordering
from pipeline.artifacts import Artifacts
from pipeline.delivery import deliver, delivered_to
from pipeline.endings import is_in_doubt, require_unblocked
from pipeline.errors import BlockedError
from pipeline.forks import take_over
from pipeline.look import look
from pipeline.recordings import Recording, again
from pipeline.scrub import scrubbed
from pipeline.workshop import Workshop
from projections.options import Named


def work_on(
    shop: Workshop,
    item: Item,
    named: Named,
    reporter: PlainReporter,
    *,
    debug: bool,
    delivers: bool = True,
    names: tuple[str, ...] = (),
) -> Outcome:
    """Work on one recording; whatever happens to it is an outcome, so that the next one gets its turn."""
    outcome = Outcome(item.written, pipeline=item.pipeline)
    try:
        _work(shop, item, named, reporter, outcome, debug=debug, delivers=delivers, names=names)
    except EvtError as error:
        outcome.refuse(error, item.lacking if isinstance(error, BlockedError) else "")
    except Exception as error:
        # One bad recording never stops the rest, whatever is wrong with it.
        if debug:
            _show_traceback(shop, error, reporter)
        outcome.fail(error)
    return outcome


def _show_traceback(shop: Workshop, error: Exception, reporter: PlainReporter) -> None:
    """Print a traceback; in those of other packages' providers may be a key."""
    reporter.traceback(scrubbed("".join(traceback.format_exception(error)).rstrip(), shop.providers.secrets))


def _work(
    shop: Workshop,
    item: Item,
    named: Named,
    reporter: PlainReporter,
    outcome: Outcome,
    *,
    debug: bool,
    delivers: bool,
    names: tuple[str, ...],
) -> None:
    delivered = delivered_to(item.target if delivers else None)
    recording = _as_it_is_now(item, shop)
    named = item.wishes(named, shop.home)
    outcome.notes += item.sidecar.ignored if item.sidecar else ()
    with naming_the_holder(shop.store):
        take_over(shop, item.pipeline, recording, named)
    seen = look(shop, item.pipeline, recording, named, delivered)
    outcome.notes += seen.plan.notes
    plan, state = seen.plan, seen.state
    artifacts = Artifacts(shop.home.artifacts(item.pipeline))
    annotate = ordering(names, shop.identity.user) if names else None
    if not seen.is_settled or (names and not is_ordered_so(state, artifacts, names)):
        outcome.is_in_doubt = not plan.blocked and is_in_doubt(plan.asks)
        require_unblocked(seen)
        reporter.begins(item.name, item.pipeline)
        if (note := sidecar_note(item, seen.options)) is not None:
            reporter.line(f"  {note}")
        with naming_the_holder(shop.store):
            result = runner.run(shop, seen, recording, named, delivered, reporter, annotate=annotate)
        plan, state = result.plan, result.state
        outcome.take_result(result)
        for bug in result.bugs if debug else ():
            _show_traceback(shop, bug, reporter)
    outcome.take_plan(plan)
    if plan.is_done and delivers:
        formats = seen.options["formats"].value
        outcome.take_deliveries(deliver(item.target, plan, state, artifacts, formats))


def _as_it_is_now(item: Item, shop: Workshop) -> Recording | None:
    """Look at the recording again when its turn comes; in a long batch that may be hours after the start."""
    if item.recording is None:
        return None
    return again(item.recording, shop.home.index)
