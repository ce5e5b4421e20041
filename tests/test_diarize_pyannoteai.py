"""pyannoteAI's engines against a server that speaks its API: what is asked, believed, found again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from attrs import define, evolve, field

from pipeline.errors import ProviderError, StoppedError, VoiceprintError
from pipeline.providers.diarize_pyannoteai import PyannoteAIDiarizer, PyannoteAITranscriber, PyannoteAIVoiceprinter
from pipeline.providers.pyannoteai_client import Timeouts
from pipeline.providers.pyannoteai_jobs import Patience, PyannoteAIJobs
from pipeline.providers.remote import Access, Doubt, RemoteJobs, Sound, Wish
from pipeline.providers.services import Services, load_services
from pipeline.providers.voiceprints import Voiceprints
from pipeline.secret import Secret
from tests.support.pyannoteai_server import (
    CANCELED,
    ENDLESS,
    FAILED,
    OUTPUT_GONE,
    UNKNOWN,
    JobFault,
    PyannoteAI,
    Turns,
)
from tests.support.service import (
    CUT_BODY,
    CUT_JSON,
    EMPTY_OBJECT,
    HTML,
    NULLS,
    RESET_AFTER_ACCEPTANCE,
    RESET_BEFORE_ACCEPTANCE,
    RESET_BEFORE_BODY,
    Clock,
    Fault,
    refused_url,
    status,
)
from tests.test_pyannoteai_client import require_without_secrets

ROOT = Path(__file__).resolve().parent.parent
KEY = "canary-of-the-key"
SUBMIT, LOOK, LIST = "POST /v1/diarize", "GET /v1/jobs/*", "GET /v2/jobs"
CLASSES = (PyannoteAIDiarizer, PyannoteAITranscriber, PyannoteAIVoiceprinter)


@define
class Recorder:
    """A run's line whose pauses let the server's clock go on instead of ours.

    Attributes:
        accepted_jobs: (id, until when).
        pauses: how long each was.
        stop_at: the pause in which the user asks to stop.
    """

    clock: Clock
    accepted_jobs: list[tuple[str, str | None]] = field(factory=list)
    pauses: list[float] = field(factory=list)
    shown: list[str] = field(factory=list)
    stop_at: int | None = None

    def check(self) -> None:
        pass

    def pause(self, seconds: float) -> None:
        assert 0 <= seconds <= 600
        self.pauses.append(seconds)
        self.clock.advance(seconds)
        if len(self.pauses) == self.stop_at:
            raise StoppedError("The user asked to stop.")

    def accepted(self, job_id: str, expires_at: str | None = None) -> None:
        self.accepted_jobs.append((job_id, expires_at))

    def progress(self, text: str) -> None:
        self.shown.append(text)


@pytest.fixture
def service() -> Iterator[PyannoteAI]:
    with PyannoteAI() as running:
        running.clock.set(speed=0)
        yield running


@pytest.fixture
def line(service: PyannoteAI) -> Recorder:
    return Recorder(service.clock)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    samples, _ = soundfile.read(ROOT / "samples" / "jfk.wav", dtype="int16")
    return samples


@pytest.fixture
def sound(tmp_path: Path, speech: np.ndarray) -> Sound:
    return written(tmp_path / "Interview with Anna.flac", speech)


def written(path: Path, samples: np.ndarray) -> Sound:
    soundfile.write(path, samples, 16_000, "PCM_16", format="FLAC")
    return Sound(path, 0, len(samples), hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest())


def access(service: PyannoteAI, **changes: Any) -> Access:
    return evolve(
        Access(url=service.url, key=Secret(KEY), source="$PYANNOTEAI_API_TOKEN", account="0a1b2c3d"), **changes
    )


def diarizer(service: PyannoteAI, **changes: Any) -> PyannoteAIDiarizer:
    return PyannoteAIDiarizer(None, access=access(service), services=load_services(), **changes)


def transcriber(service: PyannoteAI, **changes: Any) -> PyannoteAITranscriber:
    return PyannoteAITranscriber(None, access=access(service), services=load_services(), **changes)


def wish(**options: Any) -> Wish:
    nothing = {"speakers": None, "min_speakers": None, "max_speakers": None, "language": "auto", "model": None}
    return Wish(options={**nothing, **options})


def failure(act: Callable[[], object]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        act()
    require_without_secrets(caught.value, KEY, "X-Amz-Signature")
    return caught.value


def submitted(service: PyannoteAI) -> dict[str, Any]:
    (job,) = service.jobs.values()
    return dict(job.content)


# What is asked, and what comes back.


def test_a_recording_is_uploaded_submitted_and_its_turns_come_back(
    service: PyannoteAI, line: Recorder, sound: Sound
) -> None:
    service.work_s = 40
    engine = diarizer(service)
    reply = engine.ask(sound, wish(), line)
    answer = engine.read(reply.body, sound, wish())
    assert answer["turns"][0]["speaker"] == "SPEAKER_00"
    assert answer["turns"] == sorted(answer["turns"], key=lambda turn: turn["start_s"])
    assert len(answer["turns"]) >= 3
    assert answer["exclusive"] == answer["turns"], "nobody speaks at the same time here"
    assert answer["metadata"] == {"model": "precision-2", "speakers": 2}
    assert json.loads(reply.body)["status"] == "succeeded", "the body is the answer as it came"
    assert line.pauses == [1, 1.5, 2.25, pytest.approx(3.375), *line.pauses[4:]]
    assert max(line.pauses) <= 15
    (charge,) = service.meter.charges
    assert reply.cost is not None
    assert (reply.cost.amount, reply.cost.currency) == (charge.amount, "EUR")
    assert (reply.basis, reply.price_date, reply.usage) == ("estimated", "2026-11-01", None)


def test_the_acceptance_is_recorded_with_a_day_until_it_expires(
    service: PyannoteAI, line: Recorder, sound: Sound
) -> None:
    service.clock.set(offset_s=-1_000_000, speed=0)
    now = diarizer(service).prepare()
    diarizer(service).ask(sound, wish(), line)
    ((job_id, expires_at),) = line.accepted_jobs
    assert job_id in service.jobs
    assert expires_at is not None
    assert (int(expires_at[8:10]) - int(now[8:10])) % 31 == 1 or expires_at[8:10] == "01"
    assert expires_at[10:] == now[10:], "the same time on the next day, by the provider's clock"


def test_no_name_leaves_the_machine(service: PyannoteAI, line: Recorder, sound: Sound) -> None:
    diarizer(service).ask(sound, wish(), line)
    assert submitted(service)["url"] == f"media://evt/{sound.pcm_sha256}.flac"
    assert "Anna" not in json.dumps([[r.path, r.query, r.headers] for r in service.requests])


def test_only_counts_that_are_known_are_sent(service: PyannoteAI, line: Recorder, sound: Sound) -> None:
    engine = diarizer(service)
    asked = {"model": "precision-2", "exclusive": True, "turnLevelConfidence": True}
    assert engine.wire(wish()) == asked
    assert engine.wire(wish(speakers=3, min_speakers=2)) == {**asked, "numSpeakers": 3}
    assert engine.wire(wish(min_speakers=2, max_speakers=5)) == {**asked, "minSpeakers": 2, "maxSpeakers": 5}
    engine.ask(sound, wish(max_speakers=4), line)
    assert submitted(service) == {**asked, "maxSpeakers": 4, "url": f"media://evt/{sound.pcm_sha256}.flac"}


def test_a_part_of_a_recording_is_sent_by_itself(
    service: PyannoteAI, line: Recorder, tmp_path: Path, speech: np.ndarray
) -> None:
    whole = written(tmp_path / "whole.flac", speech)
    part = speech[32_000:96_000]
    digest = hashlib.sha256(part.astype("<i2").tobytes()).hexdigest()
    engine = diarizer(service)
    reply = engine.ask(Sound(whole.path, 32_000, 96_000, digest), wish(), line)
    again = engine.ask(written(tmp_path / "part.flac", part), wish(), line)
    assert json.loads(reply.body)["output"] == json.loads(again.body)["output"]
    assert set(service.meter.per_request().values()) == {2}, "the service heard the same twice"


def test_a_job_that_transcribes_gives_words_turns_and_the_same_without_overlaps(
    service: PyannoteAI, line: Recorder, sound: Sound
) -> None:
    service.speak = lambda samples: [(0.5, 4.0, "SPEAKER_01"), (3.0, 6.0, "SPEAKER_00")]
    engine = transcriber(service)
    reply = engine.ask(sound, wish(), line)
    answer = engine.read(reply.body, sound, wish(language="de"))
    assert submitted(service)["transcriptionConfig"] == {"model": "parakeet-tdt-0.6b-v3"}
    assert {word["speaker"] for word in answer["words"]} == {"SPEAKER_00", "SPEAKER_01"}
    assert answer["words"][0] == {"text": "was", "start_s": 0.5, "end_s": 0.889, "speaker": "SPEAKER_00"}
    assert [turn["end_s"] for turn in answer["turns"]] == [4.0, 6.0]
    assert [(turn["start_s"], turn["end_s"]) for turn in answer["exclusive"]] == [(0.5, 4.0), (4.0, 6.0)]
    assert answer["language"] == "de"
    assert answer["metadata"] == {"model": "parakeet-tdt-0.6b-v3", "speakers": 2}
    (charge,) = service.meter.charges
    assert reply.cost is not None
    assert reply.cost.amount == charge.amount
    assert engine.engine().price == load_services().price("pyannoteai", "precision-2", "transcription_price")


def test_speakers_are_named_in_the_order_of_their_first_turns(
    service: PyannoteAI, line: Recorder, sound: Sound
) -> None:
    service.speak = lambda samples: [(0, 1, "SPEAKER_07"), (1, 2, "SPEAKER_02"), (2, 3, "SPEAKER_07")]
    engine = diarizer(service)
    answer = engine.read(engine.ask(sound, wish(), line).body, sound, wish())
    assert [turn["speaker"] for turn in answer["turns"]] == ["SPEAKER_00", "SPEAKER_01", "SPEAKER_00"]


def test_known_voices_get_their_names_and_unknown_ones_numbers(
    service: PyannoteAI, line: Recorder, sound: Sound
) -> None:
    service.speak = lambda samples: [(0, 1, "SPEAKER_01"), (1, 2, "SPEAKER_00"), (2, 3, "SPEAKER_02")]
    engine = diarizer(service, voiceprints={"Anna B.": "cHJpbnQ=", "Zoe": "b3RoZXI="})
    wanted = wish(identify=["Anna B."])
    reply = engine.ask(sound, wanted, line)
    answer = engine.read(reply.body, sound, wanted)
    assert service.count("POST /v1/identify") == 1
    assert [turn["speaker"] for turn in answer["turns"]] == ["SPEAKER_00", "Anna B.", "SPEAKER_01"]
    assert answer["metadata"] == {"model": "precision-2", "speakers": 3, "identified": 1}
    (charge,) = service.meter.charges
    assert reply.cost is not None
    assert reply.cost.amount == charge.amount
    assert engine.operation == "identify"
    assert (diarizer(service).operation, engine.endpoint(wish())) == ("diarize", "/v1/diarize")
    error = failure(lambda: engine.wire(wish(identify=["Bert"])))
    assert (error.kind, error.code) == ("local", "voiceprint_missing")


def test_a_name_that_was_not_asked_for_is_not_believed(service: PyannoteAI, line: Recorder, sound: Sound) -> None:
    engine = diarizer(service, voiceprints={"Anna": "cHJpbnQ="})
    body = engine.ask(sound, wish(identify=["Anna"]), line).body.replace("Anna", "Bert")
    assert failure(lambda: engine.read(body, sound, wish(identify=["Anna"]))).kind == "paid_unusable"


def test_a_voiceprint_is_made_of_a_short_sound_only(
    service: PyannoteAI, line: Recorder, sound: Sound, tmp_path: Path, speech: np.ndarray
) -> None:
    engine = PyannoteAIVoiceprinter(None, access=access(service), services=load_services())
    reply = engine.ask(sound, wish(), line)
    assert len(engine.read(reply.body, sound, wish())["voiceprint"]) > 100
    assert failure(lambda: engine.read('{"status":"succeeded","output":{}}', sound, wish())).kind == "paid_unusable"
    long = written(tmp_path / "long.flac", np.tile(speech, 3))
    error = failure(lambda: engine.ask(long, wish(), line))
    assert (error.kind, error.code) == ("rejected", "too_long")
    assert len(service.jobs) == 1


def test_what_is_longer_than_the_service_takes_is_refused_before_anything_is_sent(
    service: PyannoteAI, line: Recorder, sound: Sound
) -> None:
    error = failure(lambda: diarizer(service).ask(evolve(sound, end=86_401 * 16_000), wish(), line))
    assert (error.kind, error.code) == ("rejected", "too_long")
    assert service.count() == 0


# What goes wrong on the way.


@pytest.mark.parametrize("kind", [FAILED, CANCELED])
def test_a_job_that_fails_or_is_canceled_is_told_and_costs_nothing(
    service: PyannoteAI, line: Recorder, sound: Sound, kind: str
) -> None:
    service.job_faults = [JobFault(kind)]
    error = failure(lambda: diarizer(service).ask(sound, wish(), line))
    assert (error.kind, error.code) == ("rejected", f"job_{kind}")
    assert error.said == ("Could not load audio" if kind == FAILED else None)
    assert service.meter.charges == []


@pytest.mark.parametrize("kind", [OUTPUT_GONE, UNKNOWN])
def test_a_result_that_is_gone_is_told(service: PyannoteAI, line: Recorder, sound: Sound, kind: str) -> None:
    service.job_faults = [JobFault(kind)]
    error = failure(lambda: diarizer(service).ask(sound, wish(), line))
    assert (error.kind, error.code) == ("rejected", "expired")


def test_a_result_is_gone_after_a_day(service: PyannoteAI, line: Recorder, sound: Sound) -> None:
    engine = diarizer(service)
    engine.ask(sound, wish(), line)
    ((job_id, _),) = line.accepted_jobs
    service.clock.advance(23.9 * 3600)
    assert engine.adopt(job_id, sound, wish(), line).body
    service.clock.advance(0.2 * 3600)
    assert failure(lambda: engine.adopt(job_id, sound, wish(), line)).code == "expired"


def test_a_job_that_is_not_everywhere_yet_is_not_given_up(
    service: PyannoteAI, line: Recorder, sound: Sound
) -> None:
    service.faults.script(status(404, {"message": "Job not found"}, endpoint=LOOK, times=2))
    assert diarizer(service).ask(sound, wish(), line).body


def test_a_job_that_never_ends_is_left_under_way(service: PyannoteAI, line: Recorder, sound: Sound) -> None:
    service.job_faults = [JobFault(ENDLESS)]
    error = failure(lambda: diarizer(service).ask(sound, wish(), line))
    assert (error.kind, error.code, error.retryable) == ("under_way", "still_running", True)
    assert line.accepted_jobs[0][0] in str(error)
    assert 1800 + 11 <= sum(line.pauses) < 1800 + 11 + 30, "half an hour, and the recording's length"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(RESET_BEFORE_BODY, LOOK, times=2),
        Fault(CUT_BODY, LOOK, times=2),
        Fault(HTML, LOOK, times=2),
        Fault(CUT_JSON, LOOK, times=2),
        Fault(EMPTY_OBJECT, LOOK, times=2),
        Fault(NULLS, LOOK, times=2),
        status(500, endpoint=LOOK, times=2),
        status(502, "<html>", endpoint=LOOK, times=2),
        status(429, endpoint=LOOK, times=2, headers={"Retry-After": "40"}),
    ],
    ids=lambda fault: f"{fault.kind} {fault.status}",
)
def test_looking_at_a_job_is_tried_again_and_costs_nothing(
    service: PyannoteAI, line: Recorder, sound: Sound, fault: Fault
) -> None:
    service.faults.script(fault)
    assert diarizer(service).ask(sound, wish(), line).body
    assert (len(service.jobs), len(line.pauses)) == (1, 2)
    assert fault.status != 429 or line.pauses == [40, 40]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(RESET_BEFORE_BODY, LOOK), "unreachable"),
        (Fault(HTML, LOOK), "unreadable_answer"),
        (status(401, endpoint=LOOK), "key_refused"),
        (status(402, endpoint=LOOK), "needs_money"),
        (status(503, endpoint=LOOK), "server_error"),
    ],
    ids=["reset", "html", "401", "402", "503"],
)
def test_an_accepted_job_that_cannot_be_looked_at_stays_under_way(
    service: PyannoteAI, line: Recorder, sound: Sound, fault: Fault, code: str
) -> None:
    """Any other class would end the call, although its job goes on and will be billed."""
    service.faults.script(fault)
    error = failure(lambda: diarizer(service).ask(sound, wish(), line))
    assert (error.kind, error.code) == ("under_way", code)
    service.faults.script()
    ((job_id, _),) = line.accepted_jobs
    assert diarizer(service).adopt(job_id, sound, wish(), line).body


def test_a_stop_while_waiting_leaves_the_job_to_be_adopted(service: PyannoteAI, sound: Sound) -> None:
    service.work_s = 100
    first, later = Recorder(service.clock, stop_at=2), Recorder(service.clock)
    with pytest.raises(StoppedError):
        diarizer(service).ask(sound, wish(), first)
    ((job_id, _),) = first.accepted_jobs
    reply = diarizer(service).adopt(job_id, sound, wish(), later)
    assert diarizer(service).read(reply.body, sound, wish())["turns"]
    assert (len(service.jobs), len(service.meter.charges), later.accepted_jobs) == (1, 1, [])


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(RESET_BEFORE_BODY, "POST /v1/media/input"), "not_sent"),
        (Fault(HTML, "POST /v1/media/input"), "not_sent"),
        (Fault(EMPTY_OBJECT, "POST /v1/media/input"), "not_sent"),
        (status(500, endpoint="POST /v1/media/input"), "not_sent"),
        (status(429, endpoint="POST /v1/media/input"), "throttled"),
        (status(402, endpoint="POST /v1/media/input"), "needs_money"),
        (status(401, endpoint="POST /v1/media/input"), "rejected"),
        (Fault(RESET_BEFORE_BODY, "PUT *"), "not_sent"),
        (status(403, endpoint="PUT *"), "not_sent"),
        (status(402, endpoint=SUBMIT), "needs_money"),
        (Fault(HTML, SUBMIT), "ambiguous"),
        (Fault(CUT_JSON, SUBMIT), "ambiguous"),
        (Fault(EMPTY_OBJECT, SUBMIT), "ambiguous"),
        (Fault(NULLS, SUBMIT), "ambiguous"),
        (Fault(RESET_AFTER_ACCEPTANCE, SUBMIT), "ambiguous"),
        (status(500, endpoint=SUBMIT, charged=True), "ambiguous"),
    ],
    ids=lambda value: f"{value.endpoint} {value.kind} {value.status}" if isinstance(value, Fault) else None,
)
def test_whatever_fails_before_the_acceptance_has_its_class(
    service: PyannoteAI, line: Recorder, sound: Sound, fault: Fault, kind: str
) -> None:
    service.faults.script(fault)
    error = failure(lambda: diarizer(service).ask(sound, wish(), line))
    assert error.kind == kind
    assert line.accepted_jobs == []
    assert len(service.jobs) <= (kind == "ambiguous")
    assert service.count(fault.endpoint) == 1, "asked once"


def test_an_upload_address_that_expires_is_no_doubt(service: PyannoteAI, line: Recorder, sound: Sound) -> None:
    service.upload_valid_s = -1
    error = failure(lambda: diarizer(service).ask(sound, wish(), line))
    assert (error.kind, error.code) == ("not_sent", "upload_failed")
    service.upload_valid_s = 60
    assert diarizer(service).ask(sound, wish(), line).body


def test_an_account_without_money_or_with_another_key_is_told(
    service: PyannoteAI, line: Recorder, sound: Sound
) -> None:
    service.has_credit = False
    assert failure(lambda: diarizer(service).ask(sound, wish(), line)).kind == "needs_money"
    service.keys = {"another"}
    assert failure(diarizer(service).prepare).code == "key_refused"


def test_the_services_own_rate_limit_is_waited_for(service: PyannoteAI, line: Recorder, sound: Sound) -> None:
    service.rates = (1, 3)
    service.work_s = 10
    engine = diarizer(service)
    assert engine.ask(sound, wish(), line).body
    assert max(line.pauses) > 15, "the reads of a minute were used up, and Retry-After said for how long"
    service.work_s, service.rates = 0, (1, 300)
    service.clock.advance(60)
    engine.ask(sound, wish(), line)
    error = failure(lambda: engine.ask(sound, wish(), line))
    assert (error.kind, error.retry_after_s, error.request_id is not None) == ("throttled", 60, True)


# What is believed.


def changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[str], str]:
    def edit(body: str) -> str:
        job = json.loads(body)
        return json.dumps(change(job) or job)

    return edit


def put(path: str, value: Any) -> Callable[[str], str]:
    """Return an edit of a body: `diarization.1.start` names a value in its output."""

    def change(job: dict[str, Any]) -> None:
        *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        place: Any = job["output"]
        for step in way:
            place = place[step]
        place[last] = value

    return changed(change)


BAD_BODIES: dict[str, Callable[[str], str]] = {
    "a page of a proxy": lambda body: "<!DOCTYPE html><html><body>Sign in</body></html>",
    "nothing": lambda body: "",
    "half of it": lambda body: body[: len(body) // 2],
    "an empty object": lambda body: "{}",
    "a list": lambda body: "[]",
    "nulls": lambda body: json.dumps(dict.fromkeys(json.loads(body))),
    "canceled without output": changed(lambda job: {**job, "status": "canceled", "output": None}),
    "no output": changed(lambda job: {**job, "output": None}),
    "an empty output": changed(lambda job: {**job, "output": {}}),
    "still running": changed(lambda job: {**job, "status": "running"}),
    "no list of turns": put("diarization", None),
    "a turn that is null": put("diarization.0", None),
    "a time that is null": put("diarization.0.start", None),
    "a time that is a word": put("diarization.0.end", "1.5"),
    "a time that is true": put("diarization.0.end", True),
    "a negative time": put("diarization.0.start", -0.5),
    "a time after the end": put("diarization.1.end", 13.0),
    "an end before its start": put("diarization.1.end", 0.01),
    "times that go back": changed(lambda job: job["output"]["diarization"].reverse()),
    "a turn without a speaker": put("diarization.0.speaker", None),
    "a turn of nobody": put("diarization.0.speaker", ""),
    "a time that is no number": lambda body: body.replace('"end": ', '"end": NaN, "was": ', 1),
    "a turn without overlaps that is null": put("exclusiveDiarization.0", None),
}

BAD_WORDS: dict[str, Callable[[str], str]] = {
    "no words": put("wordLevelTranscription", None),
    "a word that is null": put("wordLevelTranscription.0.text", None),
    "a word without a time": put("wordLevelTranscription.0.start", None),
    "a word without a speaker": put("wordLevelTranscription.0.speaker", None),
    "a word after the end": put("wordLevelTranscription.0.end", 99.0),
    "words that go back": changed(lambda job: job["output"]["wordLevelTranscription"].reverse()),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_an_answer_that_cannot_be_true_is_paid_and_unusable(
    service: PyannoteAI, line: Recorder, sound: Sound, name: str
) -> None:
    for engine in (diarizer(service), transcriber(service)):
        body = engine.ask(sound, wish(), line).body
        assert engine.read(body, sound, wish())["turns"]
        error = failure(lambda: engine.read(BAD_BODIES[name](body), sound, wish()))  # noqa: B023
        assert (error.kind, error.code) == ("paid_unusable", "unusable_answer")


@pytest.mark.parametrize("name", BAD_WORDS)
def test_words_that_cannot_be_true_are_paid_and_unusable(
    service: PyannoteAI, line: Recorder, sound: Sound, name: str
) -> None:
    engine = transcriber(service)
    body = engine.ask(sound, wish(), line).body
    assert failure(lambda: engine.read(BAD_WORDS[name](body), sound, wish())).kind == "paid_unusable"


def test_silence_is_an_answer(service: PyannoteAI, line: Recorder, sound: Sound) -> None:
    service.speak = lambda samples: []
    engine = transcriber(service)
    answer = engine.read(engine.ask(sound, wish(), line).body, sound, wish())
    assert (answer["words"], answer["turns"], answer["exclusive"]) == ([], [], [])


def test_a_turn_a_little_after_the_end_ends_with_the_sound(
    service: PyannoteAI, line: Recorder, sound: Sound
) -> None:
    service.speak = lambda samples: [(0.0, 11.5, "A"), (11.2, 11.6, "B")]
    engine = diarizer(service)
    answer = engine.read(engine.ask(sound, wish(), line).body, sound, wish())
    assert [(turn["start_s"], turn["end_s"]) for turn in answer["turns"]] == [(0.0, 11.0)]


# What is found again.


def doubt_of(service: PyannoteAI, since: str, known: frozenset[str] = frozenset(), *, died: bool = False) -> Doubt:
    return Doubt(since, None if died else diarizer(service).prepare(), known)


def lose(
    service: PyannoteAI,
    engine: PyannoteAIJobs,
    sound: Sound,
    line: Recorder,
    fault: Fault,
    wanted: Wish | None = None,
) -> str:
    """Submit so that no answer comes, and return the provider's clock before that."""
    since = engine.prepare()
    service.clock.advance(5)
    service.faults.script(fault)
    assert failure(lambda: engine.ask(sound, wanted or wish(), line)).kind == "ambiguous"
    service.faults.script()
    return since


