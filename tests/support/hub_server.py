"""A loopback server that behaves as the Hugging Face hub does, and another that stands for its store.

Large files are redirected to the store with a signed address, which knows no token; both note what they were asked.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from attrs import define, field, frozen

LARGE_BYTES = 100_000
"""From here on a file lies in the store; on the real hub it is the kind of file that decides, too."""
SIGNATURE = "Signature=secret-signature"
CLOSE = {"Connection": "close"}


@frozen
class Asked:
    """A request: `where` is `hub` or `store`."""

    where: str
    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def first_byte(self) -> int:
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))


@define
class Repository:
    """Files of a model, and how it is shown."""

    files: dict[str, bytes]
    licence: str | None = "mit"
    gated: bool = False

    @property
    def revision(self) -> str:
        """A commit: another one where any file is another."""
        return hashlib.sha1(b"".join(name.encode() + self.files[name] for name in sorted(self.files))).hexdigest()


@define
class Faults:
    """What goes wrong.

    Attributes:
        cut_after: connections end after so many bytes of content.
        cuts: how often they do; None: always.
        stall_after: content stops coming after so many bytes, and the connection stays; until `go_on` is set.
        wrong: by path, what is sent in the place of content.
        status: of every answer to this kind of request, by `api`, `file` or `store`.
        error_code: the header X-Error-Code that goes with it.
        ignores_range: all is always sent.
        sizes: by path, sizes that are told instead of the real ones.
        redirect: where large files are said to lie, instead of the store.
    """

    cut_after: int | None = None
    cuts: int | None = None
    stall_after: int | None = None
    go_on: threading.Event = field(factory=threading.Event)
    stalled: threading.Event = field(factory=threading.Event)
    wrong: dict[str, bytes] = field(factory=dict)
    status: dict[str, int] = field(factory=dict)
    error_code: str | None = None
    ignores_range: bool = False
    sizes: dict[str, int] = field(factory=dict)
    redirect: str | None = None


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class HubServer:
    """Serves repositories until it is left."""

    def __init__(self, repositories: Mapping[str, Repository], token: str | None = None) -> None:
        self.repositories = dict(repositories)
        self.token = token
        self.faults = Faults()
        self.asked: list[Asked] = []
        self._servers = [self._server("hub"), self._server("store")]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_address[1]}"

    @property
    def store(self) -> str:
        return f"http://127.0.0.1:{self._servers[1].server_address[1]}"

    def first_bytes(self, path: str) -> list[int]:
        """Return from which byte on a file was asked for, each time that content was given."""
        large = [a for a in self.asked if a.where == "store" and path in a.path]
        return [a.first_byte for a in large or [a for a in self.asked if a.path.endswith(f"/{path}")]]

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.faults.go_on.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def _server(self, where: str) -> ThreadingHTTPServer:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.asked.append(Asked(where, self.command, unquote(self.path), dict(self.headers.items())))
                self.close_connection = True
                hub._api_or_file(self) if where == "hub" else hub._stored(self)

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        return server

    def _api_or_file(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(request.path).path)
        is_api = path.startswith("/api/models/")
        owner, name, *rest = path.removeprefix("/api/models").strip("/").split("/")
        repository = self.repositories.get(f"{owner}/{name}")
        if status := self.faults.status.get("api" if is_api else "file"):
            more = {"X-Error-Code": self.faults.error_code} if self.faults.error_code else {}
            return _answer(request, status, {**more, "Retry-After": "17"})
        if repository is None:
            return _answer(request, 401, {"X-Error-Code": "RepoNotFound"})
        if is_api:
            return _answer(request, 200, {}, json.dumps(self._listing(f"{owner}/{name}", repository)).encode())
        if repository.gated and request.headers.get("Authorization") != f"Bearer {self.token}":
            return _answer(request, 403, {"X-Error-Code": "GatedRepo"})
        file = "/".join(rest[2:])
        assert rest[0] == "resolve"
        assert rest[1] in {"main", repository.revision}
        content = repository.files[file]
        more = {"X-Repo-Commit": repository.revision, "ETag": f'"{blob_id(content)}"'}
        if len(content) < LARGE_BYTES:
            return self._send(request, file, content, more)
        location = self.faults.redirect or f"{self.store}/{owner}/{name}/{file}?{SIGNATURE}"
        large = {"X-Linked-Etag": f'"{sha256(content)}"', "X-Linked-Size": str(len(content))}
        return _answer(request, 302, {**more, **large, "Location": location})

    def _stored(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        owner, name, *rest = unquote(parts.path).strip("/").split("/")
        if "Authorization" in request.headers or parse_qs(parts.query).get("Signature") != ["secret-signature"]:
            return _answer(request, 400, {})
        if status := self.faults.status.get("store"):
            return _answer(request, status, {})
        file = "/".join(rest)
        return self._send(request, file, self.repositories[f"{owner}/{name}"].files[file], {})

    def _send(self, request: BaseHTTPRequestHandler, file: str, content: bytes, headers: dict[str, str]) -> None:
        content = self.faults.wrong.get(file, content)
        start = 0
        if (span := request.headers.get("Range")) and not self.faults.ignores_range:
            start = int(span.removeprefix("bytes=").removesuffix("-"))
            headers = {**headers, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        request.send_response(206 if start else 200)
        for name, value in {**headers, **CLOSE, "Content-Length": str(len(content) - start)}.items():
            request.send_header(name, value)
        request.end_headers()
        with suppress(OSError):  # the client may be gone
            self._write(request, b"" if request.command == "HEAD" else content[start:])

    def _write(self, request: BaseHTTPRequestHandler, content: bytes) -> None:
        faults = self.faults
        if faults.cut_after is not None and len(content) > faults.cut_after and faults.cuts != 0:
            faults.cuts = None if faults.cuts is None else faults.cuts - 1
            request.wfile.write(content[: faults.cut_after])
            return
        if faults.stall_after is not None and len(content) > faults.stall_after and not faults.go_on.is_set():
            request.wfile.write(content[: faults.stall_after])
            request.wfile.flush()
            faults.stalled.set()
            faults.go_on.wait(60)
            content = content[faults.stall_after :]
        request.wfile.write(content)

    def _listing(self, name: str, repository: Repository) -> dict[str, Any]:
        return {
            "id": name,
            "sha": repository.revision,
            "gated": "auto" if repository.gated else False,
            "cardData": {"license": repository.licence} if repository.licence else {},
            "siblings": [self._sibling(path, content) for path, content in sorted(repository.files.items())],
        }

    def _sibling(self, path: str, content: bytes) -> dict[str, Any]:
        size = self.faults.sizes.get(path, len(content))
        entry = {"rfilename": path, "size": size, "blobId": blob_id(content)}
        if len(content) >= LARGE_BYTES:
            entry["lfs"] = {"sha256": sha256(content), "size": size, "pointerSize": 130}
        return entry


def _answer(request: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
    request.send_response(status)
    for name, value in {**headers, **CLOSE, "Content-Length": str(len(body))}.items():
        request.send_header(name, value)
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)
