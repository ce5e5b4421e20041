"""OpenAI's transcriptions over real HTTP on loopback: one request a call, every answer and failure understood."""

import base64
import json
import os
import socket
import subprocess
import sys
import traceback
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import attrs
import numpy as np
import pytest

from pipeline.audio.soundfiles import FlacWriter, encode_flac, read_samples
from pipeline.errors import ProviderError, StoppedError
from pipeline.providers.endpoints import endpoint_of
from pipeline.providers.openai_answers import Asked, read_body, spoken
from pipeline.providers.openai_refusals import retry_after_s
from pipeline.providers.remote import Access, Sound, Wish
from pipeline.providers.services import Services, load_services
from pipeline.providers.transcribe_openai import OpenAITranscriber
from pipeline.scrub import scrubbed
from pipeline.secret import Secret
from projections.failures import AMBIGUOUS, LOCAL, NEEDS_MONEY, NOT_SENT, PAID_UNUSABLE, REJECTED, THROTTLED
from tests.support.openai_server import TRANSCRIBE, OpenAIServer
from tests.support.service import (
    CUT_BODY,
    CUT_JSON,
    EDIT,
    EMPTY_OBJECT,
    HANG,
    HTML,
    NULLS,
    RESET_AFTER_ACCEPTANCE,
    RESET_BEFORE_ACCEPTANCE,
    RESET_BEFORE_BODY,
    RESET_DURING_UPLOAD,
    RETRY_AFTER,
    TRICKLE,
    Clock,
    Fault,
    Faults,
    Meter,
    in_seconds,
    refused_url,
    status,
)

ROOT = Path(__file__).resolve().parent.parent
KEY = "sk-canary+9f/Q=-aB7c"
SECONDS = 4
DIARIZE = "gpt-4o-transcribe-diarize"
MODELS = ("gpt-transcribe", "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", DIARIZE)
LOCAL_MODELS = {
    "plain": {"formats": ["json"]},
    "segments": {"formats": ["json", "verbose_json"]},
    "words": {"formats": ["json", "verbose_json"], "word_times": True},
}


class Listening:
    """The way back to a run that goes on."""

    def __init__(self, stopped=False):
        self.stopped = stopped

    def check(self):
        if self.stopped:
            raise StoppedError("the user asked to stop")

    def pause(self, seconds):
        raise AssertionError("a call is one request and never waits")

    def accepted(self, job_id, expires_at=None):
        raise AssertionError("this service has no jobs")

    def progress(self, text):
        pass


@pytest.fixture(scope="module")
def running():
    with OpenAIServer(models=LOCAL_MODELS) as server:
        yield server


@pytest.fixture
def server(running):
    running.faults.script()
    running.requests.clear()
    running.meter = Meter()
    running.clock = Clock()
    return running


