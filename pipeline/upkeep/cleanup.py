"""Frees room in a home: what could go, and its removal. What may go is decided in `projections.cleaning`.

The log says first, durably, that files are gone; then they are removed. So after a crash at any point nothing that
the log believes in is missing; what still lies there although the log says it is gone, the next cleanup removes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from eventlog.errors import EvtError, LogLockedError, LogStorageError, ReadOnlyLogError
from eventlog.storage import PosixStorage
from eventlog.store import Store
from pipeline.artifacts import SCRATCH
from pipeline.home import Home
from pipeline.recorder import Recorder
from pipeline.recordings import lies_where_it_was
from pipeline.upkeep.removing import (
    Lying,
    files_ending,
    folder_of,
    lying,
    opened,
    remove,
    remove_empty,
    remove_folder,
    within,
)
from projections.cleaning import AUDIO, Rule, last_used, leftovers, passed_over, price, removable, untouchable
from projections.cost import Sums
from projections.events import ArtifactErased
from projections.fold import fold, initial_state
from projections.state import PipelineState

LEFT = "left"
"""Files that the log says are gone already: an earlier cleanup was cut short."""
MAKING = "scratch"
"""What a dead run had in the making."""

PATHS_BYTES_MAX = 32_768
"""So much of paths one record names at most; a record's data may have 64 KiB."""
TEMPORARY_AGE_S = 86_400.0
"""A file in the making that is older has nobody who makes it any more."""

BUSY = "another evt works on it"
COPY = "it is a copy that is only read here"
CLEANUP, RETENTION = "cleanup", "retention"
"""Why files go: the user called it, or a setting of the user's did."""


@frozen
class Candidate:
    """Something that lies in a pipeline's folder and could go; `kind` is one of `projections.cleaning`, or ours."""

    found: Lying
    kind: str


@frozen
class Offer:
    """What could go of a pipeline.

    Attributes:
        cost: what that costs to make again, one for each currency.
        has_recording: no converted audio is among it, or the recording seems to lie where it was seen.
    """

    pipeline: str
    name: Any
    candidates: tuple[Candidate, ...]
    cost: tuple[Sums, ...] = ()
    has_recording: bool = True

    @property
    def recorded(self) -> list[Lying]:
        """What the log has to say before it goes."""
        return [item.found for item in self.candidates if item.kind not in {LEFT, MAKING}]


@frozen
class Spared:
    """A pipeline that is left alone, and why, as a clause."""

    pipeline: str
    reason: str


@frozen
class Done:
    """What really went of a pipeline, and what didn't go: sentences."""

    pipeline: str
    files: int = 0
    size_bytes: int = 0
    failures: tuple[str, ...] = ()
    spared: str | None = None


@frozen
class Cleaner:
    """Everything that a cleanup needs.

    Attributes:
        user: the account.
        reason: cleanup or retention.
        new_run_id: makes the id of an invocation.
    """

    home: Home
    store: Store
    rule: Rule
    user: str
    reason: str
    new_run_id: Callable[[], str]

    def survey(self, pipelines: Iterable[str]) -> Iterator[Offer | Spared]:
        """Yield what could go of each pipeline that has anything, without a lock; nothing is changed."""
        for pipeline in pipelines:
            with opened(self.home.artifacts(pipeline)) as root:
                if root is not None and _may_hold(root):
                    yield self._seen(pipeline, root)

    def clean(self, offer: Offer) -> Done:
        """Remove what was offered, as far as it still may go, and say what went.

        What came up since is left; what changed so that it may no longer go, too.
        """
        try:
            if offer.recorded:
                return self._record_and_remove(offer)
            with self._held(offer.pipeline) as is_ours, opened(self.home.artifacts(offer.pipeline)) as root:
                if not is_ours or root is None:
                    return Done(offer.pipeline, spared=BUSY)
                return self._remove(root, offer, self._seen(offer.pipeline, root))
        except LogLockedError:
            return Done(offer.pipeline, spared=BUSY)
        except ReadOnlyLogError:
            return Done(offer.pipeline, spared=COPY)
        except EvtError as error:
            return Done(offer.pipeline, failures=(str(error),))
        except OSError as error:
            return Done(offer.pipeline, failures=(f"{error.filename or offer.pipeline}: {error.strerror}",))

    def _record_and_remove(self, offer: Offer) -> Done:
        """Record → end the log → remove. Where the disk has room for the record alone, the log ends after that."""
        is_ended = True
        with self._recorder(offer.pipeline) as recorder, opened(self.home.artifacts(offer.pipeline)) as root:
            if root is None:
                return Done(offer.pipeline)
            now = self._offered(recorder.state, root)
            if isinstance(now, Offer):
                now = _common(now, offer)
                recorder.record(*_events(now.recorded, self.reason, self.user))
                if now.recorded or not recorder.state.sealed:
                    is_ended = _is_ended(recorder)
            done = self._remove(root, offer, now)
        if not is_ended:
            with self._recorder(offer.pipeline) as recorder:
                recorder.finish()
        return done

    @contextmanager
    def _recorder(self, pipeline: str) -> Iterator[Recorder]:
        run = self.new_run_id()
        log = self.store.open_writer(pipeline, run=run)
        with closing(log.writer):
            yield Recorder(self.store, log, run)

    def _remove(self, root: int, offer: Offer, now: Offer | Spared) -> Done:
        if isinstance(now, Spared):
            return Done(offer.pipeline, spared=now.reason)
        folder = self.home.artifacts(offer.pipeline)
        return _removed(root, folder, offer.pipeline, _common(now, offer).candidates)

    def _seen(self, pipeline: str, root: int) -> Offer | Spared:
        try:
            reading = self.store.stream(pipeline)
            state = fold(initial_state(pipeline), reading)
            if (error := self.store.unusable(pipeline, reading.verdict)) is not None:
                raise error
            if self.store.is_copy(pipeline):
                return Spared(pipeline, COPY)
        except EvtError:
            return Spared(pipeline, "its log is damaged or can't be read; `evt validate` says more")
        return self._offered(state, root)

    def _offered(self, state: PipelineState, root: int) -> Offer | Spared:
        if (reason := untouchable(state)) is not None:
            return Spared(state.pipeline_id, reason)
        reason = passed_over(state, self.rule)
        has_recording = lies_where_it_was(state)
        found = [*_removable(state, root, self.rule)] if reason is None else []
        if self.reason == RETENTION and not has_recording:
            found = [item for item in found if item.kind != AUDIO]
        found += [Candidate(item, LEFT) for path in leftovers(state) if (item := lying(root, path)) is not None]
        if not self.rule.before or last_used(state) < self.rule.before:
            found += [Candidate(folder, MAKING) for folder in _scratch(root)]
        if not found and reason is not None:
            return Spared(state.pipeline_id, reason)
        cost = price(state, {item.found.path for item in found})
        has_recording |= all(item.kind != AUDIO for item in found)
        return Offer(state.pipeline_id, state.input_file, tuple(found), cost, has_recording)

    @contextmanager
    def _held(self, pipeline: str) -> Iterator[bool]:
        """Hold a log's lock and leave the log as it is; False: somebody else has it."""
        file = PosixStorage().open_log(self.store.path(pipeline), create=False)
        try:
            yield file.try_lock() and file.size_bytes() is not None
        finally:
            file.close()


