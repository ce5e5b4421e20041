"""Which providers there are, by the name that the user writes; each is imported when it is first wanted.

Ours stand in the tables below, so that they are the same however evt was installed; pyproject.toml names them as
entry points too, for other programs. Those of other packages: `pipeline.providers.foreign`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.providers.base import Diarizer, Transcriber
from pipeline.providers.context import Context
from pipeline.providers.foreign import DIARIZER, TRANSCRIBER, Foreign, Unusable, find
from pipeline.providers.offline import Kept
from pipeline.providers.remote import Access, Remote, RemoteTranscriber
from pipeline.providers.services import Services, load_services
from pipeline.secret import Secret
from projections.engine import Engine, Probed, with_probed
from projections.graph import DIARIZATION, TRANSCRIPTION

OURS: Mapping[str, Mapping[str, str]] = {
    DIARIZER: {
        "builtin": "pipeline.providers.diarize_builtin:make",
        "channels": "pipeline.providers.diarize_channels:make",
        "none": "pipeline.providers.diarize_none:make",
        "pyannote": "pipeline.providers.diarize_pyannote:make",
        "pyannoteai": "pipeline.providers.diarize_pyannoteai:make_diarizer",
    },
    TRANSCRIBER: {
        "builtin": "pipeline.providers.transcribe_builtin:make",
        "whisper": "pipeline.providers.transcribe_whisper:make",
        "openai": "pipeline.providers.transcribe_openai:make",
        "pyannoteai": "pipeline.providers.diarize_pyannoteai:make_transcriber",
    },
}
"""Each names a function that gets a `Context` and returns the provider."""

VOICEPRINTER = "voiceprinter"
_VOICEPRINTER = "pipeline.providers.diarize_pyannoteai:make_voiceprinter"

AUTO = "auto"
CANDIDATES: Mapping[str, tuple[str, ...]] = {DIARIZER: ("channels", "builtin"), TRANSCRIBER: ("whisper", "builtin")}
"""What `auto` may become, the best first; network providers are never taken by themselves."""

_SCRIPT = "script:"
_STAGES = {DIARIZER: DIARIZATION, TRANSCRIBER: TRANSCRIPTION}
_NOWHERE = Path(os.devnull) / "voiceprints"
"""A folder that can't exist, for those who have no home."""


