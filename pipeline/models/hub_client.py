"""Asks the Hugging Face hub what a model consists of, and reads its files from wherever they start.

With the standard library alone, so that the addresses, the headers and what follows a redirect are ours: the token
goes to the endpoint and nowhere else. Why not the hub's own client: docs/adr/0024-models.md.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import IO, Any
from urllib.parse import quote, urljoin, urlsplit

import orjson
from attrs import field, frozen

from pipeline.models.errors import ModelFetchError, ModelRefusedError
from pipeline.providers.endpoints import endpoint_of
from pipeline.providers.unanswered import reason_of
from pipeline.secret import Secret

ENDPOINT = "https://huggingface.co"
TIMEOUT_S = 30.0
"""For a connection, and for the next bytes."""
ANSWER_BYTES_MAX = 16 * 1024 * 1024
REDIRECTS_MAX = 5
AGAIN = "The same command goes on from there."


@frozen
class File:
    """A file of a repository.

    Attributes:
        path: below the repository.
        digest: of its content: SHA-256 of a large file, git's SHA-1 of a blob of a small one.
    """

    path: str
    size_bytes: int
    digest: str


@frozen
class Listing:
    """What the hub says of a repository.

    Attributes:
        revision: the commit that `main` is at.
        files: all of them.
        licence: as its card states it.
        gated: whether its terms have to be accepted first.
    """

    revision: str
    files: tuple[File, ...]
    licence: str | None
    gated: bool


@frozen
class Hub:
    """A hub, and the token for it.

    Attributes:
        endpoint: its URL, without a slash at its end.
        token: sent to the endpoint's own origin only.
    """

    endpoint: str
    token: Secret | None = field(default=None, repr=False)

    def page(self, repository: str) -> str:
        """Return where people read about a repository."""
        return f"{self.endpoint}/{repository}"

    def describe(self, repository: str) -> Listing:
        """Return what the hub has of a repository now.

        Raises:
            ModelRefusedError: it has none of that name, or not for this token.
            ModelFetchError: it can't be reached, or says what can't be understood.
        """
        url = f"{self.endpoint}/api/models/{quote(repository)}/revision/main?blobs=true"
        with self._open(url, repository, {"Accept": "application/json"}) as (_, _, stream):
            try:
                data = stream.read(ANSWER_BYTES_MAX)
            except (OSError, http.client.HTTPException) as error:
                raise self._unreached(url, error) from None
        try:
            return _listing(orjson.loads(data))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ModelFetchError(
                f"What {self.endpoint} says of {repository} can't be understood. Check $HF_ENDPOINT."
            ) from None

    @contextlib.contextmanager
    def read(self, repository: str, revision: str, file: File, start: int) -> Iterator[tuple[int, IO[bytes]]]:
        """Give the stream of a file from a byte on; and from where on it really is, since a server may not heed it.

        Raises:
            ModelRefusedError, ModelFetchError: as `describe`.
        """
        url = f"{self.endpoint}/{quote(repository)}/resolve/{revision}/{quote(file.path)}"
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
        with self._open(url, repository, headers) as (status, got, stream):
            found = re.match(r"bytes (\d+)-", got.get("Content-Range") or "") if status == 206 else None
            if status == 206 and found is None:
                raise ModelFetchError(f"{_host(url)} gives a part of {file.path} and doesn't say which. {AGAIN}")
            yield int(found[1]) if found else 0, stream

    @contextlib.contextmanager
    def _open(
        self, url: str, repository: str, headers: Mapping[str, str]
    ) -> Iterator[tuple[int, Mapping[str, str], IO[bytes]]]:
        """Ask, and follow redirects; the token goes along only where the endpoint itself is asked."""
        origin = endpoint_of(self.endpoint).origin
        for _ in range(REDIRECTS_MAX + 1):
            is_ours = _origin(url) == origin
            auth = {"Authorization": f"Bearer {self.token.reveal()}"} if self.token and is_ours else {}
            with contextlib.ExitStack() as stack:
                response = stack.enter_context(self._ask(url, {**headers, **auth}))
                if response.status in {200, 206}:
                    yield response.status, response.headers, response
                    return
                target = response.headers.get("Location") if 300 <= response.status < 400 else None
                if target is None:
                    raise self._refused(response.status, response.headers, url, repository, is_ours=is_ours)
                url = self._followed(url, target)
        raise ModelFetchError(f"{_host(self.endpoint)} redirects without an end. Check $HF_ENDPOINT.")

    def _ask(self, url: str, headers: Mapping[str, str]) -> Any:
        """Return an answer, whatever its status, as a context."""
        request = urllib.request.Request(url, headers={"User-Agent": "evt", **headers})  # noqa: S310 - http(s) only
        try:
            return _opener(url).open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as answer:
            return answer
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unreached(url, error) from None

    def _followed(self, url: str, target: str) -> str:
        followed = urljoin(url, target)
        scheme = urlsplit(followed).scheme
        if scheme not in {"http", "https"} or (scheme == "http" and urlsplit(url).scheme == "https"):
            raise ModelFetchError(f"{_host(url)} redirects to where nothing is fetched from. Check $HF_ENDPOINT.")
        return followed

    def _unreached(self, url: str, error: BaseException) -> ModelFetchError:
        return ModelFetchError(
            f"{_host(url)} can't be reached ({reason_of(error)}). Check the network; the same command goes on from "
            "there."
        )

    def _refused(
        self, status: int, headers: Mapping[str, str], url: str, repository: str, *, is_ours: bool
    ) -> ModelRefusedError | ModelFetchError:
        """Return what a status that is no success means."""
        host, code = _host(url), headers.get("X-Error-Code")
        if is_ours and (status == 404 or code == "RepoNotFound"):
            return ModelRefusedError(
                f"{host} has no model {repository}, or shows it only to some; such ones need a token in the "
                "variable HF_TOKEN."
            )
        if is_ours and status in {401, 403}:
            return self.gate(repository)
        if status == 429:
            wait = headers.get("Retry-After") or ""
            long = f" {wait} s" if wait.isdecimal() and len(wait) < 6 else ""
            return ModelFetchError(f"{host} asks to wait{long} (status 429). {AGAIN}")
        return ModelFetchError(f"{host} failed (status {status}). {AGAIN}")

    def gate(self, repository: str) -> ModelRefusedError:
        """Return what to do where the terms of a model have to be accepted."""
        page = self.page(repository)
        if self.token is None:
            return ModelRefusedError(
                f"{repository} is given only to those who accepted its terms: accept them at {page}, then put a "
                "token of that account into the variable HF_TOKEN and repeat the command."
            )
        return ModelRefusedError(
            f"{repository} isn't given to the account of the token in HF_TOKEN: accept the terms at {page} with "
            "that account, and check the token."
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing; `Hub` does it by its own rules."""


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Return what opens an address; a proxy of the environment is for the world outside."""
    proxies = urllib.request.ProxyHandler({} if endpoint_of(url.partition("?")[0]).is_loopback else None)
    secure = [urllib.request.HTTPSHandler(context=_certificates())] if url.startswith("https:") else []
    return urllib.request.build_opener(proxies, _NoRedirect, *secure)


@cache
def _certificates() -> ssl.SSLContext:
    """Return the system's certificates; where Python knows of none, as on some macOS, those of certifi."""
    context, paths = ssl.create_default_context(), ssl.get_default_verify_paths()
    if paths.cafile is None and paths.capath is None:
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def _origin(url: str) -> str:
    return endpoint_of(url.partition("?")[0]).origin


