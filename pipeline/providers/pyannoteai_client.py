"""pyannoteAI over HTTP: one request, one answer or one `ProviderError`. The only file that imports requests.

It never tries again, follows no redirect and keeps no connection, since a connection that went stale makes a submit
ambiguous. Each exchange runs in a thread of its own that ends with what it found out as plain values: so the caller
can stop waiting at any time, and no exception that holds the key or a presigned address leaves this file.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
from attrs import evolve, field, frozen

from pipeline.errors import ProviderError
from pipeline.providers.endpoints import endpoint_of
from pipeline.providers.unanswered import reason_of
from pipeline.scrub import SAID_MAX, scrubbed
from pipeline.secret import Secret
from projections.failures import AMBIGUOUS, LOCAL, NEEDS_MONEY, NOT_SENT, REJECTED, THROTTLED

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

NAME = "pyannoteai"

ANSWER_BYTES_MAX = 256 * 1024 * 1024
"""Ten times the words of a day of talk; what goes on longer is no answer."""

UPLOAD_BYTES_PER_S = 32 * 1024
"""The slowest upload that is waited for, a quarter of a megabit a second."""

JOIN_S = 0.2
"""How often a wait asks whether the user wants to stop."""


@frozen
class Timeouts:
    """How long to wait, in seconds.

    Attributes:
        connect: for a connection, and for each piece that is sent.
        read: for the next bytes of an answer.
        total: for a whole exchange that uploads nothing.
        stall: as `connect`, for uploads.
    """

    connect: float = 10.0
    read: float = 60.0
    total: float = 300.0
    stall: float = 60.0

    def upload_s(self, size: int) -> float:
        """Return how long an upload of so many bytes may take."""
        return self.total + size / UPLOAD_BYTES_PER_S


USUAL_TIMEOUTS = Timeouts()


@frozen
class Got:
    """An answer, whatever its status.

    Attributes:
        date: the provider's clock, as RFC 3339; None where it told none.
        retry_after_s: how long it asks to wait.
    """

    status: int
    text: str = field(repr=False)
    date: str | None = None
    retry_after_s: float | None = None
    request_id: str | None = None


@frozen
class _Broken:
    """There was no answer; `reason` is the end of a sentence of ours."""

    reason: str


@frozen
class _Call:
    """A request, before it is sent; the address may be a presigned one, and so is a secret."""

    method: str
    url: Secret
    auth: _Bearer
    timeout: tuple[float, float]
    headers: Mapping[str, str] = {}
    body: _Body | None = None


def _go_on() -> None:
    pass


class Client:
    """Speaks to one account.

    Args:
        url: the base URL, without `/v1`.
        key: the account's key.
        source: where the key comes from, for messages.
        bills_server_errors: whether an answer of 500 or above to a submit may have been accepted.
    """

    def __init__(
        self,
        url: str,
        key: Secret,
        *,
        source: str = "",
        timeouts: Timeouts = USUAL_TIMEOUTS,
        bills_server_errors: bool = True,
    ) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._source = source
        self._timeouts = timeouts
        self._bills_server_errors = bills_server_errors

    def get(self, path: str, check: Callable[[], None] = _go_on) -> Got:
        """Read something; costs nothing.

        Raises:
            ProviderError: `not_sent` if there was no valid answer, which may be asked for again; else the refusal.
        """
        return self._valid(self._exchange(self._call("GET", path), self._timeouts.total, check))

    def post(self, path: str, content: Mapping[str, Any], check: Callable[[], None] = _go_on) -> Got:
        """Ask for something that costs nothing; raises as `get`."""
        return self._valid(self._exchange(self._call("POST", path, content), self._timeouts.total, check))

    def submit(self, path: str, content: Mapping[str, Any]) -> Got:
        """Ask for something that costs; it is awaited whatever the user wishes, so that its answer is not lost.

        Raises:
            ProviderError: `not_sent` before the first byte of the body left; `ambiguous` where there was no valid
                answer after that; else why it was refused.
        """
        call = self._call("POST", path, content)
        assert call.body is not None
        found = self._exchange(call, self._timeouts.total, _go_on)
        return self._valid(found, paid=call.body.has_begun)

    def put(self, url: Secret, file: Path, check: Callable[[], None] = _go_on) -> None:
        """Upload a file to a presigned address, read in pieces.

        Raises:
            ProviderError: `not_sent`, whatever went wrong: uploads are free, and the next one has a new address.
                `local` if the file can't be read.
            StoppedError: from `check`.
        """
        size = file.stat().st_size
        with file.open("rb") as opened:
            body = _Body(opened, size)
            timeout = (self._timeouts.stall, self._timeouts.read)
            call = _Call("PUT", url, _Bearer(None), timeout, {"Content-Type": "application/octet-stream"}, body)
            found = self._exchange(call, self._timeouts.upload_s(size), check)
        if body.unreadable:
            raise _error(f"{str(file)!r} can't be read ({body.unreadable}). Check the disk.", "unreadable", LOCAL)
        if isinstance(found, _Broken) or not 200 <= found.status < 300:
            raise _upload_failed(urlsplit(url.reveal()).hostname or "", found)

    def _call(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> _Call:
        timeout = (self._timeouts.connect, self._timeouts.read)
        call = _Call(method, Secret(self._url + path), _Bearer(self._key), timeout)
        if content is None:
            return call
        data = orjson.dumps(content)
        return evolve(call, headers={"Content-Type": "application/json"}, body=_Body(BytesIO(data), len(data)))

    def _exchange(self, call: _Call, total_s: float, check: Callable[[], None]) -> Got | _Broken:
        """Carry out a call in a thread and wait for it, at most so long and only while `check` lets us."""
        found: list[Got | _Broken | BaseException] = []

        def carry_out() -> None:
            try:
                found.append(_attempt(call))
            except BaseException as error:  # handed to the thread that waits
                found.append(error)

        thread = threading.Thread(target=carry_out, name="pyannoteai", daemon=True)
        end_s = time.monotonic() + total_s
        thread.start()
        try:
            while thread.is_alive() and time.monotonic() < end_s:
                thread.join(min(JOIN_S, max(0.0, end_s - time.monotonic())))
                check()
        finally:
            if call.body:
                call.body.close()
        outcome = found[0] if found else _Broken(f"no whole answer within {total_s:.0f} s")
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _valid(self, found: Got | _Broken, *, paid: bool = False) -> Got:
        """Return an answer of success, or raise; `paid`: it was a submit, and its body has left."""
        if isinstance(found, _Broken):
            raise self._unanswered(found.reason, paid)
        if 200 <= found.status < 300:
            return found
        raise self._refused(found, paid)

    def _unanswered(self, reason: str, paid: bool) -> ProviderError:
        where = f"pyannoteAI at {endpoint_of(self._url).origin}"
        if paid:
            return _error(
                f"{where} gave no answer to a submitted job ({reason}). It may have been accepted: "
                "`evt run` looks for it before anything is sent again.",
                "no_answer",
                AMBIGUOUS,
            )
        return _error(
            f"{where} can't be reached ({reason}); nothing that costs was sent. Check the network, then run again.",
            "unreachable",
            NOT_SENT,
            retryable=True,
        )

    def _refused(self, got: Got, paid: bool) -> ProviderError:
        kind, code, sentence = self._meaning(got.status, paid)
        return _error(
            f"{sentence} (status {got.status}).",
            code,
            kind,
            retryable=kind in (NOT_SENT, THROTTLED),
            got=got,
            said=scrubbed(got.text, [self._key])[:SAID_MAX] or None,
        )

    def _meaning(self, status: int, paid: bool) -> tuple[str, str, str]:
        """Return what a status that is no success means: (kind, code, sentence)."""
        source = f" It comes from {self._source}." if self._source else ""
        match status:
            case 401 | 403:
                return REJECTED, "key_refused", f"pyannoteAI refused the key.{source} Check PYANNOTEAI_API_TOKEN"
            case 402:
                sentence = (
                    "pyannoteAI wants money: subscription, credit or budget are used up. Top up, then run again"
                )
                return NEEDS_MONEY, "needs_money", sentence
            case 404:
                return (
                    REJECTED,
                    "not_found",
                    "pyannoteAI doesn't know what was asked for. Check PYANNOTEAI_BASE_URL",
                )
            case 429:
                return THROTTLED, "rate_limited", "pyannoteAI asks to wait; the request rate is too high"
        if status < 400:
            sentence = "The server of PYANNOTEAI_BASE_URL redirects, which is not followed. Give its final address"
            return REJECTED, "redirected", sentence
        if status >= 500 or status == 408:
            sentence = "pyannoteAI failed, or a server on the way to it"
            if paid and (self._bills_server_errors or status == 408):
                return AMBIGUOUS, "server_error", f"{sentence}; the job may have been accepted"
            return NOT_SENT, "server_error", f"{sentence}; nothing was billed. It may be tried again"
        return REJECTED, "refused", "pyannoteAI refused the request; its own words are kept with the failure"


class _Bearer:
    """Puts the key on the wire at the last moment; without a key it keeps `~/.netrc` from adding one."""

    def __init__(self, key: Secret | None) -> None:
        self._key = key

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if self._key is not None:
            request.headers["Authorization"] = f"Bearer {self._key.reveal()}"
        return request


class _Body:
    """What is sent: read in pieces, and it knows whether any of it was asked for.

    The library asks for the first piece once the connection stands and the head has left. So until then nothing
    can have been accepted, whatever exception there is.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size
        self._lock = threading.Lock()
        self._closed = False
        self.has_begun = False
        self.unreadable = ""

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        """Only there because requests takes what has no `__iter__` for a form."""
        return iter(lambda: self.read(65536), b"")

    def read(self, size: int = -1) -> bytes:
        with self._lock:
            if self._closed:
                raise OSError("nobody waits for this any more")
            self.has_begun = True
            try:
                return self._file.read(size)
            except OSError as error:
                self.unreadable = error.strerror or "it is damaged"
                raise

    def close(self) -> None:
        """Let nothing more be read: afterwards `has_begun` doesn't change."""
        with self._lock:
            self._closed = True


