"""What calls cost: each in one place, nothing free, and the same sum however it is told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import example, given
from hypothesis import strategies as st

from eventlog.record import Record
from projections import events as ev
from projections.cost import (
    COLUMNS,
    GROUPINGS,
    Row,
    Sums,
    cost_rows,
    costing,
    merged,
    together,
    total_cost,
    totals,
)
from projections.failures import ABSENT, ADOPTED, AMBIGUOUS, EXPIRED, GIVEN_UP, KINDS, PAID_UNUSABLE, REPEATED
from projections.fold import fold, initial_state
from projections.money import Money, Rates
from projections.state import PipelineState
from tests.support.runs import PIPELINE, as_records, created, run_started
from tests.support.spending import attempt, call, failed, paid, resolved

RATES = Rates({"USD": Decimal(1), "EUR": Decimal("1.16")}, "2026-11-01")
FREE = "free"


@frozen
class Fate:
    """What becomes of a call: its events after the announcement, its column, and which amount counts there."""

    events: Callable[[str, str], list[ev.Event]]
    column: str
    amount: str


def _accepted(call_id: str) -> ev.Event:
    return ev.CallAccepted(call_id, f"job of {call_id}")


COST, EXPECTED, AT_MOST = "cost", "expected", "at_most"
FATES = {
    "open": Fate(lambda c, cur: [], "under_way", AT_MOST),
    "accepted": Fate(lambda c, cur: [_accepted(c)], "under_way", AT_MOST),
    "billed": Fate(lambda c, cur: [paid(c, "0.07", "billed", cur)], "billed", COST),
    "estimated": Fate(lambda c, cur: [paid(c, "0.07", "estimated", cur)], "estimated", COST),
    "cost not recorded": Fate(lambda c, cur: [paid(c, None)], "estimated", EXPECTED),
    "job done": Fate(lambda c, cur: [_accepted(c), paid(c, "0.07", "billed", cur)], "billed", COST),
    "job canceled": Fate(lambda c, cur: [_accepted(c), failed(c, "rejected")], FREE, ""),
    "unusable": Fate(lambda c, cur: [failed(c, PAID_UNUSABLE, "0.07", "billed", cur)], "billed", COST),
    "unusable, cost not recorded": Fate(lambda c, cur: [failed(c, PAID_UNUSABLE)], "estimated", EXPECTED),
    "answer turned out unusable": Fate(
        lambda c, cur: [paid(c, "0.07", "billed", cur), resolved(c, REPEATED)], "billed", COST
    ),
    "unusable, repeated": Fate(
        lambda c, cur: [failed(c, PAID_UNUSABLE, "0.07", "billed", cur), resolved(c, REPEATED)], "billed", COST
    ),
    "result gone": Fate(lambda c, cur: [failed(c, PAID_UNUSABLE), resolved(c, EXPIRED)], "estimated", EXPECTED),
    "in doubt": Fate(lambda c, cur: [failed(c, AMBIGUOUS)], "in_doubt", AT_MOST),
    "absent": Fate(lambda c, cur: [failed(c, AMBIGUOUS), resolved(c, ABSENT)], FREE, ""),
    "repeated": Fate(lambda c, cur: [failed(c, AMBIGUOUS), resolved(c, REPEATED)], "repeated", AT_MOST),
    "given up": Fate(lambda c, cur: [failed(c, AMBIGUOUS), resolved(c, GIVEN_UP)], "in_doubt", AT_MOST),
    "given up, then repeated": Fate(
        lambda c, cur: [failed(c, AMBIGUOUS), resolved(c, GIVEN_UP), resolved(c, REPEATED)], "repeated", AT_MOST
    ),
    "job adopted": Fate(
        lambda c, cur: [failed(c, AMBIGUOUS), resolved(c, ADOPTED), _accepted(c)], "under_way", AT_MOST
    ),
    "job adopted and done": Fate(
        lambda c, cur: [failed(c, AMBIGUOUS), resolved(c, ADOPTED), _accepted(c), paid(c, "0.07", "billed", cur)],
        "billed",
        COST,
    ),
    "job adopted and lost": Fate(
        lambda c, cur: [failed(c, AMBIGUOUS), resolved(c, ADOPTED), _accepted(c), failed(c, AMBIGUOUS)],
        "in_doubt",
        AT_MOST,
    ),
    **{
        kind: Fate(lambda c, cur, kind=kind: [failed(c, kind)], FREE, "")  # type: ignore[misc]
        for kind in sorted(set(KINDS) - {AMBIGUOUS, PAID_UNUSABLE})
    },
}
AMOUNTS = {COST: "0.07", EXPECTED: "0.10", AT_MOST: "0.20"}


@frozen
class Story:
    """A call: who is asked, whether it costs and whether evt knows the price, and its fate."""

    fate: str
    provider: str
    model: str | None
    currency: str
    is_priced: bool
    is_billable: bool

    @property
    def column(self) -> str:
        return FATES[self.fate].column if self.is_billable else FREE

    @property
    def amount(self) -> Decimal | None:
        which = FATES[self.fate].amount
        return Decimal(AMOUNTS[which]) if self.is_priced or which == COST else None

    def events(self, call_id: str, number: int) -> list[ev.Event]:
        prices = ("0.10", "0.20") if self.is_priced else (None, None)
        started = call(
            call_id,
            *prices,
            currency=self.currency,
            provider=self.provider,
            model=self.model,
            attempt=number,
            billable=self.is_billable,
        )
        return [started, *FATES[self.fate].events(call_id, self.currency)]


STORIES = st.builds(
    Story,
    st.sampled_from(sorted(FATES)),
    st.sampled_from(["openai", "pyannoteai"]),
    st.sampled_from([None, "gpt-transcribe", "precision-2"]),
    st.sampled_from(["USD", "EUR"]),
    st.sampled_from([True, True, True, False]),
    st.sampled_from([True, True, True, False]),
)


@st.composite
def told(draw: st.DrawFn) -> tuple[list[Story], PipelineState]:
    """Stories and the state after them: their events come in any order that keeps each call's own, over days."""
    stories = draw(st.lists(STORIES, max_size=12))
    turns = [at for at, story in enumerate(stories) for _ in story.events("c", 1)]
    turns += [-1] * draw(st.integers(0, 2))
    left: dict[int, list[ev.Event]] = {}
    events, number = [created(), run_started(), attempt(1)], 1
    for at in draw(st.permutations(turns)):
        if at < 0:
            number += 1
            events += [ev.StageInterrupted("transcription", number - 1), attempt(number)]
        else:
            events.append(left.setdefault(at, stories[at].events(f"c{at}", number)).pop(0))
    state = fold(initial_state(PIPELINE), over_days(as_records(events)))
    assert state.findings == ()
    return stories, state


