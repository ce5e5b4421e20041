"""`evt cleanup`: say what could be removed, ask, remove it, and record that."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Any

import click

from cli.cleaning import Survey, as_json, carry_out, paragraphs, survey, told, totals_line
from cli.errors import SettingsError
from cli.exit_codes import FAILED, OK, REFUSED
from cli.home import load_home
from cli.lookup import find_known
from cli.output import say
from cli.render import json_line, printable
from cli.times import SPAN_HINT, as_recorded, span_of
from cli.wiring import identity, new_run_id, open_store, settle_import
from pipeline.cleanup import CLEANUP, Cleaner, Done
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

    \b
    Examples:
      evt cleanup --dry-run
      evt cleanup --older-than 7d
      evt cleanup 4f2a --paid
      evt cleanup --older-than 2w --status completed --status failed --yes
    """
    home, _ = load_home(obj["home"])
    store = open_store(home, unsafe_fs=obj["unsafe_fs"])
    settle_import(home, store)
    named = list(dict.fromkeys(find_known(written, store, home) for written in pipelines))
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
