"""Whatever happens between the runs, they end in the transcript of an undisturbed one, and nothing runs in vain."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from eventlog.reader import Tail
from eventlog.record import Record
from pipeline.runner import COMPLETED
from projections.fold import fold, initial_state
from projections.options import Named
from tests.support.folders import MEMORY
from tests.support.proofs import rarely
from tests.support.shop import Crash, DyingStorage, make_shop, run_once, scripted, write_script, write_speech

WORDS = [("one", 0.2, 0.6), ("two", 1.5, 1.9), ("three", 3.2, 3.6), ("four", 4.4, 4.8), ("five", 6.1, 6.5)]


class Recordings(RuleBasedStateMachine):
    """Runs, crashes, lost and damaged files, other names, other wishes; and a bystander that must not change."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="evt-machine-", dir=MEMORY))
        self.script = write_script(
            self.root / "script.toml", words=WORDS, chunk_s="[2.0, 3.0]", key_options='["speakers", "language"]'
        )
        self.recording = write_speech(self.root / "talk.wav", 8.0)
        self.out = self.root / "out"
        self.out.mkdir()
        self.wishes: dict[str, Any] = dict(scripted(self.script))
        bystander = write_speech(self.root / "other.wav", 3.0, seed=7)
        run_once(make_shop(self.root / "home"), bystander, self.out, Named(options=self.wishes))
        self.bystanders = {path: path.read_bytes() for path in self._logs()}
        reference = self.root / "reference"
        reference.mkdir()
        run_once(make_shop(self.root / "undisturbed"), self.recording, reference, Named(options=self.wishes))
        self.expected = (reference / "talk.txt").read_bytes()

    @rule(at=st.integers(1, 40), mode=st.sampled_from(["before", "torn", "after"]))
    def run_and_crash(self, at: int, mode: str) -> None:
        shop = make_shop(self.root / "home", DyingStorage(at, mode))
        try:
            run_once(shop, self.recording, self.out, Named(options=self.wishes))
        except Crash:
            return
        self._check()

    @rule()
    def run(self) -> None:
        self._run_to_the_end()

    @rule(speakers=st.integers(1, 3))
    def wish_for_speakers(self, speakers: int) -> None:
        self.wishes = {**self.wishes, "speakers": speakers}

    @rule(language=st.sampled_from(["en", "de"]))
    def wish_for_a_language(self, language: str) -> None:
        self.wishes = {**self.wishes, "language": language}

    @rule()
    def wish_for_nothing(self) -> None:
        """What was wished for before stands in the log, but only once a run has recorded it."""
        if (self.root / "home" / "logs").exists() and self._records():
            named = fold(initial_state(self._pipeline()), self._records()).named
            self.wishes = {} if {"diarizer", "transcriber"} <= named.keys() else dict(scripted(self.script))

    @precondition(lambda self: list(self.root.glob("home/artifacts/*/*/*/*/*")))
    @rule(data=st.data(), damage=st.booleans())
    def lose_or_damage_a_file(self, data: st.DataObject, damage: bool) -> None:
        folder = self.root / "home" / "artifacts" / self._pipeline()[:2] / self._pipeline()
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "salt")
        if not files:
            return
        chosen = data.draw(st.sampled_from(files))
        if damage and chosen.stat().st_size:
            content = bytearray(chosen.read_bytes())
            content[-1] ^= 1
            chosen.write_bytes(bytes(content))
        else:
            chosen.unlink()

    @rule(stage=st.sampled_from(["diarization", "transcription", "merge"]))
    def run_a_stage_again(self, stage: str) -> None:
        if self._records():
            shop = make_shop(self.root / "home")
            named = Named(options=self.wishes, refresh=frozenset({stage}))
            run_once(shop, self.recording, self.out, named)
            self._check()

    @rule()
    def forget_the_options(self) -> None:
        if self._records():
            self.wishes = dict(scripted(self.script))
            run_once(
                make_shop(self.root / "home"), self.recording, self.out, Named(options=self.wishes, reset=True)
            )

    @rule()
    def lose_the_deliveries(self) -> None:
        for path in self.out.glob("talk.*"):
            path.unlink()

    @rule()
    def rename_the_recording(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="moved-", dir=self.root))
        self.recording = self.recording.rename(folder / "talk.wav")

    def teardown(self) -> None:
        if hasattr(self, "expected"):
            self._run_to_the_end()
            shutil.rmtree(self.root)

    def _run_to_the_end(self) -> None:
        shop = make_shop(self.root / "home")
        result, deliveries = run_once(shop, self.recording, self.out, Named(options=self.wishes))
        assert result is None or result.outcome == COMPLETED
        assert deliveries
        assert (self.out / "talk.txt").read_bytes() == self.expected
        before = self._records()
        assert run_once(make_shop(self.root / "home"), self.recording, self.out, Named())[0] is None
        assert self._records() == before, "a repeated run appends nothing"
        self._check()

    def _check(self) -> None:
        records = self._records()
        state = fold(initial_state(self._pipeline()), records)
        assert state.findings == ()
        require_no_work_in_vain(records)
        assert {path: path.read_bytes() for path in self._logs() if path in self.bystanders} == self.bystanders

    def _pipeline(self) -> str:
        names = {path.stem for path in self._logs() if path not in self.bystanders}
        return next(iter(names), "none")

    def _logs(self) -> list[Path]:
        return sorted(self.root.glob("home/logs/*/*.jsonl"))

    def _records(self) -> list[Record]:
        if self._pipeline() == "none":
            return []
        view = make_shop(self.root / "home").store.read(self._pipeline())
        assert view.verdict.tail in {Tail.CLEAN, Tail.TORN, Tail.UNTERMINATED}
        return view.records


