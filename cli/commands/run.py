"""`evt run`: carry out the plan of each recording, then deliver."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from cli.batching.roll import Item, enroll
from cli.batching.sources import listed
from cli.batching.work import BatchWork
from cli.exit_codes import INTERRUPTED, TERMINATED, worst
from cli.home import require_usable
from cli.options import batch_options, limit_options, named_from, stage_options
from cli.output import say
from cli.render import json_line, printable
from cli.settings.settings import Settings, load_settings
from cli.to_stdout import Output, output_of
from cli.wiring import open_store, settle_home, workshop_of
from pipeline.annotations.speakers import order_from
from pipeline.delivery import delivered_to, require_writable
from pipeline.look import look
from pipeline.workshop import Workshop
from projections.graph import DIARIZATION, TRANSCRIPTION
from projections.limits import ASK, AUTO
from projections.options import Named


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
@click.option(
    "--join", is_flag=True, help="The files are parts of one recording, in the order in which they are named."
)
@stage_options
@limit_options
@batch_options
@click.option(
    "-o",
    "--output-dir",
    type=click.Path(),
    help="Folder for the transcripts (default: this folder); -: stdout, for one recording and one --format.",
)
@click.option(
    "--input",
    "moved_to",
    multiple=True,
    type=click.Path(),
    help="Where the recording of a pipeline named by ID is now; of a joined one repeat it for parts that moved.",
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
      evt run hearing.mp4 --track 2 --start 0:05:00 --end 1:30:00
      evt run --join REC_001.WAV REC_002.WAV REC_003.WAV
      evt run talk.wav --speakers 2 --names "Anna Müller,Ben"
      evt run talk.wav --format txt -o - | less
      evt run interviews "calls/*.mp3" -o transcripts
      find . -name "*.wav" -print0 | evt run -
    """
    if not recordings and not lists:
        raise click.UsageError("Name a recording, a folder of recordings, an ID, or a list with --from-file.")
    obj |= {name: obj[name] or flags[name] for name in ("quiet", "verbose", "debug")}
    with output_of(flags["output_dir"], flags["formats"], as_json=as_json) as output:
        return _carry_out(obj, listed(recordings, lists), output, flags, as_json=as_json)


def _carry_out(
    obj: dict[str, Any], written: Iterable[str], output: Output, flags: dict[str, Any], *, as_json: bool
) -> int:
    settings = load_settings(obj["home"], output.folder, flags=flags, offline=obj["offline"])
    wishes = named_from(flags, settings), order_from(flags["names"])
    require_usable(settings.home, unsafe_fs=obj["unsafe_fs"])
    settle_home(settings.home, open_store(settings.home, unsafe_fs=obj["unsafe_fs"]))
    settings = settings.with_accounts()
    work = _work(obj, settings, wishes, written, flags)
    output.require_one(len(work.roll.entries) + len(work.roll.refusals))
    work.as_json = as_json or output.is_stdout
    is_first = work.shop.store.is_empty()
    may_ask = settings.limits.in_doubt in {AUTO, ASK} and not as_json
    received = work.carry_out(verbose=obj["verbose"], may_ask=may_ask, notes=settings.ignored)
    if settings.retention is not None:
        from cli.retention import keep_retention

        keep_retention(settings, work.shop, quiet=obj["quiet"])
    output.write()
    if as_json:
        say(json_line(work.ordered_reports()))
    if is_first and not obj["quiet"] and work.has_run:
        _welcome(settings, work.shop, work.roll.item(work.roll.entries[-1]))
    if received:
        return TERMINATED if received[0] == signal.SIGTERM else INTERRUPTED
    return worst(list(work.codes.values()))


def _work(
    obj: dict[str, Any],
    settings: Settings,
    wishes: tuple[Named, tuple[str, ...]],
    written: Iterable[str],
    flags: dict[str, Any],
) -> BatchWork:
    """Return the work that the user asks for, settled as far as that goes without reading recordings."""
    require_writable(settings.output_dir)
    shop = workshop_of(settings, unsafe_fs=obj["unsafe_fs"])
    moved_to = [Path(path) for path in flags["moved_to"]]
    roll = enroll(
        written,
        shop.store,
        settings.home,
        settings.output_dir,
        moved_to=moved_to,
        verify=flags["verify"],
        join=flags["join"],
    )
    return BatchWork(shop, roll, *wishes, debug=obj["debug"], quiet=obj["quiet"], unsafe_fs=obj["unsafe_fs"])


def _welcome(settings: Settings, shop: Workshop, item: Item) -> None:
    """Say, once per home, where things are kept, that nothing left the machine, and how to get better words."""
    seen = look(shop, item.pipeline, item.recording, Named(), delivered_to(None))
    speakers, words = (seen.plan[stage].engine for stage in (DIARIZATION, TRANSCRIPTION))
    home = printable(str(settings.home.root))
    say(f"\nLogs and copies of the audio are kept in {home}; removing that folder removes everything.", err=True)
    if speakers and words and not (speakers.network or words.network):
        say("Nothing left this machine.", err=True)
    if words and not words.network:
        say(
            "For better transcripts: the whisper engine, and `evt models get small`. `evt doctor` says how.",
            err=True,
        )