@pytest.mark.parametrize("died", [False, True])
@pytest.mark.parametrize("make", [diarizer, transcriber])
@pytest.mark.parametrize("lag_s", [0, 60])
def test_a_job_whose_acceptance_was_lost_is_found_and_adopted(
    service: PyannoteAI, line: Recorder, sound: Sound, make: Callable[..., Any], died: bool, lag_s: float
) -> None:
    service.work_s, service.list_lag_s = 30, lag_s
    engine = make(service)
    since = lose(service, engine, sound, line, Fault(RESET_AFTER_ACCEPTANCE, SUBMIT))
    found = engine.find(doubt_of(service, since, died=died), sound, wish(), line)
    (job,) = service.jobs
    assert (found.resolution, found.job_id) == ("adopted", job)
    assert engine.read(engine.adopt(job, sound, wish(), line).body, sound, wish())["turns"]
    assert len(service.meter.charges) == 1
    assert found.evidence["fit"]["fits"] is True
    assert found.evidence["fit"]["agreement"] > 0.5
    assert json.dumps(found.evidence), "it can stand in the log"


def test_an_identification_whose_acceptance_was_lost_is_found(
    service: PyannoteAI, line: Recorder, sound: Sound
) -> None:
    engine, wanted = diarizer(service, voiceprints={"Anna": "cHJpbnQ="}), wish(identify=["Anna"])
    since = lose(service, engine, sound, line, Fault(RESET_AFTER_ACCEPTANCE, "POST /v1/identify"), wanted)
    assert engine.find(doubt_of(service, since), sound, wanted, line).resolution == "adopted"
    assert engine.find(doubt_of(service, since), sound, wish(), line).resolution == "", "another kind of result"


