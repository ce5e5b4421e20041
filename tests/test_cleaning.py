"""What a cleanup chooses, for any history: nothing that costs money to make again, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve as changed
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.record import Record
from projections import events as ev
from projections.cleaning import (
    ANSWERS,
    AUDIO,
    COMPLETED,
    EXPORTS,
    PAID,
    Rule,
    is_own,
    last_used,
    leftovers,
    passed_over,
    price,
    removable,
    untouchable,
)
from projections.decisions import ADOPT, ASK, RUN, WAITING
from projections.engine import Engine
from projections.failures import AMBIGUOUS
from projections.fold import evolve, fold, initial_state
from projections.graph import DIARIZATION, EXPORT, MERGE, STAGES, TRANSCRIPTION
from projections.options import Named, resolve_options
from projections.plan import Plan, Surroundings, make_plan
from projections.state import PipelineState
from tests.support.runs import PIPELINE, History, as_records

LOCAL = Engine("builtin", 1, key_options=("speakers",))
AROUND = Surroundings(
    diarizers={"builtin": LOCAL, "dear": Engine("dear", 1, key_options=("speakers",), billable=True)},
    transcribers={
        "builtin": Engine("builtin", 1, key_options=("language",)),
        "dear": Engine("dear", 1, key_options=("language",), billable=True),
        "untimed": Engine("untimed", 1, key_options=("language",), billable=True, word_times=False),
    },
    local_transcriber="builtin",
)
COST = {"amount": "0.010000", "currency": "USD"}


class Past(History):
    """A history with calls, failures, words of the user and cleanups."""

    def __init__(self) -> None:
        super().__init__(AROUND)
        self.folded, self.seen, self.runs = initial_state(PIPELINE), 0, 0
        self.environment: dict[str, Any] = {}

    @property
    def state(self) -> PipelineState:
        """Fold what came since the last time."""
        for event in self.events[self.seen :]:
            self.seen, self.runs = self.seen + 1, self.runs + (event.type == ev.RunStarted.type)
            (record,) = as_records([event], self.seen)
            own = Record(record.seq, record.time, record.type, PIPELINE, f"run{self.runs}", record.body, 0, "", "")
            self.folded = evolve(self.folded, own)
        return self.folded

    def plan(self, refresh: frozenset[str] = frozenset(), **named: Any) -> Plan:
        return planned(self.state, named, self.environment, refresh)

    def name_all(self, wishes: dict[str, Any], refresh: frozenset[str]) -> None:
        """Begin a run with these wishes, as a run records them."""
        begun = ev.RunStarted("anna", 1, "host", "boot", {}, wishes, {}, {}, refresh=tuple(sorted(refresh)))
        self.events.append(begun)

    def carry_out(self, tag: str, stop_at: str | None = None, *, fails: bool = False) -> None:
        for _ in range(len(STAGES)):
            point = self.plan().resume_point
            if not point:
                break
            self.attempt(point[0], tag, ends="fails" if fails and point[0] == stop_at else "succeeds")
            if point[0] == stop_at:
                break
        done = self.plan().is_done
        self.events.append(ev.RunFinished("completed" if done else "failed", 1.0))

    def attempt(self, stage: str, tag: str, ends: str = "succeeds") -> None:
        step = self.plan()[stage]
        engine, key = step.engine, step.key or ""
        number = self.start(stage)
        if stage in {DIARIZATION, TRANSCRIPTION} and engine is not None:
            for call in (1, 2)[: 2 if ends == "succeeds" else 1]:
                self.call(stage, number, call, engine, f"{key[:20]}{call}")
        if ends != "succeeds":
            self.events.append(ev.StageFailed(stage, number, ev.StageError("broken", "broken"), 1.0))
            return
        output = ev.ArtifactRef(f"{stage}/{number}/out", f"{key[:40]}{tag}", 3)
        self.events.append(ev.StageSucceeded(stage, number, (output,), {"pcm": {"audio": f"{key}{tag}"}}, 1.0))

    def call(self, stage: str, attempt: int, number: int, engine: Engine, request: str) -> None:
        name = f"{stage}.{attempt}.{number}"
        money = COST if engine.billable else None
        self.events.append(
            ev.CallStarted(
                name, stage, attempt, engine.name, "do", "0-1", request, billable=engine.billable, expected=money
            )
        )
        ref = ev.ArtifactRef(f"{stage}/{attempt}/calls/{number}-{request[:16]}.json", request, 7)
        self.events.append(ev.CallSucceeded(name, ref, 1.0, cost=money))

    def clean(self, *, paid: bool = False) -> None:
        paths = tuple(file.path for file in removable(self.state, paid=paid))
        if paths:
            self.events.append(ev.ArtifactErased(paths, 0, "cleanup", "anna"))

    def say(self, number: int) -> None:
        ref = ev.ArtifactRef(f"annotation/{number}/names.json", f"said{number}", 5)
        self.events.append(ev.SpeakersNamed(ref, "anna"))


def planned(
    state: PipelineState,
    named: dict[str, Any],
    environment: dict[str, Any],
    refresh: frozenset[str] = frozenset(),
) -> Plan:
    options = resolve_options(Named(options=named, environment=environment), state)
    return make_plan(state, options, changed(AROUND, missing=state.erased), refresh | state.to_refresh)


WISHES = st.fixed_dictionaries(
    {},
    optional={
        "diarizer": st.sampled_from(["auto", "builtin", "dear"]),
        "transcriber": st.sampled_from(["auto", "builtin", "dear", "untimed"]),
        "language": st.sampled_from(["en", "de"]),
        "speakers": st.sampled_from([1, 2]),
        "formats": st.sampled_from([["txt"], ["txt", "srt"]]),
    },
)
REFRESH = st.frozensets(st.sampled_from(STAGES), max_size=1)


@st.composite
def pasts(draw: st.DrawFn) -> Past:
    past = Past()
    for number in range(1, draw(st.integers(1, 4)) + 1):
        past.name_all(draw(WISHES), draw(REFRESH))
        stop_at = draw(st.sampled_from([None, None, *STAGES]))
        past.carry_out(f"t{number}", stop_at, fails=draw(st.booleans()))
        if draw(st.booleans()):
            past.say(number)
        if draw(st.integers(0, 3)) == 0:
            past.clean(paid=False)
    return past


def billable(plan: Plan) -> set[str]:
    return {
        s.stage for s in plan.stages if s.engine and s.engine.billable and s.decision in {RUN, ADOPT, ASK, WAITING}
    }


def paid_for(
    past: Past, tag: str, wishes: dict[str, Any], environment: dict[str, Any], refresh: frozenset[str]
) -> set[tuple[str, str]]:
    """Carry out what a user wishes now; return the stages that cost money, with their engine."""
    past.environment = environment
    past.name_all(wishes, refresh)
    paid = set()
    while (plan := past.plan()).resume_point:
        stage = plan.resume_point[0]
        engine = plan[stage].engine
        if engine is not None and engine.billable:
            paid.add((stage, engine.name))
        past.attempt(stage, tag)
    return paid


def copied(past: Past) -> Past:
    other = Past()
    other.events, other.numbers = [*past.events], dict(past.numbers)
    return other


@settings(max_examples=40)
@given(pasts(), WISHES, WISHES, REFRESH)
def test_a_cleanup_adds_no_stage_that_costs_money_to_the_next_plan(
    past: Past, wishes: dict[str, Any], environment: dict[str, Any], refresh: frozenset[str]
) -> None:
    """Whatever is wished next, by a flag or by the environment."""
    before = billable(planned(past.state, wishes, environment, refresh))
    past.clean()
    assert past.state.findings == ()
    assert billable(planned(past.state, wishes, environment, refresh)) <= before


@settings(max_examples=25)
@given(pasts(), WISHES, WISHES, REFRESH)
def test_after_a_cleanup_no_run_pays_for_what_it_would_not_have_paid_for(
    past: Past, wishes: dict[str, Any], environment: dict[str, Any], refresh: frozenset[str]
) -> None:
    """To the end, and although whatever is made again comes out otherwise, as a newer decoder's samples may."""
    cleaned = copied(past)
    cleaned.clean()
    now = (wishes, environment, refresh)
    assert paid_for(cleaned, "again", *now) <= paid_for(past, "again", *now)