def over_days(records: list[Record]) -> list[Record]:
    """Return the records six hours apart."""
    return [
        record._replace(time=f"2026-11-{1 + record.seq // 4:02d}T{record.seq % 4 * 6:02d}:00:00.000000Z")
        for record in records
    ]


def rows_of(state: PipelineState, by: str = "provider") -> tuple[Row, ...]:
    return cost_rows(state.pipeline_id, state.calls.values(), by)


@given(told())
def test_each_call_that_may_cost_stands_in_exactly_one_column_with_its_amount(
    given_: tuple[list[Story], PipelineState],
) -> None:
    stories, state = given_
    calls: Counter[Any] = Counter()
    amounts: dict[Any, Decimal] = {}
    for story in stories:
        if story.column == FREE:
            continue
        key = (story.provider, story.currency if story.amount is not None else None, story.column)
        calls[key] += 1
        amounts[key] = amounts.get(key, Decimal(0)) + (story.amount or 0)
    found = [
        ((row.group, row.sums.currency, column), sum_)
        for row in rows_of(state)
        for column, sum_ in row.sums.columns.items()
        if sum_.calls
    ]
    assert {key: sum_.calls for key, sum_ in found} == calls
    assert {key: sum_.amount or 0 for key, sum_ in found} == amounts
    assert sum(sums.calls for sums in total_cost(state)) == sum(story.column != FREE for story in stories)


@pytest.mark.parametrize("fate", FATES)
def test_every_fate_has_its_column(fate: str) -> None:
    """So that none depends on chance to be tried."""
    story = Story(fate, "openai", None, "EUR", is_priced=True, is_billable=True)
    state = fold(initial_state(PIPELINE), as_records([created(), run_started(), attempt(), *story.events("a", 1)]))
    (found,) = total_cost(state) or (None,)
    counted = {c: (s.amount, s.calls) for c, s in found.columns.items() if s.calls} if found else {}
    assert counted == ({} if story.column == FREE else {story.column: (story.amount, 1)})
    assert found is None or found.currency == "EUR"


@given(st.lists(told(), max_size=3), st.integers(1, 31))
def test_sums_are_equal_however_they_are_told_apart_and_whatever_is_put_together_first(
    given_: list[tuple[list[Story], PipelineState]], day: int
) -> None:
    since = f"2026-11-{day:02d}"
    chosen = [costing(evolve(state, pipeline_id=f"p{n}"), since) for n, (_, state) in enumerate(given_)]
    rows = {by: [r for n, c in enumerate(chosen) for r in cost_rows(f"p{n}", c, by)] for by in GROUPINGS}
    every = {by: merged(some) for by, some in rows.items()}
    assert all(totals(every[by]) == totals(rows["pipeline"]) for by in GROUPINGS)
    assert merged([*every["model"][1:], *every["model"][:1]]) == every["model"]
    assert all(row.group >= since for row in every["day"])
    for table in every.values():
        keys = [(row.group, row.sums.currency) for row in table]
        assert len(keys) == len(set(keys))
        assert all(row.sums.calls for row in table)


