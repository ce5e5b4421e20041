"""Variants of a pipeline: logs of their own, nothing of the base changed, nothing done or paid for twice."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from eventlog.errors import LogGoneError
from eventlog.storage import PosixStorage
from pipeline import forks, runner
from pipeline.artifacts import Artifacts
from pipeline.errors import UnsettledError
from pipeline.look import Look, look, surroundings
from pipeline.recordings import Recording, identify
from pipeline.workshop import Workshop
from projections import events as ev
from projections.decisions import BLOCKED, STALE
from projections.family import Relative, stages_to_take_over, unsettled
from projections.fold import fold, foresee, initial_state
from projections.limits import STOP, Limits
from projections.options import Named
from projections.state import PipelineState
from tests.support.paid import Paid
from tests.support.runs import as_records, created, run_started
from tests.support.shop import Crash, DyingStorage, Quiet, make_shop, run_once, scripted, write_script, write_speech

WORDS = [("one", 0.2, 0.6), ("two", 1.5, 1.9), ("three", 3.2, 3.6), ("four", 4.4, 4.8), ("five", 6.1, 6.5)]
PAID = {"billable": "true", "price_per_min": 0.6}


class Family:
    """A home with one recording, its base made by the script `a`, and wishes for variants."""

    def __init__(self, folder: Path, **script: Any) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.path = write_speech(folder / "talk.wav", 8.0)
        self.a = self.script("a", **script)
        self.b = self.script("b", words=WORDS[:3])
        self.open()

    def open(self, storage: PosixStorage | None = None) -> None:
        self.shop: Workshop = make_shop(self.home, storage, limits=Limits(in_doubt=STOP))
        self.recording: Recording = identify(self.path, self.shop.home.index)
        self.base = self.recording.sha256[:16]

    def script(self, name: str, words: Any = WORDS, extra: str = "", **fields: Any) -> Path:
        path = self.folder / f"{name}.toml"
        return write_script(path, words=words, extra=extra, chunk_s="[2.0, 3.0]", **fields)

    def make_base(self, **named: Any) -> runner.RunResult | None:
        return run_once(self.shop, self.path, self.folder, Named(options=scripted(self.a, **named)))[0]

    def find(self, **options: Any) -> str | None:
        named = Named(options=options)
        asked = forks.asked_of(self.shop, self.base, self.recording, named)
        return forks.find(self.shop, asked, self.recording, named)

    def begin(self, **options: Any) -> str:
        named = Named(options=options)
        return forks.begin(
            self.shop, forks.asked_of(self.shop, self.base, self.recording, named), self.recording, named
        )

    def see(self, pipeline: str) -> Look:
        return look(self.shop, pipeline, self.recording, Named(), lambda *_: None)

    def go_on(self, pipeline: str) -> runner.RunResult | None:
        """Do what `evt run` does with a pipeline that is named by its id, apart from delivering."""
        forks.take_over(self.shop, pipeline, self.recording, Named())
        seen = self.see(pipeline)
        if seen.is_settled:
            return None
        return runner.run(self.shop, seen, self.recording, Named(), lambda *_: None, Quiet())

    def variant(self, **options: Any) -> str:
        """Find or begin a variant and carry it out."""
        pipeline = self.find(**options) or self.begin(**options)
        self.go_on(pipeline)
        return pipeline

    def state(self, pipeline: str) -> PipelineState:
        return fold(initial_state(pipeline), self.shop.store.read(pipeline).records)

    def log(self, pipeline: str) -> bytes:
        return Path(self.shop.store.path(pipeline)).read_bytes()

    def said(self, pipeline: str) -> str:
        made = self.see(pipeline).plan["export"].reused
        assert made is not None
        path = next(ref.path for ref in made.outputs if ref.path.endswith(".txt"))
        lines = (self.shop.home.artifacts(pipeline) / path).read_text().splitlines()
        return " ".join(line.partition(": ")[2] for line in lines if line)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Family:
    """A base that is done, made once; nobody changes it."""
    found = Family(tmp_path_factory.mktemp("original"))
    found.make_base()
    return found


@pytest.fixture
def family(original: Family, tmp_path: Path) -> Family:
    """A copy of that home, with the same recording and scripts."""
    found = copy.copy(original)
    found.folder, found.home = tmp_path, tmp_path / "home"
    shutil.copytree(original.home, found.home)
    found.open()
    return found


def by(script: Path) -> str:
    return f"script:{script}"


def test_a_variant_does_only_what_differs_and_leaves_its_base_as_it_is(family: Family) -> None:
    before = family.log(family.base)
    pipeline = family.begin(transcriber=by(family.b))
    result = family.go_on(pipeline)
    assert pipeline == f"{family.base}.2"
    assert result is not None
    assert result.ran == ("transcription", "merge", "export")
    assert family.said(pipeline) == "one two three"
    assert family.log(family.base) == before


def test_the_first_event_of_a_variant_names_its_base_and_that_log_s_head(family: Family) -> None:
    head = family.see(family.base).verdict.head
    records = family.shop.store.read(family.begin(transcriber=by(family.b))).records
    assert [record.type for record in records[:3]] == ["log.created", "pipeline.forked", "pipeline.created"]
    assert records[1].data == {
        "of": family.base,
        "head": {"seq": head.seq, "sha256": head.sha256},
        "options": scripted(family.a) | {"transcriber": by(family.b)},
    }
    assert records[2].data["input"] == family.state(family.base).input
    here, there = (Artifacts(family.shop.home.artifacts(name)) for name in (records[0].pipeline, family.base))
    assert here.salt() == there.salt()


def test_the_same_wishes_find_the_same_variant_and_the_base_s_own_wishes_the_base(family: Family) -> None:
    second = family.variant(transcriber=by(family.b))
    third = family.variant(transcriber=by(family.b), language="de")
    assert family.find(transcriber=by(family.b)) == second
    assert family.find(transcriber=by(family.b), language="de") == third == f"{family.base}.3"
    assert family.find(transcriber=by(family.a)) == family.base
    assert family.find(transcriber=by(family.a), language="de") is None


def test_what_differs_in_spelling_only_is_no_other_variant(tmp_path: Path) -> None:
    """The base left the diarizer to evt; naming the one that evt took asks for the same."""
    family = Family(tmp_path)
    run_once(family.shop, family.path, tmp_path, Named(options={"transcriber": by(family.a)}))
    assert family.find(diarizer="builtin") == family.base
    assert family.find(diarizer="none") is None


def test_a_base_that_is_new_is_the_first_variant(tmp_path: Path) -> None:
    family = Family(tmp_path)
    assert family.find(transcriber=by(family.b)) == family.base


def test_a_stale_success_of_the_base_is_taken_over_as_such_and_never_replaced(tmp_path: Path) -> None:
    """The script of the speakers was edited: nobody asked to find them again."""
    family = Family(tmp_path)
    family.make_base()
    family.a.write_text(family.a.read_text().replace('"SPEAKER_01"', '"SPEAKER_02"'))
    pipeline = family.variant(transcriber=by(family.b))
    assert family.see(family.base).plan["diarization"].decision == STALE
    assert family.see(pipeline).plan["diarization"].decision == STALE
    assert family.state(pipeline).attempts["diarization"][0].provided_by == {
        "pipeline": family.base,
        "attempt": 1,
    }


def test_what_a_variant_made_serves_the_next_one_too(family: Family) -> None:
    second = family.variant(transcriber=by(family.b))
    third = family.begin(transcriber=by(family.b), diarizer="none")
    result = family.go_on(third)
    assert result is not None
    assert set(result.ran) == {"diarization", "merge", "export"}
    assert family.state(third).attempts["transcription"][0].provided_by == {"pipeline": second, "attempt": 1}


def test_a_variant_stands_alone(family: Family) -> None:
    """Whatever becomes of the base, the variant's own files and log are whole."""
    pipeline = family.variant(transcriber=by(family.b))
    shutil.rmtree(family.shop.home.artifacts(family.base))
    for path in Path(family.shop.store.path(family.base)).parent.glob(f"{family.base}.[jh]*"):
        path.unlink()
    artifacts = Artifacts(family.shop.home.artifacts(pipeline))
    assert all(artifacts.is_whole(ref) for ref in family.state(pipeline).artifacts)
    assert family.see(pipeline).is_settled
    assert family.go_on(pipeline) is None


