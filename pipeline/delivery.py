"""Copies of the exports where the user wants them. Nothing that somebody else wrote is ever replaced.

Delivering is not a stage: it happens at each run, and a delivery that is there already needs nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from pipeline.artifacts import Artifacts
from pipeline.errors import PipelineError
from pipeline.recordings import shown
from projections.events import ArtifactRef
from projections.graph import EXPORT
from projections.plan import Plan
from projections.state import PipelineState

WRITTEN, REPLACED, EQUAL, KEPT = "written", "replaced", "equal", "kept"


class DeliveryError(PipelineError):
    """The output folder can't be written. The transcript is kept; choose another --output-dir."""


@frozen
class Delivery:
    """One delivered file, and what was there: written, replaced (ours), equal, or kept (somebody's own)."""

    path: Path
    format: str
    outcome: str


@frozen
class Target:
    """Where a recording's exports go: `<folder>/<stem>.<format>`."""

    folder: Path
    stem: str

    def path(self, format_name: str) -> Path:
        """Return where an export goes."""
        return self.folder / f"{self.stem}.{format_name}"

    def path_beside(self, format_name: str) -> Path:
        """Return where it goes when the other place holds something that is not ours."""
        return self.folder / f"{self.stem}.new.{format_name}"


def stems_of(recordings: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the stem of each (pipeline id, file name) so that no two deliveries share a name.

    The name without its suffix; where those collide the whole name, then the id's first digits as well.
    """
    unique = list(dict.fromkeys(recordings))
    short = {item: Path(item[1]).stem for item in unique}
    whole = _where_shared(short, {item: item[1] for item in unique})
    return _where_shared(whole, {item: f"{item[1]}.{item[0][:8]}" for item in unique})


def delivered_digests(target: Target, formats: Iterable[str]) -> frozenset[str]:
    """Return the digests of what lies at a target now."""
    paths = (place(name) for name in formats for place in (target.path, target.path_beside))
    return frozenset(digest for path in paths if (digest := _digest(path)) is not None)


def deliver(
    target: Target, plan: Plan, state: PipelineState, artifacts: Artifacts, formats: Iterable[str]
) -> list[Delivery]:
    """Copy the exports that a plan chose, of the wanted formats, to their target; say what was done with each.

    Raises:
        DeliveryError: the folder can't be written.
        ArtifactMissingError, ArtifactMismatchError: an export is gone; a run makes it again.
    """
    chosen = plan[EXPORT].reused
    assert chosen is not None, "only a finished pipeline is delivered"
    ours = {ref.sha256 for attempt in state.attempts[EXPORT] for ref in attempt.outputs}
    by_format = {ref.path.rpartition(".")[2]: ref for ref in chosen.outputs}
    return [_deliver_one(target, by_format[name], ours, artifacts) for name in formats if name in by_format]


def require_writable(folder: Path) -> None:
    """Make the output folder if need be, and see that files can be made in it, before anything is done.

    Raises:
        DeliveryError: they can't.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".evt-{os.getpid()}.tmp"
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        probe.unlink()
    except OSError as error:
        raise _refused(folder, error) from error


def _where_shared(
    names: Mapping[tuple[str, str], str], longer: Mapping[tuple[str, str], str]
) -> dict[tuple[str, str], str]:
    # Compared as file systems without cases do; two names that differ in nothing else would be one file there.
    count = Counter(name.casefold() for name in names.values())
    return {item: longer[item] if count[name.casefold()] > 1 else name for item, name in names.items()}


def _deliver_one(target: Target, ref: ArtifactRef, ours: set[str], artifacts: Artifacts) -> Delivery:
    format_name = ref.path.rpartition(".")[2]
    path = target.path(format_name)
    outcome = _outcome(path, ref, ours)
    if outcome == KEPT:
        path = target.path_beside(format_name)
        if _outcome(path, ref, ours) == EQUAL:
            return Delivery(path, format_name, EQUAL)
    if outcome != EQUAL:
        _write(path, artifacts.open(ref).read_bytes())
    return Delivery(path, format_name, outcome)


def _outcome(path: Path, ref: ArtifactRef, ours: set[str]) -> str:
    there = _digest(path)
    if there is None:
        return KEPT if os.path.lexists(path) else WRITTEN
    if there == ref.sha256:
        return EQUAL
    return REPLACED if there in ours else KEPT


def _digest(path: Path) -> str | None:
    """Return the digest of a regular file; None for anything else."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    except OSError:
        return None


def _write(path: Path, content: bytes) -> None:
    """Put a file in place whole: a reader sees the old one or the new one."""
    made = path.with_name(f".{path.name[:200]}.{os.getpid()}.tmp")
    try:
        made.write_bytes(content)
        made.replace(path)
    except OSError as error:
        made.unlink(missing_ok=True)
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> DeliveryError:
    return DeliveryError(
        f"{shown(path)} can't be written: {error.strerror}. "
        "Nothing is lost; choose another folder with --output-dir."
    )
