"""Small HTTP servers on loopback that stand in for paid services: a billing meter, and faults at every point.

A service is a subclass with one method, `answer`. It bills in there, at the moment of acceptance, so that whatever
happens to the answer afterwards the meter is right.
"""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from email.utils import formatdate
from fnmatch import fnmatchcase
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from attrs import Factory, asdict, define, field, frozen

from projections.money import Money

RESET_BEFORE_BODY = "reset_before_body"
RESET_DURING_UPLOAD = "reset_during_upload"
RESET_BEFORE_ACCEPTANCE = "reset_before_acceptance"
RESET_AFTER_ACCEPTANCE = "reset_after_acceptance"
TRICKLE = "trickle"
STATUS = "status"
HTML = "html"
CUT_JSON = "cut_json"
CUT_BODY = "cut_body"
EMPTY_OBJECT = "empty_object"
NULLS = "nulls"
EDIT = "edit"
HANG = "hang"

UNCHARGED = (RESET_BEFORE_BODY, RESET_DURING_UPLOAD, RESET_BEFORE_ACCEPTANCE)
"""Faults before anything is accepted; a `status` isn't charged either, unless it says so."""

CHARGED = (RESET_AFTER_ACCEPTANCE, HTML, CUT_JSON, CUT_BODY, EMPTY_OBJECT, NULLS)
"""Faults that spoil the answer of a request that was accepted."""

HTML_PAGE = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body>Please sign in.</body></html>"


@frozen
class Charge:
    """What the service wants to be paid for.

    Attributes:
        request: digest of what decides the answer, as the service sees it.
        key: fingerprint of the API key, see `fingerprint`.
        time_s: on the service's clock.
        job: the service's name for a job, where it has jobs.
    """

    request: str
    key: str
    model: str
    seconds: float
    amount: Decimal
    currency: str
    time_s: float
    job: str = ""


class Meter:
    """All charges so far, in the order of acceptance; with a file, also readable by another process."""

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._charges: list[Charge] = []
        self._path = path

    def charge(self, charge: Charge) -> None:
        with self._lock:
            self._charges.append(charge)
            if self._path:
                with self._path.open("a") as file:
                    file.write(json.dumps(asdict(charge) | {"amount": str(charge.amount)}) + "\n")

    @property
    def charges(self) -> list[Charge]:
        with self._lock:
            return list(self._charges)

    def per_request(self) -> Counter[str]:
        """Return how often each request digest was billed."""
        return Counter(charge.request for charge in self.charges)

    def total(self, currency: str) -> Money:
        return Money(sum((c.amount for c in self.charges if c.currency == currency), Decimal(0)), currency)


class Clock:
    """The service's own clock: the machine's, shifted, and faster or slower; it decides the `Date` header."""

    def __init__(self, offset_s: float = 0.0, speed: float = 1.0) -> None:
        self._lock = threading.Lock()
        self._speed = speed
        self._began_s = time.monotonic()
        self._at_s = time.time() + offset_s

    def now_s(self) -> float:
        with self._lock:
            return self._at_s + (time.monotonic() - self._began_s) * self._speed

    def set(self, *, offset_s: float | None = None, speed: float | None = None) -> None:
        """Set it to the machine's time plus an offset, or let it go on at another speed, or both."""
        now_s = self.now_s() if offset_s is None else time.time() + offset_s
        with self._lock:
            self._at_s, self._began_s = now_s, time.monotonic()
            self._speed = self._speed if speed is None else speed

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._at_s += seconds


@frozen
class Fault:
    """A rule: what goes wrong, and when.

    Attributes:
        endpoint: `METHOD /path` as a shell pattern, e.g. `POST /v1/diarize` or `GET *`.
        nth: only the n-th request that the endpoint matches, from 1; None: every one.
        probability: of each of them, from the seeded random numbers of the `Faults`.
        times: it happens at most so often.
        status, body, headers: of the answer for kind `status`; a header may be made by a function of the clock's
            seconds; a body that is no bytes or str becomes JSON.
        charged: for kind `status`: the request is accepted and billed before the answer is replaced.
        pace_s: between the pieces of a trickle.
        edit: for kind `edit`: makes the answer's JSON into another.
        on_hit: called when the fault happens, before it does; e.g. to kill the client.
    """

    kind: str
    endpoint: str = "*"
    nth: int | None = None
    probability: float = 1.0
    times: int | None = None
    status: int = 500
    body: Any = b""
    headers: Mapping[str, str | Callable[[float], str]] = Factory(dict)
    charged: bool = False
    pace_s: float = 0.01
    edit: Callable[[Any], Any] | None = None
    on_hit: Callable[[], None] | None = None