def test_a_file_that_was_changed_is_not_taken_over(family: Family) -> None:
    turns = family.shop.home.artifacts(family.base) / "diarization/1/turns.json"
    turns.write_bytes(turns.read_bytes().replace(b"SPEAKER_01", b"SPEAKER_0X"))
    result = family.go_on(family.begin(transcriber=by(family.b)))
    assert result is not None
    assert "diarization" in result.ran
    assert "audio_conversion" not in result.ran


def test_nothing_is_appended_to_a_finished_variant(family: Family) -> None:
    pipeline = family.variant(transcriber=by(family.b))
    before = family.log(pipeline)
    assert family.variant(transcriber=by(family.b)) == pipeline
    assert family.log(pipeline) == before


def test_forgetting_options_leaves_a_variant_what_it_is(family: Family) -> None:
    pipeline = family.variant(transcriber=by(family.b))
    named = Named(options={"language": "de"})
    seen = look(family.shop, pipeline, family.recording, named, lambda *_: None)
    runner.run(family.shop, seen, family.recording, named, lambda *_: None, Quiet())
    named = Named(reset=True)
    reset = look(family.shop, pipeline, family.recording, named, lambda *_: None)
    runner.run(family.shop, reset, family.recording, named, lambda *_: None, Quiet())
    assert family.state(pipeline).named == family.state(pipeline).forked.options
    assert family.see(pipeline).is_settled
    assert {name: reset.options[name].value for name in ("language", "transcriber", "diarizer")} == {
        "language": "auto",
        "transcriber": by(family.b),
        "diarizer": by(family.a),
    }


