"""What a stage asks of a provider: a request, its digest, and how it is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from attrs import evolve, frozen

from pipeline.providers.base import Answer
from pipeline.providers.remote import Line, Remote, Reply, Sound, Wish
from projections.engine import Engine


@frozen
class Request:
    """Something to ask a provider.

    Attributes:
        engine: who is asked.
        operation: for what, e.g. `transcribe`.
        unit: which part of the recording, for people.
        content: what decides the answer, besides the audio: for local engines the options of the stage's key, for
            remote ones what reaches the wire.
        pcm_sha256: digest of the audio: mono, 16 kHz, s16le.
        seconds: its length.
        ask: a local engine's call; None for a remote one.
        remote: a remote provider, with what it is sent; None for a local engine.
        done: called when the answer is there.
        divisible: where it is too long, its parts are asked for instead.
        only_once: an answer that can't be used is not asked for again.
    """

    engine: Engine
    operation: str
    unit: str
    content: Mapping[str, Any]
    pcm_sha256: str
    seconds: float
    ask: Callable[[], Answer] | None = None
    remote: RemoteCall | None = None
    done: Callable[[], None] | None = None
    divisible: bool = False
    only_once: bool = False

    @property
    def digest(self) -> str:
        """What makes two requests equal; a stored form: another one is paid again."""
        parts = [self.engine.name, self.operation, dict(self.content), self.pcm_sha256]
        if self.remote is not None:
            parts.insert(2, self.engine.origin)
        return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def asking(self, ask: Callable[[], Answer], done: Callable[[], None]) -> Request:
        """Return the request of a local engine with the way to make it."""
        return evolve(self, ask=ask, done=done)

    def send(self, line: Line) -> Answer | Reply:
        """Ask once; see `Remote.ask` for the errors."""
        if self.remote is not None:
            return self.remote.provider.ask(self.remote.sound, self.remote.wish, line)
        assert self.ask is not None, "a request is local or remote"
        return self.ask()


@frozen
class RemoteCall:
    """A remote provider and what it is sent."""

    provider: Remote
    sound: Sound
    wish: Wish


def remote_request(
    engine: Engine,
    provider: Remote,
    unit: str,
    sound: Sound,
    wish: Wish,
    told: Mapping[str, Any] | None = None,
) -> Request:
    """Return a request to a remote provider.

    Args:
        engine: the provider's.
        provider: who is asked.
        unit: which part of the recording, for people.
        sound: what is sent.
        wish: with references to people's words, so that the digest holds none of them.
        told: the options with the words themselves, as they are sent; None: nothing will be.
    """
    return Request(
        engine=engine,
        operation=provider.operation,
        unit=unit,
        content=provider.wire(wish),
        pcm_sha256=sound.pcm_sha256,
        seconds=sound.duration_s,
        remote=RemoteCall(provider, sound, wish if told is None else evolve(wish, options=told)),
    )
