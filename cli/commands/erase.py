"""`evt erase`: remove everything that was said, for good, and keep the record of what happened."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from cli.batching.items import tell_error
from cli.commands.bundle import family
from cli.exit_codes import FAILED, OK, REFUSED, worst
from cli.holder import naming_the_holder
from cli.lookup import find_pipeline
from cli.output import say
from cli.render import count, json_line, printable, shown_name, size
from cli.settings.settings import load_settings
from cli.times import now_recorded
from cli.wiring import identity, new_run_id, open_store, settle_home
from eventlog.errors import LogError
from eventlog.store import Store
from pipeline.errors import PurgedError
from pipeline.home import Home
from pipeline.providers.voiceprints import Voiceprints
from pipeline.upkeep.erasing import Erased, Erasing
from pipeline.upkeep.tombstones import tombstone_of

STAYS = (
    "The log stays: file names, times, options, costs, digests, and no speech. `evt cost` still counts it.",
    "Not reached: the recordings themselves, transcripts in other folders or changed since, bundles, backups, and "
    "what services keep that got the audio.",
)
"""What is said at each erasure, so that nobody takes it for more than it is."""


@click.command("erase", short_help="Remove all that was said in a recording, for good.")
@click.argument("pipelines", nargs=-1, required=True, metavar="ID|NAME|FILE...")
@click.option(
    "-o",
    "--output-dir",
    type=click.Path(),
    help="Look here too for transcripts that are still as evt wrote them.",
)
@click.option("--unerase", is_flag=True, help="Let an erased recording be transcribed anew; nothing comes back.")
@click.option("--yes", is_flag=True, help="Erase without asking.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, pipelines: tuple[str, ...], output_dir: str | None, **flags: bool) -> int:
    """Remove all that was said in a recording, for good: audio, answers, transcripts, names, corrections.

    With a pipeline go its variants; a variant can be named alone. Transcripts go too where they are still as
    evt wrote them, in this folder, in --output-dir and beside the recording. The log stays, and with it
    the name of the file, times, options and costs. What can't be reached is named.

    It is final: the recording isn't transcribed again until you say --unerase. An erasure that was cut
    short is finished by repeating it.

    \b
    Examples:
      evt erase talk.wav
      evt erase 4f2a --yes
      evt erase 4f2a --unerase
    """
    settings = load_settings(obj["home"], output_dir)
    home, store = settings.home, open_store(settings.home, unsafe_fs=obj["unsafe_fs"])
    settle_home(home, store)
    found = [_found(written, store, home, unerase=flags["unerase"]) for written in pipelines]
    chosen = list(dict.fromkeys(member for pipeline in found for member in family(pipeline, store)))
    erasing = Erasing(home, store, identity().user, new_run_id, now_recorded, (Path.cwd(), settings.output_dir))
    if flags["unerase"]:
        with naming_the_holder(store):
            return _unerased(erasing, chosen, as_json=flags["as_json"])
    return _erased(erasing, chosen, home, flags)


def _found(written: str, store: Store, home: Home, *, unerase: bool) -> str:
    """Return the pipeline that is meant; one that was purged only where an erasure may be taken back."""
    try:
        return find_pipeline(written, store, home)
    except PurgedError as error:
        stone = tombstone_of(store, error.pipeline)
        if not unerase or stone is None or stone.erased_at is None:
            raise
        return error.pipeline


def _erased(erasing: Erasing, chosen: Sequence[str], home: Home, flags: dict[str, bool]) -> int:
    shows = not flags["as_json"]
    if not flags["yes"]:
        for line in _offer([erasing.survey(pipeline) for pipeline in chosen]) if shows else ():
            say(printable(line))
        if not (shows and sys.stdin.isatty() and sys.stderr.isatty()):
            say("evt: nothing was erased, since nobody can be asked; --yes erases.", err=True)
            return REFUSED
        if not click.confirm("Erase all this for good?", err=True):
            return OK
    voices = [kept.name for kept in Voiceprints(home.voiceprints).all() if kept.pipeline in chosen]
    done, codes = [], []
    for pipeline in chosen:
        try:
            with naming_the_holder(erasing.store):
                done.append(erasing.erase(pipeline))
        except LogError as error:
            codes.append(tell_error(pipeline, error))
    notes = [*STAYS, *(f"The voiceprint {name} was made of it: `evt voiceprint delete {name}`." for name in voices)]
    if shows:
        for line in (*_lines(done), *notes) if done else ():
            say(printable(line))
    else:
        say(json_line({"pipelines": [_as_json(item) for item in done], "notes": notes}))
    failures = [text for item in done for text in item.failures]
    for text in failures:
        say(f"evt: {printable(text)}. Mend that, then repeat the command.", err=True)
    return worst([*codes, FAILED if failures else OK])


def _unerased(erasing: Erasing, chosen: Sequence[str], *, as_json: bool) -> int:
    done = {pipeline: erasing.unerase(pipeline) for pipeline in chosen}
    if as_json:
        say(json_line([{"pipeline": pipeline, "unerased": was} for pipeline, was in done.items()]))
        return OK
    for pipeline, was in done.items():
        say(f"{pipeline}: `evt run` may transcribe it anew." if was else f"{pipeline} is not erased.")
    return OK


def _offer(found: Sequence[Erased]) -> Iterator[str]:
    yield "To be erased, for good:"
    for item in found:
        yield f"  {item.pipeline}  {shown_name(item.name)}: {_amounts(item)}"
        yield from (f"    {path}" for path in item.deliveries)
    yield from STAYS


def _lines(done: Sequence[Erased]) -> Iterator[str]:
    for item in done:
        again = ", left of an earlier erasure" if item.was_erased else ""
        yield f"{item.pipeline}  {shown_name(item.name)}: erased {_amounts(item)}{again}"
        yield from (f"  {path}" for path in item.deliveries)


def _amounts(item: Erased) -> str:
    more = f", and {count(len(item.deliveries), 'transcript')} outside" if item.deliveries else ""
    return f"{count(item.files, 'file')}, {size(item.size_bytes)}{more}"


def _as_json(item: Erased) -> dict[str, Any]:
    return {
        "pipeline": item.pipeline,
        "name": shown_name(item.name),
        "files": item.files,
        "size_bytes": item.size_bytes,
        "deliveries": [printable(str(path)) for path in item.deliveries],
        "was_erased": item.was_erased,
        "failures": [printable(text) for text in item.failures],
    }
