"""Copies of the exports where the user wants them. Nothing that somebody else wrote is ever replaced.

Delivering is not a stage: it happens at each run, and a delivery that is there already needs nothing.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import takewhile
from pathlib import Path

from attrs import frozen

from pipeline.artifacts import Artifacts, file_sha256
from pipeline.errors import PipelineError
from pipeline.recordings import shown
from projections.events import ArtifactRef
from projections.graph import EXPORT, FORMATS, SUFFIXES
from projections.options import Option
from projections.plan import Plan
from projections.state import PipelineState

WRITTEN, REPLACED, EQUAL, KEPT = "written", "replaced", "equal", "kept"
_BESIDE = (".new", *(f".new{number}" for number in range(2, 10)))
"""What tells a file of ours from one of somebody else that has its name."""
_NAME_BYTES_MAX = 255
"""Source: NAME_MAX of Linux and macOS, limits.h(0p)."""
_STEM_BYTES_MAX = _NAME_BYTES_MAX - len(_BESIDE[-1]) - max(len(f".{name}") for name in FORMATS)


Delivered = Callable[[PipelineState, Mapping[str, Option]], frozenset[str] | None]


class DeliveryError(PipelineError):
    """The output folder can't be written. The transcript is kept; choose another --output-dir."""


@frozen
class Delivery:
    """One delivered file.

    Attributes:
        outcome: written, replaced (one of ours), or equal (it was there).
        beside: its own place holds something that is not ours and was left as it is.
    """

    path: Path
    format: str
    outcome: str
    beside: bool = False


@frozen
class Target:
    """Where a recording's exports go: `<folder>/<stem>.<format>`, or another suffix as SUFFIXES says."""

    folder: Path
    stem: str

    def places(self, format_name: str) -> Iterator[Path]:
        """Yield where an export may go: its own place, then those beside it."""
        return map(Path, self._places(format_name))

    def taken(self, format_name: str) -> Iterator[str]:
        """Yield the places up to the first that is free, behind which nothing is ever delivered."""
        return takewhile(os.path.lexists, self._places(format_name))

    def _places(self, format_name: str) -> Iterator[str]:
        suffix = SUFFIXES.get(format_name, format_name)
        for mark in ("", *_BESIDE):
            yield os.path.join(self.folder, f"{self.stem}{mark}.{suffix}")


@frozen(eq=False)
class Stems:
    """What the deliveries of several recordings are called, settled by their names alone.

    The name without its suffix; where those collide the whole name, then the id's first digits as well. A stem
    that leaves no room for what is added to it is cut, and ends in the id's first digits.
    """

    _short: Counter[str]
    _whole: Counter[str]

    @classmethod
    def of(cls, names: Iterable[str]) -> Stems:
        """Return the stems of recordings with these names, one name for each recording."""
        names = list(names)
        # Compared as file systems without cases do; two names that differ in nothing else would be one file there.
        short = Counter(Path(name).stem.casefold() for name in names)
        settled = cls(short, Counter())
        return cls(short, Counter(settled._longer(name).casefold() for name in names))

    def stem(self, name: str, pipeline: str) -> str:
        """Return the stem of one of these recordings."""
        stem = self._longer(name)
        if self._whole[stem.casefold()] > 1:
            stem = f"{name}.{pipeline[:8]}"
        return _shortened(stem, pipeline)

    def _longer(self, name: str) -> str:
        stem = Path(name).stem
        return stem if self._short[stem.casefold()] < 2 else name


