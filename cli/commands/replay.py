"""`evt replay`: the state of a pipeline, rebuilt from its log alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import click

from cli.errors import SettingsError
from cli.exit_codes import DAMAGED, OK
from cli.home import load_home
from cli.lookup import find_pipeline
from cli.render import json_line, moment, printable, shown_name
from cli.times import as_recorded
from eventlog.record import Record
from eventlog.store import Store
from projections.fold import fold, initial_state
from projections.graph import STAGES
from projections.state import PipelineState
from projections.summary import state_as_json

_SEQ_DIGITS_MAX = 18
"""Source: `seq` in docs/format.md."""


@click.command("replay", short_help="Rebuild a pipeline's state from its log alone.")
@click.argument("pipeline", metavar="ID|NAME|FILE")
@click.option(
    "--at", "until", metavar="SEQ|TIME", help="Only up to this record, or to what was known at this time."
)
@click.option("--json", "as_json", is_flag=True, help="The complete state as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, pipeline: str, until: str | None, as_json: bool) -> int:
    """Rebuild a pipeline's state from its log alone: no engine, no lock, no clock, no artifact.

    The same log gives the same output on any machine.

    \b
    Examples:
      evt replay 4f2a --json
      evt replay 4f2a --at 12
      evt replay 4f2a --at 2026-11-23T14:00:00Z
    """
    home, _ = load_home(obj["home"])
    store = Store(str(home.logs))
    found = find_pipeline(pipeline, store, home)
    reading = store.stream(found)
    state = fold(initial_state(found), _until(reading, until))
    click.echo(json_line(state_as_json(state)) if as_json else _in_words(state))
    if (error := store.unusable(found, reading.verdict)) is not None:
        click.echo(f"evt: {printable(str(error))}", err=True)
        return DAMAGED
    return OK


def _until(records: Iterable[Record], until: str | None) -> Iterator[Record]:
    """Yield the records up to a seq, or up to the last one before the first that is later than a time."""
    if until is None:
        yield from records
    elif until.isdecimal() and len(until) <= _SEQ_DIGITS_MAX:
        yield from (record for record in records if record.seq <= int(until))
    else:
        limit = _utc(until)
        for record in records:
            if record.time > limit:
                return
            yield record


def _utc(text: str) -> str:
    """Return a time as records write it, so that texts compare as times do; without a zone it is UTC."""
    try:
        return as_recorded(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        raise SettingsError(
            f"--at {printable(text[:40])} is neither a record's number nor a time like 2026-11-23T14:00:00Z."
        ) from error


def _in_words(state: PipelineState) -> str:
    lines = [
        f"{shown_name(state.input_file)}  ({state.pipeline_id})",
        f"  after record {state.seq}, {moment(state.last_updated)} UTC: {state.status}",
    ]
    for stage in STAGES:
        attempts = state.attempts.get(stage, ())
        tries = ", ".join(f"#{attempt.number} {attempt.status}" for attempt in attempts)
        lines.append(f"  {stage:<17} {tries or 'not begun'}")
    lines.append(f"  calls             {len(state.calls)}")
    lines += [f"  finding: {finding.text}" for finding in state.findings]
    lines += [f"  unknown: record {seq} is a {name}" for seq, name in state.unknown]
    return "\n".join(printable(line) for line in lines)
