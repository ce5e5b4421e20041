"""Edges of paid calls that need two things at the same moment, or more than one recording."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve

from pipeline.artifacts import Artifacts
from pipeline.calls.aftermath import settlements
from pipeline.calls.asking import Calls
from pipeline.calls.obtaining import CallTools, Obtaining, _Line
from pipeline.calls.requests import Request
from pipeline.errors import StoppedError
from pipeline.providers.services import load_services
from pipeline.runner import ActiveRun, recording_into
from projections.decisions import RUN
from projections.engine import Engine
from projections.events import CallFailed, CallStarted, StageError, StageStarted
from projections.failures import AMBIGUOUS, LOCAL
from projections.fold import fold, initial_state
from projections.graph import DIARIZATION, TRANSCRIPTION
from projections.limits import Limits
from projections.money import Money, Price
from projections.options import Named
from projections.paying import before_paying
from projections.plan import StagePlan
from projections.prices import Unit
from tests.support.openai_server import TRANSCRIBE
from tests.support.paid import LIMITS, Paid
from tests.support.runs import AROUND, PIPELINE, as_records, created, run_started
from tests.support.service import Fault, status
from tests.support.shop import Quiet, write_speech

ENGINE = Engine("pyannoteai", 1, network=True, billable=True, origin="https://api.pyannote.ai", account="0b0b0b0b")


@pytest.fixture
def paid(tmp_path: Path) -> Iterator[Paid]:
    with Paid(tmp_path) as services:
        yield services


def test_a_job_that_is_accepted_after_its_call_was_given_up_leaves_a_log_that_makes_sense(paid: Paid) -> None:
    """The call stays in doubt, and the next run looks for the job."""
    shop = paid.shop(limits=evolve(LIMITS, grace_s=0.0))
    tools = CallTools(
        shop.ledger,
        shop.pace,
        shop.clock_s,
        shop.chance,
        {},
        frozenset,
        lambda *_: None,
        lambda *_: None,
        place=lambda *_: nullcontext(),
    )
    request = Request(ENGINE, "diarize", "whole", {}, "0" * 64, 1.0)
    with recording_into(shop, PIPELINE) as recorder:
        recorder.record(created(), run_started())
        recorder.record(StageStarted(DIARIZATION, 1, "key", 1, "first", (), {}, {}))
        step = StagePlan(DIARIZATION, RUN, "not done yet", engine=ENGINE)
        artifacts = paid.folder / "artifacts"
        calls = Calls(step, 1, artifacts, artifacts, recorder, tools, (shop.stop,))  # type: ignore[arg-type] # unused
        started = calls.started(request)
        shop.ledger.announce(recorder, started)
        line, obtaining = _Line(calls, started.call, str), Obtaining(calls, request, tools)
        calls.folder = _Nothing()  # type: ignore[assignment] # no answer comes
        with pytest.raises(StoppedError):
            obtaining._abandon(line)
        with pytest.raises(StoppedError):
            line.accepted("job-1")
        assert recorder.state.findings == ()
        assert recorder.state.calls[started.call].in_doubt


class _Nothing:
    def release(self, name: str) -> None: ...


def test_a_stage_that_is_to_be_planned_anew_is_so_also_if_another_one_ends_in_that_moment(paid: Paid) -> None:
    shop = paid.shop()
    done, pending = Future[None](), Future[None]()
    with recording_into(shop, PIPELINE) as recorder:
        recorder.record(created(), run_started(), StageStarted(DIARIZATION, 1, "key", 1, "first", (), {}, {}))
        active = ActiveRun(shop, recorder, None, Named(), lambda *_: None, Quiet(), {})
        active.running = {DIARIZATION: done, TRANSCRIPTION: pending}
        active.replan.add(TRANSCRIPTION)
        done.set_result(None)
        active._await_one()
        pending.set_result(None)
        active._await_one()
        assert active.tried == {DIARIZATION}


@pytest.mark.slow
def test_a_service_that_asks_to_wait_for_no_time_is_still_given_some(paid: Paid) -> None:
    """Else it would be asked without a pause for a quarter of an hour."""
    paid.openai.faults.script(status(429, {}, headers={"Retry-After": "0"}, endpoint=TRANSCRIBE, nth=1))
    paid.run(paid.shop())
    waits = [orjson.loads(path.read_bytes()) for path in paid.shop().home.pace.glob("openai-*.wait")]
    assert [wait["until"] > wait["written"] for wait in waits] == [True]


@pytest.mark.slow
def test_the_limit_of_a_batch_counts_what_earlier_recordings_cost_and_keeps_nothing_else_of_them(
    paid: Paid,
) -> None:
    shop = paid.shop(limits=Limits(max_batch_cost=Money(Decimal("0.0035"), "USD"), retry_wait_s=0.01))
    first = paid.run(shop)
    assert first is not None
    assert first.outcome == "completed"
    assert shop.ledger._begun.calls() == []
    paid.recording = write_speech(paid.folder / "other.wav", 12.0, seed=7)
    second = paid.run(shop)
    assert second is not None
    assert second.outcome == "needs_decision"
    total = paid.openai.meter.total("USD").amount + paid.pyannoteai.meter.total("EUR").amount * Decimal("1.16")
    assert total <= Decimal("0.0035")


@pytest.mark.slow
def test_a_recording_whose_voices_are_named_in_one_go_is_not_sent_in_parts(paid: Paid) -> None:
    """Each part would have a SPEAKER_00 of its own."""
    longest = paid.folder / "longest.toml"
    longest.write_text("[pyannoteai]\nmax_seconds = 8")
    paid.services = load_services(longest)
    result = paid.run(paid.shop(), {"transcriber": "pyannoteai"})
    assert result is not None
    assert result.failures[TRANSCRIPTION].code == "too_long"
    assert paid.pyannoteai.jobs == {}


@pytest.mark.slow
def test_what_failed_in_an_earlier_run_is_not_told_again(paid: Paid) -> None:
    paid.openai.faults.script(status(400, {}, endpoint=TRANSCRIBE))
    result = paid.run(paid.shop())
    assert result is not None
    assert list(result.failures) == [TRANSCRIPTION]
    paid.pyannoteai.faults.script(status(400, {"message": "no"}, endpoint="POST /v1/diarize"))
    asked = {"diarizer": "pyannoteai", "transcriber": "openai", "model": "gpt-transcribe", "speakers": 2}
    result = paid.run(paid.shop(), asked)
    assert result is not None
    assert list(result.failures) == [DIARIZATION]


def test_the_plan_and_the_gate_reckon_with_the_same_price_when_most_is_done() -> None:
    """5 % of what the stage was expected to cost when it was begun, not of what is left of it."""
    price = Price("USD", Decimal("1"), "2026-11-01")
    engine = Engine("openai", 1, network=True, billable=True, price=price, accounts_for_speech=False)
    cost = {"amount": "0.900000", "currency": "USD"}
    begun = {"expected": {"amount": "20", "currency": "USD"}, "at_most": {"amount": "21", "currency": "USD"}}
    started = CallStarted(
        "transcription.1.1", TRANSCRIPTION, 1, "openai", "transcribe", "u", "digest", billable=True, at_most=cost
    )
    failed = CallFailed(started.call, AMBIGUOUS, StageError("timed_out", "No answer."), billable=True)
    stage = StageStarted(TRANSCRIPTION, 1, "key", 1, "first", (), {}, {}, price=begun)
    state = fold(initial_state(PIPELINE), as_records([created(), run_started(), stage, started, failed]))
    around = evolve(AROUND, units={TRANSCRIPTION: (Unit(54.0, "digest"),)})
    step = before_paying(StagePlan(TRANSCRIPTION, RUN, "not done yet", engine=engine), state, around)
    assert step.decision == RUN
    assert step.price is not None
    assert step.price.at_most == Money(Decimal("1.900000"), "USD")


def test_a_paid_call_that_a_dead_process_left_open_is_in_doubt(paid: Paid) -> None:
    """Nobody knows whether it was accepted; a call that costs nothing is just asked again."""
    calls = [
        CallStarted(f"diarization.1.{n}", DIARIZATION, 1, "p", "diarize", "u", str(n) * 64, billable=billable)
        for n, billable in ((1, True), (2, False))
    ]
    with recording_into(paid.shop(), PIPELINE) as recorder:
        stage = StageStarted(DIARIZATION, 1, "key", 1, "first", (), {}, {})
        recorder.record(created(), run_started(), stage, *calls)
        recorder.record(*settlements(recorder.state, Artifacts(paid.folder / "artifacts")))
        assert [call.in_doubt for call in recorder.state.calls.values()] == [True, False]
        assert [call.kind for call in recorder.state.calls.values()] == [AMBIGUOUS, LOCAL]


@pytest.mark.slow
def test_without_quota_no_other_call_begins(tmp_path: Path) -> None:
    with Paid(tmp_path, concurrency=1) as paid:
        quota = {"error": {"type": "insufficient_quota", "code": "insufficient_quota", "message": "no quota"}}
        paid.openai.faults.script(status(429, quota, endpoint=TRANSCRIBE))
        paid.run(paid.shop())
        assert paid.openai.count(TRANSCRIBE) == 1


@pytest.mark.slow
def test_a_limit_that_was_reached_is_recorded_once(tmp_path: Path) -> None:
    with Paid(tmp_path, concurrency=1) as paid:
        shop = paid.shop(limits=Limits(max_cost=Money(Decimal("0.0006"), "USD"), retry_wait_s=0.01))
        result = paid.run(shop, {"diarizer": "none", "transcriber": "openai", "model": "whisper-1"})
        assert result is not None
        assert result.outcome == "needs_decision"
        types = [record.type for record in shop.store.read(result.pipeline).records]
        assert types.count("budget.exceeded") == 1


@pytest.mark.slow
def test_an_answer_whose_text_was_cut_off_is_asked_for_in_parts_and_never_as_a_whole_again(paid: Paid) -> None:
    most = paid.services.model("openai", "gpt-4o-transcribe")
    assert most is not None

    def cut_off(answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "usage": {**answer["usage"], "output_tokens": most["max_output_tokens"]}}

    paid.openai.faults.script(Fault("edit", endpoint=TRANSCRIBE, nth=1, edit=cut_off))
    asked = {"diarizer": "none", "transcriber": "openai", "model": "gpt-4o-transcribe"}
    result = paid.run(paid.shop(), asked)
    assert result is not None
    assert result.outcome == "completed"
    calls = [call for call in result.state.calls.values() if call.started.provider == "openai"]
    (whole,) = [call for call in calls if call.resolution == "given_up"]
    parts = [call for call in calls if call.started.at_most and call is not whole and call.status == "succeeded"]
    assert len(parts) >= 2
    assert max(paid.charged().values()) == 1
