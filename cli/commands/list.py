"""`evt list`: a line for each pipeline of the home."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from cli.choosing import FAMILIES, SORTS, Cursor, CursorError, Page, Wanted, is_order, page, read_cursor
from cli.exit_codes import DAMAGED, OK
from cli.home import load_home
from cli.lookup import look_at_all
from cli.output import say
from cli.render import json_line, moment, printable, shown_name, table
from cli.system import is_locked
from pipeline.home import Home
from pipeline.listing.listing import DAMAGED_LOG, GONE, UNREADABLE, Listing, Row
from projections.graph import STAGES
from projections.ids import number_of

STATUSES = (
    *("new", "unfinished", "completed", "failed", "interrupted", "waiting", "needs_decision"),
    *("handed_over", "erased"),
    *(DAMAGED_LOG, UNREADABLE, GONE),
)


def _several(known: Iterable[str] = ()) -> Any:
    """Return what takes an option's values, of which several may stand in one, apart, and checks them."""
    choices = click.Choice([*known], case_sensitive=False)

    def split(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> frozenset[str]:
        found = [part.strip() for value in values for part in value.split(",")]
        return frozenset(choices.convert(part, parameter, context) if choices.choices else part for part in found)

    return split


def _order(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    if value is not None and not is_order(value):
        raise click.BadParameter(f"{value!r} is none of {', '.join(SORTS)}; a - before it turns it round.")
    return value or FAMILIES


def _cursor(context: click.Context, parameter: click.Parameter, value: str | None) -> Cursor | None:
    try:
        return None if value is None else read_cursor(value)
    except CursorError:
        raise click.BadParameter("this is no place that `evt list --limit` printed.") from None


@click.command("list", short_help="List the pipelines of this home.")
@click.option("--detailed", is_flag=True, help="Also engines, speakers, words, runs, cost and the last error.")
@click.option(
    "--status",
    multiple=True,
    metavar="STATUS",
    callback=_several(STATUSES),
    help=f"Only these: {', '.join(STATUSES)}. Several with commas, or repeated.",
)
@click.option(
    "--since", metavar="WHEN", help="Only what changed since a day (2026-11-01), a time, or 12h, 7d, 2w ago."
)
@click.option(
    "--stage",
    multiple=True,
    metavar="STAGE",
    callback=_several(STAGES),
    help=f"Only where this stage failed or is under way: {', '.join(STAGES)}.",
)
@click.option(
    "--provider",
    multiple=True,
    metavar="NAME",
    callback=_several(),
    help="Only what this engine diarized or transcribed.",
)
@click.option("--speaker", metavar="TEXT", help="Only where this is a part of the name of somebody who speaks.")
@click.option("--text", default="", metavar="TEXT", help="Only where this is a part of the recording's name.")
@click.option(
    "--sort", "order", metavar="KEY", callback=_order, help=f"By {', '.join(SORTS)}; with - before it in reverse."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="So many at most; says how to see the next.")
@click.option("--after", metavar="PLACE", callback=_cursor, help="Go on behind a place that --limit printed.")
@click.option("--json", "as_json_", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(
    obj: dict[str, Any],
    /,
    order: str,
    limit: int | None,
    after: Cursor | None,
    as_json_: bool,
    **flags: Any,
) -> int:
    """List the pipelines of this home, newest first; variants that `evt compare` made below their base.

    Whatever is asked for has to hold together; upper and lower case are the same. --text looks at every name under
    which a recording was met; with --private there is none to be found. --speaker reads the transcripts of
    pipelines in which people have names, since no log and no index holds these.

    --limit prints the place where the next page begins. What is new or changes meanwhile doesn't move it. Repeat
    the command with the same filters and the same --sort.

    With --json, a list; with --limit, {pipelines, next}, and next is null on the last page.

    \b
    Examples:
      evt list
      evt list --status failed,interrupted --since 7d --detailed
      evt list --text interview --sort -duration --limit 20
    """
    if after is not None and after.order != order:
        raise click.UsageError("--after goes with the --sort with which it was printed.")
    home, _ = load_home(obj["home"])
    listing = look_at_all(home)
    shown = page(_chosen(listing.rows, home, **flags), order, after, limit)
    live = _live(shown.rows, home)
    if as_json_:
        click.echo(json_line(_report(shown, listing, live, limit)))
    elif not shown.rows:
        click.echo(_nothing(listing.rows, after))
    elif flags["detailed"]:
        from cli.reports.paragraphs import paragraph

        details = listing.details([row.pipeline for row in shown.rows])
        texts = (paragraph(details[row.pipeline], _status(row, live)) for row in shown.rows)
        click.echo("\n\n".join(texts))
    else:
        click.echo(_table(shown.rows, live, indented=order == FAMILIES))
    if shown.next and not as_json_ and not obj["quiet"]:
        say(f"There are more: the same with --after {shown.next.written()}", err=True)
    return DAMAGED if any(row.status in {DAMAGED_LOG, UNREADABLE, GONE} for row in listing.rows) else OK


def _chosen(rows: list[Row], home: Home, since: str | None, speaker: str | None, **flags: Any) -> list[Row]:
    if since is not None:
        from datetime import UTC, datetime

        from cli.times import since as since_when

        since = since_when(since, datetime.now(UTC))
    wanted = Wanted(flags["status"], since or "", flags["stage"], flags["provider"], flags["text"])
    found = [row for row in rows if wanted.holds(row)] if any(wanted) else rows
    return found if speaker is None else [row for row in found if _speaks(speaker, row, home)]


def _speaks(written: str, row: Row, home: Home) -> bool:
    """Say whether somebody of such a name speaks; where that can't be found out, say so."""
    if not row.has_people:
        return False
    from cli.render import shown_error
    from eventlog.errors import EvtError
    from eventlog.store import Store
    from pipeline.annotations.people import people_in

    try:
        people = people_in(home, Store(str(home.logs)), row.pipeline)
    except EvtError as error:
        say(f"Note: who speaks in {row.pipeline} can't be told. {shown_error(error)}", err=True)
        return False
    return any(written.casefold() in name.casefold() for name in people)


def _live(rows: Iterable[Row], home: Home) -> dict[str, bool | None]:
    """Say of unfinished pipelines whether a run is under way; None where the system can't tell."""
    unfinished = [row.pipeline for row in rows if row.status == "unfinished"]
    if not unfinished:
        return {}
    from eventlog.store import Store

    store = Store(str(home.logs))
    return {pipeline: is_locked(store.path(pipeline)) for pipeline in unfinished}


def _report(shown: Page, listing: Listing, live: Mapping[str, bool | None], limit: int | None) -> Any:
    details = listing.details([row.pipeline for row in shown.rows])
    found = [{**details[row.pipeline], "live": live.get(row.pipeline, False)} for row in shown.rows]
    return found if limit is None else {"pipelines": found, "next": shown.next.written() if shown.next else None}


def _nothing(rows: list[Row], after: Cursor | None) -> str:
    if not rows:
        return "No pipelines."
    return "No pipelines behind that place." if after else "No such pipelines."


def _status(row: Row, live: Mapping[str, bool | None]) -> str:
    return printable(f"{row.status} (live)" if live.get(row.pipeline) else row.status)


def _name(row: Row) -> str:
    """Return a recording's name; of one that is joined of files, the first one's, and how many more there are."""
    return f"{shown_name(row.name)} + {row.parts - 1} more" if row.parts > 1 else shown_name(row.name)


def _table(rows: list[Row], live: Mapping[str, bool | None], *, indented: bool) -> str:
    header = ("ID", "STATUS", "STAGES", "UPDATED (UTC)", "NAME")
    cells = [
        (
            f"{'  ' if indented and number_of(row.pipeline) > 1 else ''}{row.pipeline}",
            _status(row, live),
            f"{row.completed}/{len(STAGES)}",
            moment(row.updated_at or None),
            _name(row),
        )
        for row in rows
    ]
    return table(cells, header)
