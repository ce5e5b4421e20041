"""Paying, with real processes, kills and two services that bill; the proof is proofs/money.py, here small."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from projections import events as ev
from projections.failures import AMBIGUOUS, PAID_UNUSABLE, REPEATED
from proofs import money
from proofs.bills import Bill, read_bill, require_equal, require_honest
from proofs.report import BrokenPromiseError
from tests.support import spending
from tests.support.cli import Evt
from tests.support.openai_server import OpenAIServer
from tests.support.service import Charge, status
from tests.support.spending import failed, paid, resolved, write_pipeline

PLAN = {"expected": {"amount": "1", "currency": "USD"}, "at_most": {"amount": "1", "currency": "USD"}}


def call(call_id: str, **more: Any) -> ev.Event:
    """Return the announcement of a call of the attempt that has a plan, see `bill_of`."""
    return spending.call(call_id, **{"attempt": 2, **more})


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="tried where SIGKILL is sure to leave the services alone")
@pytest.mark.parametrize(("kills", "seed"), [(2, 5), pytest.param(8, 20_261_127, marks=pytest.mark.heavy)])
def test_whatever_run_is_killed_every_charge_is_explained_and_the_transcript_is_the_same(kills: int, seed: int):
    """The first seed draws little that has to be waited for."""
    tally = money.prove(kills=kills, seed=seed)
    assert tally.counts["kills"] >= kills
    assert tally.counts["checks of a log against the meters"] > kills


@pytest.mark.parametrize(
    ("events", "charged"),
    [
        ([call("1"), paid("1", "0.10")], ["0.10"]),
        ([call("1")], []),
        ([call("1")], ["0.10"]),
        ([call("1"), failed("1", AMBIGUOUS)], ["0.20"]),
        ([call("1"), failed("1", PAID_UNUSABLE, "0.10"), call("2", request="request of 1")], ["0.10", "0.10"]),
        (
            [call("1"), failed("1", AMBIGUOUS), resolved("1", REPEATED), call("2", request="request of 1")],
            ["0.10", "0.10"],
        ),
    ],
)
def test_what_the_log_explains_is_honest(tmp_path: Path, events: list[ev.Event], charged: list[str]):
    require_honest(bill_of(tmp_path, events), charges(*charged))


@pytest.mark.parametrize(
    ("events", "charged", "promise"),
    [
        ([call("1"), paid("1", "0.10")], [], "M1"),
        ([call("1"), paid("1", "0.10")], ["0.11"], "M1"),
        ([call("1")], ["0.21"], "M1"),
        ([call("1"), paid("1", "0.20")], ["0.10", "0.10"], "M2"),
        ([call("1"), call("2")], ["0.10", "0.10"], "M3"),
        ([call("1", at_most="0.60"), call("2", at_most="0.60")], [], "M4"),
        ([call("1", provider="another")], [], "M4"),
        ([call("1", attempt=3)], [], "M4"),
    ],
)
def test_what_the_log_does_not_explain_breaks_the_promise_that_is_named(
    tmp_path: Path, events: list[ev.Event], charged: list[str], promise: str
):
    with pytest.raises(BrokenPromiseError, match=promise):
        require_honest(bill_of(tmp_path, events), charges(*charged))


def test_a_microdollar_of_difference_in_the_end_is_found(tmp_path: Path):
    bill = bill_of(tmp_path, [call("1"), paid("1", "0.10")])
    assert bill.is_certain
    require_equal(bill, charges("0.10"))
    with pytest.raises(BrokenPromiseError, match="M5"):
        require_equal(bill, charges("0.100001"))


def test_a_piece_that_was_refused_as_too_large_and_is_cut_no_further_is_sent_again_by_the_next_run(tmp_path: Path):
    """It once was stuck with the old refusal, whatever had become of its cause."""
    evt = Evt(tmp_path)
    with OpenAIServer(faults=[status(413)]) as server:
        asked = ["run", evt.speech(seconds=4.0), "--diarizer", "none", "--transcriber", "openai"]
        around = {"OPENAI_API_KEY": "sk-proof", "OPENAI_BASE_URL": server.base_url}
        evt(*asked, code=1, **around)
        server.faults.script()
        evt(*asked, **around)
        refused = [record["data"]["error"]["code"] for record in evt.records() if record["type"] == "call.failed"]
        assert set(refused) == {"too_large"}
        assert max(server.meter.per_request().values()) == 1


def bill_of(home: Path, events: list[ev.Event]) -> Bill:
    """Return what a log with a plan of one dollar and these events says."""
    plan = ev.StageStarted("transcription", 2, "key", 1, "first", (), {"provider": "openai"}, {}, price=PLAN)
    write_pipeline(home, "0123456789abcdef", [ev.StageInterrupted("transcription", 1), plan, *events])
    return read_bill(home)


def charges(*amounts: str) -> dict[str, list[Charge]]:
    """Return charges for one and the same request."""
    return {
        "openai": [Charge("digest", "key", "gpt-transcribe", 60.0, Decimal(text), "USD", 0.0) for text in amounts]
    }