@pytest.mark.parametrize("died", [False, True])
def test_a_job_was_never_accepted_only_two_minutes_after_the_call_died(
    service: PyannoteAI, line: Recorder, sound: Sound, died: bool
) -> None:
    since = lose(service, diarizer(service), sound, line, Fault(RESET_BEFORE_ACCEPTANCE, SUBMIT))
    doubt = doubt_of(service, since, died=died)
    before_s = service.clock.now_s()
    found = diarizer(service).find(doubt, sound, wish(), line)
    assert found.resolution == "absent"
    assert service.clock.now_s() - before_s >= 119, "on the provider's clock, whose header has whole seconds"
    assert max(line.pauses) <= 15
    assert service.count(LIST) > 8
    assert set(found.evidence) == {"window", "unknown_jobs", "jobs_seen", "listed_at"}


def test_a_call_that_died_long_ago_needs_no_waiting(service: PyannoteAI, line: Recorder, sound: Sound) -> None:
    since = lose(service, diarizer(service), sound, line, Fault(RESET_BEFORE_ACCEPTANCE, SUBMIT))
    doubt = doubt_of(service, since)
    service.clock.advance(121)
    assert diarizer(service).find(doubt, sound, wish(), line).resolution == "absent"
    assert line.pauses == []


def test_the_providers_clock_counts_not_ours(service: PyannoteAI, line: Recorder, sound: Sound) -> None:
    """The server's clock is a day behind and four hundred times as fast as ours; nothing here moves it by hand."""
    service.clock.set(offset_s=-86_400, speed=400)
    since = lose(service, diarizer(service), sound, line, Fault(RESET_BEFORE_ACCEPTANCE, SUBMIT))
    doubt = doubt_of(service, since)
    waiting = _Waiting(service.clock)
    found = diarizer(service, patience=Patience(longest=0.05)).find(doubt, sound, wish(), waiting)
    assert found.resolution == "absent"
    assert len(waiting.pauses) > 3


