"""Erases pipelines: all that was said goes, what happened stays. What that means to users: docs/erasing.md.

The log says so first, durably, and its lock is held until the last file is gone. So whoever comes later finds a
pipeline that may not be written to, and an erasure that was cut short is finished by repeating it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from attrs import frozen

from eventlog.store import Store
from pipeline.artifacts import file_sha256
from pipeline.home import Home
from pipeline.recorder import Recorder
from pipeline.recordings import forget_digest, name_of
from pipeline.upkeep.removing import files_ending, folder_of, lying, opened, remove, remove_folder
from pipeline.upkeep.tombstones import lift, tombstone_of
from projections.events import PipelineErased, PipelineUnerased, recorded_parts
from projections.fold import fold, initial_state
from projections.graph import EXPORT, MERGE
from projections.state import PipelineState

_HEADS = ".head-"
"""Heads that were set aside hold a number and a hash, and stay."""
_TELLING_BYTES = 16
"""Shorter exports say nothing of one recording: a format without entries is an empty line."""


@frozen
class Erased:
    """What really went of a pipeline; `failures` are sentences about what didn't go.

    Attributes:
        files, size_bytes: of the home.
        deliveries: the transcripts outside the home that were still as evt wrote them.
        was_erased: it was erased before, and this call found what was left of it.
    """

    pipeline: str
    name: Any
    files: int = 0
    size_bytes: int = 0
    deliveries: tuple[Path, ...] = ()
    failures: tuple[str, ...] = ()
    was_erased: bool = False


@frozen
class Erasing:
    """Everything that an erasure needs.

    Attributes:
        user: the account.
        now: tells the time, as records write it.
        folders: where deliveries are looked for, besides the folders of the recordings that the log names.
    """

    home: Home
    store: Store
    user: str
    new_run_id: Callable[[], str]
    now: Callable[[], str]
    folders: Sequence[Path] = ()

    def survey(self, pipeline: str) -> Erased:
        """Return what would go, without a lock; nothing is changed."""
        state = fold(initial_state(pipeline), self.store.stream(pipeline))
        with opened(self.home.artifacts(pipeline).parent) as folder:
            found = folder_of(folder, "", pipeline) if folder is not None else None
        with opened(self.home.logs / pipeline[:2]) as folder:
            beside = [lying(folder, name) for name in self._beside(pipeline, folder)] if folder is not None else []
        files = [item for item in (found, *beside) if item is not None]
        return Erased(
            pipeline,
            state.input_file,
            sum(item.files for item in files),
            sum(item.size_bytes for item in files),
            tuple(self._deliveries(state)),
            was_erased=state.erasure is not None,
        )

    def erase(self, pipeline: str) -> Erased:
        """Record that a pipeline is erased, then remove all that it has; return what went.

        Raises:
            LogError: its log is in use, damaged, or can't be written; nothing was removed.
        """
        run = self.new_run_id()
        log = self.store.open_writer(pipeline, run=run, even_a_copy=True)
        with closing(log.writer):
            recorder = Recorder(self.store, log, run)
            was_erased = recorder.state.erasure is not None
            set_aside = tuple(name for name in self.store.set_aside(pipeline) if _HEADS not in name)
            if not was_erased or set(set_aside) - recorder.state.set_aside_gone:
                recorder.record(PipelineErased(self.user, set_aside))
                recorder.finish()
            return self._removed(recorder.state, was_erased=was_erased)

    def unerase(self, pipeline: str) -> bool:
        """Let an erased pipeline be begun anew, also one that was purged since; False: it isn't erased.

        Raises:
            LogError: as for `erase`.
        """
        if (stone := tombstone_of(self.store, pipeline)) is not None:
            lift(self.store, stone, at=self.now(), by=self.user)
            return True
        run = self.new_run_id()
        log = self.store.open_writer(pipeline, run=run)
        with closing(log.writer):
            recorder = Recorder(self.store, log, run)
            if recorder.state.erasure is None:
                return False
            recorder.record(PipelineUnerased(self.user))
            recorder.finish()
        return True

    def _removed(self, state: PipelineState, *, was_erased: bool) -> Erased:
        pipeline = state.pipeline_id
        files, size_bytes, failures = 0, 0, []
        with opened(self.home.logs / pipeline[:2]) as folder:
            for name in self._beside(pipeline, folder) if folder is not None else ():
                try:
                    freed = remove(folder, name) if folder is not None else None
                except OSError as error:
                    failures.append(_failure(self.home.logs / pipeline[:2] / name, error))
                else:
                    files, size_bytes = files + (freed is not None), size_bytes + (freed or 0)
        root = self.home.artifacts(pipeline)
        with opened(root.parent) as folder:
            before = folder_of(folder, "", root.name) if folder is not None else None
            if folder is not None and before is not None:
                try:
                    remove_folder(folder, root.name)
                except OSError as error:
                    failures.append(_failure(root, error))
                after = folder_of(folder, "", root.name)
                files += before.files - (after.files if after else 0)
                size_bytes += before.size_bytes - (after.size_bytes if after else 0)
        for found in (state.input, *recorded_parts(state.input)):
            forget_digest(self.home.index, str(found.get("sha256")))
        deliveries = []
        for path in self._deliveries(state):
            try:
                path.unlink()
            except OSError as error:
                failures.append(_failure(path, error))
            else:
                deliveries.append(path)
        told = tuple(failures)
        return Erased(pipeline, state.input_file, files, size_bytes, tuple(deliveries), told, was_erased)

    def _beside(self, pipeline: str, folder: int) -> Iterator[str]:
        """Yield the files beside the log that may hold something of it: set aside, or never finished."""
        yield from (name for name in self.store.set_aside(pipeline) if _HEADS not in name)
        yield from (item.path for item in files_ending(folder, ".tmp", 0) if item.path.startswith(f"{pipeline}."))

    def _deliveries(self, state: PipelineState) -> Iterator[Path]:
        """Yield the regular files in known folders whose content is that of an export, to the last byte.

        Exports without a word look alike for all recordings, so those count under names of this recording only.
        """
        exports = {ref.sha256: ref.size_bytes for tried in state.attempts.get(EXPORT, ()) for ref in tried.outputs}
        telling, sizes = _telling(state), set(exports.values())
        for folder in dict.fromkeys(_real(path) for path in (*self.folders, *_folders(state))):
            for path in _files(folder, sizes):
                with suppress(OSError):
                    digest = file_sha256(path)
                    if digest in telling or (digest in exports and _is_named_after(path, state)):
                        yield path


def _telling(state: PipelineState) -> set[str]:
    """Return the digests of exports that hold words, so that no other recording has the same."""
    wordless = {
        ref.sha256
        for tried in state.attempts.get(MERGE, ())
        if not tried.metadata.get("words")
        for ref in tried.outputs
    }
    return {
        ref.sha256
        for tried in state.attempts.get(EXPORT, ())
        if tried.started.inputs.get(MERGE) not in wordless
        for ref in tried.outputs
        if ref.size_bytes >= _TELLING_BYTES
    }


def _is_named_after(path: Path, state: PipelineState) -> bool:
    """Say whether a file has a name that deliveries of this recording have."""
    stems = tuple(f"{Path(name_of(name)).stem}." for name in state.names)
    return path.name.startswith(stems) or f"-{state.pipeline_id[:8]}." in path.name


def _folders(state: PipelineState) -> Iterator[Path]:
    """Yield the folders of the recording, as far as the log knows them; many deliver there."""
    for run in state.runs:
        if run.started.input_path is not None:
            for path in (run.started.input_path, *(run.started.input_paths or ())):
                yield Path(name_of(path).replace("\0", "")).parent


def _real(folder: Path) -> Path:
    with suppress(OSError, RuntimeError):
        return folder.resolve()
    return folder


def _files(folder: Path, sizes: Iterable[int]) -> Iterator[Path]:
    wanted = set(sizes)
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode) and found.st_size in wanted:
                        yield Path(entry.path)
    except OSError:
        return


def _failure(path: Path, error: OSError) -> str:
    return f"{path}: {error.strerror or error}"
