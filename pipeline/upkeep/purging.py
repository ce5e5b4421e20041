"""Purges pipelines: everything goes, the log included, and a tombstone stays. What that means: docs/cleanup.md.

Note it → tombstone → log → what lies beside it → files → forget the note. The tombstone is durable before the log
goes, and the log goes before the rest: a crash leaves the pipeline whole, or a tombstone and remains that the note
in the folder `purging` lets the next command remove.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from eventlog.errors import EvtError, LogError, LogLockedError, LogNotFoundError
from eventlog.reader import Head
from eventlog.storage import PosixStorage, replace_durably, sync_path
from eventlog.store import Store
from pipeline.artifacts import Artifacts, file_sha256
from pipeline.bundles.bundling import HANDED_OVER, Bundling
from pipeline.bundles.form import Limits
from pipeline.bundles.unbundling import verify
from pipeline.errors import BundleError
from pipeline.home import Home
from pipeline.recordings import recordable_name
from pipeline.upkeep.cleanup import BUSY, COPY, Done, Spared, free_bytes
from pipeline.upkeep.removing import Lying, files_below, folder_of, lying, opened, remove_folder
from pipeline.upkeep.tombstones import Kept, Tombstone, tombstone_from
from projections.cleaning import Rule, purge_passed_over, untouchable
from projections.cost import Sums, total_cost
from projections.fold import fold, initial_state
from projections.ids import base_of, number_of
from projections.state import PipelineState

CHANGED = "it was changed since it was looked at"
GONE = "it is gone already"
DAMAGED = "its log is damaged or can't be read; `evt validate` says more"


@frozen
class Purgeable:
    """A pipeline that could be purged: what would go, and what it had cost.

    Attributes:
        found: the log and all that belongs to it.
        head: its last record; another one means that it was changed since.
    """

    pipeline: str
    name: Any
    status: str
    found: tuple[Lying, ...]
    head: Head
    cost: tuple[Sums, ...]


@frozen
class InBundle:
    """The bundle that was made of all that is to go: the head of each log in it, and which were handed over."""

    kept: Kept
    heads: dict[str, Head]
    handed_over: frozenset[str]
    left_out: tuple[str, ...]


@frozen
class Purger:
    """Everything that a purge needs.

    Attributes:
        rule: which pipelines are meant.
        user: the account.
        now: tells the time, as records write it.
    """

    home: Home
    store: Store
    rule: Rule
    user: str
    evt_version: str
    new_run_id: Callable[[], str]
    now: Callable[[], str]

    def survey(self, pipelines: Iterable[str]) -> Iterator[Purgeable | Spared]:
        """Yield what could go of each pipeline, without a lock; variants go with their base, or neither goes."""
        families: dict[str, list[Purgeable | Spared]] = {}
        for pipeline in pipelines:
            families.setdefault(base_of(pipeline), []).append(self._seen(pipeline))
        for base, found in families.items():
            spared = next((item for item in found if isinstance(item, Spared)), None)
            with_base = any(item.pipeline == base for item in found)
            for item in sorted(found, key=lambda item: -number_of(item.pipeline)):
                if with_base and spared is not None and isinstance(item, Purgeable):
                    which = "its base" if spared.pipeline == base else f"its variant {spared.pipeline}"
                    yield Spared(item.pipeline, f"{which} is left alone, and they go together")
                else:
                    yield item

    def bundle(self, offers: Sequence[Purgeable], target: Path, clock_s: Callable[[], float]) -> InBundle:
        """Write a bundle of what is to go, read it back from the disk, and return what is in it.

        Raises:
            BundleError: it can't be made, or isn't what was written; nothing was removed.
            LogError: a log is in use, or can't be read; nothing was removed.
        """
        if self.home.root.resolve() in target.absolute().parent.resolve().joinpath(target.name).parents:
            raise BundleError(f"The bundle {target} would lie in the home itself. Choose another place.")
        bundling = Bundling(self.home, self.store, self.user, self.evt_version, self.new_run_id)
        done = bundling.bundle([offer.pipeline for offer in offers], target, copy=False)
        try:
            manifest = verify(target, Limits(), clock_s)
            kept = Kept(_recordable(target.absolute()), file_sha256(target), target.stat().st_size)
        except (BundleError, OSError) as error:
            raise BundleError(
                f"{target} was written, and can't be read back: {error} Nothing was purged."
            ) from error
        return InBundle(
            kept,
            {member.pipeline: member.head for member in manifest.members},
            frozenset(item.pipeline for item in done if item.kind == HANDED_OVER),
            tuple(f"{item.pipeline}: {path}" for item in done for path in item.left_out),
        )

    def purge(self, offers: Sequence[Purgeable], bundle: InBundle | None) -> Iterator[Done]:
        """Remove what was offered, variants before their base, and yield what went of each."""
        kept: set[str] = set()
        for offer in offers:
            if offer.pipeline in kept:
                yield Done(offer.pipeline, spared="a variant of it is left alone, and they go together")
                continue
            done = self._purged(offer, bundle)
            if done.spared is not None:
                kept.add(base_of(offer.pipeline))
            yield done

    def _purged(self, offer: Purgeable, bundle: InBundle | None) -> Done:
        """Remove a pipeline that is still as it was offered, or bundled, and say what went."""
        head = bundle.heads.get(offer.pipeline) if bundle else offer.head
        try:
            with alone(self.home) as notes, self.store.held(offer.pipeline):
                state, now = _read(self.store, offer.pipeline)
                if now is None or now != head:
                    return Done(offer.pipeline, spared=CHANGED)
                handed_over = bundle is not None and offer.pipeline in bundle.handed_over
                reason = untouchable(evolve(state, handed_over=None) if handed_over else state)
                if reason is not None:
                    return Done(offer.pipeline, spared=reason)
                stone = self._stone(state, now, bundle.kept if bundle else None).to_bytes()
                replace_durably(PosixStorage(), str(notes / offer.pipeline), stone)
                self.store.purging(offer.pipeline).entomb(stone)
                return _finished(self.home, self.store, notes, offer.pipeline)
        except LogLockedError:
            return Done(offer.pipeline, spared=BUSY)
        except BlockingIOError:
            return Done(offer.pipeline, spared="another purge is under way")
        except LogNotFoundError:
            return Done(offer.pipeline, spared=GONE)
        except EvtError as error:
            return Done(offer.pipeline, failures=(str(error),))
        except OSError as error:
            return Done(offer.pipeline, failures=(f"{error.filename or offer.pipeline}: {error.strerror}",))

    def _seen(self, pipeline: str) -> Purgeable | Spared:
        try:
            if self.store.is_copy(pipeline):
                return Spared(pipeline, COPY)
            state, head = _read(self.store, pipeline)
        except LogNotFoundError:
            return Spared(pipeline, GONE)
        except EvtError:
            return Spared(pipeline, DAMAGED)
        reason = untouchable(state) or purge_passed_over(state, self.rule)
        if reason is None and (head is None or not state.input):
            reason = "its log holds nothing yet"
        if reason is not None or head is None:
            return Spared(pipeline, reason or "")
        found = remains(self.home, self.store, pipeline)
        return Purgeable(pipeline, state.input_file, state.status, found, head, total_cost(state))

    def _stone(self, state: PipelineState, head: Head, kept: Kept | None) -> Tombstone:
        return Tombstone(
            pipeline=state.pipeline_id,
            name=state.input_file,
            sha256=str(state.input.get("sha256")),
            head=head,
            purged_at=self.now(),
            user=self.user,
            evt_version=self.evt_version,
            bundle=kept,
            cost=total_cost(state),
            erased_at=state.erasure.time if state.erasure is not None else None,
        )


def settle_purges(home: Home, store: Store) -> list[Done]:
    """Finish what a purge left that was cut short, and say what went; one that is under way is left alone.

    A purge whose tombstone isn't there yet never began, and one whose log somebody has written to since is undone.
    """
    if not home.purging.is_dir():
        return []
    done = []
    with suppress(BlockingIOError), alone(home) as notes:
        for note in sorted(notes.iterdir()):
            if note.suffix == ".tmp":
                note.unlink()
                continue
            with suppress(LogLockedError):
                done.append(_settled(home, store, notes, note.name))
    return [item for item in done if item.files or item.failures]


@contextmanager
def alone(home: Home) -> Iterator[Path]:
    """Make the folder of notes, keep other purges out of it, and remove it where no note is left.

    Raises:
        BlockingIOError: another purge is under way.
    """
    notes = home.purging
    while True:
        Artifacts(notes).folders.make(str(notes))
        with suppress(FileNotFoundError):
            fd = os.open(notes, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            break
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not notes.is_dir() or not os.path.samestat(os.fstat(fd), notes.stat()):
            raise BlockingIOError(errno.EWOULDBLOCK, "another purge is under way", str(notes))
        try:
            yield notes
        finally:
            with suppress(OSError):
                notes.rmdir()
    finally:
        os.close(fd)


def remains(home: Home, store: Store, pipeline: str) -> tuple[Lying, ...]:
    """Return the files that there are of a pipeline, its log included."""
    with opened(home.logs / pipeline[:2]) as folder:
        names = store.purging(pipeline).names() if folder is not None else []
        beside = [lying(folder, name) for name in names] if folder is not None else []
    root = home.artifacts(pipeline)
    with opened(root.parent) as folder:
        below = files_below(folder, root.name) if folder is not None else []
    return tuple(item for item in (*beside, *below) if item is not None)


def _settled(home: Home, store: Store, notes: Path, pipeline: str) -> Done:
    stone = (notes / pipeline).read_bytes()
    purging = store.purging(pipeline)
    if purging.content() != stone:
        os.unlink(notes / pipeline)
        return Done(pipeline)
    try:
        with store.held(pipeline):
            if _read(store, pipeline)[1] != tombstone_from(pipeline, stone).head:
                purging.drop()
                os.unlink(notes / pipeline)
                return Done(pipeline)
            return _finished(home, store, notes, pipeline)
    except LogNotFoundError:
        return _finished(home, store, notes, pipeline)


def _finished(home: Home, store: Store, notes: Path, pipeline: str) -> Done:
    """Remove the log, what is beside it and the files; the note goes when nothing is left."""
    before, root = remains(home, store, pipeline), home.artifacts(pipeline)
    failures = []
    try:
        store.purging(pipeline).take_away()
        with opened(root.parent) as folder:
            if folder is not None and folder_of(folder, "", root.name) is not None:
                remove_folder(folder, root.name)
                sync_path(root.parent)
        os.unlink(notes / pipeline)
    except LogError as error:
        failures.append(str(error))
    except OSError as error:
        failures.append(f"{error.filename or root}: {error.strerror or error}")
    after = {item.inode for item in remains(home, store, pipeline)}
    gone = [item for item in before if item.inode not in after]
    return Done(pipeline, len(gone), free_bytes(gone), tuple(failures))


def _read(store: Store, pipeline: str) -> tuple[PipelineState, Head | None]:
    """Return the state of a pipeline and the head of its log.

    Raises:
        LogError: it can't be read, or isn't whole.
    """
    reading = store.stream(pipeline)
    state = fold(initial_state(pipeline), reading)
    if (error := store.unusable(pipeline, reading.verdict)) is not None:
        raise error
    return state, reading.verdict.head


def _recordable(path: Path) -> Any:
    return recordable_name(str(path))