@pytest.fixture(scope="module")
def shared(running):
    """Providers by model that are used by many tests, as they are by many calls."""
    made = {}

    def of(model=None):
        if model not in made:
            made[model] = provider(running.base_url, model)
        return made[model]

    yield of
    for transcriber in made.values():
        transcriber.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Noise with a silence in it."""
    samples = np.random.default_rng(1).integers(-9000, 9000, SECONDS * 16_000).astype("<i2")
    samples[24_000:32_000] = 0
    path = tmp_path_factory.mktemp("sound") / "mix.flac"
    writer = FlacWriter(path)
    writer.write(samples)
    writer.close()
    return Sound(path, 0, len(samples), writer.pcm_sha256())


def provider(url, model=None, *, services=None, key=KEY, **more):
    access = Access(url, Secret(key) if key else None, "$OPENAI_API_KEY", "ab12cd34")
    return OpenAITranscriber(model, access=access, services=services or load_services(), **more)


def part(sound, start_s, end_s):
    start, end = round(start_s * 16_000), round(end_s * 16_000)
    pcm = read_samples(sound.path, start, end).astype("<i2").tobytes()
    return Sound(sound.path, start, end, sha256(pcm).hexdigest())


def failure(transcriber, sound, wish=None):
    with pytest.raises(ProviderError) as caught:
        transcriber.ask(sound, wish or Wish({}), Listening())
    return caught.value


def said(message="No.", **error):
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None} | error}


# Failures

TOO_LONG = "audio duration 1830.530612 seconds is longer than 1400 seconds which is the maximum for this model"
NOT_COMPATIBLE = "response_format 'verbose_json' is not compatible with model 'gpt-4o-transcribe-api-ev3'."
FASTAPI = {"detail": [{"loc": ["body", "timestamp_granularities"], "msg": "unexpected"}]}
TOO_MUCH = "413: Maximum content size limit (26214400) exceeded (26294972 bytes read)"
PAGE = "<html><body>Bad gateway</body></html>"

FAILURES = {
    # PROVIDERS' table of errors
    "400 too long": (status(400, said(TOO_LONG, code="invalid_value")), REJECTED, "too_long"),
    "400 format": (
        status(400, said(NOT_COMPATIBLE, code="unsupported_value", param="response_format")),
        REJECTED,
        "unsupported",
    ),
    "401": (status(401, said(code="invalid_api_key")), REJECTED, "key_refused"),
    "403": (status(403, said(code="unsupported_country_region_territory")), REJECTED, "not_allowed"),
    "413": (status(413, said(TOO_MUCH, type="server_error")), REJECTED, "too_large"),
    "413 of a proxy": (status(413, said(code="request_too_large")), REJECTED, "too_large"),
    "413 HTML": (status(413, PAGE), REJECTED, "too_large"),
    "429 quota": (
        status(429, said(type="insufficient_quota", code="insufficient_quota")),
        NEEDS_MONEY,
        "quota_exhausted",
    ),
    "429 credit": (
        status(429, said(type="insufficient_quota", code="credit_balance_exhausted")),
        NEEDS_MONEY,
        "quota_exhausted",
    ),
    "429 credit by code": (status(429, said(code="credit_balance_exhausted")), NEEDS_MONEY, "quota_exhausted"),
    "429 billing": (status(429, said(code="billing_not_active")), NEEDS_MONEY, "quota_exhausted"),
    "429 rate": (status(429, said(code="rate_limit_exceeded")), THROTTLED, "rate_limited"),
    "429 slow down": (status(429, said(code="slow_down")), THROTTLED, "rate_limited"),
    "429 HTML": (status(429, PAGE), THROTTLED, "rate_limited"),
    "500": (status(500, said(type="server_error")), AMBIGUOUS, "server_failed"),
    "502 HTML": (status(502, PAGE), AMBIGUOUS, "server_failed"),
    "503": (status(503, said(code="server_is_overloaded")), AMBIGUOUS, "server_failed"),
    "500 accepted": (status(500, said(), charged=True), AMBIGUOUS, "server_failed"),
    # others
    "400 granularities": (status(400, said(param="timestamp_granularities")), REJECTED, "unsupported"),
    "400 too short": (status(400, said("Audio file is too short.", code="audio_too_short")), REJECTED, "too_short"),
    "400 anything": (status(400, said("Invalid file format.")), REJECTED, "refused"),
    "400 billing": (status(400, said(code="billing_hard_limit_reached")), NEEDS_MONEY, "quota_exhausted"),
    "402": (status(402, said()), NEEDS_MONEY, "quota_exhausted"),
    "404": (status(404, said(code="model_not_found")), REJECTED, "model_missing"),
    "405 no JSON": (status(405, "no"), REJECTED, "refused"),
    "408": (status(408, said()), AMBIGUOUS, "no_answer"),
    "409": (status(409, said()), AMBIGUOUS, "no_answer"),
    "422 of a compatible server": (status(422, FASTAPI), REJECTED, "unsupported"),
    "503 slow down": (status(503, said(code="slow_down")), THROTTLED, "rate_limited"),
    "304": (status(304), REJECTED, "redirected"),
    # the wire
    "reset before the body": (Fault(RESET_BEFORE_BODY), AMBIGUOUS, "no_answer"),
    "reset during the upload": (Fault(RESET_DURING_UPLOAD), AMBIGUOUS, "no_answer"),
    "reset before acceptance": (Fault(RESET_BEFORE_ACCEPTANCE), AMBIGUOUS, "no_answer"),
    "reset after acceptance": (Fault(RESET_AFTER_ACCEPTANCE), AMBIGUOUS, "no_answer"),
    "half an answer": (Fault(CUT_BODY), AMBIGUOUS, "no_answer"),
}
BILLED = {"500 accepted", "reset after acceptance", "half an answer"}


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_has_its_class_and_no_request_is_sent_twice(server, shared, sound, name):
    fault, kind, code = FAILURES[name]
    server.faults.script(attrs.evolve(fault, headers={"x-should-retry": "true", **fault.headers}))
    transcriber = shared()
    error = failure(transcriber, sound)
    assert (error.kind, error.code) == (kind, code)
    assert error.http_status == (fault.status if fault.kind == "status" else None)
    assert error.retryable == (kind in {NOT_SENT, THROTTLED, AMBIGUOUS})
    assert len(server.requests) == 1
    assert len(server.meter.charges) == (name in BILLED)


@pytest.mark.parametrize("form", RETRY_AFTER)
def test_a_service_may_say_in_any_form_how_long_to_wait(server, shared, sound, form):
    """Dates are read on the service's own clock, which may be wrong."""
    server.clock = Clock(offset_s=-86_400)
    server.faults.script(status(429, said(), headers=RETRY_AFTER[form]))
    error = failure(shared(), sound)
    assert error.retry_after_s == (None if form == "absent" else pytest.approx(2.0, abs=1.01))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "150"}, 150.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:30 GMT"}, 60.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:30 GMT", "date": "Thu, 01 Jan 1970 00:01:20 GMT"}, 10.0),
        ({"retry-after": "Thu, 99 Jan 1970"}, None),
    ],
)
def test_only_a_wait_that_makes_sense_is_believed(headers, seconds):
    assert retry_after_s(headers, now_s=30.0) == seconds


def test_a_service_that_bills_no_server_errors_is_simply_asked_again(server, sound):
    content = load_services().content
    services = Services({**content, "openai": {**content["openai"], "bills_server_errors": False}})
    server.faults.script(status(503, said()))
    assert failure(provider(server.base_url, services=services), sound).kind == NOT_SENT


def test_nothing_was_sent_where_nobody_listens(sound):
    with refused_url() as url:
        error = failure(provider(f"{url}/v1"), sound)
    assert (error.kind, error.code) == (NOT_SENT, "unreachable")


