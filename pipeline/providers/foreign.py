"""Providers that other packages bring, found by their entry points. A broken package breaks nothing but itself.

docs/third-party-providers.md is for those who write one. Looking for entry points reads a file of every installed
package, so it is done only when a name that isn't ours is asked for, or all names are wanted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from attrs import frozen

from pipeline.providers.context import Context
from projections.engine import Engine

DIARIZER, TRANSCRIBER = "diarizer", "transcriber"
GROUPS: Mapping[str, str] = {DIARIZER: "evt.diarizers", TRANSCRIBER: "evt.transcribers"}
"""The group of entry points of each kind; a public name."""

OURS = "evt-transcribe"

_LOCAL: Mapping[str, tuple[str, ...]] = {
    DIARIZER: ("diarize",),
    TRANSCRIBER: ("transcribe", "concurrency", "chunk_s"),
}
_REMOTE: Mapping[str, tuple[str, ...]] = {
    DIARIZER: ("ask", "read", "wire", "concurrency", "operation"),
    TRANSCRIBER: ("ask", "read", "wire", "concurrency", "operation", "chunk_s"),
}
"""What a provider has at least, see `pipeline.providers.base` and `pipeline.providers.remote`."""


@frozen
class Unusable:
    """Stands for a provider that can't be made; its engine says why, so that the plan never uses it."""

    name: str
    lacking: str

    def engine(self) -> Engine:
        """Say why there is nothing to work with."""
        return Engine(self.name, 0, lacking=self.lacking)


@frozen
class Foreign:
    """A name that other packages bring; more than one entry point where several bring it."""

    kind: str
    name: str
    points: tuple[EntryPoint, ...]

    def make(self, context: Context) -> Any:
        """Return the provider, or an `Unusable` that says why there is none."""
        if len(self.points) > 1:
            packages = " and ".join(_package(point) for point in self.points)
            what = f"each bring a {self.kind} {self.name!r}, so none is taken. Uninstall all but one."
            return Unusable(self.name, f"The packages {packages} {what}")
        try:
            provider = self.points[0].load()(context)
            _require_usable(self.kind, provider)
        # Whatever somebody else's module does when it is imported, evt and its other engines go on.
        except (Exception, SystemExit) as error:
            return Unusable(self.name, self._broken(error))
        return provider

    def engine(self, provider: Any) -> Engine:
        """Return what the provider says of itself; one that can't say anything sensible lacks something."""
        try:
            engine = provider.engine()
            if not isinstance(engine, Engine):
                raise TypeError
            if engine.name.partition(":")[0] != self.name:
                raise ValueError  # two engines of one name could pass for each other in the log
        except (Exception, SystemExit) as error:
            return Engine(self.name, 0, lacking=self._broken(error))
        return engine

    def _broken(self, error: BaseException) -> str:
        point = self.points[0]
        return (
            f"The package {_package(point)} brings a {self.kind} {self.name!r} that can't be used here "
            f"({type(error).__name__} in {point.value}). Update or uninstall that package, or ask its authors."
        )


def find(kind: str) -> Mapping[str, Foreign]:
    """Return what other packages bring, by name."""
    found: dict[str, list[EntryPoint]] = defaultdict(list)
    for point in entry_points(group=GROUPS[kind]):
        if point.dist is None or point.dist.name != OURS:
            found[point.name].append(point)
    return {name: Foreign(kind, name, tuple(found[name])) for name in sorted(found)}


def _require_usable(kind: str, provider: Any) -> None:
    """Raise TypeError unless it has what a local or a remote provider has."""
    forms = (_LOCAL[kind], _REMOTE[kind])
    if not hasattr(provider, "engine") or not any(all(hasattr(provider, part) for part in form) for form in forms):
        raise TypeError(f"{type(provider).__name__} is no {kind}")


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "(of unknown name)"
