"""pyannoteAI's client against a real server: what each failure means, and that no secret leaves with one."""

from __future__ import annotations

import base64
import gc
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote

import pytest

from pipeline.errors import ProviderError, StoppedError
from pipeline.providers.pyannoteai_client import Client, Timeouts
from pipeline.secret import Secret
from tests.support.pyannoteai_server import PyannoteAI
from tests.support.service import (
    CUT_BODY,
    HANG,
    RESET_AFTER_ACCEPTANCE,
    RESET_BEFORE_ACCEPTANCE,
    RESET_BEFORE_BODY,
    RESET_DURING_UPLOAD,
    RETRY_AFTER,
    TRICKLE,
    Fault,
    refused_url,
    status,
)

KEY = "sk/canary+of the key=="
JOB = {"url": "media://evt/x.flac", "model": "precision-2"}
QUICK = Timeouts(connect=5, read=0.3, total=0.6)
SUBMIT, TEST, UPLOAD = "POST /v1/diarize", "GET /v1/test", "PUT *"


@pytest.fixture
def service() -> Iterator[PyannoteAI]:
    with PyannoteAI() as running:
        yield running


def client(url: str, **changes: Any) -> Client:
    return Client(url, Secret(KEY), source="$PYANNOTEAI_API_TOKEN", **changes)


def failure(act: Callable[[], object]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        act()
    require_without_secrets(caught.value, KEY)
    return caught.value


def require_without_secrets(error: BaseException, *secrets: str) -> None:
    """Look for a secret wherever an error leads: its texts, its causes, and the variables of every frame."""
    shown = [*traceback.format_exception(error), repr(vars(error)), repr(error)]
    for one in _with_causes(error):
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if "/tests/" not in frame.f_code.co_filename:
                shown += _variables(frame)
    for secret in secrets:
        forms = {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()}
        assert not [text for text in shown for form in forms if form in text]


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    for cause in (error.__cause__, error.__context__):
        if cause is not None:
            yield from _with_causes(cause)


def _variables(frame: FrameType) -> list[str]:
    """Return what the variables of a frame show, and what the plain objects in them hold."""
    found = list(frame.f_locals.values())
    held = [
        one
        for value in found
        if type(value).__module__.startswith(("requests", "urllib3", "http"))
        for one in (
            value,
            *gc.get_referents(value),
            *(more for one in gc.get_referents(value) for more in gc.get_referents(one)),
        )
    ]
    return [repr(value) for value in [*found, *held]]


def test_an_answer_carries_the_services_clock_in_utc(service: PyannoteAI) -> None:
    service.clock.set(offset_s=-86_400, speed=0)
    got = client(service.url).get("/v1/test")
    assert got.status == 200
    assert got.date is not None
    assert got.date.endswith(".000000Z")
    assert service.requests[0].key == KEY


@pytest.mark.parametrize("ask", ["get", "submit"])
def test_what_fails_before_anything_is_sent_is_not_sent(ask: str) -> None:
    def asked(url: str) -> ProviderError:
        speaker = client(url, timeouts=QUICK)
        return failure(lambda: speaker.get("/v1/test") if ask == "get" else speaker.submit("/v1/diarize", JOB))

    with refused_url() as url:
        assert asked(url).kind == "not_sent"
    with PyannoteAI() as plain:
        error = asked(plain.url.replace("http:", "https:"))
        assert (error.kind, error.retryable) == ("not_sent", True)
        assert "secure connection" in str(error)
        assert plain.requests == []


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (Fault(RESET_BEFORE_BODY, SUBMIT), "ambiguous", "no_answer"),
        (Fault(RESET_DURING_UPLOAD, SUBMIT), "ambiguous", "no_answer"),
        (Fault(RESET_BEFORE_ACCEPTANCE, SUBMIT), "ambiguous", "no_answer"),
        (Fault(RESET_AFTER_ACCEPTANCE, SUBMIT), "ambiguous", "no_answer"),
        (Fault(HANG, SUBMIT), "ambiguous", "no_answer"),
        (Fault(TRICKLE, SUBMIT, pace_s=0.2), "ambiguous", "no_answer"),
        (Fault(CUT_BODY, SUBMIT), "ambiguous", "no_answer"),
        (status(500, {"message": "x"}, endpoint=SUBMIT), "ambiguous", "server_error"),
        (status(502, "<html>bad gateway</html>", endpoint=SUBMIT), "ambiguous", "server_error"),
        (status(503, endpoint=SUBMIT), "ambiguous", "server_error"),
        (status(504, endpoint=SUBMIT, charged=True), "ambiguous", "server_error"),
        (status(408, endpoint=SUBMIT), "ambiguous", "server_error"),
        (status(429, {"requestId": "r", "message": "x"}, endpoint=SUBMIT), "throttled", "rate_limited"),
        (status(402, {"message": "x"}, endpoint=SUBMIT), "needs_money", "needs_money"),
        (status(401, {"message": "x"}, endpoint=SUBMIT), "rejected", "key_refused"),
        (status(403, {"message": "x"}, endpoint=SUBMIT), "rejected", "key_refused"),
        (status(400, {"message": "x", "errors": []}, endpoint=SUBMIT), "rejected", "refused"),
        (status(404, {"message": "x"}, endpoint=SUBMIT), "rejected", "not_found"),
        (status(413, {"message": "x"}, endpoint=SUBMIT), "rejected", "refused"),
        (status(307, headers={"Location": "/elsewhere"}, endpoint=SUBMIT), "rejected", "redirected"),
    ],
    ids=lambda value: f"{value.kind} {value.status}" if isinstance(value, Fault) else None,
)
def test_each_failure_of_a_submit_has_its_class(service: PyannoteAI, fault: Fault, kind: str, code: str) -> None:
    service.faults.script(fault)
    error = failure(lambda: client(service.url, timeouts=QUICK).submit("/v1/diarize", JOB))
    assert (error.kind, error.code) == (kind, code)
    assert error.provider == "pyannoteai"
    assert service.count() == 1, "neither tried again nor redirected"


