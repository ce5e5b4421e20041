"""Whatever goes wrong at a paid call: the same transcript in the end, and nothing paid twice without a record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from projections.limits import ASK, Limits
from projections.money import money_from
from tests.support.openai_server import TRANSCRIBE
from tests.support.paid import BOTH, LIMITS, TURNS, Paid, repeats
from tests.support.pyannoteai_server import CANCELED, FAILED, OUTPUT_GONE, UNKNOWN, JobFault
from tests.support.service import (
    CHARGED,
    RESET_AFTER_ACCEPTANCE,
    RETRY_AFTER,
    TRICKLE,
    UNCHARGED,
    Fault,
    status,
)

SUBMIT = "POST /v1/diarize"
QUOTA = {"error": {"type": "insufficient_quota", "code": "insufficient_quota", "message": "no quota"}}
BUSY = {"error": {"type": "requests", "code": "rate_limit_exceeded", "message": "slow down"}}
FAULTS = {
    **{kind: Fault(kind, nth=1) for kind in (*UNCHARGED, *CHARGED)},
    "trickle": Fault(TRICKLE, nth=1, pace_s=0.001),
    "500": status(500, {"error": {"type": "server_error", "message": "oops"}}, nth=1),
    "500 billed": status(500, b"", nth=1, charged=True),
    "502": status(502, b"<html>bad gateway</html>", nth=1),
    "503": status(503, {"error": {"code": "server_is_overloaded"}}, nth=1),
    **{f"429 {form}": status(429, BUSY, headers=RETRY_AFTER[form], nth=1) for form in ("seconds", "absent")},
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    texts = {}
    for options in (BOTH, TURNS):
        with Paid(tmp_path_factory.mktemp("undisturbed")) as paid:
            result = paid.run(paid.shop(), options)
            assert result is not None
            assert result.outcome == "completed"
            assert max(paid.charged().values()) == 1
            texts[options["model"]] = paid.text()
    return texts


@pytest.fixture
def paid(tmp_path: Path) -> Iterator[Paid]:
    with Paid(tmp_path) as services:
        yield services


def finish(paid: Paid, options: dict[str, str], limits: Limits = LIMITS) -> None:
    """Run again until done; five lives are more than any of these faults needs."""
    for life in range(5):
        shop = paid.shop(limits=limits)
        result = paid.run(shop, options)
        paid.require_balanced(paid.state(shop))
        if result is None or result.outcome == "completed":
            return
        if life == 1:
            paid.heal()
    pytest.fail(f"not finished: {result}")


def require_paid_once(paid: Paid) -> None:
    """Charges beyond the first of a request are what the log calls repeated, unusable or given up."""
    state = paid.state(paid.shop())
    twice = sum(count - 1 for count in paid.charged().values())
    assert twice <= repeats(state)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [pytest.param(BOTH, id="chunks"), pytest.param(TURNS, id="turns", marks=pytest.mark.heavy)]
)
@pytest.mark.parametrize("nth", [1, *(pytest.param(nth, marks=pytest.mark.heavy) for nth in (2, 3))])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_transcriber_changes_neither_the_text_nor_the_bill(paid, undisturbed, name, nth, options):
    """At each call; there are three, of chunks and of turns."""
    paid.openai.faults.script(evolve(FAULTS[name], nth=nth, endpoint=TRANSCRIBE))
    finish(paid, options)
    assert sum(paid.openai.faults.hits.values()) == 1
    assert paid.text() == undisturbed[options["model"]]
    require_paid_once(paid)


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", ["GET /v1/test", "POST /v1/media/input", "PUT *", SUBMIT, "GET /v1/jobs/*"])
@pytest.mark.parametrize(
    "name",
    [
        *("reset_after_acceptance", "500", "429 seconds"),
        *(pytest.param(name, marks=pytest.mark.heavy) for name in ("reset_before_body", "502", "html")),
    ],
)
def test_a_fault_of_the_diarizer_changes_neither_the_text_nor_the_bill(paid, undisturbed, name, endpoint):
    paid.pyannoteai.faults.script(evolve(FAULTS[name], endpoint=endpoint))
    finish(paid, BOTH)
    assert sum(paid.pyannoteai.faults.hits.values()) == 1
    assert paid.text() == undisturbed["whisper-1"]
    require_paid_once(paid)


@pytest.mark.slow
def test_a_job_that_was_accepted_without_an_answer_is_found_and_paid_once(paid, undisturbed):
    paid.pyannoteai.faults.script(Fault(RESET_AFTER_ACCEPTANCE, endpoint=SUBMIT, nth=1))
    shop = paid.shop(limits=Limits(in_doubt=ASK, retry_wait_s=0.01))
    result = paid.run(shop)
    assert result is not None
    assert result.outcome == "completed"
    assert [call.resolution for call in paid.state(shop).calls.values() if call.resolution] == ["adopted"]
    assert set(paid.charged().values()) == {1}
    assert paid.text() == undisturbed["whisper-1"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [FAILED, CANCELED])
def test_a_job_that_comes_to_nothing_costs_nothing_and_the_next_run_submits_again(paid, undisturbed, kind):
    paid.pyannoteai.job_faults = [JobFault(kind, nth=1)]
    result = paid.run(paid.shop())
    assert result is not None
    assert result.outcome == "failed"
    paid.heal()
    finish(paid, BOTH)
    assert paid.text() == undisturbed["whisper-1"]
    assert set(paid.charged().values()) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [OUTPUT_GONE, UNKNOWN])
def test_a_job_whose_result_is_gone_is_paid_again_only_on_request(paid, undisturbed, kind):
    paid.pyannoteai.job_faults = [JobFault(kind, nth=1)]
    result = paid.run(paid.shop(limits=Limits(retry_wait_s=0.01)))
    assert result is not None
    assert result.outcome == "needs_decision"
    assert len(paid.pyannoteai.jobs) == 1
    result = paid.run(paid.shop(limits=Limits(retry_wait_s=0.01)))
    assert result is None or result.outcome == "needs_decision"
    assert len(paid.pyannoteai.jobs) == 1
    finish(paid, BOTH)
    assert paid.text() == undisturbed["whisper-1"]
    assert "repeated" in {call.resolution for call in paid.state(paid.shop()).calls.values()}


@pytest.mark.slow
def test_without_quota_nothing_more_is_sent_and_a_later_run_goes_on(paid, undisturbed):
    """The calls that were under way when the first answer came may still be answered; no other begins."""
    paid.openai.faults.script(status(429, QUOTA, endpoint=TRANSCRIBE))
    shop = paid.shop()
    result = paid.run(shop)
    assert result is not None
    assert result.outcome == "needs_decision"
    kinds = [call.kind for call in paid.state(shop).calls.values() if call.started.provider == "openai"]
    assert set(kinds) == {"needs_money"}
    sent = paid.openai.count(TRANSCRIBE)
    assert sent == len(kinds)
    assert paid.openai.meter.charges == []
    paid.heal()
    finish(paid, BOTH)
    assert paid.text() == undisturbed["whisper-1"]
    assert set(paid.charged().values()) == {1}


@pytest.mark.slow
def test_an_unusable_answer_is_asked_for_once_more_and_then_fails(paid):
    paid.openai.faults.script(Fault("empty_object", endpoint=TRANSCRIBE))
    shop = paid.shop()
    result = paid.run(shop)
    assert result is not None
    assert result.outcome == "failed"
    assert max(paid.openai.meter.per_request().values()) == 2
    calls = [call for call in paid.state(shop).calls.values() if call.started.provider == "openai"]
    assert {call.kind for call in calls} == {"paid_unusable"}
    assert all(money_from(call.cost) for call in calls)


@pytest.mark.slow
def test_what_exceeds_the_limit_is_asked_about_and_not_sent(paid):
    paid.openai.faults.script(Fault(RESET_AFTER_ACCEPTANCE, endpoint=TRANSCRIBE))
    shop = paid.shop(limits=Limits(in_doubt=ASK, retry_wait_s=0.01))
    result = paid.run(shop)
    assert result is not None
    assert result.outcome == "needs_decision"
    assert set(paid.openai.meter.per_request().values()) == {1}
    before = paid.openai.count(TRANSCRIBE)
    again = paid.run(paid.shop(limits=Limits(in_doubt=ASK)))
    assert again is None or again.outcome == "needs_decision"
    assert paid.openai.count(TRANSCRIBE) == before