class _Waiting(Recorder):
    """A line that waits for real."""

    def pause(self, seconds: float) -> None:
        import time

        self.pauses.append(seconds)
        time.sleep(seconds)


@pytest.fixture
def other(tmp_path: Path, speech: np.ndarray) -> Path:
    """A recording of equal length and with as much speech: the same one turned by five seconds."""
    return written(tmp_path / "other.flac", np.roll(speech, 5 * 16_000)).path


@pytest.mark.parametrize("turns", [None, [(0.0, 11.0, "A")], [(0.2, 4.0, "A"), (30.0, 31.0, "B")], []])
def test_a_foreign_job_alone_in_the_window_is_never_adopted(
    service: PyannoteAI, line: Recorder, sound: Sound, other: Path, turns: Turns | None
) -> None:
    """It may be of equal length, speak all the time, be longer, or hold no speech at all."""
    fault = Fault(RESET_BEFORE_ACCEPTANCE, SUBMIT, on_hit=lambda: service.add_foreign(KEY, other, turns))
    since = lose(service, diarizer(service), sound, line, fault)
    found = diarizer(service).find(doubt_of(service, since), sound, wish(), line)
    assert (found.resolution, found.job_id, found.evidence["reason"]) == ("", None, "no_fit")
    assert found.evidence["unknown_jobs"] == list(service.jobs)