# Paid calls


def calls(state: PipelineState, *, here: bool) -> list[str]:
    of_stage = (call for call in state.calls.values() if call.started.stage == "transcription")
    return sorted(call.started.unit for call in of_stage if (call.provided_by is None) is here)


def paid_family(folder: Path, extra: str) -> Family:
    """A base whose paid transcription ended before its end."""
    family = Family(folder, extra=extra, **PAID)
    result = run_once(family.shop, family.path, folder, Named(options={"transcriber": by(family.a)}))[0]
    assert result is not None
    assert result.outcome != "completed"
    return family


FAILS = '[[failures]]\noperation = "transcription"\nattempts = [1]\ncalls = [3]'


def test_answers_that_the_base_paid_for_are_not_paid_for_again(tmp_path: Path) -> None:
    family = paid_family(tmp_path, FAILS)
    base = family.state(family.base)
    failed = [call.started.unit for call in base.calls.values() if not call.response]
    answered = set(calls(base, here=True)) - set(failed)
    pipeline = family.begin(diarizer="none")
    forks.take_over(family.shop, pipeline, family.recording, Named())
    plan = family.see(pipeline).plan
    family.a.write_text(family.a.read_text().replace(FAILS, ""))
    family.go_on(pipeline)
    state = family.state(pipeline)
    assert calls(state, here=False) == sorted(answered)
    assert answered
    assert not answered & set(calls(state, here=True))
    assert plan.price is not None
    assert plan["transcription"].price.calls == len(calls(state, here=True))
    assert family.see(pipeline).plan.is_done


def test_an_answer_that_was_taken_over_and_is_gone_is_priced_again_and_taken_over_again(tmp_path: Path) -> None:
    family = paid_family(tmp_path, FAILS)
    pipeline = family.begin(diarizer="none")
    forks.take_over(family.shop, pipeline, family.recording, Named())
    before = family.see(pipeline).plan["transcription"].price.calls
    first = next(call for call in family.state(pipeline).calls.values() if call.provided_by)
    (family.shop.home.artifacts(pipeline) / first.response.path).unlink()
    assert family.see(pipeline).plan["transcription"].price.calls == before + 1
    forks.take_over(family.shop, pipeline, family.recording, Named())
    assert family.see(pipeline).plan["transcription"].price.calls == before


def test_what_the_base_may_have_paid_for_is_settled_there_first(tmp_path: Path) -> None:
    family = paid_family(tmp_path, f'{FAILS}\nkind = "ambiguous"')
    pipeline = family.begin(diarizer="none")
    with pytest.raises(UnsettledError, match=f"evt run {family.base}"):
        family.go_on(pipeline)
    assert not family.state(pipeline).calls
    other = family.begin(transcriber=by(family.b))
    family.go_on(other)
    assert family.see(other).plan.is_done