@given(told())
def test_what_is_paid_for_certain_is_never_more_than_what_may_be_paid(
    given_: tuple[list[Story], PipelineState],
) -> None:
    for row in rows_of(given_[1], "day"):
        paid_, at_most = row.sums.paid, row.sums.at_most
        if row.sums.currency is None:
            assert (paid_, at_most) == (None, None)
            assert all(column.amount is None for column in row.sums.columns.values())
        else:
            assert paid_ is not None
            assert at_most is not None
            assert 0 <= paid_.amount <= at_most.amount


@given(told(), st.integers(1, 31), st.sampled_from(["", "T00:00:00.000000Z", "T12:00:00.000000Z"]))
def test_since_leaves_out_exactly_what_began_earlier(
    given_: tuple[list[Story], PipelineState], day: int, time: str
) -> None:
    state, since = given_[1], f"2026-11-{day:02d}{time}"
    assert costing(state, since) == [one for one in costing(state) if not one.started_at < since]


def test_since_counts_a_call_that_began_at_that_very_time() -> None:
    state = fold(initial_state(PIPELINE), as_records([created(), run_started(), attempt(), call("a")]))
    (begun,) = costing(state)
    assert costing(state, begun.started_at) == [begun]
    assert costing(state, begun.started_at.replace(".000000Z", ".000001Z")) == []


ODD_MONEY = st.sampled_from(
    [
        *({}, {"amount": "NaN", "currency": "USD"}, {"amount": "-1", "currency": "USD"}, {"amount": "1"}),
        *({"amount": "1e999999", "currency": "USD"}, {"amount": "1e-999999", "currency": "USD"}),
        *({"amount": [1], "currency": "USD"}, {"amount": "1", "currency": ""}, {"amount": True, "currency": None}),
        *({"amount": "999999999999.999999", "currency": "USD", "basis": 7},),
    ]
)


@given(st.lists(st.tuples(ODD_MONEY, ODD_MONEY, ODD_MONEY, st.sampled_from(sorted(FATES))), max_size=6))
@example([({"amount": "-1", "currency": "USD"},) * 3 + ("billed",)])
def test_amounts_that_make_no_sense_are_unknown_and_never_an_exception(
    odd: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]],
) -> None:
    events = [created(), run_started(), attempt()]
    for at, (cost, expected, at_most, fate) in enumerate(odd):
        begun, *more = Story(fate, "p", None, "USD", is_priced=True, is_billable=True).events(f"c{at}", 1)
        events.append(evolve(begun, expected=expected, at_most=at_most))
        events += [evolve(event, cost=cost) if hasattr(event, "cost") else event for event in more]
    state = fold(initial_state(PIPELINE), as_records(events))
    found = total_cost(state)
    assert sum(sums.calls for sums in found) == len(costing(state))
    assert all(column.amount is None or column.amount >= 0 for sums in found for column in sums.columns.values())


def test_a_recording_that_is_asked_for_again_on_request_is_two_payments() -> None:
    events = [call("a", request="same"), paid("a", "0.10"), ev.StageInterrupted("transcription", 1), attempt(2)]
    events += [call("b", request="same", attempt=2), paid("b", "0.10")]
    state = fold(initial_state(PIPELINE), as_records([created(), run_started(), attempt(), *events]))
    (found,) = total_cost(state)
    assert found.billed.calls == 2
    assert found.paid == Money(Decimal("0.20"), "USD")


def test_currencies_are_converted_only_where_every_rate_is_known() -> None:
    events = [call("a"), paid("a", "1.00"), call("b", None, "2.00", currency="EUR"), call("c", None, None)]
    state = fold(initial_state(PIPELINE), as_records([created(), run_started(), attempt(), *events]))
    found = total_cost(state)
    assert [sums.currency for sums in found] == ["EUR", "USD", None]
    both = together(found, RATES)
    assert both is not None
    assert (both.paid, both.rates_date) == (Money(Decimal("1.00"), "USD"), "2026-11-01")
    assert both.at_most.amount == Decimal("3.32")
    assert together(found, Rates({"USD": Decimal(1)}, "2026-11-01")) is None


def test_columns_are_the_fields_of_the_sums() -> None:
    state = fold(initial_state(PIPELINE), as_records([created(), run_started(), attempt(), call("a")]))
    (found,) = total_cost(state)
    assert isinstance(found, Sums)
    assert tuple(found.columns) == COLUMNS