@pytest.mark.parametrize(
    ("fault", "kind", "retryable"),
    [
        (Fault(RESET_BEFORE_BODY, TEST), "not_sent", True),
        (Fault(RESET_AFTER_ACCEPTANCE, TEST), "not_sent", True),
        (Fault(HANG, TEST), "not_sent", True),
        (Fault(TRICKLE, TEST, pace_s=0.2), "not_sent", True),
        (Fault(CUT_BODY, TEST), "not_sent", True),
        (status(500, endpoint=TEST), "not_sent", True),
        (status(429, endpoint=TEST), "throttled", True),
        (status(401, endpoint=TEST), "rejected", False),
        (status(402, endpoint=TEST), "needs_money", False),
        (status(418, endpoint=TEST), "rejected", False),
    ],
    ids=lambda value: f"{value.kind} {value.status}" if isinstance(value, Fault) else None,
)
def test_each_failure_of_what_is_free_has_its_class(
    service: PyannoteAI, fault: Fault, kind: str, retryable: bool
) -> None:
    service.faults.script(fault)
    error = failure(lambda: client(service.url, timeouts=QUICK).get("/v1/test"))
    assert (error.kind, error.retryable) == (kind, retryable)
    assert service.count() == 1


def test_a_server_error_that_is_never_billed_may_be_tried_again(service: PyannoteAI) -> None:
    service.faults.script(status(500))
    error = failure(lambda: client(service.url, bills_server_errors=False).submit("/v1/diarize", JOB))
    assert (error.kind, error.retryable) == ("not_sent", True)


@pytest.mark.parametrize(
    ("form", "seconds"), [("seconds", 2), ("date", 2), ("milliseconds", None), ("absent", None)]
)
def test_only_retry_after_says_how_long_to_wait(service: PyannoteAI, form: str, seconds: float | None) -> None:
    headers = {**RETRY_AFTER[form], "X-RateLimit-Reset": "1799999999", "X-RateLimit-Remaining": "0"}
    service.faults.script(status(429, {"requestId": "req-7", "message": "x"}, headers=headers))
    error = failure(lambda: client(service.url).submit("/v1/diarize", JOB))
    assert error.retry_after_s == (None if seconds is None else pytest.approx(seconds, abs=1))
    assert error.request_id == "req-7"


