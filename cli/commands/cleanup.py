"""`evt cleanup`: say what could be removed, ask, remove it, and record that."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cli.cleaning import Survey, as_json, carry_out, paragraphs, survey, told, totals_line
from cli.errors import SettingsError
from cli.exit_codes import FAILED, OK, REFUSED
from cli.holder import naming_the_holder
from cli.home import load_home
from cli.lookup import find_known
from cli.output import say
from cli.render import json_line, printable
from cli.times import SPAN_HINT, as_recorded, now_recorded, span_of
from cli.wiring import identity, new_run_id, open_store, settle_home
from eventlog.store import Store
from pipeline.home import Home
from pipeline.upkeep.cleanup import CLEANUP, Cleaner, Done
from projections.cleaning import COMPLETED, STATUSES, Rule


@click.command("cleanup", short_help="Free room: remove what can be made again.")
@click.argument("pipelines", nargs=-1, metavar="[ID|NAME|FILE]...")
@click.option("--older-than", metavar="SPAN", help="Only of pipelines last used so long ago: 12h, 7d, 2w.")
@click.option(
    "--status",
    multiple=True,
    type=click.Choice(STATUSES),
    help="Only of pipelines of this status (default: completed).",
)
@click.option("--paid", is_flag=True, help="Also answers of services, which cost money to get again.")
@click.option("--purge", is_flag=True, help="Remove whole pipelines, logs included.")
@click.option(
    "--bundle", type=click.Path(), metavar="FILE", help="With --purge: first put them into this new file."
)
@click.option("--no-bundle", is_flag=True, help="With --purge: keep nothing of them.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.option("--json", "as_json_", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, pipelines: tuple[str, ...], **flags: Any) -> int:
    """Free room: remove what can be made again without money, after saying what that is.

    That is the converted audio, the answers of engines on this machine, transcripts that later ones
    replaced, and what dead runs left half done. Logs stay, and so do results, your names and
    corrections, and all that a service was paid for, unless you say --paid; each transcript can still be
    corrected and exported. The audio is made again from the recording if something needs it.

    Without an ID, all completed pipelines of the home. Those that are in use, or in doubt about a
    payment, are left alone. What was removed is recorded in each pipeline's log.

    With --purge, whole pipelines go, those that you name or that --older-than or --status choose. A bundle of
    them is written and read back first, or you say --no-bundle. A small file stays that says what was
    there: `evt run` pays for nothing of it again until you say `evt accept`.

    \b
    Examples:
      evt cleanup --dry-run
      evt cleanup --older-than 7d
      evt cleanup 4f2a --paid
      evt cleanup --older-than 2w --status completed --status failed --yes
      evt cleanup talk.wav --purge --bundle talk.evtbundle
    """
    _require_sense(pipelines, flags)
    home, _ = load_home(obj["home"])
    store = open_store(home, unsafe_fs=obj["unsafe_fs"])
    if not flags["dry_run"]:
        settle_home(home, store, lambda done: _tell_settled(done, quiet=flags["as_json_"]))
    named = list(dict.fromkeys(find_known(written, store, home) for written in pipelines))
    if flags["purge"]:
        return _purge(home, store, named, flags)
    cleaner = Cleaner(home, store, _rule(flags), identity().user, CLEANUP, new_run_id)
    found = survey(cleaner, named, time.time())
    shows = not flags["as_json_"]
    for line in paragraphs(found, paid=flags["paid"]) if shows else ():
        say(printable(line))
    wanted = bool(found.candidates) and not flags["dry_run"]
    if wanted and not flags["yes"] and not (shows and sys.stdin.isatty() and sys.stderr.isatty()):
        say(
            "evt: nothing was removed, since nobody can be asked; --yes removes, --dry-run only says what.",
            err=True,
        )
        return REFUSED
    agreed = wanted and (flags["yes"] or click.confirm("Remove these files?", err=True))
    done = carry_out(cleaner, found) if agreed else []
    if not shows:
        say(json_line(as_json(found, done)))
    elif agreed:
        say(totals_line(done))
    return _told(found, done, named)


def _require_sense(pipelines: tuple[str, ...], flags: dict[str, Any]) -> None:
    """Refuse options that don't go together, and a purge of whatever there is."""
    if not flags["purge"]:
        if flags["bundle"] or flags["no_bundle"]:
            raise click.UsageError("--bundle and --no-bundle go with --purge.")
        return
    if not (pipelines or flags["older_than"] or flags["status"]):
        raise click.UsageError("--purge removes logs: name the pipelines, or choose with --older-than or --status.")
    if bool(flags["bundle"]) == flags["no_bundle"]:
        raise click.UsageError(
            "--purge wants one of two: --bundle FILE puts the pipelines into a file first, with which `evt import` "
            "brings them back; --no-bundle keeps nothing of them."
        )


def _purge(home: Home, store: Store, named: list[str], flags: dict[str, Any]) -> int:
    from cli.purging import Asked, purge
    from pipeline.upkeep.purging import Purger

    who = identity()
    version = who.versions.get("evt", "")
    purger = Purger(home, store, _rule(flags), who.user, version, new_run_id, now_recorded)
    bundle = Path(flags["bundle"]) if flags["bundle"] else None
    with naming_the_holder(store):
        return purge(purger, Asked(named, bundle, flags["dry_run"], flags["yes"], flags["as_json_"]))


def _tell_settled(done: list[Done], *, quiet: bool) -> None:
    """Say what went of a purge that was cut short, and what of it is still there."""
    if not quiet and any(item.files for item in done):
        say(f"A purge was cut short; it is finished now. {totals_line(done)}")
    for line in told(done):
        say(f"evt: {printable(line)}", err=True)


def _rule(flags: dict[str, Any]) -> Rule:
    """Return what the user wants to be removed.

    Raises:
        SettingsError: the span is none.
    """
    before = ""
    if flags["older_than"] is not None:
        if (span := span_of(flags["older_than"])) is None:
            raise SettingsError(f"--older-than {printable(flags['older_than'][:40])} is not {SPAN_HINT}.")
        before = as_recorded(datetime.now(UTC) - span)
    return Rule(before, frozenset(flags["status"] or {COMPLETED}), paid=flags["paid"])


def _told(found: Survey, done: list[Done], named: list[str]) -> int:
    """Say what didn't go, and return the exit code: 1 where a removal failed, 3 where what was named is spared."""
    for line in told(done):
        say(f"evt: {printable(line)}", err=True)
    if any(item.failures for item in done):
        return FAILED
    spared = {item.pipeline for item in found.spared} | {item.pipeline for item in done if item.spared}
    return REFUSED if spared.intersection(named) else OK