def status(code: int, body: Any = b"", *, headers: Mapping[str, Any] | None = None, **rule: Any) -> Fault:
    """Return the rule that a request is answered with this status, unread by the service and unbilled."""
    return Fault(STATUS, status=code, body=body, headers=headers or {}, **rule)


def in_seconds(seconds: float) -> Callable[[float], str]:
    """Return a header that names the time so many seconds from now as an HTTP date, e.g. for `Retry-After`."""
    return lambda now_s: formatdate(now_s + seconds, usegmt=True)


RETRY_AFTER: Mapping[str, Mapping[str, Any]] = {
    "seconds": {"Retry-After": "2"},
    "date": {"Retry-After": in_seconds(2)},
    "milliseconds": {"retry-after-ms": "2000"},
    "absent": {},
}
"""Each form in which a service asks to wait two seconds; headers for `status(429, …)`."""


class Faults:
    """The rules of a service; the first one that applies to a request happens."""

    def __init__(self, rules: Sequence[Fault] = (), *, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(seed)
        self.hits: Counter[str] = Counter()
        self.script(*rules)

    def script(self, *rules: Fault) -> None:
        """Replace the rules; their counts of requests begin again."""
        with self._lock:
            self._rules = [(rule, Counter[str]()) for rule in rules]

    def take(self, endpoint: str) -> Fault | None:
        with self._lock:
            chosen = None
            for rule, count in self._rules:
                if not fnmatchcase(endpoint, rule.endpoint):
                    continue
                count["requests"] += 1
                if chosen is None and self._applies(rule, count):
                    count["hits"] += 1
                    self.hits[rule.kind] += 1
                    chosen = rule
            return chosen

    def _applies(self, rule: Fault, count: Counter[str]) -> bool:
        meant = rule.nth is None or rule.nth == count["requests"]
        left = rule.times is None or count["hits"] < rule.times
        return meant and left and (rule.probability >= 1 or self._random.random() < rule.probability)


@define
class Request:
    """A request as it came; the body is dropped when it is answered.

    Attributes:
        number: counts the requests of the service, from 1.
        headers: by lower-case name.
        fault: the kind that happened to it.
        status: of the answer; None: there was none.
        notes: what the service found in it.
    """

    number: int
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""
    fault: str = ""
    status: int | None = None
    notes: dict[str, Any] = field(factory=dict)

    @property
    def endpoint(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def key(self) -> str:
        """The bearer's key; empty where there is none."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")


@frozen
class Response:
    """An answer; a body that is no bytes or str is sent as JSON."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = Factory(dict)


def fingerprint(key: str) -> str:
    """Return what the meter knows a key by."""
    return sha256(key.encode()).hexdigest()[:8]


class Service:
    """The base: a threaded server on 127.0.0.1 for as long as the context lasts.

    Attributes:
        url: e.g. `http://127.0.0.1:40123`, without a slash at its end.
        meter, faults, clock: see there; may be used and changed at any time.
        requests: all that came, in the order of their heads.
        broken: what went wrong inside the service itself; leaving the context with any raises AssertionError.
    """

    def __init__(
        self,
        *,
        faults: Sequence[Fault] = (),
        seed: int = 0,
        clock: Clock | None = None,
        meter: Meter | None = None,
        port: int = 0,
    ) -> None:
        self.meter = meter or Meter()
        self.faults = Faults(faults, seed=seed)
        self.clock = clock or Clock()
        self.requests: list[Request] = []
        self.broken: list[BaseException] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def answer(self, request: Request) -> Response:
        """Accept or refuse a request whose body was read; bill what is accepted. Called from several threads."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def count(self, endpoint: str = "*") -> int:
        """Return how many requests matched a pattern."""
        return sum(fnmatchcase(request.endpoint, endpoint) for request in list(self.requests))

    def begin(self, method: str, target: str, headers: dict[str, str]) -> Request:
        path, _, query = target.partition("?")
        with self._lock:
            request = Request(len(self.requests) + 1, method, path, query, headers)
            self.requests.append(request)
        return request

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()
        if kind is None and self.broken:
            raise AssertionError("the service itself failed") from self.broken[0]


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, service: Service, port: int) -> None:
        self.service = service
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        # The base looks up the machine's name, which can take seconds.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        host, self.server_port = self.server_address[:2]
        self.server_name = str(host)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self._open.discard(request)

    def hang_up(self) -> None:
        """End connections that are kept alive, or the threads that read them would never end."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError | TimeoutError | _ResetError):
            self.service.broken.append(error)


class _ResetError(Exception):
    """The connection was reset on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 60

    def _serve(self) -> None:
        service = self.server.service
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = service.begin(self.command, self.path, headers)
        fault = service.faults.take(request.endpoint)
        request.fault = fault.kind if fault else ""
        if fault and fault.on_hit:
            fault.on_hit()
        if request.fault == RESET_BEFORE_BODY:
            self._reset()
        request.body = self._body(headers, stop_at_half=request.fault == RESET_DURING_UPLOAD)
        if request.fault in (RESET_DURING_UPLOAD, RESET_BEFORE_ACCEPTANCE):
            self._reset()
        response = self._answer(service, request, fault)
        request.body = b""
        self._send(request, response, fault)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the base's names

    def _answer(self, service: Service, request: Request, fault: Fault | None) -> Response:
        uncharged = fault is not None and fault.kind == STATUS and not fault.charged
        response = Response() if uncharged else service.answer(request)
        if fault is None or response.status >= 300:
            return response
        return _spoilt(response, fault, service.clock.now_s())

    def _body(self, headers: Mapping[str, str], *, stop_at_half: bool) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks(stop_at_half)
        length = int(headers.get("content-length", 0))
        return self._exactly(length // 2 if stop_at_half else length)

    def _chunks(self, stop_at_first: bool) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self._exactly(size)
            self.rfile.readline()
            if stop_at_first:
                return body
        self.rfile.readline()
        return body

    def _exactly(self, length: int) -> bytes:
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the client went away during the upload")
        return body

    def _send(self, request: Request, response: Response, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        if kind == HANG:
            self.server.service.closing.wait()
        if kind in (HANG, RESET_AFTER_ACCEPTANCE):
            self._reset()
        body = _encoded(response.body)
        request.status = response.status
        self.send_response(response.status)
        given = {name.lower() for name in response.headers}
        for name, value in response.headers.items():
            self.send_header(name, value)
        if "content-type" not in given:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if kind == TRICKLE and fault:
            self._trickle(body, fault.pace_s)
        elif kind == CUT_BODY:
            self.wfile.write(body[: len(body) // 2])
            self._reset()
        else:
            self.wfile.write(body)

    def _trickle(self, body: bytes, pace_s: float) -> None:
        step = max(1, len(body) // 20)
        for start in range(0, len(body), step):
            if self.server.service.closing.wait(pace_s):
                return
            self.wfile.write(body[start : start + step])

    def _reset(self) -> None:
        """End the connection with a reset instead of a good-bye, as a crashed machine or a firewall does."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())
        raise _ResetError

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(self.server.service.clock.now_s() if timestamp is None else timestamp, usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass


def _spoilt(response: Response, fault: Fault, now_s: float) -> Response:
    """Return what a fault leaves of a good answer."""
    match fault.kind:
        case "status":
            made = {name: value(now_s) if callable(value) else value for name, value in fault.headers.items()}
            return Response(fault.status, fault.body, made)
        case "html":
            return Response(200, HTML_PAGE, {"Content-Type": "text/html; charset=utf-8"})
        case "cut_json":
            body = _encoded(response.body)
            return Response(200, body[: len(body) * 2 // 3], response.headers)
        case "empty_object":
            return Response(200, {}, response.headers)
        case "nulls":
            return Response(200, dict.fromkeys(_decoded(response.body)), response.headers)
        case "edit":
            assert fault.edit is not None, "a fault of kind `edit` brings the function"
            return Response(200, fault.edit(_decoded(response.body)), response.headers)
    return response


def _encoded(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()


def _decoded(body: Any) -> Any:
    if body == b"":
        return {}  # of an upload
    return json.loads(body) if isinstance(body, bytes | str) else body


@contextmanager
def refused_url() -> Iterator[str]:
    """Give an address where every connection is refused for as long as the context lasts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and never listening: nobody else can get the port
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def serve_until_told(service: Service) -> None:
    """Run a service as a process: print its URL, and end when the standard input does."""
    with service:
        print(service.url, flush=True)
        sys.stdin.read()
