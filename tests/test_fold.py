"""State from records: total, splittable, and never surprised."""

from __future__ import annotations

from attrs import evolve as changed
from hypothesis import given
from hypothesis import strategies as st

from projections import events as ev
from projections.fold import evolve, fold, initial_state
from projections.graph import AUDIO_CONVERSION, DIARIZATION, TRANSCRIPTION
from projections.summary import state_as_json, summarize
from tests.support.runs import PIPELINE, History, as_records, created, run_started

STAGE = st.sampled_from([AUDIO_CONVERSION, DIARIZATION])
NUMBER = st.integers(0, 3)
REF = st.builds(ev.ArtifactRef, st.text(max_size=5), st.text(max_size=5), st.integers(0, 9))
CALL = st.sampled_from(["a", "b"])
EVENTS = st.one_of(
    st.just(created()),
    st.just(run_started(language="de")),
    st.builds(ev.RunFinished, st.sampled_from(["completed", "failed"]), st.floats(0, 9)),
    st.builds(
        ev.StageStarted,
        STAGE,
        NUMBER,
        st.just("k"),
        st.just(1),
        st.just("first"),
        st.just(()),
        st.just({}),
        st.just({}),
    ),
    st.builds(ev.StageSucceeded, STAGE, NUMBER, st.tuples(REF), st.just({}), st.floats(0, 9)),
    st.builds(ev.StageFailed, STAGE, NUMBER, st.just(ev.StageError("code", "message")), st.floats(0, 9)),
    st.builds(ev.StageInterrupted, STAGE, NUMBER),
    st.builds(
        ev.CallStarted, CALL, STAGE, NUMBER, st.just("p"), st.just("o"), st.just("u"), st.just("r"), st.booleans()
    ),
    st.builds(ev.CallSucceeded, CALL, REF, st.floats(0, 9)),
    st.builds(ev.CallFailed, CALL, st.just("local"), st.just(ev.StageError("code", "message")), st.booleans()),
    st.builds(ev.CallReused, STAGE, NUMBER, st.just("u"), st.just("r"), CALL),
    st.builds(ev.InputSeen, st.text(max_size=3)),
    st.builds(ev.ArtifactMissing, st.text(max_size=3), st.just("missing")),
    st.tuples(
        st.sampled_from(["log.sealed", "log.recovered", "stage.paused", "note.added", *ev.EVENTS]), st.just({})
    ),
)


@given(st.lists(EVENTS, max_size=30), st.integers(0, 30))
def test_folding_a_split_log_is_folding_the_whole(events: list[ev.Event], split: int) -> None:
    records = as_records(events)
    whole = fold(initial_state(PIPELINE), records)
    assert fold(fold(initial_state(PIPELINE), records[:split]), records[split:]) == whole


@given(st.lists(EVENTS, max_size=30))
def test_no_sequence_of_events_makes_the_fold_raise(events: list[ev.Event]) -> None:
    state = fold(initial_state(PIPELINE), as_records(events))
    assert state.seq == len(events)
    summarize(state)
    state_as_json(state)


@given(EVENTS.filter(lambda event: isinstance(event, ev.Event)))
def test_an_event_comes_back_from_its_record_as_it_was(event: ev.Event) -> None:
    (record,) = as_records([event])
    assert ev.from_data(record.type, record.data) == event


@given(EVENTS.filter(lambda event: isinstance(event, ev.Event)), st.sampled_from([None, [], 7, "x", {}]), st.data())
def test_wrong_data_become_a_finding_and_never_an_exception(
    event: ev.Event, wrong: object, data: st.DataObject
) -> None:
    fields = ev.to_data(event)
    fields[data.draw(st.sampled_from(sorted(fields)))] = wrong
    state = fold(initial_state(PIPELINE), as_records([(event.type, fields)]))
    assert state.seq == 1


def test_a_record_with_a_missing_field_is_a_finding() -> None:
    state = fold(initial_state(PIPELINE), as_records([("stage.failed", {"stage": DIARIZATION})]))
    assert "StageFailed lacks attempt" in state.findings[0].text


def test_an_unknown_type_is_kept_with_its_number() -> None:
    state = fold(initial_state(PIPELINE), as_records([created(), ("stage.paused", {"why": "lunch"})]))
    assert state.unknown == ((2, "stage.paused"),)
    assert state.findings == ()


def test_unknown_fields_are_passed_over() -> None:
    fields = {**ev.to_data(ev.StageInterrupted(DIARIZATION, 1)), "later": 1}
    assert ev.from_data("stage.interrupted", fields) == ev.StageInterrupted(DIARIZATION, 1)


def test_an_impossible_transition_is_a_finding() -> None:
    state = fold(initial_state(PIPELINE), as_records([created(), ev.StageInterrupted(DIARIZATION, 1)]))
    assert "attempt 1 of diarization is not under way" in state.findings[0].text


def test_a_run_without_an_end_is_unfinished_and_names_its_process() -> None:
    state = fold(initial_state(PIPELINE), as_records([created(), run_started()]))
    assert state.status == "unfinished"
    assert state.last_run is not None
    assert (state.last_run.started.pid, state.last_run.started.host) == (1, "host")


def test_a_failed_stage_shows_as_failed_and_the_finished_ones_as_completed() -> None:
    history = History()
    history.run(until=DIARIZATION)
    history.succeed(DIARIZATION)
    history.fail(TRANSCRIPTION)
    state = history.state
    assert state.completed_stages == (AUDIO_CONVERSION, DIARIZATION)
    assert state.failed_stage == TRANSCRIPTION
    assert state.checkpoints[TRANSCRIPTION].error is not None
    assert state.current_stage is None


def test_a_stage_under_way_is_the_current_stage() -> None:
    history = History()
    history.name()
    history.start(AUDIO_CONVERSION)
    assert history.state.current_stages == (AUDIO_CONVERSION,)


def test_the_json_of_a_state_has_every_documented_field() -> None:
    history = History()
    history.run()
    found = state_as_json(history.state)
    wanted = {
        "input_file", "pipeline_id", "created_at", "last_updated", "completed_stages", "checkpoints",
        "current_stage", "failed_stage", "status", "attempts", "calls", "artifacts",
    }  # fmt: skip
    assert wanted <= set(found)


def test_live_state_is_replayed_state_after_every_record() -> None:
    history = History()
    history.run()
    records = as_records(history.events)
    live = initial_state(PIPELINE)
    for number, record in enumerate(records, 1):
        live = evolve(live, record)
        assert live == fold(initial_state(PIPELINE), records[:number])
    assert changed(live) == live


def test_calls_share_what_is_the_same_and_nothing_that_is_only_equal() -> None:
    limits = [{"n": 1, "m": 0}, {"n": 1.0, "m": 0}, {"n": True, "m": 0}, {"m": 0, "n": True}]
    calls = [
        ev.CallStarted(
            f"c{number}", AUDIO_CONVERSION, 1, "".join(["open", "ai"]), "o", "u", "r", False,
            expected={"amount": "0.009", "currency": "USD"}, at_most=most,
        )
        for number, most in enumerate(limits)
    ]  # fmt: skip
    started = ev.StageStarted(AUDIO_CONVERSION, 1, "k", 1, "first", (), {}, {})
    state = fold(initial_state(PIPELINE), as_records([created(), run_started(), started, *calls]))
    kept = [state.calls[call.call].started for call in calls]
    assert repr(kept) == repr(calls)
    assert all(call.expected is kept[0].expected and call.provider is kept[0].provider for call in kept)
