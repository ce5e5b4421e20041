"""What is asked of a log that came in a bundle: is it whole, do its files fit, and how does it relate to ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from eventlog.reader import Head, Scanner, Tail
from eventlog.record import oddity_of
from eventlog.store import Store
from pipeline.artifacts import is_salt, leads_out
from pipeline.bundles.form import ARTIFACTS, LOG, SALT, Member
from pipeline.errors import BundleError, DivergedError
from pipeline.upkeep.tombstones import Tombstone
from projections.fold import fold, initial_state
from projections.state import PipelineState

NEW, EXTENDED, NOTHING, EQUAL, DIVERGED = "new", "extended", "nothing", "equal", "diverged"
"""There is none here; it begins as the one here, and goes on; it is a beginning of it; the same; or another one."""

_PIECE_BYTES = 1 << 20


def checked(member: Member, stage: Path) -> PipelineState:
    """Return the state of a pipeline that came, if its log is whole and its files are those of the log."""
    folder = stage / member.pipeline
    scanner = Scanner(member.pipeline, member.head)
    state = fold(
        initial_state(member.pipeline),
        (record for piece in pieces_of(folder / LOG) for record in scanner.feed(piece)),
    )
    verdict = scanner.verdict()
    if verdict.tail is not Tail.CLEAN or verdict.head != member.head:
        reason = verdict.reason or "it goes on behind its head"
        raise _bad(f"the log of {member.pipeline} is not whole: {reason}")
    _require_plain(member.pipeline, folder / LOG)
    sums = {file.path: (file.sha256, file.size_bytes) for file in member.files}
    named: dict[str, set[tuple[str, int]]] = {}
    for ref in state.artifacts:
        if leads_out(ref.path):
            raise _bad(f"the log of {member.pipeline} names a file outside of its folder")
        named.setdefault(ref.path, set()).add((ref.sha256, ref.size_bytes))
    salt = folder / ARTIFACTS / SALT
    if salt.exists() and not is_salt(salt.read_bytes()):
        raise _bad(f"the salt of {member.pipeline} is none")
    if lost := [path for path in sums if path.removeprefix(ARTIFACTS) in state.erased]:
        raise _bad(f"a file of {member.pipeline}, {lost[0]}, was erased by what its log says")
    for path, wanted in named.items():
        if sums.get(ARTIFACTS + path, next(iter(wanted))) not in wanted:
            raise _bad(f"a file of {member.pipeline}, {path}, is not the one that its log names")
    return state


def relation_to(log: Path, scanner: Scanner, store: Store) -> str:
    """Return how a log that was unpacked relates to the one that is here, which a scanner reads.

    Raises:
        LogError, BundleError: the one that is here is not whole.
    """
    relation, begun = EQUAL, False
    with log.open("rb") as theirs:
        for piece in store.content(scanner.pipeline):
            for _ in scanner.feed(piece):
                pass
            begun = True
            other = theirs.read(len(piece))
            if relation == EQUAL and other != piece:
                relation = NOTHING if piece.startswith(other) else DIVERGED
        if relation == EQUAL and theirs.read(1):
            relation = EXTENDED if begun else NEW
    _require_whole(scanner, store)
    return relation


def _require_whole(scanner: Scanner, store: Store) -> None:
    verdict = scanner.verdict()
    if verdict.seq == 0 and verdict.is_short:
        return  # the log is lost, and comes back now
    if (error := store.unusable(scanner.pipeline, verdict)) is not None:
        raise error
    if verdict.tail is not Tail.CLEAN:
        raise BundleError(
            f"The last write to the log of {scanner.pipeline} in this home did not finish. `evt run` on it "
            "mends that; then import again. Nothing was placed."
        )


def diverged(pipeline: str, log: Path, store: Store) -> DivergedError:
    """Say where two logs of one pipeline part."""
    ours = b"".join(store.content(pipeline)).split(b"\n")
    theirs = log.read_bytes().split(b"\n")
    seq = next(at for at, pair in enumerate(zip(ours, theirs, strict=False), 1) if pair[0] != pair[1])
    return DivergedError(
        f"The log of {pipeline} in the bundle is not the one of this home: they differ from record {seq} on. "
        "Nothing was placed. To look at it, import it into another home: `evt --home FOLDER import FILE`.",
        pipeline=pipeline,
        seq=seq,
    )


def require_purged(tombstone: Tombstone, log: Path) -> None:
    """Refuse a log that lacks what the purged one held: what was paid, or that it was erased."""
    if tombstone.head is None or _lacks(tombstone.pipeline, tombstone.head, log):
        raise BundleError(
            f"{tombstone.pipeline} {tombstone.words}, and the bundle holds an older state of it, or another one. "
            f"Nothing was placed. {tombstone.way_on} Then import again."
        )


def require_vouched(pipeline: str, kept: Head, log: Path) -> None:
    """Refuse a log that lacks what the head that is left of a lost one names."""
    if (reason := _lacks(pipeline, kept, log)) is not None:
        raise BundleError(
            f"The log of {pipeline} is gone from this home, and the one in the bundle is not the lost one, or an "
            f"older state of it: {reason}. Nothing was placed."
        )


def _lacks(pipeline: str, head: Head, log: Path) -> str | None:
    """Return why a log doesn't hold all up to a head; None if it does."""
    scanner = Scanner(pipeline, head)
    for piece in pieces_of(log):
        for _ in scanner.feed(piece):
            pass
    verdict = scanner.verdict()
    return None if verdict.tail is Tail.CLEAN else verdict.reason


def _require_plain(pipeline: str, log: Path) -> None:
    """Refuse lines that no writer of ours makes, though they are records: with keys that stand twice, for one."""
    with log.open("rb") as file:
        for seq, line in enumerate(file, 1):
            if (oddity := oddity_of(line)) is not None:
                raise _bad(f"record {seq} of {pipeline} {oddity}")


def pieces_of(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes."""
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _bad(problem: str) -> BundleError:
    return BundleError(f"This is no bundle that can be imported: {problem}. Nothing was placed.")
