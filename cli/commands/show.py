"""`evt show`: one pipeline, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from cli.exit_codes import DAMAGED, OK
from cli.home import load_home
from cli.lookup import find_pipeline
from cli.progress import ending
from cli.render import count, json_line, moment, option_value, printable, shown_name
from cli.reports.costs import cost_words
from cli.system import is_locked
from eventlog.errors import EvtError
from eventlog.reader import Tail, Verdict
from eventlog.store import Store
from pipeline.home import Home
from pipeline.listing.listing import DAMAGED_LOG
from projections.cost import total_cost
from projections.events import recorded_parts
from projections.fold import fold, initial_state
from projections.graph import STAGES, TEXTS
from projections.standing import reused
from projections.state import PipelineState
from projections.summary import state_as_json

if TYPE_CHECKING:
    from pipeline.speech.transcript import Annotated

_DAMAGED = {Tail.CORRUPT, Tail.NEWER}


@click.command("show", short_help="Show one pipeline: stages, transcript, log.")
@click.argument("pipeline", metavar="ID|NAME|FILE")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, pipeline: str, as_json: bool) -> int:
    """Show what was done for one recording, how good the transcript looks, and where its files are.

    Quality is what can be told without knowing what was said: how much of the speech has words, and which
    words look doubtful, with the first places to listen to. docs/quality.md explains each figure.

    \b
    Examples:
      evt show talk.wav
      evt show 79a0 --json | jq .quality.places
    """
    home, _ = load_home(obj["home"])
    store = Store(str(home.logs))
    found = find_pipeline(pipeline, store, home)
    reading = store.stream(found)
    state, verdict = fold(initial_state(found), reading), reading.verdict
    if as_json:
        log = {"path": store.path(found), "tail": verdict.tail.value, "reason": verdict.reason or None}
        live = is_locked(store.path(found))
        more = {"log": log, "head": _head(verdict), "live": live, "quality": _quality(state, home)}
        click.echo(json_line({**state_as_json(state), **more}))
    else:
        click.echo("\n".join(printable(line) for line in _lines(state, verdict, store, home)))
    return DAMAGED if verdict.tail in _DAMAGED else OK


def _lines(state: PipelineState, verdict: Verdict, store: Store, home: Home) -> list[str]:
    path = store.path(state.pipeline_id)
    lines = [
        f"{shown_name(state.input_file)}  ({state.pipeline_id})",
        f"  status     {_status(state, verdict, path)}",
        f"  created    {moment(state.created_at)} UTC",
        f"  updated    {moment(state.last_updated)} UTC, {count(len(state.runs), 'run')}",
    ]
    if state.forked is not None:
        lines.append(f"  variant of {state.forked.of}")
    lines += [f"  also named {shown_name(name)}" for name in state.names[1:]]
    for number, part in enumerate(recorded_parts(state.input), 1):
        lines.append(f"  part {number:<5} {shown_name(part.get('name'))}")
    if state.named:
        options = _with_words(state, home)
        lines.append(
            "  options    " + "; ".join(f"{name} {option_value(value)}" for name, value in options.items())
        )
    lines += _transcript_lines(state, home)
    again = reused(state)
    for stage in STAGES:
        attempts = state.attempts.get(stage, ())
        tried = again.get(stage) or (attempts[-1] if attempts else None)
        tries = f" (attempt {tried.number})" if tried and len(attempts) > 1 else ""
        how = "not begun" if tried is None else "under way" if tried.ended_at is None else ending(tried)
        lines.append(f"  {stage:<17} {how}{tries}")
    if cost := cost_words(total_cost(state)):
        lines.append(f"  cost       {cost}")
    lines += [f"  finding    {finding.text}" for finding in state.findings]
    lines += [f"  log        {path} ({count(state.seq, 'record')}{', sealed' if state.sealed else ''})"]
    lines += [f"  files      {home.artifacts(state.pipeline_id)}"]
    lines += [
        f"  lost?      {loss.type} in record {loss.seq}, see {loss.file}; paid stages wait for "
        f"`evt accept {state.pipeline_id}`"
        for loss in state.open_losses
    ]
    if (head := _head(verdict)) is not None:
        lines.append(f"  head       {head}")
    if verdict.tail is not Tail.CLEAN:
        lines.append(f"  log ends   {verdict.tail.value}: {verdict.reason}")
    if verdict.tail in _DAMAGED:
        lines.append(f"  what to do `evt run {state.pipeline_id}` changes nothing, and says how to go on")
    return lines


def _with_words(state: PipelineState, home: Home) -> Mapping[str, Any]:
    """Return the recorded options, what people told an engine in their own words, as far as it is still there."""
    if not state.named.keys() & {*TEXTS}:
        return state.named
    from pipeline.artifacts import Artifacts
    from pipeline.texts import told

    try:
        return told(state.named, Artifacts(home.artifacts(state.pipeline_id)))
    except EvtError:
        return state.named


def _transcript(state: PipelineState, home: Home) -> Annotated | EvtError | None:
    """Return the newest transcript with what the user said of it, and notes; None where there is none yet."""
    from pipeline.annotations.speakers import newest, read_transcript
    from pipeline.artifacts import Artifacts
    from pipeline.speech.transcript import Annotated

    if (made := newest(state)) is None:
        return None
    try:
        return Annotated(*read_transcript(state, *made, Artifacts(home.artifacts(state.pipeline_id))))
    except EvtError as error:
        return error


def _transcript_lines(state: PipelineState, home: Home) -> list[str]:
    """Return the names that the user gave, what of their words could not be applied, and the report on quality."""
    from cli.reports.quality import quality_lines

    found = _transcript(state, home)
    if found is None or isinstance(found, EvtError):
        return [f"  transcript {found}"] if found else []
    named = ", ".join(f"{label} is {name}" for label, name in sorted(found.transcript.names.items()))
    notes = (f"  note       {note}" for note in found.notes)
    return [*([f"  speakers   {named}"] if named else []), *notes, *quality_lines(found.transcript)]


def _quality(state: PipelineState, home: Home) -> dict[str, Any] | None:
    from cli.reports.quality import quality_json

    found = _transcript(state, home)
    return None if found is None or isinstance(found, EvtError) else quality_json(found.transcript)


def _head(verdict: Verdict) -> str | None:
    return f"{verdict.head.seq}:{verdict.head.sha256}" if verdict.head else None


def _status(state: PipelineState, verdict: Verdict, path: str) -> str:
    """Return the word that a list has, and for a damaged log what its good records say."""
    if verdict.tail in _DAMAGED:
        return f"{DAMAGED_LOG}; its good records say {state.status}"
    return f"{state.status}{_live(state, path)}"


def _live(state: PipelineState, path: str) -> str:
    last = state.last_run
    if state.status != "unfinished" or last is None:
        return ""
    who = f"pid {last.started.pid} on {last.started.host}, since {moment(last.started_at)} UTC"
    live = is_locked(path)
    return f", live ({who})" if live else f" (last run: {who})" if live is None else f", not live (last run: {who})"
