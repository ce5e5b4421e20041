"""`evt run`: carry out the plan of each recording, then deliver."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import click
from attrs import define, field

from cli.batch import Item, delivered_to, gather
from cli.main import DECISION, FAILED, INTERRUPTED, OK, REFUSED, TERMINATED, exit_code_of, worst
from cli.options import named_from, stage_options
from cli.progress import PlainReporter, make_reporter
from cli.render import json_line, printable, seconds
from cli.settings import Settings, load_settings, require_usable
from cli.wiring import make_workshop
from eventlog.errors import EvtError, LogLockedError
from pipeline import runner
from pipeline.artifacts import Artifacts
from pipeline.delivery import KEPT, Delivery, deliver, require_writable
from pipeline.runner import Look, RunResult, Workshop
from projections.fold import fold, initial_state
from projections.graph import DIARIZATION, STAGES, TRANSCRIPTION
from projections.options import Named
from projections.plan import STALE, Plan
from projections.state import PipelineState

_CODES = {runner.COMPLETED: OK, runner.FAILED: FAILED, runner.NEEDS_DECISION: DECISION}


class BlockedError(EvtError):
    """The plan can't be carried out as wished; nothing was begun."""


@define
class Outcome:
    """What came of one item, for the exit code, for people and for `--json`."""

    written: str
    code: int = OK
    pipeline: str | None = None
    outcome: str = "completed"
    ran: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()
    deliveries: list[Delivery] = field(factory=list)
    duration_s: float = 0.0
    notes: list[str] = field(factory=list)
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the outcome for programs."""
        return {
            "input": printable(self.written),
            "pipeline": self.pipeline,
            "outcome": self.outcome,
            "exit_code": self.code,
            "ran": list(self.ran),
            "reused": list(self.reused),
            "duration_s": round(self.duration_s, 3),
            "deliveries": [
                {"path": printable(str(d.path)), "format": d.format, "outcome": d.outcome} for d in self.deliveries
            ],
            "notes": self.notes,
            "error": self.error,
        }


@click.command("run", short_help="Transcribe recordings, or go on where a run stopped.")
@click.argument("recordings", nargs=-1, required=True, metavar="FILE|ID...")
@stage_options
@click.option("-o", "--output-dir", type=click.Path(), help="Folder for the transcripts (default: this folder).")
@click.option(
    "--input", "moved_to", type=click.Path(), help="Where the recording of a pipeline named by ID is now."
)
@click.option("--verify", is_flag=True, help="Read the recordings again instead of trusting remembered digests.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, recordings: tuple[str, ...], as_json: bool, **flags: Any) -> int:
    """Transcribe recordings, or go on where a run stopped.

    Converts any audio or video file, finds who speaks when, transcribes, and writes the transcript
    (txt, srt, vtt, json, rttm) into the current folder. Running it again does nothing, or goes on
    after a crash with the options of before.

    \b
    Examples:
      evt run talk.wav
      evt run interview.mp4 --speakers 2 --format txt,srt -o transcripts
      evt run talk.wav --language de --transcriber whisper
    """
    settings = load_settings(obj["home"], flags["output_dir"])
    named = named_from(flags, settings)
    require_usable(settings.home)
    require_writable(settings.output_dir)
    shop = make_workshop(settings.home, threading.Event(), unsafe_fs=obj["unsafe_fs"])
    is_first = not shop.store.pipelines()
    moved_to = Path(flags["moved_to"]) if flags["moved_to"] else None
    items, refusals = gather(
        recordings, shop.store, settings.home, settings.output_dir, moved_to=moved_to, verify=flags["verify"]
    )
    outcomes = [Outcome(r.written, exit_code_of(r.error), outcome="refused", error=str(r.error)) for r in refusals]
    for outcome in outcomes:
        _tell_error(outcome)
    reporter = make_reporter(quiet=obj["quiet"], verbose=obj["verbose"])
    for note in settings.ignored:
        reporter.line(f"Note: {note}")
    received = _stop_on_signals(shop, reporter)
    try:
        for item in items:
            if not shop.stop.is_set():
                outcomes.append(_one(shop, item, named, reporter, is_many=len(items) > 1))
                _tell(outcomes[-1], settings, as_json=as_json)
    finally:
        reporter.close()
        shop.providers.close()
    if as_json:
        click.echo(json_line([outcome.as_json() for outcome in outcomes]))
    if is_first and not obj["quiet"] and any(outcome.ran for outcome in outcomes):
        _welcome(settings, shop, items)
    if received:
        return TERMINATED if received[0] == signal.SIGTERM else INTERRUPTED
    return worst([outcome.code for outcome in outcomes])


def _one(shop: Workshop, item: Item, named: Named, reporter: PlainReporter, *, is_many: bool) -> Outcome:
    """Work on one recording; whatever happens to it is an outcome, so that the next one gets its turn."""
    outcome = Outcome(item.written, pipeline=item.pipeline)
    try:
        _work(shop, item, named, reporter, outcome, is_many=is_many)
    except LogLockedError as error:
        outcome.error = f"{error} {_holder(shop, item.pipeline)}"
        outcome.outcome, outcome.code = "refused", exit_code_of(error)
    except EvtError as error:
        outcome.error = str(error)
        outcome.code = exit_code_of(error)
        outcome.outcome = "refused" if outcome.code == REFUSED else "failed"
    return outcome


def _work(
    shop: Workshop, item: Item, named: Named, reporter: PlainReporter, outcome: Outcome, *, is_many: bool
) -> None:
    delivered = delivered_to(item.target)
    seen = runner.look(shop, item.pipeline, item.recording, named, delivered)
    outcome.notes += seen.plan.notes
    plan, state = seen.plan, seen.state
    if not seen.is_settled:
        _require_unblocked(seen)
        if is_many or reporter:
            reporter.line(f"{item.name} ({item.pipeline})")
        result = runner.run(shop, seen, item.recording, named, delivered, reporter)
        plan, state = result.plan, result.state
        _fill(outcome, result)
    outcome.reused = tuple(stage for stage in STAGES if plan[stage].reused and stage not in outcome.ran)
    outcome.notes += [f"{step.stage} is stale: {step.reason}" for step in plan.stages if step.decision == STALE]
    outcome.notes += _content_notes(plan)
    if plan.is_done:
        artifacts = Artifacts(shop.home.artifacts(item.pipeline))
        outcome.deliveries = deliver(item.target, plan, state, artifacts, seen.options["formats"].value)
        outcome.notes += [
            f"{d.path.name} was kept beside a file of yours that evt did not write"
            for d in outcome.deliveries
            if d.outcome == KEPT
        ]


def _fill(outcome: Outcome, result: RunResult) -> None:
    outcome.outcome, outcome.ran, outcome.duration_s = result.outcome, result.ran, result.duration_s
    outcome.code = _CODES.get(result.outcome, INTERRUPTED)
    if result.outcome == runner.FAILED:
        failed = [point for point in result.state.checkpoints.values() if not point.success]
        outcome.error = "; ".join(f"{p.stage}: {p.error.message}" for p in failed if p.error) or "a stage failed"
        outcome.error = f"{outcome.error.rstrip('.')}. What is done is kept; `evt run {result.pipeline}` goes on from there."
    elif result.outcome == runner.NEEDS_DECISION:
        outcome.error = "; ".join(f"{step.stage}: {step.reason}" for step in result.plan.blocked)


def _require_unblocked(seen: Look) -> None:
    if seen.plan.blocked:
        reasons = "; ".join(dict.fromkeys(f"{step.stage}: {step.reason}" for step in seen.plan.blocked))
        raise BlockedError(f"Nothing was begun, because the plan is blocked. {reasons}.")


def _content_notes(plan: Plan) -> list[str]:
    words = plan[TRANSCRIPTION].reused
    notes = []
    if words is not None and words.metadata.get("words") == 0:
        notes.append("no speech was found, so the transcript is empty")
    if words is not None and words.metadata.get("draft"):
        notes.append("this is a draft by the small built-in English engine")
    return notes


def _tell(outcome: Outcome, settings: Settings, *, as_json: bool) -> None:
    if outcome.error is not None:
        _tell_error(outcome)
    if as_json:
        return
    for note in outcome.notes:
        click.echo(f"Note: {printable(outcome.written)}: {printable(note)}", err=True)
    if outcome.deliveries:
        click.echo(f"{printable(outcome.written)}: {_transcript_line(outcome)}")


def _tell_error(outcome: Outcome) -> None:
    click.echo(f"evt: {printable(outcome.written)}: {printable(outcome.error or '')}", err=True)


def _transcript_line(outcome: Outcome) -> str:
    first, *others = outcome.deliveries
    more = f" (and {', '.join(other.path.suffix for other in others)})" if others else ""
    if not outcome.ran:
        done = "nothing to do"
    else:
        kept = f"; reused: {', '.join(outcome.reused)}" if outcome.reused else ""
        done = f"took {seconds(outcome.duration_s)}{kept}"
    return f"{printable(str(first.path))}{more}; {done}"


def _welcome(settings: Settings, shop: Workshop, items: list[Item]) -> None:
    """Say, once per home, where things are kept, that nothing left the machine, and how to get better words."""
    seen = runner.look(shop, items[-1].pipeline, items[-1].recording, Named(), delivered_to(None))
    speakers, words = (seen.plan[stage].engine for stage in (DIARIZATION, TRANSCRIPTION))
    home = printable(str(settings.home.root))
    click.echo(
        f"\nLogs and copies of the audio are kept in {home}; removing that folder removes everything.", err=True
    )
    if speakers and words and not (speakers.network or words.network):
        click.echo("Nothing left this machine.", err=True)
    click.echo("For better transcripts install the whisper engine: `evt doctor` says how.", err=True)


def _holder(shop: Workshop, pipeline: str) -> str:
    """Say who seems to hold a log, for information: its last run."""
    state: PipelineState = fold(initial_state(pipeline), shop.store.stream(pipeline))
    last = state.last_run
    if last is None:
        return "Wait until it has finished."
    who = last.started
    return (
        f"It is pid {who.pid} on {who.host}, since {last.started_at[:19]}Z; wait until it has finished, or stop it."
    )


def _stop_on_signals(shop: Workshop, reporter: PlainReporter) -> list[int]:
    """Let the first Ctrl-C (or SIGTERM) end the run in order, the second at once."""
    received: list[int] = []

    def on_signal(number: int, frame: object) -> None:
        received.append(number)
        if len(received) > 1:
            os.write(2, b"\nevt: left at once; `evt run` goes on from what is recorded.\n")
            os._exit(TERMINATED if number == signal.SIGTERM else INTERRUPTED)
        os.write(2, b"\nevt: stopping; what is finished is kept (Ctrl-C again: leave at once)\n")
        shop.stop.set()
        shop.providers.close()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    return received
