"""What can keep a model from being fetched or found."""

from __future__ import annotations

from eventlog.errors import EvtError


class ModelRefusedError(EvtError):
    """Nothing was fetched or removed, and repeating it won't help: the name, the leave, the terms or the room."""

    def __str__(self) -> str:
        """Return the message and, behind it, the candidates."""
        return "\n  ".join(self.args)


class ModelFetchError(EvtError):
    """A fetch broke off, or what came is not what was announced. Repeating the command goes on."""
