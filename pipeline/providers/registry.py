"""Which providers there are, by the name that the user writes; each is imported when it is first wanted."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pipeline.providers.base import Diarizer, Transcriber
from pipeline.providers.remote import Remote, RemoteTranscriber
from projections.engine import Engine

_DIARIZERS = {
    "builtin": "pipeline.providers.diarize_builtin:BuiltinDiarizer",
    "channels": "pipeline.providers.diarize_channels:ChannelsDiarizer",
    "none": "pipeline.providers.diarize_none:NoDiarizer",
}
_TRANSCRIBERS = {
    "builtin": "pipeline.providers.transcribe_builtin:BuiltinTranscriber",
    "whisper": "pipeline.providers.transcribe_whisper:WhisperTranscriber",
}
_SCRIPT = "script:"
_LOCAL_BEST_FIRST = ("whisper", "builtin")
"""What `auto` takes, the first that is ready; network providers are never taken by themselves."""


class Providers:
    """The providers of one process; each is made once, and all are closed together.

    Args:
        environment: where engines look for what other tools keep, such as the folder of models.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._made: dict[tuple[str, str, str | None], Any] = {}

    def diarizer(self, name: str) -> Diarizer:
        """Return a diarizer by name; KeyError if there is none."""
        provider: Diarizer = self._provider("diarizer", name, None)
        return provider

    def transcriber(self, name: str, model: str | None) -> Transcriber:
        """Return a transcriber by name; KeyError if there is none."""
        provider: Transcriber = self._provider("transcriber", name, model)
        return provider

    def remote_diarizer(self, name: str) -> Remote:
        """Return a diarizer on the network by name; KeyError if there is none."""
        provider: Remote = self._provider("diarizer", name, None)
        return provider

    def remote_transcriber(self, name: str, model: str | None) -> RemoteTranscriber:
        """Return a transcriber on the network by name; KeyError if there is none."""
        provider: RemoteTranscriber = self._provider("transcriber", name, model)
        return provider

    def engines(
        self,
        diarizer: str,
        transcriber: str,
        model: str | None,
        probed: Mapping[tuple[str, str, str], Mapping[str, Any]] | None = None,
    ) -> tuple[Mapping[str, Engine], Mapping[str, Engine], str]:
        """Return the diarizers and transcribers as the plan sees them, and the best local transcriber."""
        diarizers = {name: self.diarizer(name).engine() for name in _with_script(_DIARIZERS, diarizer)}
        names = _with_script(_TRANSCRIBERS, transcriber)
        transcribers = {name: self.transcriber(name, model).engine() for name in names}
        ready = (name for name in _LOCAL_BEST_FIRST if transcribers[name].lacking is None)
        return diarizers, transcribers, next(ready, _LOCAL_BEST_FIRST[-1])

    def close(self) -> None:
        """Stop every worker of every provider at once."""
        for provider in list(self._made.values()):
            if hasattr(provider, "close"):
                provider.close()

    def _provider(self, kind: str, name: str, model: str | None) -> Any:
        key = (kind, name, model)
        if key not in self._made:
            self._made[key] = _make(kind, name, model, self._environment)
        return self._made[key]


def _with_script(table: Mapping[str, str], wanted: str) -> list[str]:
    return [*table, *([wanted] if wanted.startswith(_SCRIPT) else [])]


def _make(kind: str, name: str, model: str | None, environment: Mapping[str, str]) -> Any:
    if name.startswith(_SCRIPT):
        from pipeline.providers.script import ScriptProvider

        return ScriptProvider(name.removeprefix(_SCRIPT))
    if name == "whisper":
        from pipeline.providers.transcribe_whisper import WhisperTranscriber, hub_cache

        return WhisperTranscriber(model, cache=hub_cache(environment))
    module, _, class_name = (_DIARIZERS if kind == "diarizer" else _TRANSCRIBERS)[name].partition(":")
    return getattr(import_module(module), class_name)()