@settings(max_examples=25)
@given(pasts(), st.booleans())
def test_a_second_cleanup_finds_nothing(past: Past, paid: bool) -> None:
    past.clean(paid=paid)
    assert removable(past.state, paid=paid) == ()


@settings(max_examples=25)
@given(pasts())
def test_nothing_goes_that_was_paid_for_said_by_the_user_or_made_by_an_engine(past: Past) -> None:
    state = past.state
    gone = {file.path for file in removable(state)}
    paid = {call.response.path for call in state.calls.values() if call.started.billable and call.response}
    said = {annotation.content.path for annotation in (*state.annotations, *state.undone)}
    kept = {ref.path for stage in (DIARIZATION, TRANSCRIPTION, MERGE) for ref in _outputs(state, stage)}
    newest = {ref.path for ref in _outputs(state, EXPORT)[-1:]}
    assert not gone & (paid | said | kept | newest)
    assert all(is_own(path) for path in gone)


@settings(max_examples=25)
@given(pasts())
def test_with_paid_the_price_is_what_the_answers_cost(past: Past) -> None:
    state = past.state
    paths = {file.path for file in removable(state, paid=True)}
    calls = [call for call in state.calls.values() if call.response and call.response.path in paths]
    paid = sum(call.started.billable for call in calls)
    assert sum(sums.calls for sums in price(state, paths)) == paid
    assert sum(file.kind == PAID for file in removable(state, paid=True)) == paid