def require_no_work_in_vain(records: list[Record]) -> None:
    """No stage runs whose key succeeded before, unless its file was gone; no answered request is made again."""
    succeeded: set[str] = set()
    keys: dict[tuple[str, int], str] = {}
    for record in records:
        data = record.data
        if record.type == "stage.started":
            assert data["key"] not in succeeded or data["cause"] in {"remade", "refresh"}, record
            keys[data["stage"], data["attempt"]] = data["key"]
        elif record.type == "stage.succeeded":
            succeeded.add(keys[data["stage"], data["attempt"]])


Recordings.TestCase.settings = settings(
    max_examples=12, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRecordings = pytest.mark.slow(Recordings.TestCase)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["after", *rarely("before", "torn")])
def test_a_crash_at_every_event_ends_in_the_same_transcript_and_answers_nothing_twice(
    tmp_path: Path, mode: str
) -> None:
    """One crash at each append of a run; the next run goes on with what was finished, chunks included."""
    script = write_script(tmp_path / "s.toml", words=WORDS, chunk_s="[2.0, 3.0]")
    recording = write_speech(tmp_path / "talk.wav", 8.0)
    named = Named(options=scripted(script))
    crashes = 0
    expected = None
    for at in range(1, 60):
        home, out = tmp_path / f"home{at}", tmp_path / f"out{at}"
        out.mkdir()
        crashed = False
        try:
            run_once(make_shop(home, DyingStorage(at, mode)), recording, out, named)
        except Crash:
            crashed = True
            crashes += 1
        result, deliveries = run_once(make_shop(home), recording, out, named)
        assert deliveries
        expected = expected or (out / "talk.txt").read_bytes()
        assert (out / "talk.txt").read_bytes() == expected
        shop = make_shop(home)
        records = shop.store.read(shop.store.pipelines()[0]).records
        require_no_work_in_vain(records)
        require_each_answered_request_once(records)
        if not crashed:
            assert result is None
            break
    assert crashes > 20


def require_each_answered_request_once(records: list[Record]) -> None:
    requests = {record.data["call"]: record.data["request"] for record in records if record.type == "call.started"}
    answered = [requests[record.data["call"]] for record in records if record.type == "call.succeeded"]
    assert len(answered) == len(set(answered))