def test_nothing_was_sent_where_nobody_takes_the_connection(sound):
    """A full queue of connections lets the next one wait."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.socket() as first:
        first.connect(server.getsockname())
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        error = failure(provider(url, timeout_s=lambda duration_s: 0.3), sound)
    assert (error.kind, error.code) == (NOT_SENT, "unreachable")


def test_nothing_was_sent_where_tls_fails(server, sound):
    error = failure(provider(server.base_url.replace("http:", "https:")), sound)
    assert (error.kind, error.code) == (NOT_SENT, "unreachable")
    assert server.meter.charges == []


@pytest.mark.parametrize("fault", [Fault(HANG), Fault(TRICKLE, pace_s=0.05)], ids=lambda fault: fault.kind)
def test_an_answer_that_takes_too_long_is_in_doubt(running, sound, fault):
    with OpenAIServer(faults=[fault]) as server:
        error = failure(provider(server.base_url, timeout_s=lambda duration_s: 0.3), sound)
        assert (error.kind, error.code) == (AMBIGUOUS, "timed_out")
        assert len(server.requests) == len(server.meter.charges) == 1


def test_a_slow_answer_within_the_time_is_an_answer(server, shared, sound):
    server.faults.script(Fault(TRICKLE, pace_s=0.005))
    transcriber = shared("whisper-1")
    reply = transcriber.ask(sound, Wish({}), Listening())
    assert transcriber.read(reply.body, sound, Wish({}))["words"]


def test_the_time_to_wait_grows_with_the_sound(server, sound):
    asked = []
    provider(server.base_url, timeout_s=lambda duration_s: asked.append(duration_s) or 9.0).ask(
        part(sound, 1.0, 3.5), Wish({}), Listening()
    )
    assert asked == [2.5]
    assert server.requests[-1].headers["x-stainless-read-timeout"] == "9.0"


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_no_redirect_is_followed(server, shared, sound, code):
    with OpenAIServer() as elsewhere:
        location = {"Location": f"{elsewhere.base_url}/audio/transcriptions"}
        server.faults.script(status(code, headers=location))
        error = failure(shared(), sound)
        assert (error.kind, error.code, error.http_status) == (REJECTED, "redirected", code)
        assert elsewhere.requests == []
        assert elsewhere.url not in str(error)


# Answers that can't be believed

SPOILT = {
    "HTML": (Fault(HTML), "web page"),
    "cut JSON": (Fault(CUT_JSON), "no whole JSON"),
    "{}": (Fault(EMPTY_OBJECT), "no text"),
    "nulls": (Fault(NULLS), "no text"),
    "a list": (Fault(EDIT, edit=lambda body: [body]), "no JSON object"),
    "an error": (Fault(EDIT, edit=lambda body: said()), "no text"),
}


@pytest.mark.parametrize("model", ["gpt-transcribe", "whisper-1", DIARIZE])
@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_answer_is_returned_as_it_came_and_counts_as_paid(server, shared, sound, name, model):
    fault, why = SPOILT[name]
    server.faults.script(fault)
    transcriber = shared(model)
    reply = transcriber.ask(sound, Wish({}), Listening())
    with pytest.raises(ProviderError, match=why) as caught:
        transcriber.read(reply.body, sound, Wish({}))
    assert caught.value.kind == PAID_UNUSABLE
    assert reply.cost is not None
    assert len(server.requests) == len(server.meter.charges) == 1


def verbose(**changes):
    words = [{"word": "one", "start": 0.0, "end": 1.0}, {"word": "two", "start": 1.0, "end": 2.0}]
    segments = [{"start": 0.0, "end": 2.0, "text": " One, two.", "no_speech_prob": 0.1, "avg_logprob": -0.3}]
    return {"text": "One, two.", "language": "english", "words": words, "segments": segments} | changes


def diarized(**changes):
    segments = [
        {"start": 0.0, "end": 1.0, "text": "One.", "speaker": "A"},
        {"start": 1.0, "end": 3.0, "text": "Two three.", "speaker": "B"},
    ]
    return {"text": "One. Two three.", "segments": segments} | changes


def word(start, end, text="one"):
    return {"word": text, "start": start, "end": end}


UNBELIEVABLE = {
    "no words, no segments": (verbose(words=None, segments=None), "neither words nor segments"),
    "words are no list": (verbose(words="one"), "no list"),
    "words of nulls": (verbose(words=[None, None]), "no list"),
    "a word without text": (verbose(words=[{"start": 0, "end": 1}]), "word has no text"),
    "a word of null": (verbose(words=[word(0, 1, None)]), "word has no text"),
    "a word without times": (verbose(words=[{"word": "one"}]), "word has no times"),
    "times of null": (verbose(words=[word(None, None)]), "word has no times"),
    "times that are words": (verbose(words=[word("0", "1")]), "word has no times"),
    "times that are true": (verbose(words=[word(True, True)]), "word has no times"),
    "a start before the sound": (verbose(words=[word(-1.1, 1)]), "outside"),
    "an end after the sound": (verbose(words=[word(0, 5.1)]), "outside"),
    "all after the sound": (verbose(words=[word(60, 61)]), "outside"),
    "infinite": (verbose(words=[word(0, 1e999)]), "no whole JSON"),
    "an end before its start": (verbose(words=[word(2, 1)]), "backwards"),
    "decreasing": (verbose(words=[word(2, 3), word(0, 1)]), "backwards"),
    "segments decrease": (
        verbose(words=None, segments=[{"start": 2, "end": 3, "text": "b"}, {"start": 0, "end": 1, "text": "a"}]),
        "backwards",
    ),
    "a segment without text": (verbose(words=None, segments=[{"start": 0, "end": 1}]), "segment has no text"),
    "a segment without times": (verbose(words=None, segments=[{"text": "one"}]), "segment has no times"),
    "no segments with speakers": (diarized(segments=None), "no segments"),
    "text without segments": (diarized(segments=[]), "contradict"),
    "speakers without text": (
        diarized(segments=[{"start": 0, "end": 1, "text": " ", "speaker": "A"}]),
        "contradict",
    ),
    "segments without a text": (diarized(text=""), "contradict"),
    "no speaker": (diarized(segments=[{"start": 0, "end": 1, "text": "One."}]), "no speaker"),
    "an empty speaker": (diarized(segments=[{"start": 0, "end": 1, "text": "One.", "speaker": " "}]), "no speaker"),
    "turns outside": (diarized(segments=[{"start": 0, "end": 9, "text": "One.", "speaker": "A"}]), "outside"),
}


@pytest.mark.parametrize("name", UNBELIEVABLE)
def test_an_answer_that_can_not_be_true_is_not_believed(name):
    body, why = UNBELIEVABLE[name]
    text = json.dumps(body)
    form = "verbose_json" if "words" in body else "diarized_json"
    with pytest.raises(ProviderError, match=why) as caught:
        read_body(text, Asked(form, float(SECONDS)))
    assert (caught.value.kind, caught.value.code) == (PAID_UNUSABLE, "unusable_answer")


def test_a_text_that_ends_where_the_model_does_is_not_the_whole(running, sound):
    """The model stops at its longest output without saying so."""
    content = load_services().content
    openai = content["openai"]
    models = {**openai["models"], DIARIZE: {**openai["models"][DIARIZE], "max_output_tokens": 5}}
    services = Services({**content, "openai": {**openai, "models": models}})
    with OpenAIServer(services=services) as server:
        transcriber = provider(server.base_url, DIARIZE, services=services)
        reply = transcriber.ask(sound, Wish({}), Listening())
        with pytest.raises(ProviderError, match="speech is missing") as caught:
            transcriber.read(reply.body, sound, Wish({}))
        transcriber.close()
    assert (caught.value.kind, caught.value.code) == (PAID_UNUSABLE, "truncated")


# Answers that can


def heard(body, form="verbose_json", **asked):
    return read_body(json.dumps(body), Asked(form, float(SECONDS), **asked))


def texts(found):
    return [(word.text, word.start_s, word.end_s) for word in found.words]


def test_words_take_the_punctuation_of_the_text():
    assert texts(heard(verbose())) == [("One,", 0.0, 1.0), ("two.", 1.0, 2.0)]


def test_without_words_the_segments_are_divided():
    assert texts(heard(verbose(words=None))) == [("One,", 0.0, 1.0), ("two.", 1.0, 2.0)]


LOOPED = {"compression_ratio": 3.0, "no_speech_prob": 0.1, "avg_logprob": -0.3}
SILENT = {"compression_ratio": 1.0, "no_speech_prob": 0.9, "avg_logprob": -1.5}


@pytest.mark.parametrize("timed", [True, False], ids=["word times", "segment times"])
def test_words_of_segments_that_whisper_itself_doubts_say_why(timed):
    parts = [
        {"start": 0.0, "end": 1.0, "text": " One,"},
        {"start": 1.0, "end": 2.0, "text": " two,", **LOOPED},
        {"start": 2.0, "end": 3.0, "text": " three.", **SILENT},
        {"start": 3.0, "end": 4.0, "text": " four.", **LOOPED, **{n: SILENT[n] for n in SILENT if n[0] != "c"}},
    ]
    words = [word(part["start"], part["end"], part["text"].strip(" ,.")) for part in parts] if timed else None
    found = heard(verbose(text="One, two, three. four.", words=words, segments=parts))
    doubts = [one.get("suspect") for one in spoken(found)]
    assert doubts == [None, ["compressed"], ["no_speech_prob"], ["no_speech_prob", "compressed"]]


def test_a_segment_that_whisper_doubts_and_does_not_time_makes_no_word_suspect():
    parts = [{"start": 0.0, "end": None, "text": " One, two.", **LOOPED}]
    assert [one.get("suspect") for one in spoken(heard(verbose(segments=parts)))] == [None, None]


def test_times_a_little_off_are_put_right():
    found = heard(verbose(words=[word(-0.6, 2.1), word(2.0, 4.9, "two"), word(4.3, 4.8, "three")]))
    assert texts(found) == [("One,", 0.0, 2.1), ("two.", 2.0, 4.0), ("three", 4.0, 4.0)]


def test_words_of_white_space_between_others_are_no_words():
    assert texts(heard(verbose(words=[word(0, 1), word(1, 1, " "), word(1, 2, "two")]))) == [
        ("One,", 0.0, 1.0),
        ("two.", 1.0, 2.0),
    ]


def test_a_text_without_times_is_words_without_times():
    assert texts(heard({"text": "One, two."}, "json")) == [("One,", None, None), ("two.", None, None)]


def test_a_server_that_is_known_to_give_no_times_may_give_none():
    assert texts(heard({"text": "One."}, must_time=False)) == [("One.", None, None)]


@pytest.mark.parametrize("segment", [{"end": 40.0}, {"start": 3.0, "end": 1.0}, {"end": None}])
def test_times_of_segments_that_cannot_be_right_are_left_aside_only_where_none_are_needed(segment):
    body = verbose(words=None, segments=[{"start": 0.0, "end": 2.0, "text": " One, two."} | segment])
    assert texts(heard(body, must_time=False)) == [("One,", None, None), ("two.", None, None)]
    with pytest.raises(ProviderError):
        heard(body)


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("json", {"text": ""}),
        ("json", {"text": "…"}),
        ("verbose_json", verbose(text="", words=[], segments=[])),
        ("verbose_json", {"text": " "}),
        ("diarized_json", diarized(text="", segments=[])),
    ],
)
def test_silence_is_a_valid_answer(form, body):
    assert heard(body, form).words == []


@pytest.mark.parametrize(
    ("fields", "language"),
    [
        ({"language": "english"}, "en"),
        ({"language": "German"}, "de"),
        ({"language": "pt-br"}, "pt-br"),
        ({"language": "klingon"}, None),
        ({"language": None}, None),
        ({"languages": [{"code": "fr"}, {"code": "en"}]}, "fr"),
        ({"languages": []}, None),
        ({"languages": ["fr"]}, None),
    ],
)
def test_languages_become_codes(fields, language):
    assert heard({"text": "One.", **fields}, "json").language == language


def test_the_language_that_was_asked_for_is_the_language():
    assert heard(verbose(), language="nl").language == "nl"


def test_segments_with_speakers_are_turns_and_words_of_theirs():
    found = heard(diarized(), "diarized_json")
    assert texts(found) == [("One.", 0.0, 1.0), ("Two", 1.0, 1.667), ("three.", 1.667, 3.0)]
    assert [*found.speakers] == ["A", "B", "B"]
    assert [*found.turns] == [(0.0, 1.0, "A"), (1.0, 3.0, "B")]


@pytest.mark.parametrize("model", MODELS)
def test_every_model_gives_the_words_that_the_service_heard_at_the_price_that_it_takes(
    server, shared, sound, model
):
    transcriber = shared(model)
    reply = transcriber.ask(sound, Wish({"language": "auto"}), Listening())
    answer = transcriber.read(reply.body, sound, Wish({"language": "auto"}))
    assert " ".join(found["text"] for found in answer["words"]) == json.loads(reply.body)["text"]
    assert len(answer["words"]) == SECONDS * 2 - 1
    assert answer["metadata"]["model"] == model
    (charge,) = server.meter.charges
    assert (reply.cost.amount, reply.cost.currency) == (charge.amount, charge.currency)
    assert (reply.basis, reply.price_date) == ("billed", "2026-11-01")
    assert reply.usage == json.loads(reply.body)["usage"]
    assert reply.request_id == "req_000001"
    engine = transcriber.engine()
    assert all(
        (found["start_s"] is not None) == (engine.word_times or engine.speakers) for found in answer["words"]
    )
    assert all(("speaker" in found) == engine.speakers for found in answer["words"])
    assert ("turns" in answer) == engine.speakers
    assert engine.price.at_most(sound.duration_s).amount >= charge.amount


@pytest.mark.parametrize("usage", [None, 5, {}, {"type": "tokens"}, {"type": "duration", "seconds": "4"}])
def test_without_a_count_that_makes_sense_the_cost_is_an_estimate(server, shared, sound, usage):
    server.faults.script(Fault(EDIT, edit=lambda body: {**body, "usage": usage}))
    reply = shared().ask(sound, Wish({}), Listening())
    assert (reply.cost.amount, reply.basis) == (Decimal("0.000300"), "estimated")


def test_speakers_of_earlier_chunks_keep_their_names(server, shared, sound):
    transcriber = shared(DIARIZE)
    first = transcriber.read(transcriber.ask(sound, Wish({}), Listening()).body, sound, Wish({}))
    names = dict.fromkeys(turn["speaker"] for turn in first["turns"])
    long = next(turn for turn in first["turns"] if turn["end_s"] - turn["start_s"] >= 2)
    wish = Wish({}, known={"SPEAKER_07": part(sound, long["start_s"], long["end_s"])})
    again = transcriber.read(transcriber.ask(sound, wish, Listening()).body, sound, wish)
    renamed = dict(zip(names, dict.fromkeys(turn["speaker"] for turn in again["turns"]), strict=True))
    assert renamed[long["speaker"]] == "SPEAKER_07"


# What is sent


@pytest.mark.parametrize(
    ("model", "wish", "fields"),
    [
        (None, Wish({}), {"model": ["gpt-transcribe"], "response_format": ["json"]}),
        (
            "gpt-transcribe",
            Wish({"language": "de"}),
            {"model": ["gpt-transcribe"], "response_format": ["json"], "languages[]": ["de"]},
        ),
        (
            "whisper-1",
            Wish({"language": "de"}),
            {
                "model": ["whisper-1"],
                "response_format": ["verbose_json"],
                "timestamp_granularities[]": ["word", "segment"],
                "language": ["de"],
            },
        ),
        (
            None,
            Wish({"model": "gpt-4o-mini-transcribe", "language": "auto"}),
            {"model": ["gpt-4o-mini-transcribe"], "response_format": ["json"]},
        ),
        (
            "whisper-1",
            Wish({}, {"format": "verbose_json", "granularities": False}),
            {"model": ["whisper-1"], "response_format": ["verbose_json"]},
        ),
        (
            DIARIZE,
            Wish({}),
            {"model": [DIARIZE], "response_format": ["diarized_json"], "chunking_strategy": ["auto"]},
        ),
    ],
)
def test_each_model_is_sent_its_fields_and_no_others(server, shared, sound, model, wish, fields):
    transcriber = shared(model)
    transcriber.ask(sound, wish, Listening())
    (request,) = server.requests
    assert request.notes["fields"] == fields
    wire = {name.removesuffix("[]"): value for name, value in fields.items()}
    many = {"languages", "timestamp_granularities"}
    assert transcriber.wire(wish) == {name: v if name in many else v[0] for name, v in wire.items()}


def test_an_upload_is_named_by_its_digest_and_holds_the_samples(server, shared, sound):
    piece = part(sound, 0.5, 2.25)
    shared().ask(piece, Wish({}), Listening())
    (request,) = server.requests
    assert request.notes["file_name"] == f"{piece.pcm_sha256[:16]}.flac"
    assert request.notes["seconds"] == 1.75
    assert (request.endpoint, request.key) == (TRANSCRIBE, KEY)


def test_equal_requests_are_equal_to_the_service_and_others_are_not(server, shared, sound):
    transcriber = shared("whisper-1")
    for wish in (Wish({}), Wish({"language": "auto"}), Wish({"language": "de"})):
        transcriber.ask(sound, wish, Listening())
    assert sorted(server.meter.per_request().values()) == [1, 2]


def test_only_speakers_that_the_service_takes_are_shown_to_it(server, shared, sound):
    """Four of 2 to 10 seconds each; the wire names them by their samples."""
    sounds = {f"S{at}": part(sound, at * 0.1, at * 0.1 + 2 + at * 0.1) for at in range(6)}
    wish = Wish({}, known={"short": part(sound, 0, 1.9), **sounds})
    transcriber = shared(DIARIZE)
    transcriber.ask(sound, wish, Listening())
    (request,) = server.requests
    assert request.notes["fields"]["known_speaker_names[]"] == ["S0", "S1", "S2", "S3"]
    wire = transcriber.wire(wish)["known_speakers"]
    assert wire == [{"name": name, "pcm_sha256": sounds[name].pcm_sha256} for name in ("S0", "S1", "S2", "S3")]
    assert "known_speakers" not in shared("whisper-1").wire(wish)


def test_a_sound_that_is_too_long_or_large_is_refused_before_it_is_sent(server, sound):
    content = load_services().content
    for limit, code in ({"max_seconds": 3}, "too_long"), ({"max_bytes": 1000}, "too_large"):
        models = {"gpt-transcribe": {**content["openai"]["models"]["gpt-transcribe"], **limit}}
        services = Services({**content, "openai": {**content["openai"], "models": models}})
        error = failure(provider(server.base_url, services=services), sound)
        assert (error.kind, error.code) == (REJECTED, code)
    assert server.requests == []


@pytest.mark.parametrize(
    ("model", "facts", "word_times"),
    [
        ("words", {"format": "verbose_json"}, True),
        ("segments", {"format": "verbose_json", "granularities": False}, False),
        ("plain", {"format": "json"}, False),
    ],
)
def test_a_model_that_is_not_known_is_asked_in_each_way_until_one_is_taken(
    server, shared, sound, model, facts, word_times
):
    transcriber = shared(model)
    assert transcriber.engine().unprobed
    trials = iter(transcriber.trials())
    for trial in trials:
        if trial == facts:
            break
        assert failure(transcriber, sound, Wish({}, trial)).code == "unsupported"
    reply = transcriber.ask(sound, Wish({}, facts), Listening())
    assert transcriber.read(reply.body, sound, Wish({}, facts))["words"]
    found = transcriber.judge(reply.body, facts)
    assert found == {**facts, "word_times": word_times, "speakers": False}
    assert len(server.meter.charges) == 1
    assert reply.cost.amount == 0


def test_samples_survive_the_encoding(tmp_path):
    samples = np.arange(-9000, 9000, dtype=np.int16)
    (tmp_path / "a.flac").write_bytes(encode_flac(samples))
    assert (read_samples(tmp_path / "a.flac", 0, 18_000) == samples).all()


def test_the_service_hears_the_same_words_wherever_a_sound_is_cut_from(server, shared, sound):
    whole, half = (shared().ask(s, Wish({}), Listening()) for s in (sound, part(sound, 2, 4)))
    heard_whole, heard_half = (json.loads(reply.body)["text"].lower() for reply in (whole, half))
    assert heard_half
    assert heard_whole.endswith(heard_half)


# Secrets


def forms(key):
    """Yield all that a key looks like on its way: plain, in URLs, and whatever of it stands by itself in base64."""
    yield from (key, quote(key, safe=""), quote(key))
    for before in ("", ":", "u:", "Bearer "):
        whole = base64.b64encode(f"{before}{key}\n".encode()).decode()
        yield whole[-(-len(before) * 4 // 3) : (len(before) + len(key)) * 4 // 3]


ECHOES = "|".join([KEY, quote(KEY), quote(KEY, safe=""), base64.b64encode(f"Bearer {KEY}".encode()).decode()])


@pytest.mark.parametrize(
    "name", ["400 anything", "401", "403", "404", "429 quota", "500", "reset after acceptance"]
)
def test_no_error_gives_the_key_away_even_if_the_service_repeats_it(server, shared, sound, name):
    fault, *_ = FAILURES[name]
    server.faults.script(attrs.evolve(fault, body=said(ECHOES), headers={"x-request-id": KEY}))
    error = failure(shared(), sound)
    shown = [str(error), repr(error), *traceback.format_exception(error), str(error.said), str(error.request_id)]
    shown += [str(vars(error)), repr(error.args), repr(error.__context__), repr(error.__cause__)]
    assert [(form, text) for form in forms(KEY) for text in shown if form in text] == []
    assert (error.__cause__, error.__context__) == (None, None)


def test_the_services_own_words_are_kept_beside_the_message_and_not_in_it(server, shared, sound):
    server.faults.script(status(400, said("The speaker said xyzzy."), headers={"x-request-id": "req_abc-1"}))
    error = failure(shared(), sound)
    assert "xyzzy" in error.said
    assert "xyzzy" not in str(error)
    assert error.request_id == "req_abc-1"


@pytest.mark.parametrize("given", ["has spaces", "", "x" * 129, "schlüssel"])
def test_a_request_id_is_a_name_or_nothing(server, shared, sound, given):
    encoded = given.encode().decode("latin-1")
    server.faults.script(status(500, said(), headers={"x-request-id": encoded}))
    assert failure(shared(), sound).request_id is None


def test_every_encoding_of_a_key_is_blotted_out():
    for form in forms(KEY):
        assert form not in scrubbed(f"before {form} after {ECHOES}", [Secret(KEY)])
    assert scrubbed("no key at all", [Secret(KEY)]) == "no key at all"


@pytest.mark.parametrize("key", ["", "sk", "whisper"])
def test_a_key_that_is_a_mere_word_spoils_no_text(key):
    assert scrubbed("sk said: whisper", [Secret(key)]) == "sk said: whisper"


def test_the_environment_puts_no_other_key_and_no_chatter_in_the_place_of_ours(server, sound):
    """The client reads headers and log levels from variables."""
    program = f"""