def test_the_services_words_are_kept_without_the_key(service: PyannoteAI) -> None:
    told = f"bad key {KEY}, {quote(KEY, safe='')}, {base64.b64encode(KEY.encode()).decode()}"
    service.faults.script(status(401, {"message": told}))
    error = failure(lambda: client(service.url).get("/v1/test"))
    assert error.said is not None
    assert "bad key [removed], [removed], [removed]" in error.said
    assert "bad key" not in str(error)
    assert "$PYANNOTEAI_API_TOKEN" in str(error), "it says where the key comes from"


def test_an_upload_arrives_whole_and_without_the_key(service: PyannoteAI, tmp_path: Path) -> None:
    file = tmp_path / "part.flac"
    file.write_bytes(bytes(range(256)) * 2000)
    speaker = client(service.url)
    given = _presigned(speaker)
    speaker.put(given, file)
    (request,) = [request for request in service.requests if request.method == "PUT"]
    assert request.status == 200
    assert "authorization" not in request.headers
    assert request.headers["content-length"] == "512000"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(RESET_BEFORE_BODY, UPLOAD),
        Fault(RESET_DURING_UPLOAD, UPLOAD),
        Fault(RESET_AFTER_ACCEPTANCE, UPLOAD),
        Fault(HANG, UPLOAD),
        status(403, endpoint=UPLOAD),
        status(500, endpoint=UPLOAD),
        None,
    ],
    ids=lambda fault: f"{fault.kind} {fault.status}" if fault else "expired",
)
def test_every_failure_of_an_upload_is_one_of_nothing_sent(
    service: PyannoteAI, tmp_path: Path, fault: Fault | None
) -> None:
    """An upload is free, and its name is its content's digest; also one whose address has expired."""
    file = tmp_path / "part.flac"
    file.write_bytes(bytes(1_000_000))
    speaker = client(service.url, timeouts=QUICK)
    given = _presigned(speaker)
    if fault:
        service.faults.script(fault)
    else:
        service.clock.advance(3601)
    error = failure(lambda: speaker.put(given, file))
    assert (error.kind, error.code, error.retryable) == ("not_sent", "upload_failed", True)
    require_without_secrets(error, given.reveal(), given.reveal().partition("?")[2], "canary-of-the-signature")
    assert fault or "AccessDenied" in str(error)


def test_a_user_who_stops_is_not_kept_waiting(service: PyannoteAI, tmp_path: Path) -> None:
    """The time-outs are the usual ones, of minutes: the test would take that long."""

    def stopped() -> None:
        raise StoppedError("The user asked to stop.")

    service.faults.script(Fault(HANG, TEST), Fault(HANG, UPLOAD))
    with pytest.raises(StoppedError):
        client(service.url).get("/v1/test", stopped)
    file = tmp_path / "part.flac"
    file.write_bytes(bytes(1000))
    given = _presigned(client(service.url))
    with pytest.raises(StoppedError) as caught:
        client(service.url).put(given, file, stopped)
    require_without_secrets(caught.value, KEY, given.reveal())


def test_a_file_that_cannot_be_read_is_our_side(service: PyannoteAI) -> None:
    """Linux gives the memory of a process as a file whose first page can't be read."""
    speaker = client(service.url)
    given = _presigned(speaker)
    unreadable = Path("/proc/self/mem")
    if not unreadable.exists():
        pytest.skip("NOT RUN: needs /proc")
    error = failure(lambda: speaker.put(given, _Sized(unreadable)))
    assert (error.kind, error.code) == ("local", "unreadable")


class _Sized(type(Path())):  # type: ignore[misc] # the platform's own kind of path
    """A path that says that its file has a size."""

    def stat(self, **_: Any) -> Any:
        return Path(__file__).stat()


def _presigned(speaker: Client) -> Secret:
    import json

    got = speaker.post("/v1/media/input", {"url": "media://evt/x.flac"})
    assert got.status == 201
    return Secret(json.loads(got.text)["url"])