def _outputs(state: PipelineState, stage: str) -> list[ev.ArtifactRef]:
    return [ref for attempt in state.attempts.get(stage, ()) for ref in attempt.outputs]


def finished(change: Callable[[Past], None] = lambda past: None, **named: Any) -> Past:
    past = Past()
    past.name(**named)
    past.carry_out("")
    change(past)
    return past


def test_what_goes_is_told_apart_by_kind() -> None:
    past = finished()
    past.say(1)
    past.name()
    past.carry_out("")
    kinds = {file.path: file.kind for file in removable(past.state)}
    assert kinds["audio_conversion/1/out"] == AUDIO
    assert kinds["export/1/out"] == EXPORTS
    assert sorted(kinds.values()) == [ANSWERS] * 4 + [AUDIO, EXPORTS]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "/",
            "audio_conversion",
            "audio_conversion/1",
            "../x/y",
            "audio_conversion/../x",
            "audio_conversion/1/",
        ),
        *("audio_conversion/1/..", "audio_conversion/1/../../x", "annotation/1/names.json", "text/1/text.json"),
        *(
            "../x/y",
            "salt",
            "audio_conversion/x/y",
            "audio_conversion/1/\0",
            "/etc/1/passwd",
            "audio_conversion//1/x",
        ),
    ],
)
def test_a_path_that_no_stage_gives_is_not_ours(path: str) -> None:
    assert not is_own(path)
    state = changed(initial_state(PIPELINE), erased=frozenset({path}))
    assert leftovers(state) == ()


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (("pipeline.handed_over", {}), "doesn't understand"),
        (("log.recovered", {"uncertain": True, "file": "x"}), "may be lost"),
        (ev.CallStarted("c", TRANSCRIPTION, 2, "dear", "do", "0-1", "r", billable=True), "no outcome"),
        (ev.CallFailed("c", AMBIGUOUS, ev.StageError("x", "x"), billable=True), "no outcome"),
    ],
)
def test_a_pipeline_that_is_in_doubt_is_untouchable(event: Any, reason: str) -> None:
    past = finished()
    past.name()
    records: list[Any] = [*past.events]
    if isinstance(event, ev.CallStarted | ev.CallFailed):
        records.append(ev.StageStarted(TRANSCRIPTION, 2, "k", 1, "refresh", (), {}, {}))
        records += [_call_of(event)] if isinstance(event, ev.CallFailed) else []
    state = fold(initial_state(PIPELINE), as_records([*records, event]))
    assert reason in str(untouchable(state))


def _call_of(event: ev.CallFailed) -> ev.CallStarted:
    return ev.CallStarted(event.call, TRANSCRIPTION, 2, "dear", "do", "0-1", "r", billable=True)


def test_a_note_of_a_newer_version_is_no_doubt() -> None:
    past = finished()
    assert untouchable(fold(initial_state(PIPELINE), as_records([*past.events, ("note.x", {})]))) is None


def test_age_and_status_decide_which_pipelines_are_wanted() -> None:
    past = finished()
    used = last_used(past.state)
    past.clean()
    assert last_used(past.state) == used
    assert past.state.last_updated is not None
    assert past.state.last_updated > used
    assert passed_over(past.state, Rule()) is None
    assert "used since" in str(passed_over(past.state, Rule(before=used)))
    assert passed_over(past.state, Rule(before=f"{used}0")) is None
    assert "completed" in str(passed_over(past.state, Rule(statuses=frozenset({"failed"}))))
    assert COMPLETED in Rule().statuses


def test_audio_stays_while_paid_answers_wait_for_their_stage() -> None:
    past = Past()
    past.name(transcriber="dear")
    past.carry_out("", TRANSCRIPTION, fails=True)
    assert AUDIO not in {file.kind for file in removable(past.state)}
    assert AUDIO in {file.kind for file in removable(past.state, paid=True)}
    past.name()
    past.carry_out("")
    assert AUDIO in {file.kind for file in removable(past.state)}


def test_answers_that_a_variant_took_over_count_as_paid() -> None:
    past = finished()
    ref = ev.ArtifactRef("transcription/0/calls/1-0123456789abcdef.json", "d", 7)
    taken = ev.CallTakenOver(
        "transcription.0.1", TRANSCRIPTION, "dear", "do", "0-1", "r", ref, {"pipeline": "p", "call": "c"}
    )
    past.events.append(taken)
    assert ref.path not in {file.path for file in removable(past.state)}
    kinds = {file.path: file.kind for file in removable(past.state, paid=True)}
    assert kinds[ref.path] == PAID
    assert price(past.state, {ref.path}) == ()


def test_results_stay_since_an_engine_that_costs_money_might_make_them_again() -> None:
    """Words by a free engine, and since then the environment names another one: a new merge still finds them."""
    past = finished()
    now = ({"speakers": 2}, {"transcriber": "dear"})
    assert billable(planned(past.state, *now)) == set()
    past.clean()
    assert billable(planned(past.state, *now)) == set()