@pytest.mark.parametrize(
    ("turns", "name"),
    [
        ([(0.3, 10.6, "A"), (66.5, 67.5, "B")], "result_end_s"),
        ([(0.3, 5.2, "A")], "share_of_recording"),
        ([(0.3, 10.6, "A"), (11.0, 20.6, "A")], "share_of_result"),
    ],
)
def test_a_result_that_is_longer_or_speaks_at_other_times_never_fits(
    service: PyannoteAI, line: Recorder, tmp_path: Path, speech: np.ndarray, turns: Turns, name: str
) -> None:
    """The recording is eleven seconds of speech and five times as much silence, so agreement comes easily."""
    sound = written(tmp_path / "half.flac", np.concatenate([speech, np.zeros(5 * len(speech), np.int16)]))
    fault = Fault(RESET_BEFORE_ACCEPTANCE, SUBMIT, on_hit=lambda: service.add_foreign(KEY, turns=turns))
    since = lose(service, diarizer(service), sound, line, fault)
    found = diarizer(service).find(doubt_of(service, since), sound, wish(), line)
    assert (found.resolution, found.evidence["reason"]) == ("", "no_fit")
    bounds = {"result_end_s": (67.1, 68.0), "share_of_recording": (0.4, 0.5), "share_of_result": (0.4, 0.5)}
    assert bounds[name][0] <= found.evidence["fit"][name] < bounds[name][1]
    assert found.evidence["fit"]["agreement"] >= 0.5


