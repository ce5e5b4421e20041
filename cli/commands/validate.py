"""`evt validate`: the log's chain, the schema of each event, and every artifact against its digest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from attrs import field, frozen

from cli.exit_codes import DAMAGED, FAILED, OK, worst
from cli.home import load_home
from cli.lookup import find_known, known_pipelines
from cli.render import count, json_line, printable
from eventlog.errors import CorruptLogError, LogGoneError, LogStorageError
from eventlog.reader import Head, Tail, Verdict
from eventlog.record import Record
from eventlog.store import Store
from pipeline.artifacts import Artifacts
from pipeline.errors import ArtifactMismatchError, ArtifactMissingError
from pipeline.home import Home
from projections.events import ArtifactRef, EventDataError, from_data
from projections.fold import fold, initial_state
from projections.state import PipelineState

PROBLEMS_MAX = 100
"""So many records of wrong data are named; more say nothing new."""
_RESTORE = "restore the log from a backup; `evt run` says which command goes on without what is lost"
_WRITER_UNKNOWN = "find out which program wrote it"
MISSING, CHANGED, LOG, SCHEMA = "missing", "changed", "log", "schema"


@frozen
class Problem:
    """Something that is not as the log says; `kind` is log, schema, missing or changed."""

    kind: str
    what: str
    remedy: str


@frozen
class Report:
    """What was checked of one pipeline, and what is wrong."""

    pipeline: str
    records: int
    artifacts: int
    problems: list[Problem] = field(factory=list)
    notes: list[str] = field(factory=list)

    @property
    def exit_code(self) -> int:
        """4 for a damaged log, 1 for anything else that is wrong."""
        if any(problem.kind == LOG for problem in self.problems):
            return DAMAGED
        return FAILED if self.problems else OK


@click.command("validate", short_help="Check logs and artifacts against their digests.")
@click.argument("pipelines", nargs=-1, metavar="[ID|NAME|FILE]...")
@click.option("--head", "expected", metavar="SEQ:HASH", help="A head that `evt head` printed for this log earlier.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, pipelines: tuple[str, ...], expected: str | None, *, as_json: bool) -> int:
    """Check the chain of each log, the schema of each event, and every file against its digest.

    Without an ID, all pipelines of the home. Nothing is changed. Exit code 4: a log is damaged or gone, or
    is not the one that a head names; 1: a file is missing or changed.

    With --head, and a head that was kept elsewhere, a success proves that nothing up to that record was
    changed or cut off since. Without one nobody can tell a log from a shorter one.

    \b
    Examples:
      evt validate
      evt validate talk.wav --head 19:5f0c…
    """
    home, _ = load_home(obj["home"])
    store = Store(str(home.logs))
    chosen = [find_known(written, store, home) for written in pipelines] or known_pipelines(store, home)
    head = None if expected is None else _parsed(expected, chosen)
    reports = [_check(pipeline, store, home, head) for pipeline in chosen]
    if as_json:
        click.echo(json_line([_as_json(report) for report in reports]))
    else:
        click.echo("\n".join(line for report in reports for line in _lines(report)) or "No pipelines.")
    return worst([report.exit_code for report in reports])


def _parsed(text: str, chosen: list[str]) -> Head:
    match = re.fullmatch(r"([1-9][0-9]{0,17}):([0-9a-fA-F]{64})", text.strip())
    if match is None:
        raise click.BadParameter(f"{printable(text[:90])} is no head; it looks like 19:5f0c… (64 digits).")
    if len(chosen) != 1:
        raise click.UsageError("--head is about one log; name it.")
    return Head(int(match[1]), match[2].lower())


def _check(pipeline: str, store: Store, home: Home, expected: Head | None) -> Report:
    if not Path(store.path(pipeline)).exists():
        gone = f"the log {store.path(pipeline)} is gone, its files are still there"
        return Report(pipeline, 0, 0, [Problem(LOG, gone, "restore it from a backup, or remove the files")])
    problems: list[Problem] = []
    try:
        reading = store.stream(pipeline)
        state = fold(initial_state(pipeline), _checked(reading, expected, problems))
    except (LogGoneError, LogStorageError, CorruptLogError) as error:
        return Report(pipeline, 0, 0, [Problem(LOG, str(error), "mend the disk, or restore the log from a backup")])
    verdict = reading.verdict
    kept = [ref for ref in state.artifacts if ref.path not in state.erased]
    report = Report(pipeline, state.seq, len(kept), problems)
    report.problems.extend(_log_problems(verdict, expected))
    report.problems.extend(_state_problems(state))
    report.problems.extend(_artifact_problems(kept, Artifacts(home.artifacts(pipeline))))
    try:
        report.problems.extend(
            Problem(SCHEMA, text, _WRITER_UNKNOWN) for text in store.findings(pipeline, state.set_aside_gone)
        )
    except LogStorageError as error:
        report.problems.append(Problem(LOG, str(error), "mend that, and look again"))
    if verdict.tail in {Tail.TORN, Tail.UNTERMINATED}:
        report.notes.append(
            f"in progress: the last line (byte {verdict.offset}) is not whole yet; "
            "if no run is under way, the next `evt run` sets it aside"
        )
    report.notes.extend(
        f"records may be lost: {loss.type} in record {loss.seq}, see {loss.file}; `evt accept {pipeline}` goes on"
        for loss in state.open_losses
    )
    return report


def _checked(records: Iterable[Record], expected: Head | None, problems: list[Problem]) -> Iterator[Record]:
    """Pass records on; note those whose data are not of their type, and one that is not the expected head."""
    for record in records:
        try:
            from_data(record.type, record.data)
        except EventDataError as error:
            if len(problems) < PROBLEMS_MAX:
                problems.append(Problem(SCHEMA, f"record {record.seq} ({record.type}): {error}", _WRITER_UNKNOWN))
        if expected is not None and record.seq == expected.seq and record.line_sha256 != expected.sha256:
            what = f"record {record.seq} is not the one that the head names: it or one before it was changed"
            problems.append(Problem(LOG, what, _RESTORE))
        yield record


def _log_problems(verdict: Verdict, expected: Head | None) -> Iterator[Problem]:
    if verdict.tail in {Tail.CORRUPT, Tail.NEWER}:
        what = f"record {verdict.seq + 1} at byte {verdict.offset}: {verdict.reason}"
        yield Problem(LOG, what, "install the newer evt" if verdict.tail is Tail.NEWER else _RESTORE)
    if expected is not None and expected.seq > verdict.seq:
        lost = f"the head names record {expected.seq}, and the log ends at {verdict.seq}: its end was cut off"
        yield Problem(LOG, lost, _RESTORE)


def _state_problems(state: PipelineState) -> Iterator[Problem]:
    for finding in state.findings:
        yield Problem(SCHEMA, finding.text, _WRITER_UNKNOWN)
    by = f"evt {printable(state.written_by)}" if state.written_by else "a newer evt"
    for seq, name in state.foreign:
        yield Problem(SCHEMA, f"record {seq} is a {name!r}", f"{by} wrote it; install that version")


def _artifact_problems(kept: Iterable[ArtifactRef], artifacts: Artifacts) -> Iterator[Problem]:
    for ref in kept:
        try:
            artifacts.open(ref)
        except ArtifactMissingError:
            yield Problem(MISSING, f"{artifacts.path(ref)} is missing", _remedy(ref))
        except ArtifactMismatchError:
            yield Problem(CHANGED, f"{artifacts.path(ref)} is not what was written", _remedy(ref))


def _remedy(ref: ArtifactRef) -> str:
    return "`evt run` makes it again if something needs it; restore it from a backup to keep the old one"


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "pipeline": report.pipeline,
        "ok": not report.problems,
        "records": report.records,
        "artifacts": report.artifacts,
        "problems": [{"kind": p.kind, "what": printable(p.what), "remedy": p.remedy} for p in report.problems],
        "notes": report.notes,
    }


def _lines(report: Report) -> Iterator[str]:
    state = "ok" if not report.problems else count(len(report.problems), "problem")
    yield f"{report.pipeline}: {count(report.records, 'record')}, {count(report.artifacts, 'file')}: {state}"
    for problem in report.problems:
        yield f"  {problem.kind}: {printable(problem.what)}. What to do: {problem.remedy}."
    for note in report.notes:
        yield f"  {printable(note)}"