import sys
from pathlib import Path
from tests.test_transcribe_openai import Listening, Sound, Wish, provider
provider({server.base_url!r}).ask(Sound(Path({str(sound.path)!r}), 0, 16000, "ab" * 32), Wish({{}}), Listening())
"""
    ours = {"OPENAI_API_KEY": "sk-other", "OPENAI_BASE_URL": "http://127.0.0.1:9", "OPENAI_LOG": "debug"}
    ours |= {"OPENAI_CUSTOM_HEADERS": "Authorization: Bearer sk-other", "HTTP_PROXY": "http://127.0.0.1:9"}
    ours |= {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **ours}, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert [request.headers["authorization"] for request in server.requests] == [f"Bearer {KEY}"]


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "HTTPS_PROXY"])
def test_an_environment_that_can_not_be_used_is_our_side(sound, monkeypatch, variable):
    monkeypatch.setenv(variable, "nonsense://user:password@nowhere:99999")
    error = failure(provider("https://10.255.255.1:9/v1"), sound)
    assert (error.kind, error.code) == (LOCAL, "not_ready")
    assert "password" not in "".join(traceback.format_exception(error))


# What the engine says of itself


@pytest.mark.parametrize(
    ("model", "facts", "word_times", "speakers", "texts", "shutdown"),
    [
        (None, {"format": "json"}, False, False, ("prompt", "keywords"), None),
        ("whisper-1", {"format": "verbose_json"}, True, False, ("prompt",), "2027-02-26"),
        ("gpt-4o-transcribe", {"format": "json"}, False, False, ("prompt",), "2027-02-26"),
        (DIARIZE, {"format": "diarized_json"}, False, True, (), "2027-02-26"),
        ("never-heard-of", {"format": "verbose_json"}, True, False, ("prompt",), None),
    ],
)
def test_the_engine_is_what_the_data_say(model, facts, word_times, speakers, texts, shutdown):
    engine = provider(None, model).engine()
    assert (engine.name, engine.version, engine.key_options) == ("openai", 1, ("model", "language", *texts))
    assert engine.prompt_tokens == (224 if model == "whisper-1" else None)
    assert (engine.facts, engine.word_times, engine.speakers) == (facts, word_times, speakers)
    assert (engine.shutdown_date, engine.in_order, engine.languages) == (shutdown, speakers, None)
    assert (engine.network, engine.billable, engine.lacking) == (True, True, None)
    assert (engine.origin, engine.account) == ("https://api.openai.com", "ab12cd34")
    assert engine.model == (model or "gpt-transcribe")
    assert engine.unprobed == (engine.price is None) == (model == "never-heard-of")


@pytest.mark.parametrize(
    ("url", "model", "own", "billable"),
    [
        ("http://127.0.0.1:9/v1", "tiny", {}, False),
        ("http://localhost:9/v1", "tiny", {}, False),
        ("http://[::1]:9/v1", "tiny", {}, False),
        ("http://127.0.0.1:9/v1", "whisper-1", {}, True),
        ("http://192.168.1.7:9/v1", "tiny", {}, True),
        ("https://example.org/v1", "tiny", {}, True),
        ("https://example.org/v1", "tiny", {"models": {"tiny": {"free": True}}}, False),
        ("https://example.org/v1", "tiny", {"free": True}, False),
        ("https://example.org/v1", "tiny", {"free": True, "models": {"tiny": {"free": False}}}, True),
    ],
)
def test_only_what_is_on_this_machine_or_said_to_be_free_costs_nothing(url, model, own, billable):
    content = load_services().content
    engine = provider(url, model, services=Services({**content, "openai": {**content["openai"], **own}})).engine()
    assert engine.billable == billable


@pytest.mark.parametrize(
    ("url", "key", "lacking"),
    [
        (None, None, "OPENAI_API_KEY"),
        ("https://api.openai.com:443/v1/", None, "OPENAI_API_KEY"),
        ("http://127.0.0.1:9/v1", None, None),
        ("http://[::ffff:127.0.0.1]:9/v1", None, None),
        ("http://192.168.1.7/v1", KEY, None),
        ("http://speaches:8000/v1", KEY, None),
        ("http://box.local/v1", KEY, None),
        ("https://example.org/v1", None, None),
        ("http://example.org/v1", KEY, "unencrypted"),
        ("http://8.8.8.8/v1", KEY, "unencrypted"),
        ("http://0.0.0.0/v1", KEY, "unencrypted"),
        ("ftp://example.org/v1", KEY, "can't be understood"),
        ("example.org/v1", KEY, "can't be understood"),
        ("https://", KEY, "can't be understood"),
        ("https://example.org:port/v1", KEY, "can't be understood"),
        ("https://[::1/v1", KEY, "can't be understood"),
        ("https://example.org/v1?token=xyzzy", KEY, "query"),
        ("https://anna:xyzzy@example.org/v1", KEY, "user's name"),
        ("https://example.org/v1", "two words", "no key"),
        ("https://example.org/v1", "line\nbreak", "no key"),
        ("https://example.org/v1", "schlüssel", "no key"),
    ],
)
def test_what_is_lacking_is_said_and_keeps_anything_from_being_sent(sound, url, key, lacking):
    transcriber = provider(url, key=key)
    told = transcriber.engine().lacking
    assert told is None if lacking is None else lacking in told
    if lacking:
        error = failure(transcriber, sound)
        assert (error.kind, error.code, str(error)) == (LOCAL, "not_ready", told)
        assert "xyzzy" not in told + transcriber.engine().origin
        assert key is None or key not in told


def test_a_problem_with_the_settings_is_passed_on():
    access = Access(problem="The file is for everyone to read.")
    engine = OpenAITranscriber(None, access=access, services=load_services()).engine()
    assert engine.lacking == "The file is for everyone to read."


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://API.OpenAI.com/v1/", "https://api.openai.com"),
        ("https://example.org:8443/v1", "https://example.org:8443"),
        ("http://localhost:80/v1", "http://localhost"),
        ("http://[::1]:8000/v1", "http://[::1]:8000"),
    ],
)
def test_an_origin_is_scheme_host_and_an_unusual_port(url, origin):
    assert endpoint_of(url).origin == origin


@pytest.mark.parametrize(
    ("model", "limits", "chunk_s"),
    [
        (None, {}, (300.0, 480.0)),
        (DIARIZE, {}, (300.0, 480.0)),
        (None, {"max_seconds": 60}, (37.5, 60.0)),
        (None, {"max_bytes": 3_220_000}, (62.5, 100.0)),
        (None, {"chunk_s": [20, 30]}, (20.0, 30.0)),
    ],
)
def test_chunks_keep_within_the_limits_of_the_model(model, limits, chunk_s):
    content = load_services().content
    services = Services({**content, "openai": {**content["openai"], **limits}})
    assert provider(None, model, services=services).chunk_s == chunk_s


def test_the_users_number_of_calls_at_once_goes_before_the_services():
    assert provider(None).concurrency() == 4
    access = Access(concurrency=2)
    assert OpenAITranscriber(None, access=access, services=load_services()).concurrency() == 2


# Stopping


def test_a_stop_before_the_upload_sends_nothing(server, shared, sound):
    with pytest.raises(StoppedError):
        shared().ask(sound, Wish({}), Listening(stopped=True))
    assert server.requests == []


def test_a_closed_provider_begins_nothing_and_may_be_closed_again(server, sound):
    transcriber = provider(server.base_url)
    transcriber.ask(sound, Wish({}), Listening())
    transcriber.close()
    transcriber.close()
    with pytest.raises(StoppedError):
        transcriber.ask(sound, Wish({}), Listening())
    assert len(server.requests) == 1


def test_closing_lets_a_call_under_way_end(sound):
    """The call closes the provider itself, once the service has it."""
    with OpenAIServer() as server:
        transcriber = provider(server.base_url)
        server.faults.script(Fault(TRICKLE, on_hit=transcriber.close))
        assert json.loads(transcriber.ask(sound, Wish({}), Listening()).body)["text"]


# The stand-in itself


def test_the_stand_in_refuses_what_the_service_refuses(server, sound):
    upload = ("a.flac", encode_flac(read_samples(sound.path, 0, 64_000)))
    reference = f"data:audio/flac;base64,{base64.b64encode(upload[1]).decode()}"
    long = ("b.flac", encode_flac(np.zeros(31 * 16_000, np.int16)))
    refused = {
        "languages": {"language": "de", "languages": ["en"]},
        "keywords": {"keywords": ["<b>"]},
        "known_speaker_names": {"known_speaker_names": ["a"]},
        "known_speaker_references": {"model": DIARIZE, "known_speaker_names": ["a", "b"]},
        "chunking_strategy": {"model": DIARIZE, "file": long},
    }
    refused["known_speaker_references"]["known_speaker_references"] = [reference]
    for param, fields in refused.items():
        error = _sent(server, {"model": "gpt-transcribe", "file": upload, **fields})
        assert (error["param"], server.requests[-1].status) == (param, 400)
    _sent(server, {"model": "gpt-transcribe", "file": ("a.flac", bytes(26_214_400))})
    assert server.requests[-1].status == 413
    assert server.meter.charges == []


def test_the_stand_in_lists_models_with_their_last_day(server):
    import openai

    with openai.OpenAI(api_key="any", base_url=server.base_url, max_retries=0) as client:
        listed = {model.id: getattr(model, "shutdown_date", None) for model in client.models.list()}
    assert listed["gpt-transcribe"] is None
    assert listed["whisper-1"] == "2027-02-26"


def test_a_seeded_fault_happens_to_the_same_requests_again():
    hit = []
    for seed in (7, 7, 8):
        faults = Faults([status(500, probability=0.5)], seed=seed)
        hit.append([faults.take(TRANSCRIBE) is not None for _ in range(40)])
    assert hit[0] == hit[1] != hit[2]
    assert 5 < sum(hit[0]) < 35


def test_a_fault_may_be_meant_for_one_request_or_for_some():
    faults = Faults([status(500, nth=2), status(503, endpoint="GET *", times=1), status(429, endpoint="PUT /a")])
    taken = [faults.take(endpoint) for endpoint in ("GET /a", "GET /b", "GET /b", "PUT /a", "PUT /b")]
    assert [fault and fault.status for fault in taken] == [503, 500, None, 429, None]


def test_a_dated_wait_follows_the_services_clock():
    assert in_seconds(90)(0.0) == "Thu, 01 Jan 1970 00:01:30 GMT"


def _sent(server, fields):
    import openai

    with openai.OpenAI(api_key="any", base_url=server.base_url, max_retries=0) as client:
        try:
            client.audio.transcriptions.create(**{"file": ("a.flac", b"fLaC"), **fields})
        except openai.APIStatusError as error:
            return error.body
    raise AssertionError("the stand-in took it")