def test_a_foreign_job_beside_ours_leaves_it_open(
    service: PyannoteAI, line: Recorder, sound: Sound, other: Path
) -> None:
    fault = Fault(RESET_AFTER_ACCEPTANCE, SUBMIT, on_hit=lambda: service.add_foreign(KEY, other))
    since = lose(service, diarizer(service), sound, line, fault)
    found = diarizer(service).find(doubt_of(service, since), sound, wish(), line)
    assert (found.resolution, found.evidence["reason"]) == ("", "several_jobs")
    assert len(found.evidence["unknown_jobs"]) == 2


def test_a_foreign_job_that_comes_up_while_ours_is_awaited_leaves_it_open(
    service: PyannoteAI, line: Recorder, sound: Sound, other: Path
) -> None:
    engine = diarizer(service)
    since = lose(service, engine, sound, line, Fault(RESET_AFTER_ACCEPTANCE, SUBMIT))
    doubt = doubt_of(service, since)
    service.faults.script(Fault("none", LOOK, times=1, on_hit=lambda: service.add_foreign(KEY, other)))
    found = engine.find(doubt, sound, wish(), line)
    assert (found.resolution, found.evidence["reason"]) == ("", "several_jobs")


def test_jobs_of_this_home_and_of_other_times_are_not_in_question(
    service: PyannoteAI, line: Recorder, sound: Sound, other: Path
) -> None:
    service.add_foreign(KEY, other)
    service.clock.advance(600)
    engine = diarizer(service)
    engine.ask(sound, wish(), line)
    ((known, _),) = line.accepted_jobs
    since = lose(service, engine, sound, line, Fault(RESET_AFTER_ACCEPTANCE, SUBMIT))
    doubt = doubt_of(service, since, frozenset({known}))
    service.clock.advance(200)
    service.add_foreign(KEY, other)
    found = engine.find(doubt, sound, wish(), line)
    assert (found.resolution, found.job_id) == ("adopted", list(service.jobs)[2])
    died = engine.find(evolve(doubt, failed_at=None), sound, wish(), line)
    assert died.evidence["reason"] == "several_jobs", "nobody knows until when it may have been accepted"


