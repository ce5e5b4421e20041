"""What runs again, and what does not: the rules of the plan, over the production fold."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from projections.decisions import ASK, BLOCKED, REUSE, RUN, STALE, WAITING
from projections.engine import Engine
from projections.events import LossAccepted
from projections.graph import AUDIO_CONVERSION, DIARIZATION, EXPORT, MERGE, STAGES, TRANSCRIPTION, VERSIONS
from projections.options import Named, resolve_options
from projections.plan import StagePlan, make_plan
from projections.state import PipelineState
from tests.support.runs import AROUND, History, run_started


def decisions(history: History, **named: object) -> dict[str, str]:
    return {step.stage: step.decision for step in history.plan(**named).stages}


def test_a_new_pipeline_starts_with_the_conversion_and_everything_else_waits() -> None:
    plan = History().plan()
    assert plan.resume_point == (AUDIO_CONVERSION,)
    assert {step.decision for step in plan.stages[1:]} == {WAITING}


def test_diarization_and_transcription_start_side_by_side() -> None:
    history = History()
    history.run(until=DIARIZATION)
    assert history.plan().resume_point == (DIARIZATION, TRANSCRIPTION)


def test_a_transcriber_without_word_times_waits_for_the_turns() -> None:
    untimed = Engine("builtin", 1, word_times=False)
    history = History(evolve(AROUND, transcribers={**AROUND.transcribers, "builtin": untimed}))
    history.run(until=DIARIZATION)
    assert history.plan().resume_point == (DIARIZATION,)


def test_a_finished_pipeline_reuses_everything() -> None:
    history = History()
    history.run()
    assert set(decisions(history).values()) == {REUSE}
    assert history.plan().is_done


def test_a_failed_stage_runs_again_and_finished_ones_do_not() -> None:
    history = History()
    history.run(until=DIARIZATION)
    history.succeed(DIARIZATION)
    history.fail(TRANSCRIPTION)
    history.name()
    assert history.plan().resume_point == (TRANSCRIPTION,)
    assert history.run() == [TRANSCRIPTION, MERGE, EXPORT]


def test_a_named_option_runs_just_what_depends_on_it_and_says_why() -> None:
    history = History()
    history.run()
    plan = history.plan(speakers=3)
    assert plan.resume_point == (DIARIZATION,)
    assert plan[TRANSCRIPTION].decision == REUSE
    assert plan[DIARIZATION].reason == "speakers: not set → 3, named by you"
    assert history.run(speakers=3) == [DIARIZATION, MERGE, EXPORT]


def test_a_wish_outlives_a_crash_before_it_was_carried_out() -> None:
    """The option stands in the log from the run that was cut short; the next run names nothing."""
    history = History()
    history.run()
    history.name(speakers=3)
    assert history.plan().resume_point == (DIARIZATION,)


def test_a_wish_that_was_half_carried_out_is_carried_out_to_the_end() -> None:
    history = History()
    history.run()
    history.run(until=MERGE, speakers=3)
    assert history.run() == [MERGE, EXPORT]


def test_going_back_to_an_earlier_wish_runs_nothing() -> None:
    history = History()
    history.run(speakers=2)
    history.run(speakers=3)
    assert history.run(speakers=2) == []
    assert history.plan()[DIARIZATION].reused.number == 1
    assert history.plan()[EXPORT].reused.number == 1


def test_a_recorded_wish_wins_over_configuration_and_a_flag_over_both() -> None:
    history = History()
    history.run(language="de")
    options = resolve_options(Named(files={"language": "fr"}), history.state)
    assert (options["language"].value, options["language"].source) == ("de", "log")
    options = resolve_options(Named(options={"language": "it"}, files={"language": "fr"}), history.state)
    assert options["language"].value == "it"


def test_forgetting_recorded_options_counts_as_a_wish() -> None:
    history = History()
    history.run(speakers=2)
    options = resolve_options(Named(reset=True), history.state)
    assert make_plan(history.state, options, history.around).resume_point == (DIARIZATION,)


def test_a_changed_configuration_makes_stale_and_runs_nothing() -> None:
    history = History()
    history.run()
    options = resolve_options(Named(files={"speakers": 4}), history.state)
    plan = make_plan(history.state, options, history.around)
    assert plan[DIARIZATION].decision == STALE
    assert "from a configuration file" in plan[DIARIZATION].reason
    assert plan.resume_point == ()
    assert plan.is_done


def test_an_upgrade_of_every_stage_and_engine_and_default_runs_nothing_again() -> None:
    history = History()
    history.run()
    history.around = evolve(
        AROUND,
        versions={stage: version + 1 for stage, version in VERSIONS.items()},
        diarizers={
            "builtin": Engine("builtin", 2, key_options=("speakers", "max_speakers")),
            "channels": Engine("c", 2),
        },
        transcribers={"builtin": Engine("builtin", 7), "whisper": Engine("whisper", 9)},
        local_transcriber="whisper",
    )
    plan = history.plan()
    assert {step.decision for step in plan.stages} == {STALE}
    assert plan.resume_point == ()


def test_an_engine_that_appears_later_is_not_taken_for_a_wish() -> None:
    history = History()
    history.run(transcriber="auto")
    history.around = evolve(AROUND, local_transcriber="whisper")
    assert history.plan()[TRANSCRIPTION].decision == STALE
    assert history.plan(transcriber="auto")[TRANSCRIPTION].decision == RUN


def test_refresh_runs_a_stage_once_and_outlives_a_crash() -> None:
    history = History()
    history.run()
    assert history.plan(frozenset({TRANSCRIPTION})).resume_point == (TRANSCRIPTION,)
    history.events.append(evolve(run_started(), refresh=(TRANSCRIPTION,)))
    history.fail(TRANSCRIPTION)
    history.name()
    assert history.state.to_refresh == {TRANSCRIPTION}
    history.succeed(TRANSCRIPTION, tag="other")
    assert history.state.to_refresh == frozenset()
    assert history.run() == [MERGE, EXPORT]


def test_a_reset_outlives_a_crash_until_a_run_is_completed() -> None:
    history = History()
    history.run(speakers=2)
    history.events.append(evolve(run_started(), reset=True))
    assert history.plan().resume_point == (DIARIZATION,)
    assert history.run() == [DIARIZATION, MERGE, EXPORT]
    assert history.state.open_wishes == frozenset()
    assert history.plan().is_done


def test_a_wish_for_automatic_choice_outlives_a_crash_and_then_no_more() -> None:
    history = History()
    history.run(transcriber="whisper")
    history.name(transcriber="auto")
    assert history.plan().resume_point == (TRANSCRIPTION,)
    history.run()
    history.around = evolve(AROUND, local_transcriber="whisper", transcribers=AROUND.transcribers)
    assert history.run() == []


def test_files_lost_after_a_wish_was_carried_out_do_not_bring_back_what_was_before_it() -> None:
    """The transcript of the older wish is whole; it must not stand in for the newer one whose files are gone."""
    history = History(evolve(AROUND, deliver=True))
    history.run()
    history.run(speakers=3)
    gone = {f"{stage}/2/out" for stage in (DIARIZATION, MERGE, EXPORT)}
    history.around = evolve(history.around, missing=frozenset(gone))
    history.name()
    history.succeed(DIARIZATION, tag="salted")
    plan = history.plan()
    assert plan[MERGE].cause == "remade"
    assert plan[MERGE].remakes == 2


def test_a_wish_half_carried_out_holds_after_all_files_are_lost() -> None:
    history = History(evolve(AROUND, deliver=True))
    history.run()
    history.run(until=MERGE, speakers=3)
    history.around = evolve(history.around, missing=frozenset(ref.path for ref in history.state.artifacts))
    history.name()
    history.succeed(AUDIO_CONVERSION)
    history.succeed(DIARIZATION, tag="salted")
    history.succeed(TRANSCRIPTION, tag="salted")
    assert history.plan()[MERGE].decision == RUN
    assert history.plan()[MERGE].cause == "upstream"


def test_an_export_that_holds_all_wanted_formats_is_reused_and_one_that_lacks_one_is_not() -> None:
    history = History()
    history.run(formats=["srt", "txt"])
    assert history.plan(formats=["txt"]).is_done
    assert history.plan(formats=["txt"])[EXPORT].reason == "done"
    assert history.plan(formats=["json", "txt"]).resume_point == (EXPORT,)
    options = resolve_options(Named(once={"formats": ["vtt"]}), history.state)
    assert make_plan(history.state, options, history.around).resume_point == (EXPORT,)


def test_a_missing_artifact_that_nothing_needs_is_left_alone() -> None:
    history = History()
    history.run()
    history.around = evolve(AROUND, missing=frozenset({f"{stage}/1/out" for stage in STAGES}))
    assert set(decisions(history).values()) == {REUSE}


def test_a_missing_artifact_is_made_again_only_as_far_back_as_needed() -> None:
    history = History()
    history.run()
    history.around = evolve(AROUND, missing=frozenset({"diarization/1/out"}))
    found = decisions(history, transcriber="whisper")
    assert found == {
        AUDIO_CONVERSION: REUSE,
        DIARIZATION: RUN,
        TRANSCRIPTION: RUN,
        MERGE: WAITING,
        EXPORT: WAITING,
    }


def test_exports_that_must_be_delivered_pull_their_makers() -> None:
    history = History()
    history.run()
    gone = frozenset({"export/1/out", "merge/1/out", "transcription/1/out"})
    history.around = evolve(AROUND, deliver=True, missing=gone)
    assert history.plan().resume_point == (TRANSCRIPTION,)
    assert history.plan()[DIARIZATION].decision == REUSE
    history.around = evolve(history.around, delivered=frozenset({history.plan()[EXPORT].stage, *_digests(history)}))
    assert history.plan().is_done


def _digests(history: History) -> set[str]:
    return {ref.sha256 for ref in history.state.artifacts}


def test_a_remade_file_with_another_digest_leaves_the_rest_stale() -> None:
    """Nobody asked for a new transcript, so the old one stands and the difference is reported."""
    history = History()
    history.run()
    history.around = evolve(AROUND, missing=frozenset({"transcription/1/out", "merge/1/out"}), deliver=True)
    history.around = evolve(history.around, missing=history.around.missing | {"export/1/out"})
    assert history.plan()[TRANSCRIPTION].cause == "remade"
    history.succeed(TRANSCRIPTION, tag="other")
    history.around = evolve(AROUND, missing=frozenset())
    plan = history.plan()
    assert plan[MERGE].decision == STALE
    assert "transcription was made again" in plan[MERGE].reason


def test_the_recording_is_needed_only_for_the_conversion() -> None:
    history = History(evolve(AROUND, recording_at_hand=False))
    assert history.plan()[AUDIO_CONVERSION].decision == BLOCKED
    history.around = AROUND
    history.run()
    history.around = evolve(AROUND, recording_at_hand=False)
    assert history.plan(speakers=2).resume_point == (DIARIZATION,)


def test_a_lacking_engine_blocks_before_anything_begins() -> None:
    lacking = Engine("whisper", 1, lacking="install it")
    history = History(evolve(AROUND, transcribers={**AROUND.transcribers, "whisper": lacking}))
    plan = history.plan(transcriber="whisper")
    assert plan[TRANSCRIPTION].decision == BLOCKED
    assert plan[TRANSCRIPTION].reason == "install it"


def test_an_engine_refuses_a_language_that_it_does_not_speak() -> None:
    english = Engine("builtin", 1, languages=("en",))
    history = History(evolve(AROUND, transcribers={**AROUND.transcribers, "builtin": english}))
    assert history.plan(language="de")[TRANSCRIPTION].decision == BLOCKED
    assert history.plan(language="en")[TRANSCRIPTION].decision == WAITING
    history.run()
    assert history.plan(language="de")[TRANSCRIPTION].decision == BLOCKED, (
        "also where a transcript is there already"
    )


def test_an_unknown_engine_is_named_with_the_ones_there_are() -> None:
    plan = History().plan(diarizer="magic")
    assert "builtin, channels" in plan[DIARIZATION].reason


def test_a_wish_without_effect_is_noted() -> None:
    assert History().plan(max_speakers=3).notes == (
        "--max-speakers 3 has no effect on diarization by builtin and transcription by builtin",
    )


def test_channels_are_taken_where_they_differ_unless_another_count_is_wished() -> None:
    history = History()
    history.run(until=DIARIZATION)
    converted = history.events[-1]
    pcm = {"audio": "m", "channel-0": "a", "channel-1": "b"}
    history.events[-1] = evolve(converted, metadata={"pcm": pcm})
    assert history.plan()[DIARIZATION].engine_name == "channels"
    assert history.plan()[TRANSCRIPTION].inputs == {"channel-0": "a", "channel-1": "b"}
    assert history.plan(speakers=2)[DIARIZATION].engine_name == "channels"
    assert history.plan(speakers=3)[DIARIZATION].engine_name == "builtin"


def test_an_unknown_event_blocks_the_plan_and_a_note_does_not() -> None:
    history = History()
    history.run()
    state = history.state
    options = resolve_options(Named(), state)
    noted = evolve(state, unknown=((99, "note.added"),))
    assert make_plan(noted, options, AROUND).is_done
    foreign = evolve(state, unknown=((99, "stage.paused"),))
    assert {step.decision for step in make_plan(foreign, options, AROUND).stages} == {BLOCKED}


def test_a_finding_blocks_the_plan() -> None:
    history = History()
    history.events.append(run_started())
    history.start(AUDIO_CONVERSION)
    history.start(AUDIO_CONVERSION)
    assert {step.decision for step in history.plan().stages} == {BLOCKED}


ACTIONS = st.lists(
    st.one_of(
        st.tuples(
            st.just("run"),
            st.fixed_dictionaries(
                {},
                optional={
                    "speakers": st.integers(1, 3),
                    "language": st.sampled_from(["en", "de"]),
                    "transcriber": st.sampled_from(["auto", "builtin", "whisper"]),
                },
            ),
        ),
        st.tuples(st.just("until"), st.sampled_from(STAGES)),
        st.tuples(st.just("fail"), st.sampled_from(STAGES)),
        st.tuples(st.just("lose"), st.sampled_from(STAGES)),
    ),
    max_size=8,
)


def play(actions: list[tuple[str, object]]) -> History:
    history = History(evolve(AROUND, deliver=True))
    for action, argument in actions:
        if action == "run":
            history.run(**argument)  # type: ignore[arg-type]
        elif action == "until":
            history.run(until=str(argument))
        elif action == "fail" and argument in history.plan().resume_point:
            history.fail(str(argument))
        elif action == "lose":
            lost = {ref.path for ref in history.state.artifacts if ref.path.startswith(str(argument))}
            history.around = evolve(history.around, missing=history.around.missing | lost)
    return history


@given(ACTIONS)
def test_the_plan_is_stable_and_running_it_ends(actions: list[tuple[str, object]]) -> None:
    history = play(actions)
    assert history.plan() == history.plan()
    history.run()
    assert history.plan().is_done
    assert history.run() == []


@given(ACTIONS, st.integers(0, 3))
def test_the_resume_point_is_empty_exactly_when_nothing_can_be_done(
    actions: list[tuple[str, object]], extra: int
) -> None:
    plan = play(actions).plan()
    assert bool(plan.resume_point) != (plan.is_done or bool(plan.blocked))


@given(ACTIONS)
def test_an_upgrade_runs_nothing_whatever_happened_before(actions: list[tuple[str, object]]) -> None:
    history = play(actions)
    history.run()
    history.around = evolve(
        history.around,
        versions=dict.fromkeys(STAGES, 2),
        missing=frozenset(),
        diarizers={name: evolve(engine, version=2) for name, engine in AROUND.diarizers.items()},
    )
    assert history.run() == []


def test_what_costs_money_asks_while_records_may_be_lost_and_the_rest_goes_on() -> None:
    paid = Engine("builtin", 1, billable=True)
    history = History(evolve(AROUND, transcribers={**AROUND.transcribers, "builtin": paid}))
    history.run(until=DIARIZATION)
    history.events.append(("log.salvaged", {"file": "x.damaged-1-00"}))
    plan = history.plan()
    assert plan[TRANSCRIPTION].decision == ASK
    assert "evt accept" in plan[TRANSCRIPTION].reason
    assert plan.resume_point == (DIARIZATION,)
    assert [step.stage for step in plan.asks] == [TRANSCRIPTION]
    assert plan[MERGE].decision == WAITING
    history.events.append(LossAccepted((history.state.seq,), "anna"))
    assert history.plan().resume_point == (DIARIZATION, TRANSCRIPTION)


def test_what_was_paid_and_is_there_is_reused_although_records_may_be_lost() -> None:
    paid = Engine("builtin", 1, billable=True)
    history = History(evolve(AROUND, transcribers={**AROUND.transcribers, "builtin": paid}))
    history.run()
    history.events.append(("log.recovered", {"file": "x.torn-1-00", "uncertain": True}))
    assert history.plan().is_done
    history.around = evolve(history.around, deliver=True, missing=frozenset({"transcription/1/out.json"}))
    assert history.plan().is_done


def test_a_certain_cut_loses_nothing_and_asks_nothing() -> None:
    history = History()
    history.events.append(("log.recovered", {"file": "x.torn-1-00", "uncertain": False}))
    assert not history.state.uncertain


def test_gaps_of_a_damaged_recording_need_no_leave() -> None:
    history = History()
    history.run()
    state = history.state
    (whole,) = state.attempts[AUDIO_CONVERSION]
    damaged = evolve(whole, metadata={**whole.metadata, "gaps": 1, "gaps_s": 0.5})
    state = evolve(state, attempts={**state.attempts, AUDIO_CONVERSION: (damaged,)})
    assert make_plan(state, resolve_options(Named(), state), AROUND)[AUDIO_CONVERSION].decision == REUSE


def test_a_success_with_gaps_counts_only_where_gaps_are_allowed() -> None:
    history = History()
    history.run()
    state = history.state
    (whole,) = state.attempts[TRANSCRIPTION]
    with_gap = evolve(whole, metadata={**whole.metadata, "gaps": 1})
    gapped = evolve(state, attempts={**state.attempts, TRANSCRIPTION: (with_gap,)})

    def step(allowed: bool, state: PipelineState) -> StagePlan:
        options = resolve_options(Named(options={"allow_gaps": allowed}), state)
        return make_plan(state, options, AROUND)[TRANSCRIPTION]

    assert [step(True, gapped).decision, step(False, gapped).decision] == [REUSE, RUN]
    assert "gaps" in step(False, gapped).reason
    assert [step(True, state).decision, step(False, state).decision] == [REUSE, REUSE]
