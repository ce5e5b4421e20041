"""`evt validate`: the log's chain, the schema of each event, and every artifact against its digest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from attrs import field, frozen

from cli.exit_codes import DAMAGED, FAILED, OK, worst
from cli.home import load_home
from cli.lookup import find_known, known_pipelines
from cli.render import count, json_line, printable
from eventlog.errors import LogGoneError, LogStorageError
from eventlog.reader import Tail
from eventlog.record import Record
from eventlog.store import Store
from pipeline.artifacts import Artifacts
from pipeline.errors import ArtifactMismatchError, ArtifactMissingError
from pipeline.home import Home
from projections.events import ArtifactRef, EventDataError, from_data
from projections.fold import fold, initial_state
from projections.state import PipelineState

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
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, pipelines: tuple[str, ...], as_json: bool) -> int:
    """Check the chain of each log, the schema of each event, and every file against its digest.

    Without an ID, all pipelines of the home. Nothing is changed. Exit code 4: a log is damaged or gone;
    1: a file is missing or changed.
    """
    home, _ = load_home(obj["home"])
    store = Store(str(home.logs))
    chosen = [find_known(written, store, home) for written in pipelines] or known_pipelines(store, home)
    reports = [_check(pipeline, store, home) for pipeline in chosen]
    if as_json:
        click.echo(json_line([_as_json(report) for report in reports]))
    else:
        click.echo("\n".join(line for report in reports for line in _lines(report)) or "No pipelines.")
    return worst([report.exit_code for report in reports])


def _check(pipeline: str, store: Store, home: Home) -> Report:
    if not Path(store.path(pipeline)).exists():
        gone = f"the log {store.path(pipeline)} is gone, its files are still there"
        return Report(pipeline, 0, 0, [Problem(LOG, gone, "restore it from a backup, or remove the files")])
    try:
        view = store.read(pipeline)
    except (LogGoneError, LogStorageError) as error:
        return Report(pipeline, 0, 0, [Problem(LOG, str(error), "mend the disk, or restore the log from a backup")])
    state = fold(initial_state(pipeline), view.records)
    report = Report(pipeline, len(view.records), len(state.artifacts))
    verdict = view.verdict
    if verdict.tail in {Tail.CORRUPT, Tail.NEWER}:
        what = f"record {verdict.seq + 1} at byte {verdict.offset}: {verdict.reason}"
        remedy = "restore the log from a backup" if verdict.tail is Tail.CORRUPT else "install the newer evt"
        report.problems.append(Problem(LOG, what, remedy))
    elif verdict.tail is not Tail.CLEAN:
        report.notes.append(
            f"in progress: the last line (byte {verdict.offset}) is not whole yet; "
            "if no run is under way, the next `evt run` sets it aside"
        )
    report.problems.extend(_schema_problems(view.records, state))
    report.problems.extend(_artifact_problems(state, Artifacts(home.artifacts(pipeline))))
    report.problems.extend(Problem(SCHEMA, text, _WRITER_UNKNOWN) for text in store.findings(pipeline))
    return report


def _schema_problems(records: list[Record], state: PipelineState) -> Iterator[Problem]:
    for record in records:
        try:
            from_data(record.type, record.data)
        except EventDataError as error:
            yield Problem(SCHEMA, f"record {record.seq} ({record.type}): {error}", _WRITER_UNKNOWN)
    for finding in state.findings:
        yield Problem(SCHEMA, finding.text, _WRITER_UNKNOWN)
    for seq, name in state.unknown:
        yield Problem(SCHEMA, f"record {seq} is a {name!r}", "a newer evt wrote it; install that version")


def _artifact_problems(state: PipelineState, artifacts: Artifacts) -> Iterator[Problem]:
    for ref in state.artifacts:
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