@pytest.mark.parametrize("kind", [FAILED, CANCELED, OUTPUT_GONE, UNKNOWN])
def test_a_job_without_a_result_never_fits(service: PyannoteAI, line: Recorder, sound: Sound, kind: str) -> None:
    service.job_faults = [JobFault(kind)]
    since = lose(service, diarizer(service), sound, line, Fault(RESET_AFTER_ACCEPTANCE, SUBMIT))
    found = diarizer(service).find(doubt_of(service, since), sound, wish(), line)
    assert (found.resolution, found.evidence["reason"]) == ("", "no_fit")
    shown = {FAILED: "failed", CANCELED: "canceled", OUTPUT_GONE: "succeeded", UNKNOWN: "gone"}[kind]
    assert found.evidence["fit"]["status"] == shown


def test_a_job_of_another_operation_never_fits(service: PyannoteAI, line: Recorder, sound: Sound) -> None:
    since = lose(service, transcriber(service), sound, line, Fault(RESET_AFTER_ACCEPTANCE, SUBMIT))
    doubt = doubt_of(service, since)
    assert diarizer(service).find(doubt, sound, wish(), line).resolution == ""
    assert transcriber(service).find(doubt, sound, wish(), line).resolution == "adopted"


def test_a_voiceprint_cannot_be_told_by_its_time_alone(service: PyannoteAI, line: Recorder, sound: Sound) -> None:
    engine = PyannoteAIVoiceprinter(None, access=access(service), services=load_services())
    since = lose(service, engine, sound, line, Fault(RESET_AFTER_ACCEPTANCE, "POST /v1/voiceprint"))
    assert engine.find(doubt_of(service, since), sound, wish(), line).resolution == ""


def test_a_job_on_the_last_page_of_the_list_is_found(service: PyannoteAI, line: Recorder, sound: Sound) -> None:
    engine = diarizer(service)
    service.clock.advance(-60)
    for _ in range(150):
        service.add_foreign(KEY, turns=[])
    service.clock.advance(60)
    since = lose(service, engine, sound, line, Fault(RESET_AFTER_ACCEPTANCE, SUBMIT))
    doubt = doubt_of(service, since)
    known = frozenset(service.add_foreign(KEY, turns=[]).id for _ in range(230))
    found = engine.find(evolve(doubt, known_jobs=known), sound, wish(), line)
    assert (found.resolution, found.evidence["jobs_seen"]) == ("adopted", 300), "older pages are not read"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda doubt: evolve(doubt, since=None), "no_clock"),
        (lambda doubt: evolve(doubt, since=""), "no_clock"),
        (lambda doubt: evolve(doubt, since="2999-01-01T00:00:00Z", failed_at=None), "clock_went_back"),
    ],
    ids=["none", "empty", "went back"],
)
def test_without_the_providers_clock_nothing_can_be_told(
    service: PyannoteAI, line: Recorder, sound: Sound, change: Callable[[Doubt], Doubt], reason: str
) -> None:
    since = lose(service, diarizer(service), sound, line, Fault(RESET_AFTER_ACCEPTANCE, SUBMIT))
    found = diarizer(service).find(change(doubt_of(service, since)), sound, wish(), line)
    assert (found.resolution, found.evidence["reason"]) == ("", reason)


def test_a_clock_that_stands_still_tells_nothing(service: PyannoteAI, sound: Sound) -> None:
    line = Recorder(service.clock)
    since = lose(service, diarizer(service), sound, line, Fault(RESET_BEFORE_ACCEPTANCE, SUBMIT))
    line.clock = Clock()
    found = diarizer(service).find(doubt_of(service, since), sound, wish(), line)
    assert (found.resolution, found.evidence["reason"]) == ("", "clock_stands_still")


@pytest.mark.parametrize(
    "fault",
    [Fault(RESET_BEFORE_BODY, LIST), Fault(HTML, LIST), status(401, endpoint=LIST)],
    ids=["reset", "html", "401"],
)
def test_a_list_that_cannot_be_read_tells_nothing(
    service: PyannoteAI, line: Recorder, sound: Sound, fault: Fault
) -> None:
    """And raises nothing: a class of failure here would end a call that may be billed."""
    since = lose(service, diarizer(service), sound, line, Fault(RESET_AFTER_ACCEPTANCE, SUBMIT))
    doubt = doubt_of(service, since)
    service.faults.script(fault)
    found = diarizer(service).find(doubt, sound, wish(), line)
    assert (found.resolution, "reason" in found.evidence) == ("", True)


# What the engines say of themselves.


def test_the_engines_say_what_the_plan_must_know(service: PyannoteAI) -> None:
    services = load_services()
    found, spoken = diarizer(service).engine(), transcriber(service).engine()
    assert (found.name, found.version, found.network, found.billable) == ("pyannoteai", 1, True, True)
    assert (found.origin, found.account, found.model) == (service.url, "0a1b2c3d", "precision-2")
    assert found.key_options == ("speakers", "min_speakers", "max_speakers", "identify")
    assert found.lacking is None
    assert found.price == services.price("pyannoteai", "precision-2")
    identifier = diarizer(service, voiceprints={"Anna": "cHJpbnQ="}).engine()
    assert identifier.price == services.price("pyannoteai", "precision-2", "identification_price")
    assert (spoken.word_times, spoken.speakers, spoken.model) == (True, True, "parakeet-tdt-0.6b-v3")
    assert spoken.key_options == ("model", "speakers", "min_speakers", "max_speakers")
    assert spoken.languages is not None
    assert "de" in spoken.languages
    assert "ja" not in spoken.languages
    assert transcriber(service).chunk_s[0] >= 86_400
    assert transcriber(service).judge("", {}) == {"word_times": True, "speakers": True}
    assert all(isinstance(engine, RemoteJobs) for engine in (diarizer(service), transcriber(service)))
    assert diarizer(service).concurrency() == 2
    assert service.count() == 0, "saying so sends nothing"