def stems_of(recordings: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the stem of each (pipeline id, file name) so that no two deliveries share a name; see `Stems`."""
    unique = list(dict.fromkeys(recordings))
    stems = Stems.of(name for _, name in unique)
    return {(pipeline, name): stems.stem(name, pipeline) for pipeline, name in unique}


def delivered_digests(target: Target, formats: Iterable[str]) -> frozenset[str]:
    """Return the digests of what lies at a target now."""
    paths = (path for name in formats for path in target.taken(name))
    return frozenset(digest for path in paths if (digest := _digest(path)) is not None)


def delivered_to(target: Target | None, only: Iterable[str] | None = None) -> Delivered:
    """Return what tells the plan which exports lie where the user wants them.

    Args:
        target: where; None: nowhere, so that no export is needed.
        only: formats to deliver; the others of an export count as delivered.
    """

    def delivered(state: PipelineState, options: Mapping[str, Option]) -> frozenset[str] | None:
        if target is None:
            return None
        formats = options["formats"].value if only is None else list(only)
        exports = [ref for attempt in state.attempts.get(EXPORT, ()) for ref in attempt.outputs]
        unwanted = {ref.sha256 for ref in exports if ref.path.rpartition(".")[2] not in formats}
        return delivered_digests(target, formats) | unwanted

    return delivered


def deliver(
    target: Target, plan: Plan, state: PipelineState, artifacts: Artifacts, formats: Iterable[str]
) -> list[Delivery]:
    """Copy the exports that a plan chose, of the wanted formats, to their target; say what was done with each.

    Raises:
        DeliveryError: the folder can't be written, or every place is taken.
        ArtifactMissingError, ArtifactMismatchError: an export is gone; a run makes it again.
    """
    chosen = plan[EXPORT].reused
    assert chosen is not None, "only a finished pipeline is delivered"
    ours = {ref.sha256 for attempt in state.attempts[EXPORT] for ref in attempt.outputs}
    by_format = {ref.path.rpartition(".")[2]: ref for ref in chosen.outputs}
    deliveries = []
    for name in (name for name in formats if name in by_format):
        delivery = _choose(target, name, by_format[name], ours)
        if delivery.outcome != EQUAL:
            _write(delivery.path, artifacts.read(by_format[name]), state.pipeline_id)
        deliveries.append(delivery)
    return deliveries


def write_whole(path: Path, content: bytes) -> None:
    """Put any other file of ours in place whole.

    Raises:
        DeliveryError: the folder can't be written.
    """
    _write(path, content, "page")


def require_writable(folder: Path) -> None:
    """Make the output folder if need be, and see that files can be made in it, before anything is done.

    Raises:
        DeliveryError: they can't.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Without a name where the system can do that, so that nothing is left of it even after a kill.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _refused(folder, error) from error


def _shortened(stem: str, pipeline: str) -> str:
    if len(os.fsencode(stem)) <= _STEM_BYTES_MAX:
        return stem
    end = f"-{pipeline[:8]}"
    while len(os.fsencode(stem + end)) > _STEM_BYTES_MAX:
        stem = stem[:-1]
    return stem + end


def _choose(target: Target, format_name: str, ref: ArtifactRef, ours: set[str]) -> Delivery:
    """Return what is to be done with an export: the first place that holds nothing of somebody else is its own."""
    for number, path in enumerate(target.places(format_name)):
        if (outcome := _outcome(path, ref, ours)) != KEPT:
            return Delivery(path, format_name, outcome, beside=number > 0)
    raise DeliveryError(
        f"{shown(next(target.places(format_name)))} and all places beside it hold files that are not evt's. "
        "Nothing is lost; remove some of them, or choose another folder with --output-dir."
    )


def _outcome(path: Path, ref: ArtifactRef, ours: set[str]) -> str:
    there = _digest(path)
    if there is None:
        return KEPT if os.path.lexists(path) else WRITTEN
    if there == ref.sha256:
        return EQUAL
    return REPLACED if there in ours else KEPT


def _digest(path: Path | str) -> str | None:
    """Return the digest of a regular file; None for anything else."""
    try:
        return file_sha256(path)
    except OSError:
        return None


def _write(path: Path, content: bytes, pipeline: str) -> None:
    """Put a file in place whole: a reader sees the old one or the new one."""
    made = path.with_name(f".evt-{pipeline}-{os.getpid()}.tmp")
    for left in _leftovers(path.parent):
        _remove_leftover(left, pipeline)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(made, flags, 0o666), "wb") as file:
            file.write(content)
        made.replace(path)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        with suppress(OSError):
            made.unlink(missing_ok=True)


@lru_cache(maxsize=64)
def _leftovers(folder: Path) -> list[Path]:
    """Return what is half written in a folder; looked for once, since folders of many deliveries are long."""
    return list(folder.glob(".evt-*.tmp"))


def _remove_leftover(left: Path, pipeline: str) -> None:
    """Remove what a process that was killed left of a pipeline's delivery; it writes one file at a time."""
    pid = left.stem.rpartition("-")[2]
    if left.name == f".evt-{pipeline}-{pid}.tmp" and pid.isdecimal() and not _is_others(int(pid)):
        with suppress(OSError):
            left.unlink()


def _is_others(pid: int) -> bool:
    """Say whether another process has this id now."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return pid != os.getpid()


def _refused(path: Path, error: OSError) -> DeliveryError:
    is_file = isinstance(error, FileExistsError | NotADirectoryError)
    why = "there is a file where a folder is needed" if is_file else error.strerror
    return DeliveryError(
        f"{shown(path)} can't be written: {why}. Nothing is lost; choose another folder with --output-dir."
    )
