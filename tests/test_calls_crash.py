"""Whenever the process dies around a paid call, the next run pays for nothing twice without saying so."""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from eventlog.storage import LogFile, PosixStorage
from pipeline.providers.registry import Providers
from projections.engine import Engine
from projections.graph import VERSIONS
from projections.limits import Limits
from tests.support.openai_server import TRANSCRIBE
from tests.support.paid import BOTH, TURNS, Paid, repeats, short_chunks
from tests.support.service import Fault
from tests.support.shop import Crash, DyingStorage


@pytest.fixture
def paid(tmp_path: Path) -> Iterator[Paid]:
    with Paid(tmp_path) as services:
        yield services


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "mode", "every"),
    [
        pytest.param(BOTH, "after", 2, id="chunks after, every second"),
        *(
            pytest.param(options, mode, 1, id=f"{name} {mode}", marks=pytest.mark.heavy)
            for options, name, mode in (
                *((BOTH, "chunks", mode) for mode in ("before", "torn", "after")),
                *((TURNS, "turns", mode) for mode in ("before", "torn", "after")),
            )
        ),
    ],
)
def test_a_crash_at_any_event_changes_neither_the_text_nor_the_bill(
    tmp_path: Path, options: dict[str, str], mode: str, every: int
) -> None:
    """Charges beyond the first of a request are exactly those that the log calls repeated, or fewer."""
    expected, at, crashed = b"", 0, True
    while crashed:
        folder = tmp_path / str(at)
        folder.mkdir()
        with Paid(folder, seconds=9.0) as paid:
            try:
                crashed = False
                paid.run(paid.shop(storage=DyingStorage(at or None, mode)), options)
            except Crash:
                crashed = True
            if crashed:
                paid.require_balanced(paid.state(paid.shop()))
                paid.run(paid.shop(), options)
            expected = expected or paid.text()
            assert paid.text() == expected
            twice = sum(count - 1 for count in paid.charged().values())
            assert twice <= repeats(paid.state(paid.shop())) <= 3
        crashed = crashed or at == 0
        at += every if at else random.randint(1, every)
    assert at > 20


@pytest.mark.slow
def test_an_answer_that_was_stored_and_not_recorded_is_found_and_charged_once(paid: Paid) -> None:
    """The log dies at the event of each answer in turn: the file has its name by then."""

    class AtAnswer(DyingStorage):
        def open_log(self, path: str, *, create: bool) -> LogFile:
            file = super().open_log(path, create=create)
            append = file.append

            def dying(data: bytes) -> int:
                if b'"type":"call.succeeded"' in data and b"transcription.1" in data:
                    raise Crash
                return append(data)

            file.append = dying  # type: ignore[method-assign] # the wrapped file is this one's own
            return file

    with pytest.raises(Crash):
        paid.run(paid.shop(storage=AtAnswer()))
    charges = paid.openai.meter.per_request()
    assert charges
    result = paid.run(paid.shop(limits=Limits(retry_wait_s=0.01)))
    assert result is not None
    assert result.outcome == "completed"
    assert repeats(result.state) == 0
    assert set(paid.charged().values()) == {1}


class BeforeTheEnd(DyingStorage):
    """A log that dies when the transcription has every answer and is about to say that it succeeded."""

    def open_log(self, path: str, *, create: bool) -> LogFile:
        file = super().open_log(path, create=create)
        append = file.append

        def dying(data: bytes) -> int:
            if b'"type":"stage.succeeded"' in data and b'"stage":"transcription"' in data:
                raise Crash
            return append(data)

        file.append = dying  # type: ignore[method-assign] # the wrapped file is this one's own
        return file


@pytest.mark.slow
@pytest.mark.parametrize("in_doubt", ["auto", "repeat", "ask"])
def test_an_answer_whose_file_is_gone_is_priced_and_paid_again_as_far_as_the_user_lets_it(
    paid: Paid, in_doubt: str
) -> None:
    """All were answered, so that a plan that counts what was lost as there would announce nothing."""
    with pytest.raises(Crash):
        paid.run(paid.shop(storage=BeforeTheEnd()))
    state = paid.state(paid.shop())
    answers = [
        call.response for call in state.calls.values() if call.response and call.started.model == "whisper-1"
    ]
    (paid.folder / "home" / "artifacts" / state.pipeline_id[:2] / state.pipeline_id / answers[0].path).unlink()
    result = paid.run(paid.shop(limits=Limits(in_doubt=in_doubt)))
    assert result is not None
    assert result.outcome == ("needs_decision" if in_doubt == "ask" else "completed")
    assert sum(paid.charged().values()) == 1 + len(answers) + (in_doubt != "ask")
    assert repeats(result.state) == (in_doubt != "ask")
    paid.require_balanced(result.state)
    assert "budget.exceeded" not in _types(paid)


