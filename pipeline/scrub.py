"""Takes secrets out of what others say: services repeat keys, and addresses that are keys themselves. Pure."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from html import escape
from typing import Any, TypeVar
from urllib.parse import quote

import orjson
from attrs import evolve

from pipeline.errors import ProviderError
from pipeline.providers.remote import Finding, Reply
from pipeline.secret import Secret

REMOVED = "[removed]"

SAID_MAX = 16_000
"""Characters of a service's own words that are kept."""

_SECRET_MIN = 6
_WORD = re.compile(r"[A-Za-z]{1,15}")
"""What is shorter, or a mere word, is no secret, such as a local server's key; removing it would spoil any text."""

_IN_ADDRESS = r"(?:[^\s\"'<>\\]|\\+/)"
_SIGNED = re.compile(
    rf"https?(?::|%3A){_IN_ADDRESS}{{1,4000}}?(?:[?&]|%3F|%26)(?:X-Amz-|X-Goog-|sig=|Signature=){_IN_ADDRESS}*"
    r"|X-(?:Amz|Goog)-[A-Za-z-]+(?:=|%3D)(?:[^\s\"'<>\\&]|\\+/)*",
    re.IGNORECASE,
)
"""Presigned addresses of the storages of Amazon, Google and Microsoft, and what is left of one that was cut."""

T = TypeVar("T")


def scrubbed(text: str, secrets: Iterable[Secret]) -> str:
    """Return a text without secrets in any form in which services quote them, and without presigned addresses."""
    for secret in secrets:
        for form in _forms(secret.reveal()):
            text = text.replace(form, REMOVED)
    return _SIGNED.sub(REMOVED, text)


def told(ask: Callable[[], T], secrets: Iterable[Secret]) -> T:
    """Ask a provider; what it gives, and the error it raises, hold none of these secrets.

    Raises:
        ProviderError: that of `ask`.
    """
    known = tuple(secrets)
    try:
        given: T = _without(ask(), known)
        return given
    except ProviderError as error:
        error.args = _without(error.args, known)
        error.said = scrubbed(error.said, known)[:SAID_MAX] if error.said else None
        error.request_id = _without(error.request_id, known)
        raise


def _without(value: Any, secrets: tuple[Secret, ...]) -> Any:
    """Return an answer, or the values it consists of, without secrets."""
    if isinstance(value, str):
        return scrubbed(value, secrets)
    if isinstance(value, dict):
        return {_without(name, secrets): _without(item, secrets) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_without(item, secrets) for item in value)
    if isinstance(value, Reply):
        parts = {name: _without(getattr(value, name), secrets) for name in ("body", "usage", "request_id")}
        return evolve(value, **parts)
    if isinstance(value, Finding):
        return evolve(value, evidence=_without(value.evidence, secrets))
    return value


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it is, as URLs, HTML, JSON and hex digits hold it, and base64 at each place in a group."""
    if len(secret) < _SECRET_MIN or _WORD.fullmatch(secret):
        return
    in_json = orjson.dumps(secret).decode()[1:-1]
    yield from (secret, quote(secret, safe=""), quote(secret), escape(secret), in_json, in_json.replace("/", "\\/"))
    yield from (secret.encode().hex(), secret.encode().hex().upper())
    for before in range(3):
        whole = b64encode(b"\0" * before + secret.encode())
        length = (before + len(secret)) * 8 // 6
        core = whole[(before * 8 + 5) // 6 : length].decode()
        yield from (core, core.replace("+", "-").replace("/", "_"))
