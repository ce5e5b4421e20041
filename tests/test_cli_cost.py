"""`evt cost` over logs that the real store wrote: what was paid, in doubt, repeated, under way, and not known."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest

from cli.system import is_locked
from eventlog.store import Store
from projections import events as ev
from projections.failures import AMBIGUOUS, NOT_SENT, REPEATED
from tests.support.cli import Evt
from tests.support.spending import BEGIN, call, failed, paid, resolved, write_pipeline

pytestmark = pytest.mark.slow

TALK, MEETING, LOCAL = "11aa22bb33cc44dd", "22bb33cc44dd55ee", "33cc44dd55ee66ff"
JOBS = {"provider": "pyannoteai", "model": "precision-2", "currency": "EUR"}
DAY = timedelta(days=1)


@pytest.fixture
def spent(evt: Evt) -> Evt:
    """A home with two pipelines that cost something, and one that didn't."""
    talk = [
        *(call("t1"), paid("t1", "0.0450"), call("t2"), paid("t2", "0.0300", "estimated")),
        *(call("t3"), failed("t3", AMBIGUOUS), resolved("t3", REPEATED), call("t4", repeats="t3")),
        *(paid("t4", "0.0450"), call("t5"), failed("t5", AMBIGUOUS), call("t6"), failed("t6", NOT_SENT)),
        *(call("t7", None, None, model=None), paid("t7", None)),
    ]
    meeting = [
        *(call("m1", **JOBS), paid("m1", "1.20", currency="EUR")),
        *(call("m2", "0.50", "0.75", **JOBS), ev.CallAccepted("m2", "job-2")),
        *(call("m3", model="whisper-1"), paid("m3", "0.36")),
    ]
    write_pipeline(evt.home, TALK, talk)
    write_pipeline(evt.home, MEETING, meeting, name="meeting.mp3", begin=BEGIN + 3 * DAY)
    write_pipeline(evt.home, LOCAL, [call("l1", billable=False), paid("l1", None)], name="local.wav")
    return evt


def table(text: str) -> dict[tuple[str, str], list[str]]:
    """Return the numbers of each line of a table, by its first word and its currency."""
    found = {}
    for words in map(str.split, text.splitlines()):
        at = next((at for at, word in enumerate(words[:11]) if word in {"USD", "EUR", "unknown"}), 0)
        if at > 2 and words[0] != "Together":
            found[words[0], words[at]] = words[1:at]
    return found


def test_all_pipelines_are_summed_by_provider_with_a_total_for_each_currency(spent: Evt) -> None:
    said = spent("cost").stdout
    usd, eur, unknown = (
        ["6", "0.4500", "0.0300", "0.2000", "0.2000", "-"],
        ["2", "1.2000", "-", "-", "-", "0.7500"],
        ["1", "-", "1", "call", "-", "-", "-"],
    )
    assert table(said) == {
        ("openai", "USD"): usd,
        ("openai", "unknown"): unknown,
        ("pyannoteai", "EUR"): eur,
        ("Total", "USD"): usd,
        ("Total", "unknown"): unknown,
        ("Total", "EUR"): eur,
    }
    assert "Together about 1.87 USD paid, at most 3.14 USD, at the rates of 2026-" in said
    assert f"`evt run {TALK}`" in said


