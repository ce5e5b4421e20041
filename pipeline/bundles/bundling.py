"""Makes bundles: one file with the logs and files of some pipelines. Their form: docs/bundle.md.

A finished pipeline is copied. One that isn't is handed over: its log says so before the bundle has its name, and
this home does nothing on it any more. A command that is killed between the two is repeated, and the bundle made.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from attrs import define, frozen

from eventlog.compression import compress_pieces
from eventlog.reader import Scanner
from eventlog.storage import sync_fd
from eventlog.store import Store
from pipeline.bundles.form import ARTIFACTS, BESIDE, LOG, Limits, Manifest, Member, Packed, is_bundled
from pipeline.bundles.new_file import give_name, new_file
from pipeline.errors import BundleError
from pipeline.home import Home
from pipeline.recorder import Recorder
from pipeline.recordings import recordable_name
from pipeline.upkeep.removing import opened, within
from projections.events import PipelineHandedOver, PipelineReceived
from projections.fold import fold, initial_state
from projections.state import PipelineState

_PIECE_BYTES = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

FINISHED, HANDED_OVER, COPY = "finished", "handed_over", "copy"


@frozen
class Bundled:
    """What was bundled of a pipeline: `kind` is finished, handed_over or copy; `left_out` are changed files."""

    pipeline: str
    name: Any
    kind: str
    files: int
    size_bytes: int
    left_out: tuple[str, ...] = ()


@frozen
class Bundling:
    """Everything that bundling needs; `user` is the account."""

    home: Home
    store: Store
    user: str
    evt_version: str
    new_run_id: Callable[[], str]

    def bundle(self, pipelines: Iterable[str], target: Path, *, copy: bool) -> list[Bundled]:
        """Write a bundle of pipelines and return what is in it.

        Lock each → hand over what isn't finished → write under another name, sync → give it its name.

        Args:
            pipelines: their ids, each once.
            target: the file; nothing must be there.
            copy: hand nothing over; what isn't finished is only read where it is imported.

        Raises:
            BundleError: it can't be made; nothing is handed over.
            LogError: a log is locked, damaged, or can't be read.
        """
        with new_file(target) as made, ExitStack() as held, ExitStack() as undo:
            taken = [self._take(pipeline, target, held, undo, copy=copy) for pipeline in pipelines]
            manifest = Manifest(self.evt_version, tuple(item.member for item in taken))
            undo.callback(os.truncate, made, 0)  # a full disk gets room to take back what was handed over
            _write(made, manifest, [source for item in taken for source in item.sources])
            give_name(made, target)
            undo.pop_all()
        return [item.told for item in taken]

    def _take(self, pipeline: str, target: Path, held: ExitStack, undo: ExitStack, *, copy: bool) -> _Taken:
        """Lock a pipeline and look at all that belongs into its bundle."""
        state = self._state(pipeline)
        if not copy and not is_finished(state):
            if self.store.is_copy(pipeline):
                raise BundleError(
                    f"{pipeline} is a copy that is only read here, and goes on where it came from. Bundle it "
                    "there, or pass it on as a copy with --copy. Nothing was bundled."
                )
            self._hand_over(pipeline, target, held, undo)
        else:
            held.enter_context(self.store.held(pipeline))
        scanner = Scanner(pipeline)
        state = fold(initial_state(pipeline), self.store.records_from(scanner))
        if (head := scanner.verdict().head) is None:
            raise BundleError(f"The log of {pipeline} holds nothing yet. Nothing was bundled.")
        kind = FINISHED if is_finished(state) else COPY if copy else HANDED_OVER
        found = [self._log(pipeline, scanner.offset), *self._beside(state), *self._artifacts(state)]
        kept = [source for source in found if source.is_right]
        files = tuple(Packed(item.path, item.sha256, item.size_bytes) for item in kept)
        told = Bundled(
            pipeline=pipeline,
            name=state.input_file,
            kind=kind,
            files=len(files) - 1,
            size_bytes=sum(file.size_bytes for file in files),
            left_out=tuple(item.path for item in found if not item.is_right),
        )
        return _Taken(Member(pipeline, head, copy, files), kept, told)

    def _state(self, pipeline: str) -> PipelineState:
        reading = self.store.stream(pipeline)
        state = fold(initial_state(pipeline), reading)
        if (error := self.store.unusable(pipeline, reading.verdict)) is not None:
            raise error
        return state

    def _hand_over(self, pipeline: str, target: Path, held: ExitStack, undo: ExitStack) -> None:
        """Record that another home goes on; one that was handed over before goes into another bundle as it is."""
        run = self.new_run_id()
        opened = self.store.open_writer(pipeline, run=run)
        held.enter_context(closing(opened.writer))
        recorder = Recorder(self.store, opened, run)
        if is_finished(recorder.state) or recorder.state.handed_over is not None:
            return
        token = secrets.token_hex(16)
        undo.callback(_take_back, recorder, token, self.user)
        recorder.record(PipelineHandedOver(token, recordable_name(target.name), self.user))
        recorder.finish()

    def _log(self, pipeline: str, size_bytes: int) -> _Source:
        """Return the good records of a log; what a dead writer left behind them is no record."""
        return _source(LOG, lambda: _cut(self.store.content(pipeline), size_bytes))

    def _beside(self, state: PipelineState) -> Iterator[_Source]:
        folder = Path(self.store.path(state.pipeline_id)).parent
        for name in self.store.set_aside(state.pipeline_id):
            source = _source(BESIDE + name, _reader(folder / name))
            source.is_right = source.sha256.startswith(name[-16:])
            yield source

    def _artifacts(self, state: PipelineState) -> Iterator[_Source]:
        """Yield the files that are there; one that isn't what the log says is of no use to anybody."""
        if state.erasure is not None:
            return
        folder = self.home.artifacts(state.pipeline_id)
        digests: dict[str, set[str]] = {}
        for ref in state.artifacts:
            digests.setdefault(ref.path, set()).add(ref.sha256)
        for path in _paths(folder):
            if path not in state.erased:
                source = _source(ARTIFACTS + path, _reader(folder / path))
                source.is_right = source.sha256 in digests.get(path, {source.sha256})
                yield source


