"""`evt cost`: what the calls of pipelines cost, or may have cost."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from cli.exit_codes import DAMAGED, OK
from cli.home import load_home
from cli.lookup import find_known, known_pipelines
from cli.output import say
from cli.render import json_line, shown_error, shown_name
from cli.reports.cost import Account, Report, in_words, report_as_csv, report_as_json
from cli.reports.costs import cost_words
from cli.system import is_locked
from cli.times import since as since_when
from eventlog.errors import LogError
from eventlog.store import Store
from pipeline.home import Home
from projections.cost import (
    GROUPINGS,
    UNDER_WAY,
    Row,
    Sums,
    Together,
    call_cost,
    cost_rows,
    costing,
    merged,
    together,
    totals,
)
from projections.fold import fold, initial_state
from projections.state import PipelineState

NOTE_AFTER_S = 1.0
"""Reading that takes longer is worth a note."""


@click.command("cost", short_help="Sum what was paid, and what may have been.")
@click.argument("pipelines", nargs=-1, metavar="[ID|NAME|FILE]...")
@click.option(
    "--by",
    type=click.Choice(GROUPINGS),
    metavar="GROUP",
    help="A row for each provider, model, day or pipeline; else `provider`, or `model` where one ID is named.",
)
@click.option("--since", metavar="WHEN", help="Only calls since a day (2026-11-01), a time, or 12h, 7d, 2w ago.")
@click.option("--json", "as_json_", is_flag=True, help="Report on stdout as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Report on stdout as CSV, without totals.")
@click.pass_obj
def command(
    obj: dict[str, Any],
    /,
    pipelines: tuple[str, ...],
    by: str | None,
    since: str | None,
    as_json_: bool,
    as_csv: bool,
) -> int:
    """Sum what calls cost: of some pipelines, or of all in this home.

    Each call stands in one column: paid as the service billed it; paid, and the sum estimated; perhaps paid (in
    doubt: no answer came); perhaps paid twice (in doubt, and sent once more); under way. The last three say what
    it is at most. Currencies are not added, and calls of unknown cost are only counted. What cost nothing is
    left out. Days are those of UTC on which calls began.

    With --json: by, since, rows, totals, together, incomplete. A row has its group under the name that `by`
    gives (null: not named; a pipeline also has its name), then currency, calls, and billed, estimated, in_doubt,
    repeated, under_way, each {amount, calls}. Amounts are texts of decimal digits. Calls of unknown cost stand in
    rows whose currency and amounts are null. `together` is paid and at_most of all currencies in US dollars, with
    rates_date; null where there is one currency, or no rate. `incomplete` names logs whose sums may lack
    something, as {pipeline, reason}. With --csv the columns of the rows, e.g. billed and billed_calls; what is
    null is empty.

    A damaged log is named, counted as far as it can be read, and gives exit code 4.

    \b
    Examples:
      evt cost
      evt cost talk.wav
      evt cost --by pipeline --since 7d
      evt cost --by day --since 2026-11-01 --csv
    """
    if as_json_ and as_csv:
        raise click.UsageError("Choose --json or --csv.")
    home, _ = load_home(obj["home"])
    store = Store(str(home.logs))
    start = since_when(since, datetime.now(UTC)) if since is not None else ""
    chosen = list(dict.fromkeys(find_known(written, store, home) for written in pipelines))
    by = by or ("model" if len(chosen) == 1 else "provider")
    every = chosen or known_pipelines(store, home)
    accounts = [_account(store, pipeline, by, start) for pipeline in _noted(every, quiet=obj["quiet"])]
    _tell_what_is_lacking(accounts, quiet=obj["quiet"])
    if not (chosen or obj["quiet"]):
        _tell_what_was_purged(store)
    report = _report(by, start, accounts, home)
    if as_json_:
        click.echo(json_line(report_as_json(report)))
    else:
        click.echo(report_as_csv(report) if as_csv else in_words(report, quiet=obj["quiet"]), nl=not as_csv)
    return DAMAGED if any(account.error for account in accounts) else OK


def _account(store: Store, pipeline: str, by: str, since: str) -> Account:
    """Return what a log says of money; of a damaged one what its good records say."""
    try:
        reading = store.stream(pipeline)
        state = fold(initial_state(pipeline), reading)
        damage = store.unusable(pipeline, reading.verdict)
    except LogError as error:
        return Account(pipeline, error=shown_error(error))
    calls = costing(state, since)
    under_way = any(call_cost(call).state == UNDER_WAY for call in calls)
    return Account(
        pipeline,
        shown_name(state.input_file),
        cost_rows(pipeline, calls, by),
        error=shown_error(damage) if damage else None,
        lacking=_lacking(state),
        in_doubt=any(call.in_doubt for call in calls),
        abandoned=under_way and is_locked(store.path(pipeline)) is False,
    )


def _lacking(state: PipelineState) -> str | None:
    if state.losses:
        return "records of its log were lost, perhaps of paid calls too"
    if state.findings or any(not name.startswith("note.") for _, name in state.unknown):
        return "its log holds records that this evt can't make sense of"
    return None


def _report(by: str, since: str, accounts: Sequence[Account], home: Home) -> Report:
    rows = merged(row for account in accounts for row in account.rows)
    found = totals(rows)
    several = sum(sums.currency is not None for sums in found) > 1
    return Report(by, since, accounts, rows, found, _together(found, home) if several else None)


def _together(found: Sequence[Sums], home: Home) -> Together | None:
    """Return all currencies as one; that is an extra, so a price list that can't be used is only named."""
    from pipeline.errors import ServicesFileError
    from pipeline.providers.services import load_services

    try:
        return together(found, load_services(home.services).rates)
    except ServicesFileError as error:
        say(f"Note: {shown_error(error)} Until then currencies are not converted.", err=True)
        return None


def _noted(pipelines: Sequence[str], *, quiet: bool) -> Iterator[str]:
    """Yield the pipelines; where that takes long, a terminal shows how far it is."""
    if quiet or not sys.stderr.isatty():
        yield from pipelines
        return
    began_s = shown_s = time.monotonic()
    for number, pipeline in enumerate(pipelines):
        now_s = time.monotonic()
        if now_s - began_s > NOTE_AFTER_S and now_s - shown_s > NOTE_AFTER_S / 10:
            click.echo(f"\rReading logs: {number} of {len(pipelines)}", nl=False, err=True)
            shown_s = now_s
        yield pipeline
    if shown_s > began_s:
        click.echo(f"\r{' ' * 60}\r", nl=False, err=True)


def _tell_what_was_purged(store: Store) -> None:
    """Say what pipelines had cost whose logs are gone, as far as their tombstones are not lifted."""
    from pipeline.upkeep.tombstones import tombstone_of

    stones = [stone for name in store.tombstones() if (stone := tombstone_of(store, name)) is not None]
    paid = cost_words(totals(Row("", sums) for stone in stones for sums in stone.cost))
    if paid:
        say(f"Note: what purged pipelines had cost is not in these sums: {paid}.", err=True)


def _tell_what_is_lacking(accounts: Iterable[Account], *, quiet: bool) -> None:
    for account in accounts:
        if account.error:
            say(f"evt: {account.error}", err=True)
        elif account.lacking and not quiet:
            say(f"Note: {account.pipeline}: {account.lacking}; its sums may lack something.", err=True)