class Providers:
    """The providers of one process; each is made once, and all are closed together.

    Args:
        environment: where engines look for what other tools keep, such as the folder of models.
        access: where the services' calls go, and with which key, by the provider's name.
        services: what paid services offer and ask for; None: what evt was shipped with.
        voiceprints: the folder of the user's voiceprints; None: there are none.
        offline: what forbids the network, for people; empty: nothing does. See `pipeline.providers.offline`.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        access: Mapping[str, Access] | None = None,
        services: Services | None = None,
        voiceprints: Path | None = None,
        offline: str = "",
    ) -> None:
        self._environment = environment
        self._access = access or {}
        self._given_services = services
        self._voiceprints = voiceprints or _NOWHERE
        self.offline = offline
        self._found: dict[str, Mapping[str, Foreign]] = {}
        self._made: dict[tuple[str, str, str | None, tuple[str, ...]], Any] = {}
        self._lock = threading.RLock()

    @cached_property
    def services(self) -> Services:
        """What paid services offer and ask for."""
        return self._given_services or load_services()

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The keys that providers were given."""
        return tuple(access.key for access in self._access.values() if access.key)

    def diarizer(self, name: str) -> Diarizer:
        """Return a diarizer by name, also `NAME:MODEL`; KeyError if there is none."""
        provider: Diarizer = self._provider(DIARIZER, name, None)
        return provider

    def transcriber(self, name: str, model: str | None) -> Transcriber:
        """Return a transcriber by name; KeyError if there is none."""
        provider: Transcriber = self._provider(TRANSCRIBER, name, model)
        return provider

    def remote_diarizer(self, name: str, identify: Iterable[str] | None = None) -> Remote:
        """Return a diarizer on the network by name, for voiceprints by id; KeyError if there is none."""
        provider: Remote = self._provider(DIARIZER, name, None, tuple(identify or ()))
        return provider

    def voiceprinter(self) -> Remote:
        """Return what makes voiceprints."""
        provider: Remote = self._provider(VOICEPRINTER, "pyannoteai", None)
        return provider

    def remote_transcriber(self, name: str, model: str | None) -> RemoteTranscriber:
        """Return a transcriber on the network by name; KeyError if there is none."""
        provider: RemoteTranscriber = self._provider(TRANSCRIBER, name, model)
        return provider

    def engines(
        self,
        diarizer: str,
        transcriber: str,
        model: str | None,
        probed: Probed | None = None,
        identify: Iterable[str] | None = None,
    ) -> tuple[Mapping[str, Engine], Mapping[str, Engine], str]:
        """Return the diarizers and transcribers that a plan needs, and the best local transcriber.

        Those are the ones that were asked for by name, or what `auto` may become; a name that nobody brings has an
        engine that lacks everything. The best local transcriber is only looked for where `auto` was asked for.

        Args:
            diarizer: its name as the user writes it.
            transcriber: its name.
            model: of the transcriber.
            probed: what was found out about services, see `with_probed`.
            identify: ids of voiceprints that are to be recognised.
        """
        wanted = tuple(identify or ())
        diarizers = self._engines(DIARIZER, self._needed(DIARIZER, diarizer), None, probed, wanted)
        transcribers = self._engines(TRANSCRIBER, self._needed(TRANSCRIBER, transcriber), model, probed)
        return diarizers, transcribers, best_local(transcribers)

    def every_engine(self, model: str | None = None) -> tuple[Mapping[str, Engine], Mapping[str, Engine]]:
        """Return all diarizers and transcribers, those of other packages included; for people, not for plans."""
        diarizers = self._engines(DIARIZER, self.names(DIARIZER), None, None)
        return diarizers, self._engines(TRANSCRIBER, self.names(TRANSCRIBER), model, None)

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names of all diarizers or transcribers; ours come first."""
        return (*OURS[kind], *(name for name in self._foreign(kind) if not _is_taken(kind, name)))

    def shadowed(self) -> tuple[str, ...]:
        """Say which providers of other packages are passed over because their name is one of ours."""
        return tuple(
            f"The {kind} {name!r} of another package is passed over: that name is evt's own."
            for kind in OURS
            for name in self._foreign(kind)
            if _is_taken(kind, name)
        )

    def close(self) -> None:
        """Stop every worker of every provider at once."""
        for provider in list(self._made.values()):
            if hasattr(provider, "close"):
                provider.close()

    def _needed(self, kind: str, wanted: str) -> tuple[str, ...]:
        return CANDIDATES[kind] if wanted == AUTO else (wanted,)

    def _engines(
        self,
        kind: str,
        names: Iterable[str],
        model: str | None,
        probed: Probed | None,
        identify: tuple[str, ...] = (),
    ) -> Mapping[str, Engine]:
        return {name: with_probed(self._engine(kind, name, model, identify), probed or {}) for name in names}

    def _engine(self, kind: str, name: str, model: str | None, identify: tuple[str, ...]) -> Engine:
        try:
            provider = self._provider(kind, name, model, identify)
        except KeyError:
            known = ", ".join(sorted(self.names(kind)))
            return Engine(name, 0, lacking=f"there is no {_STAGES[kind]} engine {name!r}; there are: {known}")
        base, _ = _parted(kind, name, model)
        if _is_taken(kind, base):
            engine: Engine = provider.engine()
            return engine
        return self._foreign(kind)[base].engine(provider)

    def _provider(self, kind: str, name: str, model: str | None, identify: tuple[str, ...] = ()) -> Any:
        key = (kind, name, model, identify)
        with self._lock:  # recordings that are worked on at once share one provider, and its one model
            if key not in self._made:
                made = self._make(*key)
                self._made[key] = Kept(made, self.offline) if self.offline else made
            return self._made[key]

    def _make(self, kind: str, name: str, model: str | None, identify: tuple[str, ...]) -> Any:
        if name.startswith(_SCRIPT):
            from pipeline.providers.script import ScriptProvider

            return ScriptProvider(name.removeprefix(_SCRIPT))
        base, model = _parted(kind, name, model)
        context = Context(
            model=model,
            environment=self._environment,
            access=self._access.get(base, Access()),
            services=self.services,
            home_voiceprints=self._voiceprints,
            identify=identify,
        )
        if kind == VOICEPRINTER:
            return _make_ours(base, _VOICEPRINTER, context)
        target = OURS[kind].get(base)
        return _make_ours(base, target, context) if target else self._foreign(kind)[base].make(context)

    def _foreign(self, kind: str) -> Mapping[str, Foreign]:
        if kind not in self._found:
            self._found[kind] = find(kind)
        return self._found[kind]


def best_local(transcribers: Mapping[str, Engine]) -> str:
    """Return the best local transcriber that is ready, else the one that is there without anything else."""
    known = (name for name in CANDIDATES[TRANSCRIBER] if name in transcribers)
    ready = (name for name in known if transcribers[name].lacking is None)
    return next(ready, CANDIDATES[TRANSCRIBER][-1])


def _is_taken(kind: str, name: str) -> bool:
    return name in OURS[kind] or name in {AUTO, "script"} or name.startswith(_SCRIPT)


def _parted(kind: str, name: str, model: str | None) -> tuple[str, str | None]:
    """Return the provider's name and its model; a diarizer's model is written behind its name."""
    base, _, written = name.partition(":") if kind == DIARIZER else (name, "", "")
    return base, written or model


def _make_ours(name: str, target: str, context: Context) -> Any:
    module, _, function = target.partition(":")
    try:
        return getattr(import_module(module), function)(context)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return Unusable(name, f"This installation of evt lacks the file of {name!r} ({module}). Install evt again.")
