"""Offline: a provider that would use the network keeps its facts, lacks the leave to work, and asks nobody."""

from __future__ import annotations

from typing import Any, NoReturn

from attrs import evolve

from pipeline.errors import ProviderError
from pipeline.providers.endpoints import endpoint_of
from projections.engine import Engine
from projections.failures import LOCAL

_ASKING = frozenset({"ask", "prepare", "adopt", "find"})
"""What of `Remote` and `RemoteJobs` reaches the network."""


class Kept:
    """A provider that is not asked.

    Args:
        provider: of any kind; only one that would send something elsewhere is affected.
        why: what keeps it from it, for people: `--offline`, `$EVT_OFFLINE` or a file.
    """

    def __init__(self, provider: Any, why: str) -> None:
        self._provider = provider
        self._why = why

    def engine(self) -> Engine:
        """Return what the provider says of itself; where audio would leave this machine, it lacks the leave to."""
        engine: Engine = self._provider.engine()
        return evolve(engine, lacking=_reason(engine, self._why)) if leaves(engine) else engine

    def __getattr__(self, name: str) -> Any:
        """Return what the provider has; in the place of what asks somebody, what refuses to."""
        if name in _ASKING and leaves(self.engine()):
            return self._refuse
        return getattr(self._provider, name)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        engine = self.engine()
        raise ProviderError(_reason(engine, self._why), provider=engine.name, code="offline", kind=LOCAL)


def leaves(engine: Engine) -> bool:
    """Say whether audio leaves this machine; a server on the loopback is this machine."""
    return engine.network and not (engine.origin and endpoint_of(engine.origin).is_loopback)


def _reason(engine: Engine, why: str) -> str:
    where = f"{engine.name} sends the audio to {engine.origin or 'the network'}"
    return f"{where}, and nothing may leave this machine ({why}); choose a local engine, or take that away"