def test_a_base_pays_for_nothing_that_a_variant_has_done(tmp_path: Path) -> None:
    family = Family(tmp_path)
    family.make_base()
    paid = family.script("paid", words=WORDS[:4], **PAID)
    variant = family.variant(transcriber=by(paid))
    assert calls(family.state(variant), here=True)
    named = Named(options={"transcriber": by(paid)})
    forks.take_over(family.shop, family.base, family.recording, named)
    seen = look(family.shop, family.base, family.recording, named, lambda *_: None)
    runner.run(family.shop, seen, family.recording, named, lambda *_: None, Quiet())
    state = family.state(family.base)
    assert state.attempts["transcription"][-1].provided_by == {"pipeline": variant, "attempt": 1}
    assert not [call for call in state.calls.values() if call.started.billable]
    assert family.see(family.base).plan.is_done


def test_what_a_variant_has_named_is_no_wish_of_its_base(tmp_path: Path) -> None:
    family = paid_family(tmp_path, FAILS)
    other = family.variant(transcriber=by(family.b))
    assert family.see(other).plan.is_done
    before = family.state(family.base)
    forks.take_over(family.shop, family.base, family.recording, Named(options={"language": "en"}))
    after = family.state(family.base)
    assert after.attempts["transcription"] == before.attempts["transcription"]


def test_of_two_that_are_in_doubt_only_the_later_one_waits(tmp_path: Path) -> None:
    family = paid_family(tmp_path, f'{FAILS}\nkind = "ambiguous"')
    base = family.state(family.base)
    variant = evolve(base, pipeline_id=f"{family.base}.2")
    steps = family.see(family.begin(diarizer="none")).plan.stages
    assert unsettled(base, steps, [Relative(variant)]) is None
    assert unsettled(variant, steps, [Relative(base)]) == family.base
    assert unsettled(initial_state(family.base), steps, [Relative(variant)]) == variant.pipeline_id


def test_a_relative_that_is_asking_a_paid_engine_is_waited_for_also_between_two_calls(tmp_path: Path) -> None:
    family = paid_family(tmp_path, FAILS)
    relative = family.state(family.base)
    last = relative.attempts["transcription"][-1]
    asking = evolve(
        relative,
        attempts={**relative.attempts, "transcription": (evolve(last, status="started", error=None),)},
    )
    pipeline = family.begin(diarizer="none")
    steps = family.see(pipeline).plan.stages
    state = family.state(pipeline)
    assert unsettled(state, steps, [Relative(asking)]) == family.base
    assert unsettled(state, steps, [Relative(relative)]) is None


@pytest.mark.slow
def test_two_services_charge_each_request_of_a_family_once(tmp_path: Path) -> None:
    """Their meters say so: the same speakers for other words, then the same words for other speakers."""
    with Paid(tmp_path) as paid:
        shop = paid.shop()
        paid.run(shop)
        recording = identify(paid.recording, shop.home.index)
        base, first = recording.sha256[:16], paid.charged()
        for number, wishes in ((2, {"model": "gpt-transcribe"}), (3, {"diarizer": "none"})):
            named = Named(options=wishes)
            pipeline = forks.begin(shop, forks.asked_of(shop, base, recording, named), recording, named)
            assert pipeline == f"{base}.{number}"
            forks.take_over(shop, pipeline, recording, Named())
            seen = look(shop, pipeline, recording, Named(), lambda *_: None)
            result = runner.run(shop, seen, recording, Named(), lambda *_: None, Quiet())
            assert result.outcome == "completed"
            assert set(paid.charged().values()) == {1}
        assert len(paid.pyannoteai.meter.per_request()) == 1
        assert first < paid.charged()


# Crashes


@pytest.mark.parametrize("mode", ["before", "half", "after"])
def test_a_crash_while_forking_leaves_nothing_that_the_same_call_doesn_t_go_on_with(
    family: Family, mode: str
) -> None:
    """At each write to the log: its begin, who it is, what it takes over, and the first of the run behind that."""
    for number, at in enumerate(range(1, 5), 2):
        wishes = {"transcriber": by(family.b), "language": f"{mode}{at}"}
        family.open(DyingStorage(at, mode))
        with pytest.raises(Crash):
            family.variant(**wishes)
        family.open()
        assert family.variant(**wishes) == f"{family.base}.{number}"
        state = family.state(f"{family.base}.{number}")
        assert state.forked.options["language"] == wishes["language"]
        assert state.attempts["audio_conversion"][-1].provided_by is not None
        assert state.status == "completed"
        assert family.said(state.pipeline_id) == "one two three"


