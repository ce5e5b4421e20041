"""`evt run`: carry out the plan of each recording, then deliver."""

from __future__ import annotations

import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from cli.batch import delivered_to, gather, sidecar_note
from cli.errors import BlockedError, DecisionNeededError
from cli.exit_codes import INTERRUPTED, TERMINATED, worst
from cli.holder import naming_the_holder
from cli.home import require_usable
from cli.options import limit_options, named_from, stage_options
from cli.outcomes import Outcome, reasons, tell
from cli.output import say
from cli.progress import PlainReporter, make_reporter
from cli.render import json_line, printable
from cli.retention import keep_retention
from cli.roll import Item
from cli.settings import Settings, load_settings
from cli.signals import stop_on_signals
from cli.sources import Refusal, listed
from cli.wiring import workshop_of
from eventlog.errors import EvtError
from pipeline import runner
from pipeline.artifacts import Artifacts
from pipeline.delivery import deliver, require_writable
from pipeline.errors import SourceRejectedError
from pipeline.forks import take_over
from pipeline.look import Look, look
from pipeline.recordings import Recording, identify
from pipeline.scrub import scrubbed
from pipeline.speakers import is_ordered_so, order_from, ordering
from pipeline.workshop import Workshop
from projections.graph import DIARIZATION, TRANSCRIPTION
from projections.limits import ASK, AUTO
from projections.options import Named
from projections.paying import IN_DOUBT_REMEDY


