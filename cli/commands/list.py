"""`evt list`: a line for each pipeline of the home."""

from __future__ import annotations

from typing import Any

import click

from cli.costs import cost_words
from cli.exit_codes import DAMAGED, OK
from cli.home import load_home
from cli.lookup import known_pipelines
from cli.render import json_line, moment, printable, seconds, shown_name, table
from cli.system import is_locked
from eventlog.errors import LogError, LogStorageError
from eventlog.reader import Tail
from eventlog.store import Store
from projections.family import base_of, number_of
from projections.fold import fold, initial_state
from projections.graph import STAGES
from projections.summary import Summary, as_json, summarize

DAMAGED_LOG, UNREADABLE, GONE = "damaged", "unreadable", "gone"
STATUSES = (
    *("new", "unfinished", "completed", "failed", "interrupted", "needs_decision"),
    *(DAMAGED_LOG, UNREADABLE, GONE),
)


@click.command("list", short_help="List the pipelines of this home.")
@click.option("--detailed", is_flag=True, help="Also engines, speakers, words, runs, cost and the last error.")
@click.option("--status", multiple=True, type=click.Choice(STATUSES), help="Only these; may be repeated.")
@click.option("--json", "as_json_", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, detailed: bool, status: tuple[str, ...], as_json_: bool) -> int:
    """List the pipelines of this home, newest first; variants that `evt compare` made below their base.

    \b
    Examples:
      evt list
      evt list --status failed --detailed
    """
    home, _ = load_home(obj["home"])
    store = Store(str(home.logs))
    found = [_summary(store, pipeline) for pipeline in known_pipelines(store, home)]
    shown = _in_order([summary for summary in found if not status or summary.status in status])
    if as_json_:
        click.echo(json_line([{**as_json(summary), "live": _is_live(summary, store)} for summary in shown]))
    elif not shown:
        click.echo("No pipelines of that status." if found else "No pipelines.")
    elif detailed:
        click.echo("\n\n".join(_paragraph(summary, _status(summary, store)) for summary in shown))
    else:
        click.echo(_table(shown, store))
    return DAMAGED if any(summary.status in {DAMAGED_LOG, UNREADABLE, GONE} for summary in found) else OK


def _in_order(summaries: list[Summary]) -> list[Summary]:
    """Return the newest families first, in each the base, then its variants."""
    newest: dict[str, str] = {}
    for summary in summaries:
        base = base_of(summary.pipeline_id)
        newest[base] = max(newest.get(base, ""), summary.last_updated or "")
    families = sorted(newest, key=lambda base: newest[base], reverse=True)
    places = {base: place for place, base in enumerate(families)}
    return sorted(summaries, key=lambda s: (places[base_of(s.pipeline_id)], number_of(s.pipeline_id)))


def _summary(store: Store, pipeline: str) -> Summary:
    """Return a pipeline's line; of a damaged log what its good records say."""
    from attrs import evolve

    try:
        reading = store.stream(pipeline)
        state = fold(initial_state(pipeline), reading)
    except LogError as error:
        status = UNREADABLE if isinstance(error, LogStorageError) else GONE
        return evolve(summarize(initial_state(pipeline)), status=status, error=str(error))
    summary, verdict = summarize(state), reading.verdict
    if verdict.tail in {Tail.CORRUPT, Tail.NEWER}:
        return evolve(summary, status=DAMAGED_LOG, error=verdict.reason)
    return summary


def _is_live(summary: Summary, store: Store) -> bool | None:
    """Say whether a run is under way; None where the system can't tell."""
    return summary.status == "unfinished" and is_locked(store.path(summary.pipeline_id))


def _status(summary: Summary, store: Store) -> str:
    return f"{summary.status} (live)" if _is_live(summary, store) else summary.status


def _table(summaries: list[Summary], store: Store) -> str:
    header = ("ID", "STATUS", "STAGES", "UPDATED (UTC)", "NAME")
    rows = [
        (
            f"{'  ' if number_of(s.pipeline_id) > 1 else ''}{s.pipeline_id}",
            _status(s, store),
            f"{len(s.completed_stages)}/{len(STAGES)}",
            moment(s.last_updated),
            shown_name(s.name),
        )
        for s in summaries
    ]
    return table(rows, header)


def _paragraph(summary: Summary, status: str) -> str:
    engines = ", ".join(f"{stage} by {engine}" for stage, engine in summary.engines.items())
    facts = [
        ("id", summary.pipeline_id),
        ("status", status),
        ("completed", ", ".join(summary.completed_stages) or "nothing yet"),
        ("failed", summary.failed_stage),
        ("error", summary.error),
        ("audio", seconds(summary.duration_s) if summary.duration_s is not None else None),
        ("engines", engines or None),
        ("speakers", summary.speakers),
        ("words", summary.words),
        ("runs", summary.runs),
        ("cost", cost_words(summary.cost) or None),
        ("created", moment(summary.created_at)),
        ("updated", moment(summary.last_updated)),
    ]
    lines = [f"  {name:<10} {printable(str(value))}" for name, value in facts if value is not None]
    return "\n".join([shown_name(summary.name), *lines])