def test_the_sums_of_one_pipeline_are_told_apart_by_model(spent: Evt) -> None:
    one = spent("cost", TALK[:4]).stdout
    assert one.split("\n", 2)[1].startswith("MODEL ")
    assert set(table(one)) == {
        *(("gpt-transcribe", "USD"), ("(not", "unknown")),
        *(("Total", "USD"), ("Total", "unknown")),
    }
    assert "Together" not in one
    assert spent("cost", TALK, MEETING).stdout == spent("cost").stdout
    assert spent("cost", "meeting.mp3", MEETING).stdout == spent("cost", MEETING).stdout


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("provider", {"openai", "pyannoteai"}),
        ("model", {"gpt-transcribe", "whisper-1", "precision-2", None}),
        ("day", {"2026-11-01", "2026-11-04"}),
        ("pipeline", {TALK, MEETING}),
    ],
)
def test_sums_by_anything_are_the_same_in_all_forms(spent: Evt, by: str, groups: set[str | None]) -> None:
    report = spent.json("cost", "--by", by)
    assert {row[by] for row in report["rows"]} == groups
    assert report["by"] == by
    rows = list(csv.DictReader(StringIO(spent("cost", "--by", by, "--csv").stdout)))
    assert [from_csv(row) for row in rows] == [flat(row) for row in report["rows"]]
    paid_in_eur = sum(Decimal(row["billed"]) for row in rows if row["currency"] == "EUR")
    assert paid_in_eur == Decimal("1.20")
    shown = spent("cost", "--by", by).stdout
    assert {group or "(not" for group in groups} | {"Total"} == {first for first, _ in table(shown)}
    assert ("meeting.mp3" in shown) == (by == "pipeline")


def from_csv(row: dict[str, str]) -> dict[str, Any]:
    return {name: value or None for name, value in row.items()}


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the JSON report as the CSV report has it."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            found |= {name: value["amount"], f"{name}_calls": str(value["calls"])}
        else:
            found[name] = str(value) if isinstance(value, int) else value
    return found


def test_the_json_report_says_what_was_counted_and_what_is_not_known(spent: Evt) -> None:
    report = spent.json("cost", TALK)
    assert [row["model"] for row in report["rows"]] == [None, "gpt-transcribe"]
    unknown, known = report["rows"]
    assert (unknown["currency"], unknown["calls"]) == (None, 1)
    assert unknown["estimated"] == {"amount": None, "calls": 1}
    assert known["in_doubt"] == known["repeated"] == {"amount": "0.200000", "calls": 1}
    assert (report["since"], report["together"], report["incomplete"]) == (None, None, [])
    together = spent.json("cost")["together"]
    assert together["paid"] == {"amount": "1.872000", "currency": "USD"}


def test_since_leaves_out_what_began_earlier(spent: Evt) -> None:
    spent_later = spent.json("cost", "--since", "2026-11-02")
    assert {row["currency"]: row["calls"] for row in spent_later["totals"]} == {"EUR": 2, "USD": 1}
    assert spent_later["since"] == "2026-11-02T00:00:00.000000Z"
    # The second call of the meeting began six seconds after its log, the third two seconds later.
    since = "2026-11-04T11:00:07+02:00"
    assert spent.json("cost", "--since", since)["rows"][0]["calls"] == 1
    later = spent("cost", "--since", "2027-01-01").stdout
    assert later == "Nothing was paid since 2027-01-01 00:00:00 UTC.\n"
    assert "--since" in spent("cost", "--since", "soon", code=3).stderr
    assert "--since" in spent("cost", "--since", "", code=3).stderr


def test_since_can_be_a_span_before_now(evt: Evt) -> None:
    now = datetime.now(UTC)
    write_pipeline(evt.home, TALK, [call("a"), paid("a", "1.00")], begin=now - 9 * DAY)
    write_pipeline(evt.home, MEETING, [call("a"), paid("a", "2.00")], begin=now - 5 * DAY)
    for span, amount in (("7d", "2.000000"), ("2w", "3.000000"), ("168h", "2.000000")):
        assert evt.json("cost", "--since", span)["totals"][0]["billed"]["amount"] == amount, span