@click.command("run", short_help="Transcribe recordings, or go on where a run stopped.")
@click.argument("recordings", nargs=-1, metavar="[FILE|FOLDER|PATTERN|ID|NAME|-]...")
@click.option(
    "--from-file",
    "lists",
    multiple=True,
    type=click.Path(),
    metavar="LIST",
    help="Take names from a file, one a line (or ended by NULs); -: from standard input.",
)
@stage_options
@limit_options
@click.option(
    "--names",
    multiple=True,
    help="Names for the speakers in the order in which they first speak (comma or repeat); see `evt speakers`.",
)
@click.option("-o", "--output-dir", type=click.Path(), help="Folder for the transcripts (default: this folder).")
@click.option(
    "--input", "moved_to", type=click.Path(), help="Where the recording of a pipeline named by ID is now."
)
@click.option("--verify", is_flag=True, help="Read the recordings again instead of trusting remembered digests.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Only results and errors.")
@click.option("-v", "--verbose", is_flag=True, help="More about what happens.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_obj
def command(
    obj: dict[str, Any], /, recordings: tuple[str, ...], lists: tuple[str, ...], as_json: bool, **flags: Any
) -> int:
    """Transcribe recordings, or go on where a run stopped.

    Converts any audio or video file, finds who speaks when, transcribes, and writes the transcript
    (txt, srt, vtt, json, rttm; others with --format) into the current folder. Running it again does
    nothing, or goes on after a crash with the options of before. Of a folder every recording in it
    and below it is taken.

    \b
    Examples:
      evt run talk.wav
      evt run interview.mp4 --speakers 2 --format txt,docx -o transcripts
      evt run talk.wav --language de --transcriber whisper
      evt run talk.wav --speakers 2 --names "Anna Müller,Ben"
      evt run interviews "calls/*.mp3" -o transcripts
      find . -name "*.wav" -print0 | evt run -
    """
    if not recordings and not lists:
        raise click.UsageError("Name a recording, a folder of recordings, an ID, or a list with --from-file.")
    obj |= {name: obj[name] or flags[name] for name in ("quiet", "verbose", "debug")}
    settings = load_settings(obj["home"], flags["output_dir"], flags=flags)
    named, names = named_from(flags, settings), order_from(flags["names"])
    require_usable(settings.home, unsafe_fs=obj["unsafe_fs"])
    settings = settings.with_accounts()
    require_writable(settings.output_dir)
    shop = workshop_of(settings, unsafe_fs=obj["unsafe_fs"])
    is_first = not shop.store.pipelines()
    moved_to = Path(flags["moved_to"]) if flags["moved_to"] else None
    items, refusals = gather(
        listed(recordings, lists),
        shop.store,
        settings.home,
        settings.output_dir,
        moved_to=moved_to,
        verify=flags["verify"],
    )
    outcomes = [_refused(refusal, as_json=as_json) for refusal in refusals]
    reporter = make_reporter(quiet=obj["quiet"], verbose=obj["verbose"])
    for note in settings.ignored:
        reporter.line(f"Note: {note}")
    received = stop_on_signals(shop)
    try:
        outcomes += _all(shop, items, named, names, reporter, obj, as_json=as_json)
        asks = settings.limits.in_doubt in {AUTO, ASK} and not as_json
        if asks and sys.stdin.isatty() and sys.stderr.isatty() and (waiting := ask_once(shop, items, outcomes)):
            outcomes = [outcome for outcome in outcomes if not outcome.is_in_doubt]
            outcomes += _all(shop, waiting, named, names, reporter, obj, as_json=as_json)
    finally:
        reporter.close()
        shop.providers.close()
    keep_retention(settings, shop, quiet=obj["quiet"])
    if as_json:
        say(json_line([outcome.as_json() for outcome in outcomes]))
    if is_first and not obj["quiet"] and any(outcome.ran for outcome in outcomes):
        _welcome(settings, shop, items)
    if received:
        return TERMINATED if received[0] == signal.SIGTERM else INTERRUPTED
    return worst([outcome.code for outcome in outcomes])


def _all(
    shop: Workshop,
    items: list[Item],
    named: Named,
    names: tuple[str, ...],
    reporter: PlainReporter,
    obj: dict[str, Any],
    *,
    as_json: bool,
) -> list[Outcome]:
    """Work on recordings one after another, and say what came of each."""
    outcomes = []
    for item in items:
        if not shop.stop.is_set():
            outcomes.append(work_on(shop, item, named, reporter, debug=obj["debug"], names=names))
            reporter.close()
            tell(outcomes[-1], as_json=as_json, quiet=obj["quiet"])
    return outcomes


def ask_once(shop: Workshop, items: list[Item], outcomes: list[Outcome]) -> list[Item]:
    """Ask, once for the whole batch, whether what may be paid already is sent again; return what to run then."""
    doubtful = {outcome.pipeline for outcome in outcomes if outcome.is_in_doubt}
    waiting = [item for item in items if item.pipeline in doubtful]
    if not waiting or shop.stop.is_set():
        return []
    number = "One recording waits" if len(waiting) == 1 else f"{len(waiting)} recordings wait"
    if not click.confirm(f"{number} for your word, see above. Send once more what may be paid already?", err=True):
        return []
    shop.ledger.let_repeat()
    return waiting


def _refused(refusal: Refusal, *, as_json: bool) -> Outcome:
    outcome = Outcome(refusal.written)
    outcome.refuse(refusal.error)
    tell(outcome, as_json=as_json, quiet=True)
    return outcome


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
        outcome.refuse(error)
    except Exception as error:
        # One bad recording never stops the rest, whatever is wrong with it.
        if debug:
            _show_traceback(shop, error)
        outcome.fail(error)
    return outcome


def _show_traceback(shop: Workshop, error: Exception) -> None:
    """Print a traceback; in those of other packages' providers may be a key."""
    say(scrubbed("".join(traceback.format_exception(error)).rstrip(), shop.providers.secrets), err=True)


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
        require_unblocked(seen, outcome)
        reporter.line(f"{item.name} ({item.pipeline})")
        if (note := sidecar_note(item, seen.options)) is not None:
            reporter.line(f"  {note}")
        with naming_the_holder(shop.store):
            result = runner.run(shop, seen, recording, named, delivered, reporter, annotate=annotate)
        plan, state = result.plan, result.state
        outcome.take_result(result)
        for bug in result.bugs if debug else ():
            _show_traceback(shop, bug)
    outcome.take_plan(plan)
    if plan.is_done and delivers:
        formats = seen.options["formats"].value
        outcome.take_deliveries(deliver(item.target, plan, state, artifacts, formats))


def _as_it_is_now(item: Item, shop: Workshop) -> Recording | None:
    """Look at the recording again when its turn comes; in a long batch that may be hours after the start."""
    if item.recording is None:
        return None
    recording = identify(item.recording.path, shop.home.index)
    if recording.sha256 != item.recording.sha256:
        raise SourceRejectedError("The recording was changed since this command began. Run it again.")
    return recording


def require_unblocked(seen: Look, outcome: Outcome) -> None:
    """Refuse a plan of which nothing can begin, saying why.

    Raises:
        BlockedError, DecisionNeededError: nothing can.
    """
    if seen.plan.blocked:
        raise BlockedError(f"Nothing was begun, because the plan is blocked. {reasons(seen.plan.blocked)}.")
    if seen.plan.asks and not seen.plan.resume_point:
        outcome.is_in_doubt = any(IN_DOUBT_REMEDY in step.reason for step in seen.plan.asks)
        raise DecisionNeededError(
            f"Nothing was begun, because a decision of yours is needed. {reasons(seen.plan.asks)}."
        )


def _welcome(settings: Settings, shop: Workshop, items: list[Item]) -> None:
    """Say, once per home, where things are kept, that nothing left the machine, and how to get better words."""
    seen = look(shop, items[-1].pipeline, items[-1].recording, Named(), delivered_to(None))
    speakers, words = (seen.plan[stage].engine for stage in (DIARIZATION, TRANSCRIPTION))
    home = printable(str(settings.home.root))
    say(f"\nLogs and copies of the audio are kept in {home}; removing that folder removes everything.", err=True)
    if speakers and words and not (speakers.network or words.network):
        say("Nothing left this machine.", err=True)
    if words and not words.network:
        say("For better transcripts install the whisper engine: `evt doctor` says how.", err=True)