def test_the_model_of_the_words_is_the_one_that_was_wished(service: PyannoteAI) -> None:
    model = "faster-whisper-large-v3-turbo"
    engine = PyannoteAITranscriber(model, access=access(service), services=load_services())
    assert engine.engine().languages is None
    assert engine.wire(wish())["transcriptionConfig"] == {"model": model}
    assert transcriber(service).wire(wish(model=model))["transcriptionConfig"] == {"model": model}
    other = PyannoteAITranscriber("community-1", access=access(service), services=load_services()).engine()
    assert "turns, not for words" in str(other.lacking)


def test_a_service_that_is_free_has_no_price(service: PyannoteAI, line: Recorder, sound: Sound) -> None:
    content = load_services().content
    free = Services({**content, "pyannoteai": {**content["pyannoteai"], "free": True}})
    engine = PyannoteAIDiarizer(None, access=access(service), services=free)
    assert (engine.engine().billable, engine.engine().price) == (False, None)
    cost = engine.ask(sound, wish(), line).cost
    assert cost is not None
    assert cost.amount == 0


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key": None}, "PYANNOTEAI_API_TOKEN"),
        ({"problem": "the key comes from .env. Trust its folder"}, "Trust its folder"),
        ({"url": "http://api.example.org"}, "https"),
        ({"url": "http://93.184.216.34/x"}, "https"),
        ({"url": "https://anna:secret@api.example.org"}, "user"),
        ({"url": "ftp://api.example.org"}, "can't be understood"),
        ({"url": "http://[::1"}, "can't be understood"),
        ({"url": "http://192.168.1.7:8000"}, None),
        ({"url": "http://[::1]:8000"}, None),
        ({"url": "http://localhost:8000"}, None),
        ({"url": "http://diarizer:8000"}, None),
        ({"url": None}, None),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_what_is_lacking_is_told_before_anything_is_sent(
    kind: type[PyannoteAIJobs], changes: dict[str, Any], said: str | None
) -> None:
    given = evolve(Access(key=Secret(KEY), account="0a1b2c3d"), **changes)
    engine = kind(None, access=given, services=load_services()).engine()
    assert (engine.lacking is None) == (said is None)
    assert said is None or said in str(engine.lacking)
    assert "secret" not in str([engine.lacking, engine.origin])
    assert changes.get("url", "") is not None or engine.origin == "https://api.pyannote.ai"


def test_a_call_without_a_key_sends_nothing(sound: Sound, service: PyannoteAI, line: Recorder) -> None:
    engine = PyannoteAIDiarizer(None, access=access(service, key=None), services=load_services())
    assert failure(lambda: engine.ask(sound, wish(), line)).code == "key_missing"
    assert service.count() == 0


def test_the_providers_clock_is_asked_with_the_key(service: PyannoteAI) -> None:
    service.clock.set(offset_s=-86_400 * 400, speed=0)
    assert diarizer(service).prepare() < "2026"
    with refused_url() as url:
        nobody = PyannoteAIDiarizer(
            None,
            access=access(service, url=url),
            services=load_services(),
            patience=Patience(timeouts=Timeouts(total=5)),
        )
        assert failure(nobody.prepare).kind == "not_sent"


# Where voiceprints are kept.


def test_voiceprints_are_kept_by_name_and_private(tmp_path: Path) -> None:
    kept = Voiceprints(tmp_path / "home" / "voiceprints")
    assert kept.names() == []
    kept.save("Zoë M.", "b2xk", "4f2a9c1b7d3e0a11", "2026-11-02T10:00:00.000000Z")
    kept.save("Zoë M.", "bmV3", "4f2a9c1b7d3e0a11", "2026-11-03T10:00:00.000000Z")
    kept.save("anna-b", "YW5uYQ==", "4f2a9c1b7d3e0a11", "2026-11-03T10:00:00.000000Z")
    assert kept.names() == ["Zoë M.", "anna-b"]
    assert kept.load("Zoë M.") == "bmV3"
    files = list((tmp_path / "home" / "voiceprints").iterdir())
    assert len(files) == 2
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert (tmp_path / "home" / "voiceprints").stat().st_mode & 0o777 == 0o700
    kept.remove("Zoë M.")
    assert kept.names() == ["anna-b"]
    for act in (lambda: kept.load("Zoë M."), lambda: kept.remove("Zoë M.")):
        with pytest.raises(VoiceprintError, match="evt voiceprint list"):
            act()


@pytest.mark.parametrize(
    "name",
    ["", "x" * 101, ".hidden", "../up", "a/b", "a\0b", "SPEAKER_00", "speaker_x", " a", "a\n", "\u6f22" * 100],
)
def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    kept = Voiceprints(tmp_path)
    for act in (lambda: kept.save(name, "x", "p", "t"), lambda: kept.load(name), lambda: kept.remove(name)):
        with pytest.raises(VoiceprintError, match="can't be the name"):
            act()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_voiceprint_is_told_and_not_used(tmp_path: Path) -> None:
    (tmp_path / "Anna.json").write_text('{"voicepr')
    with pytest.raises(VoiceprintError, match="Make it again"):
        Voiceprints(tmp_path).load("Anna")
