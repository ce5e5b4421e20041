"""The setting `retention`: after a run goes what `evt cleanup` would remove, if nobody used it for long enough."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from cli.cleaning import Survey, carry_out, in_short, told, totals_line
from cli.output import say
from cli.render import printable, shown_error
from cli.settings.settings import Settings
from cli.times import as_recorded, span_words
from eventlog.errors import EvtError
from pipeline.upkeep.cleanup import RETENTION, Cleaner, Offer, temporary
from pipeline.workshop import Workshop
from projections.cleaning import Rule


def keep_retention(settings: Settings, shop: Workshop, *, quiet: bool) -> None:
    """Remove what nobody used for longer than the user wants it kept, and say so on stderr.

    Nothing that happens here fails the run, which has done its work.
    """
    if settings.retention is None or shop.stop.is_set():
        return
    try:
        _sweep(settings, shop, quiet=quiet)
    except EvtError as error:
        say(f"Note: retention: {shown_error(error)}", err=True)
    except OSError as error:
        say(f"Note: retention: {printable(str(error))}", err=True)


def _sweep(settings: Settings, shop: Workshop, *, quiet: bool) -> None:
    assert settings.retention is not None, "the caller saw to that"
    start = datetime.now(UTC) - settings.retention
    rule = Rule(as_recorded(start))
    cleaner = Cleaner(shop.home, shop.store, rule, shop.identity.user, RETENTION, shop.new_run_id)
    found = list(cleaner.survey(_written_before(shop, start)))
    offers = tuple(item for item in found if isinstance(item, Offer) and item.candidates)
    survey = Survey(offers, (), tuple(temporary(shop.home, time.time())))
    if not survey.candidates:
        return
    if not quiet:
        span = span_words(settings.retention)
        say(f"Retention: removing {in_short(survey)}, which nobody used for {span}.", err=True)
    done = carry_out(cleaner, survey, is_stopped=shop.stop.is_set)
    for line in () if quiet else (totals_line(done), *told(done)):
        say(printable(line), err=True)


def _written_before(shop: Workshop, start: datetime) -> list[str]:
    """Return the pipelines whose logs nobody wrote to since: only those can be old enough, and are read."""
    signatures = ((pipeline, shop.store.signature(pipeline)) for pipeline in shop.store.pipelines())
    start_ns = start.timestamp() * 1e9
    return [pipeline for pipeline, signature in signatures if signature and signature.changed < start_ns]
