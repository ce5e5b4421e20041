"""`evt archive`: logs of finished pipelines are compressed, and read as before."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import click
from attrs import define, field

from cli.batching.items import tell_error
from cli.errors import SettingsError
from cli.exit_codes import OK, REFUSED, worst
from cli.home import load_home
from cli.lookup import find_pipeline
from cli.output import say
from cli.render import count, json_line, printable, size
from cli.times import SPAN_HINT, as_recorded, span_of
from cli.wiring import open_store
from eventlog.archive import Archived
from eventlog.errors import EvtError, LogLockedError, NotArchivedError
from eventlog.record import Record
from eventlog.store import SEALED, Store
from projections.fold import fold, initial_state


@define
class _Report:
    """What became of each pipeline; `left` says why a log stays as it is, in a few words."""

    archived: dict[str, Archived] = field(factory=dict)
    restored: list[str] = field(factory=list)
    left: dict[str, str] = field(factory=dict)
    codes: list[int] = field(factory=list)


@click.command("archive", short_help="Compress the logs of finished pipelines; all commands still read them.")
@click.argument("pipelines", nargs=-1, metavar="[ID|NAME|FILE]...")
@click.option("--older-than", metavar="SPAN", help="Only logs of which nothing is younger: 12h, 30d, 2w.")
@click.option("--dry-run", is_flag=True, help="Say what would be saved, and change nothing.")
@click.option("--undo", is_flag=True, help="Unpack archived logs again.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(
    obj: dict[str, Any],
    /,
    pipelines: tuple[str, ...],
    older_than: str | None,
    dry_run: bool,
    undo: bool,
    as_json: bool,
) -> int:
    """Compress the logs of finished pipelines, six to eight times smaller; without an ID, all of the home.

    Every command reads an archived log as before, and `evt run`, `edit` or `speakers` unpack it when they have
    something to write. The log is checked before; it is deleted only when its archive was read back and is the
    same, byte for byte. Logs that are not finished, in use, damaged or in doubt stay as they are.

    \b
    Examples:
      evt archive --older-than 30d --dry-run
      evt archive --older-than 30d
      evt archive talk.wav --undo
    """
    home, _ = load_home(obj["home"])
    store = open_store(home, unsafe_fs=obj["unsafe_fs"])
    before = _before(older_than)
    report = _Report()
    for written in pipelines or store.pipelines():
        try:
            pipeline = find_pipeline(written, store, home)
            if undo:
                _restore(store, pipeline, report, dry_run=dry_run)
            else:
                _archive(store, pipeline, before, report, dry_run=dry_run)
        except EvtError as error:
            report.codes.append(tell_error(written, error))
    if pipelines and report.left:
        report.codes.append(REFUSED)
    for line in [json_line(_as_json(report, dry_run))] if as_json else _lines(report, bool(pipelines), dry_run):
        say(line)
    return worst(report.codes or [OK])


def _before(older_than: str | None) -> str | None:
    """Return the time before which the last record of a log must be."""
    if older_than is None:
        return None
    if (span := span_of(older_than)) is None:
        raise SettingsError(f"--older-than {printable(older_than[:40])} is not {SPAN_HINT}.")
    return as_recorded(datetime.now(UTC) - span)


def _archive(store: Store, pipeline: str, before: str | None, report: _Report, *, dry_run: bool) -> None:
    try:
        reason = "already archived" if store.is_archived(pipeline) else _reason(store, pipeline, before)
        if reason:
            report.left[pipeline] = reason
        else:
            report.archived[pipeline] = store.archive(pipeline, only_try=dry_run)
    except LogLockedError:
        report.left[pipeline] = "in use"
    except NotArchivedError as error:
        report.left[pipeline] = str(error).partition(": ")[2].rstrip(".")  # which log it is stands beside it


def _reason(store: Store, pipeline: str, before: str | None) -> str:
    """Return why a log should stay as it is; empty: it may be archived."""
    last: Record | None = None

    def noted(record: Record) -> Record:
        nonlocal last
        last = record
        return record

    reading = store.stream(pipeline)
    state = fold(initial_state(pipeline), map(noted, reading))
    if (error := store.unusable(pipeline, reading.verdict)) is not None:
        raise error
    if last is None or last.type != SEALED:
        return "not finished"
    if state.open_losses or any(call.in_doubt for call in state.calls.values()):
        return "in doubt"
    return "too young" if before is not None and last.time >= before else ""


def _restore(store: Store, pipeline: str, report: _Report, *, dry_run: bool) -> None:
    is_there = store.is_archived(pipeline) if dry_run else store.unarchive(pipeline)
    if is_there:
        report.restored.append(pipeline)
    else:
        report.left[pipeline] = "not archived"


def _lines(report: _Report, is_each_named: bool, dry_run: bool) -> list[str]:
    lines = [_line(pipeline, saved) for pipeline, saved in report.archived.items()]
    lines += [f"{pipeline}  {'would be ' if dry_run else ''}unpacked" for pipeline in report.restored]
    if is_each_named:
        lines += [f"{pipeline}  stays as it is: {printable(why)}" for pipeline, why in report.left.items()]
    elif report.left:
        counted = Counter(report.left.values()).most_common()
        lines.append("Left as they are: " + ", ".join(f"{n} {printable(why)}" for why, n in counted) + ".")
    before = sum(saved.log_bytes for saved in report.archived.values())
    after = sum(saved.archive_bytes for saved in report.archived.values())
    if report.archived:
        done = "Would archive" if dry_run else "Archived"
        lines.append(
            f"{done} {count(len(report.archived), 'log')}: {size(before - after)} of {size(before)} saved."
        )
    return lines or ["No logs."]


def _line(pipeline: str, saved: Archived) -> str:
    times = saved.log_bytes / saved.archive_bytes
    return f"{pipeline}  {size(saved.log_bytes)} → {size(saved.archive_bytes)}, {times:.1f} times smaller"


def _as_json(report: _Report, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "archived": [
            {"pipeline": pipeline, "log_bytes": saved.log_bytes, "archive_bytes": saved.archive_bytes}
            for pipeline, saved in report.archived.items()
        ],
        "unpacked": report.restored,
        "left": [{"pipeline": pipeline, "reason": why} for pipeline, why in report.left.items()],
    }