def _host(url: str) -> str:
    """Return what messages may show of an address: of a signed one the rest is a secret."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _listing(data: Any) -> Listing:
    """Return an answer of the hub, checked. Source of its form: huggingface_hub 2.4.0, `ModelInfo`."""
    revision = _hex(data["sha"], 40)
    card = data.get("cardData") or {}
    licence = card.get("license")
    return Listing(
        revision=revision,
        files=tuple(_file(entry) for entry in data["siblings"]),
        licence=licence if isinstance(licence, str) and re.fullmatch(r"[\w.+-]{1,60}", licence) else None,
        gated=bool(data.get("gated")),
    )


def _file(entry: Any) -> File:
    large = entry.get("lfs")
    digest, size = (
        (_hex(large["sha256"], 64), large["size"]) if large else (_hex(entry["blobId"], 40), entry["size"])
    )
    path = entry["rfilename"]
    parts = PurePosixPath(path).parts
    if not path.isprintable() or "\\" in path or path.startswith("/") or not parts or ".." in parts:
        raise ValueError("a path that leads out of the repository")
    if not isinstance(size, int) or size < 0:
        raise ValueError("a size that is none")
    return File(str(PurePosixPath(path)), size, digest)


def _hex(text: Any, length: int) -> str:
    if not isinstance(text, str) or re.fullmatch(rf"[0-9a-f]{{{length}}}", text) is None:
        raise ValueError("a digest that is none")
    return text
