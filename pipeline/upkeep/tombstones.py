"""What stays of a purged pipeline: a small file beside where its log was. Its form: docs/files.md, *Purged*.

Values in, values out, but for the look-up; no speech and no name that the log didn't have.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from attrs import evolve, frozen

from eventlog.reader import Head
from eventlog.store import Store
from pipeline.errors import PurgedError
from projections.cost import Sums, sums_from
from projections.summary import as_json

FORMAT: Final = 1


@frozen
class Kept:
    """The bundle that was made before a purge: where it was written, as a log holds names, and its digest."""

    path: Any
    sha256: str
    size_bytes: int


@frozen
class Tombstone:
    """A purged pipeline.

    Attributes:
        name: of the recording, as the log had it.
        sha256: of the recording; None where the tombstone can't be understood.
        head: the last record of the log that went.
        purged_at: as records write times.
        user: whose account purged it.
        bundle: where it can come back from; None where none was made.
        cost: what it had cost, one for each currency.
        erased_at: it had been erased before; the recording isn't transcribed until that is undone.
        lifted_at, lifted_by: when and by whom a new beginning was allowed; then it stops nothing any more.
    """

    pipeline: str
    name: Any
    sha256: str | None
    head: Head | None
    purged_at: str
    user: str
    evt_version: str
    bundle: Kept | None = None
    cost: tuple[Sums, ...] = ()
    erased_at: str | None = None
    lifted_at: str | None = None
    lifted_by: str | None = None

    def to_bytes(self) -> bytes:
        """Return the file: one line of JSON."""
        value = {
            "evt_purged": FORMAT,
            "pipeline": self.pipeline,
            "name": self.name,
            "sha256": self.sha256,
            "head": {"seq": self.head.seq, "sha256": self.head.sha256} if self.head else None,
            "purged_at": self.purged_at,
            "user": self.user,
            "evt_version": self.evt_version,
            "bundle": as_json(self.bundle),
            "cost": as_json(self.cost),
            "erased_at": self.erased_at,
            **({"lifted_at": self.lifted_at, "lifted_by": self.lifted_by} if self.lifted_at else {}),
        }
        return orjson.dumps(value) + b"\n"

    @property
    def words(self) -> str:
        """What happened, as a clause."""
        if self.sha256 is None:
            return "was purged; its tombstone can't be understood, so nobody can tell when, and what it had cost"
        paid = [str(sums.at_most) if sums.at_most else "an unknown amount" for sums in self.cost]
        cost = f"; {' and '.join(paid)} had been paid for it" if paid else ""
        return f"was purged, its log included, on {self.purged_at[:10]} at {self.purged_at[11:16]} UTC{cost}"

    @property
    def way_back(self) -> str:
        """How it comes back, as a sentence; empty where no bundle was made."""
        if self.bundle is None:
            return ""
        path = self.bundle.path if isinstance(self.bundle.path, str) else "that was made then"
        return f"`evt import` of the bundle {path} brings it back."

    @property
    def way_on(self) -> str:
        """How the recording is transcribed anew, as a sentence."""
        if self.erased_at is not None:
            return (
                f"It had been erased on {self.erased_at[:10]}: `evt erase {self.pipeline} --unerase` lets it be "
                "transcribed anew."
            )
        return f"`evt accept {self.pipeline}` lets it be transcribed, and paid for, anew."


def tombstone_from(pipeline: str, content: bytes) -> Tombstone:
    """Return what a tombstone says; one that can't be understood is still one, and says nothing more."""
    try:
        value = orjson.loads(content)
        bundle, head = value["bundle"], value["head"]
        return Tombstone(
            pipeline=pipeline,
            name=value["name"],
            sha256=str(value["sha256"]),
            head=Head(int(head["seq"]), str(head["sha256"])),
            purged_at=str(value["purged_at"]),
            user=str(value["user"]),
            evt_version=str(value["evt_version"]),
            bundle=Kept(bundle["path"], bundle["sha256"], bundle["size_bytes"]) if bundle else None,
            cost=tuple(map(sums_from, value["cost"])),
            erased_at=None if value["erased_at"] is None else str(value["erased_at"]),
            lifted_at=value.get("lifted_at"),
            lifted_by=value.get("lifted_by"),
        )
    except (ValueError, TypeError, KeyError, ArithmeticError):
        return Tombstone(pipeline, None, None, None, "", "", "")


def tombstone_of(store: Store, pipeline: str) -> Tombstone | None:
    """Return the tombstone of a pipeline that was purged and not begun anew; None where there is none.

    Raises:
        LogStorageError: the disk can't read it.
    """
    content = store.tombstone(pipeline)
    return None if content is None else tombstone_from(pipeline, content)


def lift(store: Store, stone: Tombstone, *, at: str, by: str) -> None:
    """Let the recording be begun anew; what the tombstone said stays beside the log that comes.

    Raises:
        LogStorageError: the disk failed; repeat it.
    """
    said = store.tombstone(stone.pipeline)
    if stone.sha256 is not None:
        said = evolve(stone, lifted_at=at, lifted_by=by).to_bytes()
    store.purging(stone.pipeline).lift(said or b"")


def refusal(store: Store, pipeline: str) -> PurgedError | None:
    """Return why no log of a pipeline may be begun: it was purged, perhaps erased before; None where one may."""
    if (found := tombstone_of(store, pipeline)) is None:
        return None
    said = f"{pipeline} {found.words}. {found.way_back} {found.way_on}"
    return PurgedError(f"{' '.join(said.split())} Nothing was done.", pipeline=pipeline)
