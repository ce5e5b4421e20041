"""What a user says of a transcript: applied by the export, taken back by an event, and whole after a crash."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from eventlog.storage import PosixStorage
from pipeline import runner
from pipeline.annotations.annotations import Annotate, store, undo_last
from pipeline.annotations.speakers import ordering
from pipeline.artifacts import Artifacts
from pipeline.delivery import Target, deliver, delivered_to
from pipeline.look import look
from pipeline.recordings import identify, pipeline_id_of
from projections.events import AnnotationUndone, ArtifactRef, Event, SpeakersNamed
from projections.fold import fold, initial_state
from projections.graph import EXPORT, STAGES
from projections.options import Named
from projections.state import PipelineState
from tests.support.runs import PIPELINE, History, as_records, created, run_started
from tests.support.shop import Crash, DyingStorage, Quiet, make_shop, run_once, scripted, write_script, write_speech

WORDS = [("one", 0.2, 0.6), ("two", 1.5, 1.9), ("three", 3.2, 3.6), ("four", 4.4, 4.8), ("five", 6.1, 6.5)]
REF = ArtifactRef("annotation/1/names.json", "ab" * 32, 10)


def saying(**names: str) -> Annotate:
    spans = {"SPEAKER_00": [[0.0, 3.0]], "SPEAKER_01": [[3.0, 9.0]]}

    def annotate(state: PipelineState, artifacts: Artifacts) -> Sequence[Event]:
        content = {"names": names, "spans": spans}
        return [SpeakersNamed(store(state, artifacts, "names.json", content), "anna")]

    return annotate


def taking_back(state: PipelineState, artifacts: Artifacts) -> Sequence[Event]:
    event = undo_last(state, SpeakersNamed.type, "anna")
    return [event] if event else []


class Home:
    """A finished pipeline whose recording is gone."""

    def __init__(self, folder: Path) -> None:
        self.root, self.out = folder / "home", folder / "out"
        self.out.mkdir()
        script = write_script(folder / "s.toml", words=WORDS)
        recording = write_speech(folder / "talk.wav", 8.0)
        result, _ = run_once(make_shop(self.root), recording, self.out, Named(options=scripted(script)))
        assert result is not None
        self.pipeline = result.pipeline
        recording.unlink()

    @classmethod
    def at(cls, folder: Path, pipeline: str) -> Home:
        home = cls.__new__(cls)
        home.root, home.out, home.pipeline = folder / "home", folder / "out", pipeline
        return home

    def copy(self, folder: Path) -> Home:
        shutil.copytree(self.root, folder / "home")
        shutil.copytree(self.out, folder / "out")
        return Home.at(folder, self.pipeline)

    def say(self, annotate: Annotate, storage: Any = None) -> runner.RunResult:
        shop = make_shop(self.root, storage)
        delivered = delivered_to(Target(self.out, "talk"))
        seen = look(shop, self.pipeline, None, Named(), delivered)
        result = runner.run(
            shop, seen, None, Named(), delivered, Quiet(), annotate=annotate, only=frozenset({EXPORT})
        )
        files = Artifacts(shop.home.artifacts(self.pipeline))
        deliver(Target(self.out, "talk"), result.plan, result.state, files, ["txt", "json"])
        return result

    def run(self) -> runner.RunResult | None:
        """Do what `evt run ID` does."""
        shop = make_shop(self.root)
        delivered = delivered_to(Target(self.out, "talk"))
        seen = look(shop, self.pipeline, None, Named(), delivered)
        result = None if seen.is_settled else runner.run(shop, seen, None, Named(), delivered, Quiet())
        plan, state = (seen.plan, seen.state) if result is None else (result.plan, result.state)
        deliver(Target(self.out, "talk"), plan, state, Artifacts(shop.home.artifacts(self.pipeline)), ["txt"])
        return result

    @property
    def files(self) -> Path:
        return make_shop(self.root).home.artifacts(self.pipeline)

    @property
    def text(self) -> str:
        return (self.out / "talk.txt").read_text()

    @property
    def state(self) -> PipelineState:
        return fold(initial_state(self.pipeline), make_shop(self.root).store.read(self.pipeline).records)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def home(finished: Home, tmp_path: Path) -> Home:
    return finished.copy(tmp_path / "copy")


def test_what_is_said_makes_only_the_export_run_and_names_why(home: Home) -> None:
    result = home.say(saying(SPEAKER_00="Anna"))
    assert result.ran == (EXPORT,)
    assert result.outcome == runner.COMPLETED
    assert result.state.attempts[EXPORT][-1].started.cause == "named"
    assert "Anna: one" in home.text
    assert "SPEAKER_00" not in home.text


def test_after_it_was_said_nothing_is_left_to_do(home: Home) -> None:
    home.say(saying(SPEAKER_00="Anna"))
    assert home.run() is None


def test_what_is_taken_back_gives_the_export_of_before_without_rendering(home: Home) -> None:
    before = home.text
    home.say(saying(SPEAKER_00="Anna"))
    result = home.say(taking_back)
    assert result.ran == ()
    assert home.text == before
    assert [said.type for said in result.state.undone] == ["speakers.named"]


def test_the_log_holds_no_word_of_what_was_said(home: Home) -> None:
    home.say(saying(SPEAKER_00="Anna Zwiebelfisch"))
    log = b"".join(path.read_bytes() for path in home.root.glob("logs/*/*"))
    assert b"Zwiebelfisch" not in log
    (said,) = home.state.annotations
    content = home.files / said.content.path
    assert content.read_text().startswith('{"salt":"')


@pytest.mark.parametrize("mode", ["before", "torn", "after"])
@pytest.mark.parametrize("change", ["say", "take back"])
def test_a_crash_at_any_append_leaves_all_of_it_or_nothing(
    home: Home, tmp_path: Path, mode: str, change: str
) -> None:
    """Whatever the log then says holds, `evt run` renders it, and the change can be made after all."""
    if change == "take back":
        home.say(saying(SPEAKER_00="Anna"))
    annotate, there = (saying(SPEAKER_00="Anna"), "Anna") if change == "say" else (taking_back, "SPEAKER_00")
    for at in range(1, 12):
        hurt = home.copy(tmp_path / str(at))
        try:
            hurt.say(annotate, DyingStorage(at, mode))
        except Crash:
            hurt.run()
            assert hurt.state.findings == ()
            assert hurt.text.startswith(f"[00:00:00] {'Anna' if hurt.state.annotations else 'SPEAKER_00'}: one")
            hurt.say(annotate)
            assert hurt.text.startswith(f"[00:00:00] {there}: one")
            assert hurt.state.findings == ()
        else:
            assert at > 3
            return
    pytest.fail("the storage never stopped dying")


def test_a_crash_at_any_append_of_the_first_run_loses_no_names_that_were_recorded(tmp_path: Path) -> None:
    """The same command goes on, and says nothing twice; the names are on the transcript that it ends in."""
    script = write_script(tmp_path / "s.toml", words=WORDS)
    recording = write_speech(tmp_path / "talk.wav", 8.0)
    for at in range(2, 60, 2):
        root, out = tmp_path / f"home{at}", tmp_path / f"out{at}"
        named = Named(options=scripted(script))
        try:
            first_run(root, recording, out, named, DyingStorage(at, "after"))
        except Crash:
            state = first_run(root, recording, out, named).state
            assert (out / "talk.txt").read_text().startswith("[00:00:00] Anna: one")
            assert "Ben: three" in (out / "talk.txt").read_text()
            assert (len(state.annotations), len(state.undone), state.findings) == (1, 1, ())
        else:
            assert at > 8
            return
    pytest.fail("the storage never stopped dying")


def first_run(
    root: Path, recording: Path, out: Path, named: Named, storage: PosixStorage | None = None
) -> runner.RunResult:
    """Do what `evt run FILE --names Anna,Ben` does."""
    out.mkdir(exist_ok=True)
    shop, target = make_shop(root, storage), Target(out, "talk")
    found = identify(recording, shop.home.index)
    pipeline = pipeline_id_of(found, shop.store)
    seen = look(shop, pipeline, found, named, delivered_to(target))
    annotate = ordering(("Anna", "Ben"), "anna")
    result = runner.run(shop, seen, found, named, delivered_to(target), Quiet(), annotate=annotate)
    deliver(target, result.plan, result.state, Artifacts(shop.home.artifacts(pipeline)), ["txt"])
    return result


def test_a_lost_file_of_what_was_said_stops_the_export_with_advice_and_can_be_taken_back(home: Home) -> None:
    before = home.text
    (lost,) = home.say(saying(SPEAKER_00="Anna")).state.annotations
    (home.files / lost.content.path).unlink()
    for export in home.root.glob("artifacts/*/*/export/2/*.txt"):
        export.unlink()
    (home.out / "talk.txt").unlink()
    shop = make_shop(home.root)
    delivered = delivered_to(Target(home.out, "talk"))
    seen = look(shop, home.pipeline, None, Named(), delivered)
    result = runner.run(shop, seen, None, Named(), delivered, Quiet())
    assert "--undo" in result.failures[EXPORT].message
    home.say(taking_back)
    assert home.text == before


def test_no_other_stage_runs_even_if_the_plan_changed_before_the_lock_was_taken(home: Home) -> None:
    shop, reporter, delivered = make_shop(home.root), Quiet(), delivered_to(Target(home.out, "talk"))
    seen = look(shop, home.pipeline, None, Named(), delivered)
    wish = Named(refresh=frozenset({"transcription"}))
    annotate, only = saying(SPEAKER_00="Anna"), frozenset({EXPORT})
    result = runner.run(shop, seen, None, wish, delivered, reporter, annotate=annotate, only=only)
    assert reporter.started == []
    assert result.outcome != runner.COMPLETED


def test_an_annotation_enters_only_the_key_of_the_export() -> None:
    history = History()
    history.run()
    keys = {stage: history.plan()[stage].key for stage in STAGES}
    history.events.append(SpeakersNamed(REF, "anna"))
    changed = {stage for stage in STAGES if history.plan()[stage].key != keys[stage]}
    assert changed == {EXPORT}
    assert history.plan().resume_point == (EXPORT,)


def test_taking_back_what_does_not_hold_is_a_finding() -> None:
    events = [created(), run_started(), SpeakersNamed(REF, "anna"), AnnotationUndone(3, "anna")]
    assert fold(initial_state(PIPELINE), as_records(events)).findings == ()
    state = fold(initial_state(PIPELINE), as_records([*events, AnnotationUndone(3, "anna")]))
    assert len(state.findings) == 1


def test_what_replaces_something_stands_in_its_place() -> None:
    first, second = SpeakersNamed(REF, "anna"), SpeakersNamed(ArtifactRef("annotation/2/n", "cd" * 32, 1), "ben")
    events = [created(), run_started(), first, second, SpeakersNamed(REF, "anna", replaces=3)]
    state = fold(initial_state(PIPELINE), as_records(events))
    assert [said.seq for said in state.annotations] == [5, 4]
    assert [said.seq for said in state.undone] == [3]
    again = fold(initial_state(PIPELINE), as_records([*events, SpeakersNamed(REF, "anna", replaces=3)]))
    assert len(again.findings) == 1


def test_what_was_taken_back_can_be_said_again() -> None:
    said = SpeakersNamed(REF, "anna")
    events = [created(), run_started(), said, AnnotationUndone(3, "anna"), said]
    state = fold(initial_state(PIPELINE), as_records(events))
    assert [(len(state.annotations), len(state.undone))] == [(1, 1)]
    assert state.artifacts.count(REF) == 2
