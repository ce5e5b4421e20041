"""evt in other programs: `pipeline.transcribe` and its manual, docs/library.md, whose examples are run."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import wave
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import pipeline.errors
from cli.exit_codes import exit_code_of
from eventlog import errors as log_errors
from eventlog.errors import EvtError, LogLockedError
from eventlog.store import Store
from pipeline import transcribe
from pipeline.errors import (
    BlockedError,
    DecisionNeededError,
    RunFailedError,
    SettingsError,
    SourceRejectedError,
    StoppedError,
)
from pipeline.library import Wishes
from projections.graph import DEFAULTS
from projections.limits import Limits
from projections.money import Money
from tests.support.cli import WORDS, Evt
from tests.support.openai_server import OpenAIServer
from tests.support.shop import write_script, write_speech
from tests.test_log_docs import blocks

ROOT = Path(__file__).resolve().parent.parent
MANUAL = (ROOT / "docs" / "library.md").read_text()
KEY = "sk-0123456789abcdef"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return write_script(tmp_path / "script.toml", words=WORDS, chunk_s="[2.0, 3.0]")


def engines(script: Path) -> dict[str, str]:
    return {"diarizer": f"script:{script}", "transcriber": f"script:{script}"}


def test_a_second_call_returns_what_the_first_one_made(tmp_path: Path, script: Path) -> None:
    talk = write_speech(tmp_path / "talk.wav", 8.0)
    first = transcribe(talk, home=tmp_path / "home", **engines(script))  # type: ignore[arg-type]
    again = transcribe(str(talk), home=str(tmp_path / "home"))
    assert first.ran[0] == "audio_conversion"
    assert first.files == again.files == {}
    assert again.ran == ()
    assert again.transcript == first.transcript
    assert "one two" in str(first.render("txt"))
    assert first.as_json()["id"] == first.pipeline


def test_a_call_and_the_command_line_go_on_with_each_others_work(evt: Evt) -> None:
    talk = evt.speech()
    result = transcribe(talk, home=evt.home, output_dir=evt.work, formats=["txt"], **engines(evt.script))  # type: ignore[arg-type]
    assert [path.name for path in result.files.values()] == ["talk.txt"]
    (report,) = evt.json("run", "talk.wav")
    assert report["ran"] == []
    assert report["pipeline"] == result.pipeline
    evt("speakers", "talk.wav", "--name", "SPEAKER_00=Anna")
    assert transcribe(talk, home=evt.home).transcript.utterances[0].speaker == "Anna"


def test_what_a_killed_call_finished_is_not_done_again(tmp_path: Path, script: Path) -> None:
    """The process dies without a word right after the diarization; its calls were recorded one by one."""
    talk = write_speech(tmp_path / "talk.wav", 8.0)
    program = f"""
import os
from pipeline import library, transcribe
class Dying(library._Quiet):
    def stage_ended(self, attempt):
        if attempt.stage == "diarization":
            os._exit(9)
transcribe({str(talk)!r}, home={str(tmp_path / "home")!r}, reporter=Dying(), diarizer="script:{script}",
           transcriber="script:{script}")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    result = transcribe(talk, home=tmp_path / "home")
    assert {"audio_conversion", "diarization"}.isdisjoint(result.ran)
    assert "merge" in result.ran


def test_paid_calls_keep_the_limits_and_are_paid_once(tmp_path: Path) -> None:
    talk = write_speech(tmp_path / "talk.wav", 8.0)
    with OpenAIServer() as server:
        wishes: dict[str, Any] = {
            "home": tmp_path / "home",
            "diarizer": "none",
            "transcriber": "openai",
            "model": "whisper-1",
            "keys": {"openai": KEY},
            "urls": {"openai": server.base_url},
        }
        with pytest.raises(DecisionNeededError, match="max-cost"):
            transcribe(talk, **wishes, limits=Limits(max_cost=Money(Decimal("0.0000001"), "USD")))
        assert len(server.meter.charges) == 0
        result = transcribe(talk, **wishes)
        transcribe(talk, **wishes)
        assert len(server.meter.charges) == 1
    log = Path(Store(str(tmp_path / "home" / "logs")).path(result.pipeline)).read_text()
    assert KEY not in log
    assert '"account":"' in log


def test_offline_no_service_is_asked(tmp_path: Path) -> None:
    talk = write_speech(tmp_path / "talk.wav", 8.0)
    wishes: dict[str, Any] = {"diarizer": "none", "transcriber": "openai", "keys": {"openai": KEY}}
    with pytest.raises(BlockedError, match="nothing may leave this machine"):
        transcribe(talk, home=tmp_path / "home", offline=True, **wishes)


