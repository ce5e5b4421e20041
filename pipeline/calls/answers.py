"""The stored answers of calls: how they are named, found again, and read.

An answer is stored before anything relies on it, under its call's number and its request's digest: so whatever
happens to the log afterwards, an answer that was paid for can be found. What a service answered is stored as it
came, and read each time; an engine's own answer is stored as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from pipeline.artifacts import Artifacts
from pipeline.calls.requests import Request
from pipeline.providers.base import Answer
from pipeline.providers.remote import Reply
from projections.events import ArtifactRef, CallSucceeded

ROOM_BYTES = 1 << 20
ROOM_BYTES_PER_S = 2000
"""What is kept free for an answer before it is asked for: ten times the longest that was seen, words with times and
tokens included."""


def answer_name(call_id: str, digest: str) -> str:
    """Return the name of an answer in its attempt's folder: the call's number and its request."""
    return f"calls/{call_id.rpartition('.')[2]}-{digest[:16]}.json"


def content_of(request: Request, reply: Answer | Reply) -> dict[str, Any]:
    """Return an answer as it is stored."""
    if not isinstance(reply, Reply):
        return {"request": request.digest, "answer": reply}
    stored = {"body": reply.body, "usage": reply.usage, "cost": cost_of(reply), "request_id": reply.request_id}
    return {"request": request.digest, "reply": stored}


def cost_of(reply: Reply) -> dict[str, Any] | None:
    """Return what an answer cost, as records hold it; None: unknown."""
    if reply.cost is None:
        return None
    return {**reply.cost.as_data(), "basis": reply.basis, "price_date": reply.price_date}


def read_answer(request: Request, content: Mapping[str, Any]) -> Answer:
    """Return the answer that a stored content holds.

    Raises:
        ProviderError: of kind `paid_unusable`: what the service said can't be believed.
    """
    if "answer" in content:
        answer: Answer = content["answer"]
        return answer
    assert request.remote is not None, "only services' replies are stored unread"
    return request.remote.provider.read(content["reply"]["body"], request.remote.sound, request.remote.wish)


def succeeded(call_id: str, ref: ArtifactRef, content: Mapping[str, Any], latency_s: float) -> CallSucceeded:
    """Return the event of an answer that is stored; a latency of zero: it was found."""
    reply = content.get("reply") or {}
    return CallSucceeded(
        call_id,
        ref,
        round(latency_s, 3),
        found=latency_s == 0.0,
        usage=reply.get("usage"),
        cost=reply.get("cost"),
        request_id=reply.get("request_id"),
    )


def stored_answer(path: Path, digest: str, artifacts: Artifacts) -> tuple[ArtifactRef, dict[str, Any]] | None:
    """Return the answer to a request if this file is one; it has its name only since it was whole and synced."""
    try:
        raw = path.read_bytes()
        content = orjson.loads(raw)
        if content["request"] != digest or not {"answer", "reply"} & content.keys():
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    ref = ArtifactRef(path.relative_to(artifacts.root).as_posix(), hashlib.sha256(raw).hexdigest(), len(raw))
    return ref, content


def lost_answers(
    artifacts: Artifacts, stage: str, digest: str, since_attempt: int
) -> list[tuple[ArtifactRef, Any]]:
    """Return the answers to a request that are on disk, the newest first, from after an attempt."""
    paths = artifacts.root.glob(f"{stage}/*/{answer_name('*', digest)}")
    counted = sorted((path for path in paths if _attempt_of(path) > since_attempt), key=_attempt_of, reverse=True)
    return [found for path in counted if (found := stored_answer(path, digest, artifacts)) is not None]


def _attempt_of(answer: Path) -> int:
    number = answer.parent.parent.name
    return int(number) if number.isdecimal() else 0