def test_an_attempt_that_a_dead_run_left_open_is_ended_before_another_one_is_taken_over(family: Family) -> None:
    pipeline = family.begin(transcriber=by(family.b))
    opened = family.shop.store.open_writer(pipeline, run="dead")
    begun = [run_started(), ev.StageStarted("diarization", 1, "key", 1, "first", (), {}, {})]
    opened.writer.append([(event.type, ev.to_data(event)) for event in begun], run="dead")
    opened.writer.close()
    family.go_on(pipeline)
    attempts = family.state(pipeline).attempts["diarization"]
    assert [attempt.status for attempt in attempts] == ["interrupted", "succeeded"]
    assert attempts[1].provided_by is not None
    assert family.state(pipeline).status == "completed"


def test_a_variant_whose_log_is_gone_is_not_begun_anew(family: Family) -> None:
    """What it was, and what it paid for, nobody knows; as with any other pipeline, the user has to say."""
    first = family.variant(transcriber=by(family.b))
    for path in Path(family.shop.store.path(first)).parent.glob(f"{first}.*"):
        path.unlink()
    with pytest.raises(LogGoneError, match=first):
        family.begin(transcriber=by(family.b))


@pytest.mark.parametrize("path", ["turns.json", "diarization/../../../turns.json", "diarization/1/../x", "a/1/b"])
def test_a_path_that_a_stranger_made_up_is_not_taken_over(family: Family, path: str) -> None:
    base = family.state(family.base)
    made = evolve(base.attempts["diarization"][0], outputs=(ev.ArtifactRef(path, "ab" * 32, 3),))
    relative = Relative(evolve(base, attempts={**base.attempts, "diarization": (made,)}))
    seen = family.see(family.begin(transcriber=by(family.b)))
    around = surroundings(family.shop, seen.state, seen.options, family.recording, None)
    found = stages_to_take_over(seen.state, seen.options, around, [relative])
    assert [takeover.event.stage for takeover in found] == ["audio_conversion"]


# The fold


def taken(attempt: int = 1) -> ev.Event:
    source = {"pipeline": "base", "attempt": 4}
    return ev.StageTakenOver("diarization", attempt, "key", 1, {}, {}, (), {"speakers": 2}, 1.5, source)


def test_a_stage_that_was_taken_over_is_a_success_of_this_pipeline() -> None:
    state = fold(initial_state("base.2"), as_records([created(), taken()]))
    (attempt,) = state.attempts["diarization"]
    assert (attempt.status, attempt.duration_s, attempt.provided_by["attempt"]) == ("succeeded", 1.5, 4)
    assert state.completed_stages == ("diarization",)
    assert not state.findings


@pytest.mark.parametrize(
    "events",
    [
        [taken(2)],
        [ev.StageStarted("diarization", 1, "key", 1, "first", (), {}, {}), taken(2)],
        [
            taken_call := ev.CallTakenOver("t.0.1", "t", "p", "o", "u", "r", ev.ArtifactRef("f", "a", 1), {}),
            taken_call,
        ],
    ],
    ids=["another number is due", "an attempt is under way", "a call of that id is there"],
)
def test_a_take_over_that_can_t_be_is_a_finding(events: list[ev.Event]) -> None:
    state = foresee(initial_state("base.2"), [created(), run_started(), *events])
    assert len(state.findings) == 1


def test_a_log_that_makes_no_sense_gives_nothing_to_a_variant(family: Family) -> None:
    opened = family.shop.store.open_writer(family.base, run="stranger")
    opened.writer.append([("stage.imagined", {})], run="stranger")
    opened.writer.close()
    assert family.see(family.base).plan["diarization"].decision == BLOCKED
    head: Mapping[str, Any] = {"seq": 1, "sha256": "0" * 64}
    opened = family.shop.store.open_writer(f"{family.base}.2", run="run", create=True)
    forked = ev.PipelineForked(family.base, dict(head), {"transcriber": by(family.b), "diarizer": by(family.a)})
    opened.writer.append([(forked.type, ev.to_data(forked))], run="run")
    opened.writer.close()
    result = family.go_on(f"{family.base}.2")
    assert result is not None
    assert result.ran == ("audio_conversion", "diarization", "transcription", "merge", "export")
