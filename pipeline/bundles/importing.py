"""Takes bundles into a home: read and checked aside → compared with what is here → placed, each log last.

Everything lies in the folder `importing` of the home until it is checked. From then on a note in it says that it
is to be placed, and whatever cuts that short, the next import (or run, or cleanup) finishes it; before, it removes
all.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
from attrs import frozen

from eventlog.errors import LogLockedError, LogNotFoundError
from eventlog.reader import Head, Scanner
from eventlog.storage import PosixStorage, replace_durably, sync_path
from eventlog.store import Store
from pipeline.artifacts import Artifacts, file_sha256
from pipeline.bundles.bundling import is_finished
from pipeline.bundles.form import ARTIFACTS, LOG, Limits, Member
from pipeline.bundles.incoming import (
    DIVERGED,
    EQUAL,
    EXTENDED,
    NEW,
    NOTHING,
    checked,
    diverged,
    pieces_of,
    relation_to,
    require_purged,
    require_vouched,
)
from pipeline.bundles.unbundling import unbundle
from pipeline.errors import BundleError, DivergedError
from pipeline.home import Home
from pipeline.recorder import Recorder
from pipeline.upkeep.purging import settle_purges
from pipeline.upkeep.tombstones import tombstone_from
from projections.events import PipelineReceived
from projections.fold import fold, initial_state
from projections.state import PipelineState

_READY = "ready"
_PIECE_BYTES = 1 << 20


@frozen
class Imported:
    """What became of a pipeline.

    Attributes:
        outcome: new, extended or nothing.
        is_copy: it is only read here.
        received: it was handed over, and goes on here.
    """

    pipeline: str
    name: Any
    outcome: str
    is_copy: bool
    received: bool


@frozen
class _Staged:
    """A pipeline that lies in the folder `importing`, checked; `token`: with which it is received."""

    pipeline: str
    head: Head
    is_copy: bool
    token: str | None

    def to_json(self) -> dict[str, Any]:
        return {
            "pipeline": self.pipeline,
            "head": [self.head.seq, self.head.sha256],
            "is_copy": self.is_copy,
            "token": self.token,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> _Staged:
        return cls(value["pipeline"], Head(*value["head"]), value["is_copy"], value["token"])


@frozen
class Importing:
    """Everything that an import needs; `user` is the account."""

    home: Home
    store: Store
    user: str
    new_run_id: Callable[[], str]

    def import_(self, bundle: Path, limits: Limits, clock_s: Callable[[], float]) -> list[Imported]:
        """Take a bundle into the home: all of its pipelines, or none.

        Raises:
            BundleError: it can't be imported; nothing was placed.
            DivergedError: this home has another log of one of them; nothing was placed.
            LogError: a log that is here is locked or damaged; nothing was placed. Or the disk failed: repeat it.
        """
        with self._alone() as stage:
            self._settle(stage)
            settle_purges(self.home, self.store)
            try:
                return self._imported(bundle, stage, limits, clock_s)
            except OSError as error:
                where = f"{error.filename}: " if error.filename else ""
                raise BundleError(f"The bundle can't be imported: {where}{error.strerror or error}.") from error
            finally:
                if not (stage / _READY).exists():
                    shutil.rmtree(stage)

    def settle(self) -> None:
        """Finish or remove what an import left that was cut short; one that is under way is left alone.

        So is one that a writer is in the way of; the next call goes on.

        Raises:
            LogError: the disk failed.
        """
        if not self.home.importing.is_dir():
            return
        with suppress(BundleError, LogLockedError), self._alone() as stage:
            self._settle(stage)
            shutil.rmtree(stage)

    def _imported(self, bundle: Path, stage: Path, limits: Limits, clock_s: Callable[[], float]) -> list[Imported]:
        manifest = unbundle(bundle, stage, limits, clock_s)
        states = [checked(member, stage) for member in manifest.members]
        staged = [_staged(member, state) for member, state in zip(manifest.members, states, strict=True)]
        with ExitStack() as held:
            before = [self._compared(item, stage, held) for item in staged]
            replace_durably(PosixStorage(), str(stage / _READY), orjson.dumps([s.to_json() for s in staged]))
            for item, outcome in zip(staged, before, strict=True):
                if outcome != NOTHING:
                    self._place(item, stage)
        received = [self._receive(item) for item in staged]
        os.unlink(stage / _READY)
        return [
            Imported(item.pipeline, state.input_file, outcome, item.is_copy and outcome != NOTHING, done)
            for item, state, outcome, done in zip(staged, states, before, received, strict=True)
        ]

    def _settle(self, stage: Path) -> None:
        """Finish what was being placed, as far as it still fits what is here; then empty the folder."""
        if (stage / _READY).exists():
            for value in orjson.loads((stage / _READY).read_bytes()):
                item = _Staged.from_json(value)
                with ExitStack() as held:
                    if self._may_still(item, stage, held):
                        self._place(item, stage)
                self._receive(item)
            os.unlink(stage / _READY)
        for path in stage.iterdir():
            if path.is_dir():
                with suppress(LogNotFoundError, LogLockedError), self.store.held(path.name):
                    self._drop_empty(path.name)
                shutil.rmtree(path)
            else:
                path.unlink()

    def _may_still(self, item: _Staged, stage: Path, held: ExitStack) -> bool:
        if not (stage / item.pipeline / LOG).exists():
            # The log got its name; what comes behind that may be lacking.
            try:
                held.enter_context(self.store.held(item.pipeline))
                return self._head_here(item.pipeline) == item.head
            except LogNotFoundError:
                return False
        try:
            return self._compared(item, stage, held) != NOTHING
        except DivergedError:
            return False

    def _head_here(self, pipeline: str) -> Head | None:
        scanner = Scanner(pipeline)
        for _ in self.store.records_from(scanner):
            pass
        return scanner.verdict().head

    @contextmanager
    def _alone(self) -> Iterator[Path]:
        """Make the folder for what comes, and keep other imports out of it."""
        stage = self.home.importing
        Artifacts(stage).folders.make(str(stage))
        fd = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not stage.is_dir() or not os.path.samestat(os.fstat(fd), stage.stat()):
                raise BlockingIOError(errno.EWOULDBLOCK, "it was taken away")
            yield stage
        except BlockingIOError as error:
            raise BundleError(
                f"Another import into the home {self.home.root} is under way. Wait for it, then repeat the command."
            ) from error
        finally:
            os.close(fd)

    def _compared(self, item: _Staged, stage: Path, held: ExitStack) -> str:
        """Lock the log that is here, if there is one, and return what is to be done.

        Raises:
            DivergedError: each of the two holds something that the other one doesn't.
            LogError: the log that is here is in use, or damaged.
            BundleError: the last write to it is unfinished.
        """
        pipeline = item.pipeline
        if pipeline not in self.store.pipelines(of=pipeline):
            held.enter_context(self.store.held(pipeline, create=True))
            held.callback(self._drop_empty, pipeline)
        else:
            held.enter_context(self.store.held(pipeline))
        kept = self.store.read_head(pipeline)
        scanner = Scanner(pipeline, kept)
        relation = relation_to(stage / pipeline / LOG, scanner, self.store)
        if relation == NEW and kept is not None:
            require_vouched(pipeline, kept, stage / pipeline / LOG)
        if relation == NEW and (purged := self.store.purging(pipeline).content()) is not None:
            require_purged(tombstone_from(pipeline, purged), stage / pipeline / LOG)
        if relation == EQUAL:
            # What was only read here goes on here from now on.
            return EXTENDED if item.token is not None and self.store.is_copy(pipeline) else NOTHING
        if relation == DIVERGED:
            raise diverged(pipeline, stage / pipeline / LOG, self.store)
        return relation

    def _drop_empty(self, pipeline: str) -> None:
        """Remove the log that was only made to hold its lock; the lock is held."""
        path = Path(self.store.path(pipeline))
        if path.exists() and path.stat().st_size == 0:
            path.unlink()

    def _place(self, item: _Staged, stage: Path) -> None:
        """Place files, then what lies beside the log, then the log; all of it can be repeated.

        A tombstone goes first: beside a log it would speak of one that is to go.
        """
        folder = stage / item.pipeline
        self.store.purging(item.pipeline).drop()
        self._place_artifacts(item.pipeline, folder)
        logs = self.home.logs / item.pipeline[:2]
        for path in sorted(folder.glob("beside/*")):
            if not os.path.lexists(logs / path.name):
                os.rename(path, logs / path.name)
        self.store.adopt(item.pipeline, str(folder / LOG), item.head, copy=item.is_copy)

    def _place_artifacts(self, pipeline: str, folder: Path) -> None:
        source = folder / ARTIFACTS.rstrip("/")
        if not source.is_dir():
            return
        root = self.home.artifacts(pipeline)
        folders = Artifacts(root).folders
        if not root.exists():
            folders.make(str(root.parent))
            os.rename(source, root)
            sync_path(root.parent)
            return
        digests: dict[str, set[str]] = {}
        staged = folder / LOG
        if staged.exists():
            scanner = Scanner(pipeline)
            records = (record for piece in pieces_of(staged) for record in scanner.feed(piece))
            for ref in fold(initial_state(pipeline), records).artifacts:
                digests.setdefault(ref.path, set()).add(ref.sha256)
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            name = path.relative_to(source).as_posix()
            target = root / name
            if not os.path.lexists(target) or _is_wrong(target, digests.get(name)):
                folders.make(str(target.parent))
                os.rename(path, target)
                sync_path(target.parent)

    def _receive(self, item: _Staged) -> bool:
        """Record that this home goes on, if the pipeline was handed over with this token and is open."""
        if item.token is None or not _is_open(self._state(item.pipeline)):
            return False
        run = self.new_run_id()
        log = self.store.open_writer(item.pipeline, run=run)
        try:
            recorder = Recorder(self.store, log, run)
            found = recorder.state.handed_over
            if found is None or found.token != item.token or not _is_open(recorder.state):
                return False
            recorder.record(PipelineReceived(item.token, self.user))
            recorder.finish()
        finally:
            log.writer.close()
        return True

    def _state(self, pipeline: str) -> PipelineState:
        return fold(initial_state(pipeline), self.store.stream(pipeline))


def _is_open(state: PipelineState) -> bool:
    """Say whether a pipeline was handed over and could go on; one that was erased since doesn't come back."""
    return state.handed_over is not None and state.erasure is None


def _staged(member: Member, state: PipelineState) -> _Staged:
    """Return what is to become of a pipeline: one that isn't finished, and wasn't handed over, is only read."""
    token = state.handed_over.token if state.handed_over is not None and not member.is_copy else None
    return _Staged(member.pipeline, member.head, token is None and not is_finished(state), token)


def _is_wrong(path: Path, digests: set[str] | None) -> bool:
    """Say whether a file that is here is none of those that the log names under its name."""
    if not digests:
        return False
    try:
        return file_sha256(path) not in digests
    except OSError:
        return False