def _types(paid: Paid) -> list[str]:
    (pipeline,) = paid.shop().store.pipelines()
    return [record.type for record in paid.shop().store.read(pipeline).records]


class FullLog(PosixStorage):
    """A disk that has no room for the log any more once the first answer is to be recorded."""

    full = False

    def open_log(self, path: str, *, create: bool) -> LogFile:
        file = super().open_log(path, create=create)
        append = file.append

        def refusing(data: bytes) -> int:
            self.full = self.full or (b'"type":"call.succeeded"' in data and b"transcription.1" in data)
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return append(data)

        file.append = refusing  # type: ignore[method-assign] # the wrapped file is this one's own
        return file


@pytest.mark.slow
def test_a_disk_that_fills_with_eight_calls_in_flight_loses_no_answer(tmp_path: Path) -> None:
    with Paid(tmp_path, seconds=40.0, concurrency=8) as paid:
        paid.openai._latency_s = 0.3
        with pytest.raises(Exception, match=r"disk|room|space"):
            paid.run(paid.shop(storage=FullLog()))
        assert len(paid.openai.meter.charges) == 8
        result = paid.run(paid.shop())
        assert result is not None
        assert result.outcome == "completed"
        assert set(paid.charged().values()) == {1}
        assert repeats(result.state) == 0


@pytest.mark.slow
@pytest.mark.parametrize("options", [BOTH, TURNS], ids=["chunks", "turns"])
def test_an_upgrade_a_new_name_and_lost_caches_charge_nothing(tmp_path: Path, options: dict[str, str]) -> None:
    """Half done, and done: other versions of the stages, another default model, another file name, no cache."""
    with Paid(tmp_path) as paid:
        paid.openai.faults.script(Fault("status", endpoint=TRANSCRIBE, nth=3, status=400, body=b"{}"))
        asked = {name: value for name, value in options.items() if name != "model"}
        first = {**asked, **({"model": "whisper-1"} if options is BOTH else {})}
        result = paid.run(paid.shop(), first)
        assert result is not None
        assert result.outcome == "failed"
        before = paid.charged()
        assert before
        paid.heal()
        for _ in range(3):
            upgraded = _upgraded(paid, tmp_path)
            paid.run(upgraded, {})
        assert set(paid.charged().values()) == {1}
        assert {charge.model for charge in paid.openai.meter.charges} == {options["model"]}


class NewerProviders(Providers):
    """The same providers after a release that gives other results for the same options."""

    def engines(self, *wishes: Any) -> tuple[Mapping[str, Engine], Mapping[str, Engine], str]:
        *tables, best = super().engines(*wishes)
        newer = [{name: evolve(engine, version=engine.version + 1) for name, engine in t.items()} for t in tables]
        return newer[0], newer[1], best


def _upgraded(paid: Paid, folder: Path) -> Any:
    """Return a shop after an upgrade; the recording has another name, its converted audio and caches are gone."""
    renamed = folder / "renamed.wav"
    paid.recording = paid.recording.rename(renamed) if paid.recording != renamed else renamed
    shop = paid.shop(versions={stage: number + 1 for stage, number in VERSIONS.items()})
    shop.home.index.unlink(missing_ok=True)
    for converted in shop.home.root.glob("artifacts/*/*/audio_conversion/*/audio.flac"):
        converted.unlink()
    return evolve(shop, providers=NewerProviders({}, access=paid.access(), services=paid.services))


@pytest.mark.slow
def test_a_finished_pipeline_pays_nothing_after_an_upgrade(paid: Paid, tmp_path: Path) -> None:
    paid.run(paid.shop())
    before = paid.charged()
    for options in ({}, BOTH):
        paid.run(_upgraded(paid, tmp_path), options)
    assert paid.charged() == before


@pytest.mark.slow
def test_another_default_model_does_not_begin_a_half_done_transcription_anew(tmp_path: Path) -> None:
    options = {"diarizer": "pyannoteai", "transcriber": "openai"}
    with Paid(tmp_path) as paid:
        paid.openai.faults.script(Fault("status", endpoint=TRANSCRIBE, nth=2, status=400, body=b"{}"))
        paid.run(paid.shop(), options)
        assert paid.openai.meter.charges
        paid.heal()
        paid.services = short_chunks(tmp_path, default_model='"whisper-1"')
        result = paid.run(paid.shop(), options)
        assert result is not None
        assert result.outcome == "completed"
        assert {charge.model for charge in paid.openai.meter.charges} == {"gpt-transcribe"}
        assert set(paid.charged().values()) == {1}
