"""What `evt cost` found, in its three forms: for people, as JSON values, as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

from cli.render import moment, printable
from cli.reports.costs import cost_table, meanings
from projections.cost import COLUMNS, Row, Sums, Together
from projections.summary import as_json

_IDS_SHOWN = 3


@frozen
class Account:
    """What one log says of money.

    Attributes:
        error: why not all of it could be read.
        lacking: why its sums may lack something, though all of it was read.
        in_doubt: calls wait for a decision.
        abandoned: calls have no outcome, and no run waits for one.
    """

    pipeline: str
    name: str = ""
    rows: tuple[Row, ...] = ()
    error: str | None = None
    lacking: str | None = None
    in_doubt: bool = False
    abandoned: bool = False


@frozen
class Report:
    """What was asked (`since` is a time as records write it, or empty), and what all logs say."""

    by: str
    since: str
    accounts: Sequence[Account]
    rows: tuple[Row, ...]
    totals: tuple[Sums, ...]
    together: Together | None

    @property
    def names(self) -> dict[str, str]:
        """The names of pipelines by id, where rows are about pipelines."""
        return {account.pipeline: account.name for account in self.accounts} if self.by == "pipeline" else {}


def in_words(report: Report, *, quiet: bool) -> str:
    """Return a table and, unless quiet, what its columns mean and what can be done."""
    if not report.accounts:
        return "No pipelines."
    if not report.rows:
        since = f" since {moment(report.since)} UTC" if report.since else ""
        return f"Nothing was paid{since}."
    lines = [cost_table(report.rows, report.totals, report.by, report.names)]
    notes = [] if quiet else [*_together_line(report), *meanings(report.totals), *_advice(report)]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _together_line(report: Report) -> Iterator[str]:
    both = report.together
    if both is not None:
        more = f", at most {both.at_most}" if both.at_most != both.paid else ""
        yield f"Together about {both.paid} paid{more}, at the rates of {both.rates_date}."


def _advice(report: Report) -> Iterator[str]:
    """Yield what to do about calls of which something is open."""
    doubtful = [account.pipeline for account in report.accounts if account.in_doubt]
    left = [account.pipeline for account in report.accounts if account.abandoned]
    if doubtful:
        yield f"What to do about doubts: {_runs(doubtful)} looks what became of them (see its --in-doubt)."
    if left:
        yield f"A run ended before all answers came: {_runs(left)} looks for them."


def _runs(pipelines: Sequence[str]) -> str:
    shown = ", ".join(f"`evt run {pipeline}`" for pipeline in pipelines[:_IDS_SHOWN])
    more = len(pipelines) - _IDS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def report_as_json(report: Report) -> dict[str, Any]:
    """Return the report for programs; the help of `evt cost` describes it."""
    lacking = ((account.pipeline, account.error or account.lacking) for account in report.accounts)
    return {
        "by": report.by,
        "since": report.since or None,
        "rows": [{**_group(report, row), **_sums(row.sums)} for row in report.rows],
        "totals": [_sums(sums) for sums in report.totals],
        "together": None if report.together is None else _together(report.together),
        "incomplete": [{"pipeline": pipeline, "reason": reason} for pipeline, reason in lacking if reason],
    }


def _group(report: Report, row: Row) -> dict[str, Any]:
    name = {"name": report.names[row.group]} if report.names else {}
    return {report.by: row.group or None, **name}


def _sums(sums: Sums) -> dict[str, Any]:
    found: dict[str, Any] = as_json(sums)
    return {"currency": found.pop("currency"), "calls": sums.calls, **found}


def _together(both: Together) -> dict[str, Any]:
    return {"paid": both.paid.as_data(), "at_most": both.at_most.as_data(), "rates_date": both.rates_date}


def report_as_csv(report: Report) -> str:
    """Return the rows as CSV with a header; amounts have a point, what is unknown is empty."""
    import csv
    import io

    names = ["name"] if report.by == "pipeline" else []
    columns = [name for column in COLUMNS for name in (column, f"{column}_calls")]
    text = io.StringIO()
    writer = csv.DictWriter(text, [report.by, *names, "currency", "calls", *columns], lineterminator="\n")
    writer.writeheader()
    for row in report.rows:
        cells = {**_group(report, row), **_flat(row.sums)}
        writer.writerow({name: printable(cell) if isinstance(cell, str) else cell for name, cell in cells.items()})
    return text.getvalue()


def _flat(sums: Sums) -> dict[str, Any]:
    found = _sums(sums)
    flat = {"currency": found["currency"], "calls": found["calls"]}
    for column in COLUMNS:
        flat |= {column: found[column]["amount"], f"{column}_calls": found[column]["calls"]}
    return flat
