"""`evt accept`: go on with a log of which records are lost, or may be."""

from __future__ import annotations

import sys
from typing import Any

import click

from cli.errors import UnknownPipelineError
from cli.exit_codes import DECISION, OK
from cli.holder import naming_the_holder
from cli.home import load_home
from cli.lookup import find_pipeline
from cli.output import say
from cli.render import json_line, printable, shown_name
from cli.times import now_recorded
from cli.wiring import identity, new_run_id, open_store, settle_home
from eventlog.opening import OpenLog
from eventlog.reader import Verdict
from eventlog.store import Store
from pipeline.errors import PurgedError
from pipeline.recorder import Recorder, require_open
from pipeline.upkeep.tombstones import lift, refusal, tombstone_of
from projections.events import LossAccepted
from projections.fold import fold, initial_state
from projections.state import Loss, PipelineState

_MENDED = frozenset({"log.salvaged", "log.restored"})


@click.command("accept", short_help="Go on with a log of which records are lost, or may be.")
@click.argument("pipeline", metavar="ID|NAME|FILE")
@click.option("--yes", is_flag=True, help="Accept without asking.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, pipeline: str, yes: bool, as_json: bool) -> int:
    """Go on with a log of which records are lost, or may be.

    That is so where the log is older than the head beside it (restored from a backup, or cut off), after
    `evt salvage`, and after a crash that may have taken more than an unfinished line. Paid calls may be among
    what is lost, so stages that cost money wait for this word. It is recorded, with your account's name.

    So it is too where `evt cleanup --purge` removed the whole pipeline: after this word `evt run` begins anew.
    """
    home, _ = load_home(obj["home"])
    store = open_store(home, unsafe_fs=obj["unsafe_fs"])
    settle_home(home, store)
    try:
        found = find_pipeline(pipeline, store, home)
    except PurgedError as purged:
        return _accept_purged(purged.pipeline, store, yes=yes, as_json=as_json)
    reading = store.stream(found)
    state, verdict = fold(initial_state(found), reading), reading.verdict
    if not verdict.is_short and (error := store.unusable(found, verdict)) is not None:
        raise error
    losses = _in_words(state, verdict, unrecorded=store.has_unrecorded(found))
    if not as_json:
        for line in losses or ["There is nothing to accept: as far as can be told, this log has lost nothing."]:
            say(printable(line))
    accepted = bool(losses) and (yes or (not as_json and _is_asked_and_said("Go on with it?")))
    if accepted:
        with naming_the_holder(store):
            state = _accept(store, found, state, verdict)
    elif losses:
        say("evt: nothing was accepted and nothing was changed; --yes accepts.", err=True)
    if accepted and not as_json:
        say(f"Accepted, and recorded. `evt run {found}` goes on.")
    more = [_of(loss) for loss in state.open_losses] if accepted else []
    for line in more:
        say(f"evt: since then, not accepted: {printable(line)}", err=True)
    if as_json:
        say(json_line({"pipeline": found, "losses": losses, "accepted": accepted, "records": state.seq}))
    return OK if (accepted or not losses) and not more else DECISION


def _is_asked_and_said(question: str) -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty() and click.confirm(question, err=True)


def _accept_purged(pipeline: str, store: Store, *, yes: bool, as_json: bool) -> int:
    """Let a purged pipeline be begun anew, once the user has read what was paid for it."""
    if (stone := tombstone_of(store, pipeline)) is None or stone.erased_at is not None:
        raise refusal(store, pipeline) or UnknownPipelineError(f"{pipeline} was begun anew a moment ago.")
    said = " ".join(f"{shown_name(stone.name)} ({pipeline}) {stone.words}. {stone.way_back}".split())
    if not as_json:
        say(printable(said))
    accepted = yes or (not as_json and _is_asked_and_said("Let it be begun anew?"))
    if accepted:
        lift(store, stone, at=now_recorded(), by=identity().user)
    else:
        say("evt: nothing was accepted and nothing was changed; --yes accepts.", err=True)
    if as_json:
        say(json_line({"pipeline": pipeline, "losses": [printable(said)], "accepted": accepted, "records": 0}))
    elif accepted:
        say("Accepted. `evt run` on the recording begins anew.")
    return OK if accepted else DECISION


def _in_words(state: PipelineState, verdict: Verdict, *, unrecorded: bool) -> list[str]:
    short = [f"The log ends at record {verdict.seq}: {verdict.reason}. Whatever came behind is lost."]
    aside = ["A command that mended this log was cut short; what it set aside will be recorded."]
    return (
        (short if verdict.is_short else [])
        + (aside if unrecorded else [])
        + [_of(loss) for loss in state.open_losses]
    )


def _of(loss: Loss) -> str:
    what = {
        "log.recovered": "a crash may have taken more than an unfinished line",
        "log.salvaged": "the log was damaged, and what was behind the damage is set aside",
        "log.restored": "the head that was kept named records that the log does not have",
    }
    return f"Record {loss.seq}: {what[loss.type]} ({loss.file})."


def _accept(store: Store, pipeline: str, seen: PipelineState, verdict: Verdict) -> PipelineState:
    """Accept what was shown: the losses that were seen, and what this opening says of the head or of mending.

    A tail that is cut only now was not shown, so it stays open.
    """
    run = new_run_id()
    opened = _open(store, pipeline, verdict, run)
    try:
        recorder = Recorder(store, opened, run)
        require_open(recorder.state)
        shown = {loss.seq for loss in seen.open_losses}
        shown |= {record.seq for record in opened.records if record.run == run and record.type in _MENDED}
        losses = tuple(loss.seq for loss in recorder.state.open_losses if loss.seq in shown)
        recorder.record(LossAccepted(losses, identity().user))
        recorder.finish()
        return recorder.state
    finally:
        opened.writer.close()


def _open(store: Store, pipeline: str, verdict: Verdict, run: str) -> OpenLog:
    if verdict.is_short:
        return store.accept_short(pipeline, run=run)
    return store.open_writer(pipeline, run=run)
