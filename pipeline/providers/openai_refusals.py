"""What a refusal of a service that speaks OpenAI's API means: its status and words become one of our errors. Pure.

Source: OpenAI's page on error codes, and what was seen of compatible servers, which word things differently.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

import orjson
from attrs import field, frozen

from pipeline.errors import ProviderError
from pipeline.providers.openai_terms import SERVICE
from pipeline.scrub import SAID_MAX, scrubbed
from pipeline.secret import Secret
from projections.failures import AMBIGUOUS, NEEDS_MONEY, NOT_SENT, REJECTED, THROTTLED

_MONEY = frozenset({"insufficient_quota", "credit_balance_exhausted", "insufficient_credits", "quota_exceeded"})
_BUSY = frozenset({"slow_down"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_FORMAT = re.compile(r"response_format|timestamp_granularit")
_TOO_LONG = re.compile(r"longer than|too long|duration|maximum (audio )?length", re.IGNORECASE)
_TOO_SHORT = re.compile(r"too short|minimum audio length", re.IGNORECASE)

_AGAIN = frozenset({NOT_SENT, THROTTLED, AMBIGUOUS})


@frozen
class Refusal:
    """An answer that is none.

    Attributes:
        origin: of the service, for people.
        model: that was asked for.
        headers: by lower-case name.
        text: the body.
        bills_server_errors: whether an answer of 500 or above may be billed.
        source: where the key comes from, for people; may be empty.
    """

    origin: str
    model: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    text: str = field(repr=False)
    bills_server_errors: bool
    source: str = ""


def error_of(refusal: Refusal, key: str, now_s: float) -> ProviderError:
    """Return what a refusal means.

    Args:
        refusal: what came.
        key: taken out of the service's words wherever they repeat it; may be empty.
        now_s: the time, for a date to wait until where the service doesn't say what time it has.
    """
    kind, code, message = _meaning(refusal)
    return ProviderError(
        message,
        provider=SERVICE,
        code=code,
        kind=kind,
        retryable=kind in _AGAIN,
        http_status=refusal.status,
        request_id=request_id_of(refusal.headers, key),
        retry_after_s=retry_after_s(refusal.headers, now_s),
        said=scrubbed(refusal.text, [Secret(key)])[:SAID_MAX] or None,
    )


def request_id_of(headers: Mapping[str, str], key: str) -> str | None:
    """Return the service's name for a request; None where it gives none that is only a name."""
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) and scrubbed(given, [Secret(key)]) == given else None


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Return how long a service asks to wait; None where it doesn't say. Dates are read on its own clock."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            given_s = float(headers.get(name, "")) * unit_s
        except ValueError:
            continue
        if isfinite(given_s) and given_s >= 0:
            return given_s
    until_s, theirs_s = _date_s(headers.get("retry-after")), _date_s(headers.get("date"))
    return None if until_s is None else max(0.0, until_s - (now_s if theirs_s is None else theirs_s))


def _date_s(value: str | None) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp() if value else None
    except (ValueError, TypeError, OverflowError):
        return None


def _meaning(refusal: Refusal) -> tuple[str, str, str]:
    """Return the class of failure, our code, and our sentences: what happened, where, what to do next."""
    where, status = refusal.origin, refusal.status
    words = _words(refusal.text)
    if status == 402 or (400 <= status < 500 and _is_money(words)):
        said = "the account's quota or credit is used up. Add credit or raise the limit there, then run again"
        return NEEDS_MONEY, "quota_exhausted", f"{where} refused the request, since {said}."
    if status == 429 or words & _BUSY:
        how = "run again later, or set `openai.requests_per_minute` lower with `evt config set`"
        return THROTTLED, "rate_limited", f"{where} asks for fewer requests; {how}."
    if status >= 500:
        kind = AMBIGUOUS if refusal.bills_server_errors else NOT_SENT
        return kind, "server_failed", f"{where} failed with status {status}; run again later."
    if status < 400:
        return REJECTED, "redirected", _REDIRECTED.format(where=where, status=status)
    return _client_error(refusal)


_REDIRECTED = (
    "{where} answered with status {status} and wants to pass the request on; audio and keys follow no redirects. "
    "Set `openai.base_url` to the service's final URL."
)


def _client_error(refusal: Refusal) -> tuple[str, str, str]:
    where, status, model = refusal.origin, refusal.status, refusal.model
    match status:
        case 408 | 409:
            return AMBIGUOUS, "no_answer", f"{where} gave up on the request with status {status}; run again."
        case 413:
            return REJECTED, "too_large", f"{where} refused the upload as too large; shorter chunks are the remedy."
        case 401:
            known = f" from {refusal.source}" if refusal.source else ""
            remedy = "Check it, or set another with `evt config set openai.api_key`"
            return REJECTED, "key_refused", f"{where} refused the key{known}. {remedy}."
        case 403:
            remedy = "Check there which countries, projects and models the key is for"
            return REJECTED, "not_allowed", f"{where} doesn't allow this request with this key. {remedy}."
        case 404:
            remedy = "Choose another with `--model`, or check the service's URL"
            return (
                REJECTED,
                "model_missing",
                f"{where} doesn't have the model {model} or no transcription. {remedy}.",
            )
        case 400 | 422:
            return _bad_request(refusal)
    return REJECTED, "refused", f"{where} refused the request with status {status}. The file of its words says why."


def _bad_request(refusal: Refusal) -> tuple[str, str, str]:
    where, model, said = refusal.origin, refusal.model, refusal.text
    if _FORMAT.search(said):
        how = "Choose another model with `--model`, or correct its formats in services.toml"
        return REJECTED, "unsupported", f"{where} doesn't give the model {model}'s words in this format. {how}."
    if _TOO_SHORT.search(said):
        return REJECTED, "too_short", f"{where} refused the sound as too short to be transcribed."
    if _TOO_LONG.search(said):
        return REJECTED, "too_long", f"{where} refused the sound as too long; shorter chunks are the remedy."
    how = "The file of its words says why; check the options and the model"
    return REJECTED, "refused", f"{where} refused the request with status {refusal.status}. {how}."


def _is_money(words: frozenset[str]) -> bool:
    return bool(words & _MONEY) or any(word.startswith("billing") for word in words)


def _words(text: str) -> frozenset[str]:
    """Return the code and the type that an error names."""
    try:
        body: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        return frozenset()
    error = body.get("error", body) if isinstance(body, dict) else None
    named = [error.get("code"), error.get("type")] if isinstance(error, dict) else []
    return frozenset(word for word in named if isinstance(word, str))