def test_a_damaged_and_a_lost_log_are_named_and_the_others_summed(spent: Evt) -> None:
    log = spent.home / "logs" / TALK[:2] / f"{TALK}.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    # The first call and its answer are the fifth and the sixth record.
    lines[6] = lines[6].replace(b"call.started", b"call.startle")
    log.write_bytes(b"".join(lines))
    gone = "44dd55ee66ff7788"
    (spent.home / "artifacts" / gone).mkdir(parents=True)
    done = spent("cost", "--json", code=4)
    assert TALK in done.stderr
    assert gone in done.stderr
    report = json.loads(done.stdout)
    assert {one["pipeline"] for one in report["incomplete"]} == {TALK, gone}
    usd = next(row for row in report["totals"] if row["currency"] == "USD")
    assert usd["billed"] == {"amount": "0.405000", "calls": 2}
    assert spent("cost", MEETING).stderr == ""


def test_a_log_that_is_not_wholly_understood_is_named(spent: Evt) -> None:
    events = [call("a"), paid("a", "1.00"), paid("never begun", "9.00")]
    write_pipeline(spent.home, "55ee66ff77889900", events)
    done = spent("cost")
    assert done.stderr.startswith("Note: 55ee66ff77889900")
    assert "1.4500" in done.stdout
    assert spent("-q", "cost").stderr == ""


def test_where_nothing_was_paid_that_is_said(evt: Evt) -> None:
    assert evt("cost").stdout == "No pipelines.\n"
    write_pipeline(evt.home, LOCAL, [call("l1", billable=False), paid("l1", None)])
    assert evt("cost").stdout == "Nothing was paid.\n"
    assert evt.json("cost")["rows"] == []
    assert evt("cost", "--csv").stdout.startswith("provider,currency,calls,billed,")
    assert "cost" not in evt("show", LOCAL).stdout
    assert "evt list" in evt("cost", "nothing", code=3).stderr
    evt("cost", "--json", "--csv", code=2)


def test_show_and_the_detailed_list_say_what_a_pipeline_cost(spent: Evt) -> None:
    words = (
        "0.12 USD paid (0.03 USD of it estimated), up to 0.20 USD perhaps paid, "
        "up to 0.20 USD perhaps paid twice; 1 call of unknown cost"
    )
    assert f"  cost       {words}\n" in spent("show", TALK).stdout
    listed = spent("list", "--detailed").stdout
    assert f"  cost       {words}\n" in listed
    assert "  cost       1.20 EUR paid, up to 0.75 EUR under way; 0.36 USD paid\n" in listed
    assert listed.count("  cost ") == 2
    by_id = {summary["pipeline_id"]: summary["cost"] for summary in spent.json("list")}
    assert by_id[MEETING][1]["billed"] == {"amount": "0.360000", "calls": 1}
    assert by_id[LOCAL] == []


def test_who_reads_is_told_what_to_do_about_answers_that_nobody_waits_for(evt: Evt) -> None:
    writer = write_pipeline(evt.home, TALK, [call("a")], keep_open=True)
    if is_locked(writer_path(evt)) is None:
        pytest.skip("NOT RUN: this system doesn't tell who holds a lock")
    advice = f"`evt run {TALK}` looks for them"
    assert advice not in evt("cost").stdout
    writer.close()
    assert advice in evt("cost").stdout
    assert advice not in evt("-q", "cost").stdout


def writer_path(evt: Evt) -> str:
    return Store(str(evt.home / "logs")).path(TALK)


def test_names_that_would_drive_a_terminal_or_break_a_row_stay_text(evt: Evt) -> None:
    odd = call("a", provider="p\x1b[2J", model='comma, "quote"\nline', currency="\x9bX")
    write_pipeline(evt.home, TALK, [odd, paid("a", "1.00", currency="\x9bX")], name="a,\u202eb\n.wav")
    shown = [evt("cost").stdout, *(evt("cost", TALK, "--by", by, "--csv").stdout for by in ("pipeline", "model"))]
    assert not {"\x1b", "\x9b", "\u202e"} & set("".join(shown))
    (row,) = csv.DictReader(StringIO(shown[1]))
    assert (row["name"], row["billed"]) == ("a,\\u202eb\\x0a.wav", "1.000000")
    (row,) = csv.DictReader(StringIO(shown[2]))
    assert row["model"] == 'comma, "quote"\\x0aline'
