"""A plan's price: what is expected is what comes, and at most is never passed; nor are the limits of the user."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from pipeline.look import Look, look
from pipeline.recordings import identify
from pipeline.speech.cuts import OVERLAP, RATE, Cut, chunks, overlapping
from projections.engine import Engine
from projections.fold import fold, initial_state
from projections.graph import DIARIZATION, TRANSCRIPTION
from projections.limits import NO_LIMITS, Limits
from projections.money import NO_RATES, Money, Price, money_from
from projections.options import Named
from projections.prices import OVERLAP_S, Unit, stage_price
from tests.support.openai_server import TRANSCRIBE
from tests.support.paid import BOTH, LIMITS, TURNS, Paid
from tests.support.service import RESET_AFTER_ACCEPTANCE, Fault, status

NOTHING = status(400, {"error": {"message": "no", "code": "no"}})


@pytest.fixture
def paid(tmp_path: Path) -> Iterator[Paid]:
    with Paid(tmp_path, seconds=40.0) as services:
        yield services


def planned(paid: Paid, options: dict[str, str], name: str = "home") -> Look:
    shop = paid.shop(name)
    found = identify(paid.recording, shop.home.index)
    pipelines = shop.store.pipelines()
    pipeline = pipelines[0] if pipelines else found.sha256[:16]
    return look(shop, pipeline, found, Named(options=options), lambda state, options: None)


def near(expected: Money | None, amount: Decimal) -> bool:
    assert expected is not None
    return abs(expected.amount - amount) <= amount / 100


@pytest.mark.parametrize("rate", ["0.6", "1.2"], ids=["by length", "by tokens"])
def test_what_is_sent_twice_at_cuts_through_speech_is_part_of_at_most_before_the_cuts_are_known(rate: str) -> None:
    price = Price("USD", Decimal("0.6"), "2026-01-01", at_most_per_min=Decimal(rate))
    engine = Engine("paid", 1, billable=True, price=price, word_times=True, unit_s=300.0)
    cuts = [Cut(number * 300 * RATE, hard=True) for number in range(1, 10)]
    spans = overlapping(chunks(3000 * RATE, cuts), cuts)
    units = [Unit((end - start) / RATE, str(start)) for start, end in spans]
    assert OVERLAP_S * RATE == OVERLAP
    for again in (False, True):
        known, guessed = (
            stage_price(engine, found, 3000.0, [], NO_LIMITS, NO_RATES, again=again) for found in (units, None)
        )
        assert known.once is not None
        assert guessed.once is not None
        assert known.once.amount <= guessed.once.amount <= known.once.amount * Decimal("1.05")


@pytest.mark.slow
@pytest.mark.parametrize("options", [BOTH, TURNS], ids=["chunks", "turns"])
def test_once_its_inputs_are_there_a_stage_costs_what_was_expected(paid: Paid, options: dict[str, str]) -> None:
    """The recording repeats itself, so that some chunks are equal and are paid once."""
    paid.openai.faults.script(NOTHING)
    paid.run(paid.shop(), options)
    paid.heal()
    seen = planned(paid, options)
    price = seen.plan[TRANSCRIPTION].price
    assert price is not None
    paid.run(paid.shop(), options)
    assert near(price.expected, paid.openai.meter.total("USD").amount)
    assert price.calls == len(paid.openai.meter.charges)


@pytest.mark.slow
def test_what_is_paid_already_is_not_expected_once_more(paid: Paid) -> None:
    paid.openai.faults.script(evolve(NOTHING, nth=2, endpoint=TRANSCRIBE))
    paid.run(paid.shop())
    before = paid.openai.meter.total("USD").amount
    paid.heal()
    price = planned(paid, BOTH).plan[TRANSCRIPTION].price
    assert price is not None
    paid.run(paid.shop())
    assert before > 0
    assert near(price.expected, paid.openai.meter.total("USD").amount - before)


@pytest.mark.slow
def test_the_diarization_costs_what_was_expected(paid: Paid) -> None:
    paid.pyannoteai.faults.script(status(400, {"message": "no"}, endpoint="POST /v1/diarize"))
    paid.run(paid.shop())
    paid.heal()
    price = planned(paid, BOTH).plan[DIARIZATION].price
    assert price is not None
    paid.run(paid.shop())
    paid.pyannoteai.settle()
    assert near(price.expected, paid.pyannoteai.meter.total("EUR").amount)


@pytest.mark.slow
@pytest.mark.parametrize("options", [BOTH, TURNS], ids=["chunks", "turns"])
@pytest.mark.parametrize("in_doubt", ["auto", "repeat", "stop"])
def test_at_most_is_never_passed_whatever_goes_wrong(paid: Paid, options: dict[str, str], in_doubt: str) -> None:
    """Each run is held against the plan that was made before it, and each attempt against its own."""
    paid.openai.faults.script(Fault(RESET_AFTER_ACCEPTANCE, endpoint=TRANSCRIBE, probability=0.5))
    for life in range(4):
        limits = Limits(in_doubt=in_doubt, retry_wait_s=0.01, attempts=3)
        shop = paid.shop(limits=limits)
        found = identify(paid.recording, shop.home.index)
        pipelines = shop.store.pipelines() or [found.sha256[:16]]
        seen = look(shop, pipelines[0], found, Named(options=options), lambda state, options: None)
        before = paid.openai.meter.total("USD").amount
        if life == 3:
            paid.heal()
        paid.run(shop, options)
        spent = paid.openai.meter.total("USD").amount - before
        price = seen.plan[TRANSCRIPTION].price
        assert spent == 0 or (price is not None and price.at_most is not None and spent <= price.at_most.amount)
    state = paid.state(paid.shop())
    for attempt in state.attempts[TRANSCRIPTION]:
        limit = money_from((attempt.started.price or {}).get("at_most"))
        calls = [
            c
            for c in state.calls.values()
            if (c.started.stage, c.started.attempt) == (TRANSCRIPTION, attempt.number)
        ]
        most = sum(
            (m.amount for c in calls if c.kind != "rejected" and (m := money_from(c.started.at_most))), Decimal(0)
        )
        assert limit is None or most <= limit.amount


@pytest.mark.slow
@pytest.mark.parametrize("name", ["max_cost", "max_batch_cost"])
def test_a_limit_stops_before_the_call_that_would_pass_it_and_a_higher_one_goes_on(paid: Paid, name: str) -> None:
    limit = Money(Decimal("0.0060"), "USD")
    shop = paid.shop(limits=Limits(**{name: limit}, retry_wait_s=0.01))  # type: ignore[arg-type] # both are amounts
    result = paid.run(shop)
    assert result is not None
    assert result.outcome == "needs_decision"
    spent = paid.openai.meter.total("USD").amount
    assert spent + paid.pyannoteai.meter.total("EUR").amount * Decimal("1.16") <= limit.amount
    assert spent > 0
    types = [record.type for record in shop.store.read(shop.store.pipelines()[0]).records]
    assert "budget.exceeded" in types
    result = paid.run(paid.shop(limits=LIMITS))
    assert result is not None
    assert result.outcome == "completed"
    assert set(paid.charged().values()) == {1}


@pytest.mark.slow
def test_every_call_was_announced_by_a_plan_and_every_charge_by_a_call(paid: Paid) -> None:
    shop = paid.shop()
    paid.run(shop)
    (pipeline,) = shop.store.pipelines()
    records = shop.store.read(pipeline).records
    calls = [record.data for record in records if record.type == "call.started" and record.data["billable"]]
    plans = [record.data["plan"] for record in records if record.type == "run.started"]
    assert {call["provider"] for call in calls} == {
        plans[0][stage]["provider"] for stage in (DIARIZATION, TRANSCRIPTION)
    }
    assert len(calls) == sum(paid.charged().values())
    assert fold(initial_state(pipeline), records).findings == ()