def _attempt(call: _Call) -> Got | _Broken:
    """Send a request and read its answer; in a frame that is gone before any error of ours is raised."""
    import requests

    url = call.url.reveal()
    try:
        with requests.Session() as session:
            # A proxy of the environment is for the world outside.
            session.trust_env = not endpoint_of(url).is_loopback
            session.headers["User-Agent"] = "evt"
            with session.request(
                call.method,
                url,
                data=call.body,
                headers={**call.headers, "Connection": "close"},
                auth=call.auth,
                timeout=call.timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                return _got(response)
    except requests.RequestException as error:
        return _Broken(reason_of(error))


def _got(response: Response) -> Got | _Broken:
    """Read an answer; where it breaks off, a refusal is still a refusal."""
    import requests

    date = _rfc3339(response.headers.get("Date"))
    got = Got(
        status=response.status_code,
        text="",
        date=date,
        retry_after_s=_seconds(response.headers.get("Retry-After"), date),
        request_id=response.headers.get("X-Request-Id"),
    )
    try:
        pieces, size = [], 0
        for piece in response.iter_content(65536):
            pieces.append(piece)
            size += len(piece)
            if size > ANSWER_BYTES_MAX:
                return _Broken("an answer without an end")
    except requests.RequestException as error:
        return got if got.status >= 300 else _Broken(reason_of(error))
    return evolve(got, text=b"".join(pieces).decode("utf-8", "replace"))


def _upload_failed(host: str, found: Got | _Broken) -> ProviderError:
    if isinstance(found, _Broken):
        reason = found.reason
    else:
        # The storage's words repeat parts of the presigned address; its code doesn't.
        code = re.search(r"<Code>(\w{1,60})</Code>", found.text)
        reason = f"status {found.status}{f', {code[1]}' if code else ''}"
    sentence = f"The upload to {host} failed ({reason}). It costs nothing; it is tried again with a new address."
    got = found if isinstance(found, Got) else None
    return _error(sentence, "upload_failed", NOT_SENT, retryable=True, got=got)


def _error(
    message: str, code: str, kind: str, *, retryable: bool = False, got: Got | None = None, said: str | None = None
) -> ProviderError:
    return ProviderError(
        message,
        provider=NAME,
        code=code,
        kind=kind,
        retryable=retryable,
        retry_after_s=got.retry_after_s if got else None,
        http_status=got.status if got else None,
        request_id=(got.request_id or _request_id(got.text)) if got else None,
        said=said,
    )


def _request_id(text: str) -> str | None:
    """Return the id that refusals for their rate carry in their body."""
    found = re.search(r'"requestId"\s*:\s*"([\w.:-]{1,100})"', text[:SAID_MAX])
    return found[1] if found else None


def _rfc3339(date: str | None) -> str | None:
    """Return an HTTP date as records write times; None where it is none."""
    try:
        return in_utc(parsedate_to_datetime(date)) if date else None
    except (ValueError, OverflowError):
        return None


def in_utc(time: datetime) -> str:
    """Return a time as records write it: RFC 3339, UTC, microseconds."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _seconds(retry_after: str | None, date: str | None) -> float | None:
    """Return how long a `Retry-After` asks to wait: seconds, or until a date by the answer's own clock."""
    if retry_after is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", retry_after.strip()):
        return float(retry_after)
    until = _rfc3339(retry_after)
    if until is None or date is None:
        return None
    return max(0.0, (datetime.fromisoformat(until) - datetime.fromisoformat(date)).total_seconds())