def is_finished(state: PipelineState) -> bool:
    """Say whether nothing goes on: copies of such a pipeline can't pay for anything twice."""
    return state.erasure is not None or (state.status == "completed" and state.sealed)


@define
class _Source:
    """A file on its way into a bundle: what it will be called, and how to read it."""

    path: str
    sha256: str
    size_bytes: int
    read: Callable[[], Iterator[bytes]]
    is_right: bool = True


@frozen
class _Taken:
    member: Member
    sources: Sequence[_Source]
    told: Bundled


def _source(path: str, read: Callable[[], Iterator[bytes]]) -> _Source:
    digest, size_bytes = hashlib.sha256(), 0
    for piece in read():
        digest.update(piece)
        size_bytes += len(piece)
    return _Source(path, digest.hexdigest(), size_bytes, read)


def _take_back(recorder: Recorder, token: str, user: str) -> None:
    """Go on here after all: the bundle was not made."""
    if recorder.state.handed_over is not None:
        recorder.record(PipelineReceived(token, user))
        recorder.finish()


def _paths(folder: Path) -> list[str]:
    """Return the files of a pipeline that have names of ours; no link is followed."""
    found = []
    with opened(folder) as root:
        for inner, at, names in within(root, 4) if root is not None else ():
            found += [at + name for name in names if is_bundled(at + name) and _is_file(inner, name)]
    return found


def _is_file(folder: int, name: str) -> bool:
    return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def _reader(path: Path) -> Callable[[], Iterator[bytes]]:
    def read() -> Iterator[bytes]:
        with open(os.open(path, _READ), "rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece

    return read


def _cut(pieces: Iterable[bytes], size_bytes: int) -> Iterator[bytes]:
    for piece in pieces:
        yield piece[:size_bytes]
        size_bytes -= len(piece)
        if size_bytes <= 0:
            return


def _write(made: Path, manifest: Manifest, sources: Sequence[_Source]) -> None:
    line = manifest.to_line()
    with open(os.open(made, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "wb") as file:
        for piece in compress_pieces(_content(line, sources), len(line) + manifest.size_bytes):
            file.write(piece)
        file.flush()
        _require_plausible(len(line) + manifest.size_bytes, file.tell())
        sync_fd(file.fileno())


def _require_plausible(content_bytes: int, bundle_bytes: int) -> None:
    limits = Limits()
    if content_bytes > bundle_bytes * limits.ratio + limits.more_bytes:
        raise BundleError(
            f"The bundle would hold more than {limits.ratio} times its size, which no import takes. Nothing was "
            "bundled; bundle fewer pipelines at once."
        )


def _content(line: bytes, sources: Sequence[_Source]) -> Iterator[bytes]:
    yield line
    for source in sources:
        digest = hashlib.sha256()
        for piece in source.read():
            digest.update(piece)
            yield piece
        if digest.hexdigest() != source.sha256:
            raise OSError(errno.EIO, f"{source.path} was changed meanwhile")
