"""`evt voiceprint` and `--identify`, the real program against a service on loopback that bills."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from pipeline.providers.voiceprints import Voiceprints, voiceprint_id
from tests.support.cli import Evt
from tests.support.pyannoteai_server import PyannoteAI

MADE = "2026-11-27T06:00:00Z"


@pytest.fixture
def service() -> Iterator[PyannoteAI]:
    with PyannoteAI() as running:
        yield running


class Voice:
    """The program with a key for the service."""

    def __init__(self, evt: Evt, service: PyannoteAI) -> None:
        self.evt = evt
        self.service = service
        self.access = {"PYANNOTEAI_API_TOKEN": "key-1", "PYANNOTEAI_BASE_URL": service.url}

    def __call__(self, *arguments: str | Path, code: int = 0) -> CompletedProcess[str]:
        return self.evt(*arguments, code=code, **self.access)

    def create(self, name: str, sound: Path, *more: str, code: int = 0) -> CompletedProcess[str]:
        return self("voiceprint", "create", name, sound, "--yes", *more, code=code)

    def run(self, sound: Path, *more: str, code: int = 0) -> CompletedProcess[str]:
        script = f"script:{self.evt.script}"
        return self("run", sound, "--diarizer", "pyannoteai", "--transcriber", script, *more, code=code)

    def keep(self, name: str, text: str) -> str:
        """Put a voiceprint into the home; returns its id."""
        Voiceprints(self.evt.home / "voiceprints").save(name, text, "11aa22bb33cc44dd", MADE)
        return voiceprint_id(text)

    def kept(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self("voiceprint", "list", "--json").stdout)
        return found


@pytest.fixture
def voice(evt: Evt, service: PyannoteAI) -> Voice:
    return Voice(evt, service)


def test_a_voiceprint_is_announced_paid_once_listed_and_deleted(voice: Voice) -> None:
    sound = voice.evt.speech("anna.wav")
    said = voice.create("Anna", sound).stderr
    assert "costs about 0.0006 EUR" in said
    assert "biometric" in said
    types = voice.evt.types()
    assert types.index("call.started") < types.index("call.accepted") < types.index("call.succeeded")
    (one,) = voice.kept()
    assert (one["name"], one["pipeline"]) == ("Anna", voice.evt.log().stem)
    assert one["id"] in voice.evt.log().read_text()
    voice.create("Anne", sound)
    assert len(voice.service.meter.charges) == 1
    assert "pyannoteai" in voice("cost").stdout
    voice("voiceprint", "delete", "Anna", code=5)
    voice("voiceprint", "delete", "Anna", "--yes")
    assert [one["name"] for one in voice.kept()] == ["Anne"]
    assert "evt voiceprint list" in voice("voiceprint", "delete", "Anna", "--yes", code=3).stderr


def test_nothing_is_sent_without_consent_or_of_an_unfit_sound(voice: Voice) -> None:
    sound, long = voice.evt.speech("anna.wav"), voice.evt.speech("long.wav", 31.0)
    silent = voice.evt.work / "silent.wav"
    with wave.open(str(silent), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(64000))
    assert "--yes" in voice("voiceprint", "create", "Anna", sound, code=5).stderr
    assert "at most 30 s" in voice.create("Anna", long, code=3).stderr
    assert not list(voice.evt.home.glob("logs/*/*.jsonl"))
    assert "Nobody was heard" in voice.create("Anna", silent, code=3).stderr
    assert "can't be the name" in voice.create("../Anna", sound, code=3).stderr
    assert "max-cost" in voice.create("Anna", sound, "--max-cost", "0.0001", code=5).stderr
    assert voice.service.jobs == {}
    assert voice.kept() == []


def test_a_voiceprint_is_no_diarization_and_a_diarization_no_voiceprint(voice: Voice) -> None:
    sound = voice.evt.speech("anna.wav")
    voice.create("Anna", sound)
    shown = voice.evt.json("show", "anna.wav")
    assert (shown["status"], shown["completed_stages"]) == ("new", ["audio_conversion"])
    voice.run(sound)
    assert [job.endpoint for job in voice.service.jobs.values()] == ["/v1/voiceprint", "/v1/diarize"]
    before = voice.evt.json("show", "anna.wav")
    (voice.evt.home / "voiceprints" / "Anna.json").unlink()
    voice.create("Anna", sound)
    assert len(voice.service.jobs) == 2
    after = voice.evt.json("show", "anna.wav")
    assert [after[key] for key in ("status", "checkpoints")] == [before[key] for key in ("status", "checkpoints")]
    assert "nothing to do" in voice.run(sound).stdout
    assert voice("validate").returncode == 0


def test_people_are_named_in_the_transcript_and_in_no_log_or_request(voice: Voice) -> None:
    sound = voice.evt.speech("talk.wav")
    ids = [voice.keep("Annabella", "cHJpbnQ="), voice.keep("Benedikt", "b3RoZXI=")]
    voice.keep("Zacharias", "cHJpbnQ=")
    voice.run(sound, "--identify", "Zacharias,Benedikt", "--format", "txt")
    assert "Annabella" in (voice.evt.work / "talk.txt").read_text()
    log = voice.evt.log().read_text()
    sent = json.dumps([job.content for job in voice.service.jobs.values()], default=dict)
    for vp_id in ids:
        assert vp_id in log
        assert vp_id in sent
    for name in ("Annabella", "Benedikt", "Zacharias"):
        assert name not in log + sent
    (job,) = voice.service.jobs.values()
    assert job.endpoint == "/v1/identify"
    # The wish is the log's from now on; a voiceprint that is gone stops only what would need it.
    assert "nothing to do" in voice.run(sound).stdout
    voice("voiceprint", "delete", "Benedikt", "--yes")
    assert "nothing to do" in voice.run(sound).stdout
    blocked = voice.run(sound, "--refresh", "diarization", code=3).stderr
    assert f"{ids[1]} is not there any more" in blocked
    assert len(voice.service.jobs) == 1


def test_unknown_names_are_refused_and_other_engines_only_pass_the_wish_over(voice: Voice) -> None:
    sound = voice.evt.speech("talk.wav")
    voice.keep("Anna", "cHJpbnQ=")
    said = voice.run(sound, "--identify", "Bert", code=3).stderr
    assert "no voiceprint named 'Bert'" in said
    assert "Anna" in said
    note = voice("plan", sound, *voice.evt.engines, "--identify", "Anna").stdout
    assert f"--identify {voiceprint_id('cHJpbnQ=')} has no effect" in note
    blocked = voice("plan", sound, "--diarizer", "pyannoteai:community-1", "--identify", "Anna", code=3).stdout
    assert "community-1 can't identify anybody" in blocked


def test_another_model_is_asked_for_and_makes_the_stage_run_again(voice: Voice) -> None:
    sound = voice.evt.speech("talk.wav")
    voice.run(sound)
    script = f"script:{voice.evt.script}"
    voice("run", sound, "--diarizer", "pyannoteai:community-1", "--transcriber", script)
    assert [job.content["model"] for job in voice.service.jobs.values()] == ["precision-2", "community-1"]


def test_a_job_that_was_accepted_before_a_kill_is_adopted_and_paid_once(voice: Voice) -> None:
    voice.service.work_s = 1e9
    sound = voice.evt.speech("anna.wav")
    words = ["voiceprint", "create", "Anna", str(sound), "--yes"]
    env = voice.evt.environment(**voice.access)
    process = voice.evt.start(*words, env=env)
    assert process.stderr is not None
    while "call.accepted" not in "".join(p.read_text() for p in voice.evt.home.glob("logs/*/*.jsonl")):
        assert process.poll() is None
    process.kill()
    process.communicate()
    voice.service.work_s = 0.0
    # The transcript goes its own way in between, and leaves the job alone.
    voice.evt.run(sound)
    voice.create("Anna", sound)
    assert len(voice.service.jobs) == 1
    assert len(voice.service.meter.charges) == 1
    assert [one["name"] for one in voice.kept()] == ["Anna"]