def free_bytes(found: Iterable[Lying]) -> int:
    """Return what comes free if all of these go: a file with another name somewhere else frees nothing."""
    names: dict[tuple[int, int], list[Lying]] = {}
    for item in found:
        names.setdefault(item.inode, []).append(item)
    return sum(same[0].size_bytes for same in names.values() if len(same) >= same[0].links)


_DEEPEST = 4
"""So many folders deep lies a file of an attempt: `artifacts/59/<id>/<stage>/<attempt>`."""


def temporary(home: Home, now_s: float) -> list[Candidate]:
    """Return the files in the making that a killed process left anywhere in a home but in scratch."""
    with opened(home.root) as root:
        found = files_ending(root, ".tmp", _DEEPEST) if root is not None else []
    return [Candidate(item, MAKING) for item in found if item.changed_s < now_s - TEMPORARY_AGE_S]


def remove_temporary(home: Home, found: Sequence[Candidate]) -> Done:
    """Remove them and say what went."""
    with opened(home.root) as root:
        return Done("") if root is None else _removed(root, home.root, "", found)


def _may_hold(root: int) -> bool:
    """Say whether anything that could go may lie in a pipeline's folder; if not, its log needn't be read.

    Everything that may go lies in the folder of a conversion, of calls, of an export or of scratch.
    """
    for _, at, names in within(root, 2):
        stage = at.partition("/")[0]
        deep = at.count("/")
        if (deep == 1 and stage == "audio_conversion" and names) or (deep == 1 and stage == "export" and names[1:]):
            return True
        if deep == 2 and {"calls", SCRATCH} & set(names):
            return True
    return False


def _is_ended(recorder: Recorder) -> bool:
    """End a log whose records are safe; False: the disk has no room for that."""
    try:
        recorder.finish()
    except LogStorageError:
        return False
    return True


def _removable(state: PipelineState, root: int, rule: Rule) -> Iterator[Candidate]:
    for file in removable(state, paid=rule.paid):
        if (found := lying(root, file.path)) is not None:
            yield Candidate(found, file.kind)


def _scratch(root: int) -> Iterator[Lying]:
    for folder, at, names in within(root, 2):
        if SCRATCH in names and (found := folder_of(folder, at, SCRATCH)) is not None and found.files:
            yield found


def _common(now: Offer, offer: Offer) -> Offer:
    """Return what is offered now and was offered before."""
    paths = {item.found.path for item in offer.candidates}
    return evolve(now, candidates=tuple(item for item in now.candidates if item.found.path in paths))


def _events(found: Sequence[Lying], reason: str, user: str) -> Iterator[ArtifactErased]:
    """Yield what the log says of files that are about to go, in records that are not too long."""
    batch: list[Lying] = []
    length = 0
    for item in found:
        length += len(item.path.encode())
        if length > PATHS_BYTES_MAX and batch:
            yield _event(batch, reason, user)
            batch, length = [], len(item.path.encode())
        batch.append(item)
    if batch:
        yield _event(batch, reason, user)


def _event(batch: Sequence[Lying], reason: str, user: str) -> ArtifactErased:
    return ArtifactErased(tuple(item.path for item in batch), sum(item.size_bytes for item in batch), reason, user)


def _removed(root: int, folder: Path, pipeline: str, candidates: Sequence[Candidate]) -> Done:
    """Remove files and folders; say what went, and what didn't and why."""
    files, size_bytes, failures = 0, 0, []
    for item in candidates:
        path = item.found.path
        try:
            freed = _remove(root, item.found)
        except OSError as error:
            failures.append(f"{folder / path}: {error.strerror}")
            continue
        if pipeline:
            remove_empty(root, path)
        files, size_bytes = files + (0 if freed is None else item.found.files), size_bytes + (freed or 0)
    return Done(pipeline, files, size_bytes, tuple(failures))


def _remove(root: int, found: Lying) -> int | None:
    """Remove a file or a folder; return the bytes that come free, None where it was gone already."""
    if not found.is_folder:
        return remove(root, found.path)
    remove_folder(root, found.path)
    return found.size_bytes