def test_errors_are_exceptions_with_the_words_of_the_command_line(evt: Evt) -> None:
    talk = evt.speech()
    wrong: list[tuple[type[EvtError], dict[str, Any], list[str]]] = [
        (SettingsError, {"language": "x" * 2000}, ["--language", "x" * 2000]),
        (BlockedError, {"transcriber": "openai"}, ["--transcriber", "openai"]),
        (BlockedError, {"transcriber": "nobody"}, ["--transcriber", "nobody"]),
    ]
    for kind, options, flags in wrong:
        with pytest.raises(kind) as caught:
            transcribe(talk, home=evt.home, **options)
        told = str(caught.value).partition(": ")[2] if kind is SettingsError else str(caught.value)
        done = evt("run", "talk.wav", *flags, code=exit_code_of(caught.value))
        assert told in done.stderr
    (evt.work / "no.wav").write_bytes(b"not audio")
    with pytest.raises(SourceRejectedError) as rejected:
        transcribe(evt.work / "no.wav", home=evt.home)
    assert str(rejected.value) in evt("run", "no.wav", code=3).stderr


def test_a_failed_stage_names_itself_and_what_is_done_is_kept(tmp_path: Path) -> None:
    failing = write_script(
        tmp_path / "f.toml",
        words=WORDS,
        extra='[[failures]]\noperation = "transcription"\ncode = "odd"\nmessage = "It broke."\nretryable = false\n',
    )
    talk = write_speech(tmp_path / "talk.wav", 8.0)
    with pytest.raises(RunFailedError, match=r"It broke.*What is done is kept; `evt run") as caught:
        transcribe(talk, home=tmp_path / "home", **engines(failing))  # type: ignore[arg-type]
    assert set(caught.value.failures) == {"transcription"}


def test_a_call_that_is_told_to_stop_says_so(tmp_path: Path, script: Path) -> None:
    stop = threading.Event()
    stop.set()
    talk = write_speech(tmp_path / "talk.wav", 8.0)
    with pytest.raises(StoppedError, match="goes on from there"):
        transcribe(talk, home=tmp_path / "home", stop=stop, **engines(script))  # type: ignore[arg-type]


def test_a_recording_that_somebody_works_on_is_refused(tmp_path: Path, script: Path) -> None:
    talk = write_speech(tmp_path / "talk.wav", 8.0)
    pipeline_id = transcribe(talk, home=tmp_path / "home", **engines(script)).pipeline  # type: ignore[arg-type]
    held = Store(str(tmp_path / "home" / "logs")).open_writer(pipeline_id, run="01")
    try:
        with pytest.raises(LogLockedError):
            transcribe(talk, home=tmp_path / "home", language="de")
    finally:
        held.writer.close()


def test_every_option_that_can_change_a_result_is_a_parameter() -> None:
    assert set(Wishes.__annotations__) == set(DEFAULTS)


def test_importing_the_package_stays_cheap() -> None:
    program = "import sys, pipeline; print(*[name for name in sys.modules if name.startswith('pipeline.')])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True, cwd=ROOT).split() == []


def test_every_error_of_the_manual_exists() -> None:
    rows = MANUAL.partition("## Errors")[2]
    named = {
        word for line in rows.splitlines() if line.startswith("|") for word in line.split("`") if "Error" in word
    }
    names = {word.rpartition(".")[2] for word in named}
    assert len(names) >= 9
    assert [name for name in names if not hasattr(pipeline.errors, name) and not hasattr(log_errors, name)] == []


@pytest.mark.slow
def test_the_examples_of_the_manual_are_a_script_that_runs(tmp_path: Path) -> None:
    """With the built-in engines, on the first seconds of a sample; as somebody would write it, without a guard."""
    talk = str(tmp_path / "talk.wav")
    with wave.open(str(ROOT / "samples" / "quilter.wav")) as sample, wave.open(talk, "wb") as cut:
        cut.setparams(sample.getparams())
        cut.writeframes(sample.readframes(int(2.5 * sample.getframerate())))
    (tmp_path / "program.py").write_text("\n".join(blocks(MANUAL, "python")))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "SPEAKER_00: " in done.stdout
    assert "no-such.wav can't be opened" in done.stdout
    assert not (tmp_path / "paid-home" / "artifacts").is_dir() or "max" in done.stdout
