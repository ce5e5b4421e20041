"""From what the user wrote to a pipeline: an existing file, an exact id, a unique prefix, a unique name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import UnknownPipelineError
from cli.render import printable, shown_name
from pipeline.home import Home
from pipeline.listing.listing import Listing
from projections.ids import number_of

if TYPE_CHECKING:
    from eventlog.store import Store
    from pipeline.upkeep.tombstones import Tombstone


def find_pipeline(written: str, store: Store, home: Home) -> str:
    """Return the id of the pipeline that is meant, which has a log.

    Raises:
        UnknownPipelineError: none or several are.
        PurgedError: it was purged.
        LogGoneError: its log is gone.
    """
    found = find_known(written, store, home)
    if not os.path.lexists(store.path(found)):
        from eventlog.errors import LogGoneError

        raise LogGoneError(
            f"The log {store.path(found)} is gone, but what it described is still there. "
            "Restore it from a backup, or remove the rest of that pipeline.",
            pipeline=found,
        )
    return found


def find_known(written: str, store: Store, home: Home) -> str:
    """Return the id of the pipeline that is meant, also of one whose log is gone.

    Raises:
        UnknownPipelineError: none or several are.
    """
    from eventlog.record import is_name

    if is_name(written) and not os.path.isfile(written) and os.path.lexists(store.path(written)):
        return written  # without a look at all the others, lest ten thousand ids cost ten thousand looks each
    if os.path.isfile(written):
        return _pipeline_of(Path(written), known_pipelines(store, home), store, home)
    known = known_pipelines(store, home)
    if written in known:
        return written
    candidates = [pipeline for pipeline in known if _is_short_for(written, pipeline)]
    candidates = candidates or [
        row.pipeline
        for row in look_at_all(home).rows
        if row.name is not None and written in map(shown_name, row.names) and number_of(row.pipeline) < 2
    ]
    if len(candidates) == 1:
        return candidates[0]
    if not candidates and (purged := find_purged(written, store, home)) is not None:
        _refuse_purged(purged.pipeline, store)
    raise _unknown(written, candidates, home)


def find_purged(written: str, store: Store, home: Home) -> Tombstone | None:
    """Return the tombstone of the purged pipeline that is meant; None where none is, or several are."""
    from pipeline.recordings import identify, pipeline_id_of
    from pipeline.upkeep.tombstones import tombstone_of

    if os.path.isfile(written):
        return tombstone_of(store, pipeline_id_of(identify(Path(written), home.index), store))
    found = [stone for name in store.tombstones() if (stone := tombstone_of(store, name)) is not None]
    meant = [stone for stone in found if stone.pipeline == written]
    meant = meant or [stone for stone in found if _is_short_for(written, stone.pipeline)]
    meant = meant or [stone for stone in found if stone.name is not None and shown_name(stone.name) == written]
    return meant[0] if len(meant) == 1 else None


def _refuse_purged(pipeline: str, store: Store) -> None:
    from pipeline.upkeep.tombstones import refusal

    if (error := refusal(store, pipeline)) is not None:
        raise error


def _is_short_for(written: str, pipeline: str) -> bool:
    """Say whether an id is meant: by its first digits; a variant by those of its base and its whole number."""
    digits, _, number = written.partition(".")
    if number_of(pipeline) < 2:
        return bool(written) and pipeline.startswith(written)
    return bool(digits) and pipeline.startswith(digits) and number == str(number_of(pipeline))


def known_pipelines(store: Store, home: Home) -> list[str]:
    """Return every pipeline of which a log, a head or a file is left."""
    from eventlog.record import is_name

    left = {path.stem for path in home.logs.glob("*/*.head") if path.name[:2] == path.parent.name}
    logs = set(store.pipelines())
    others = {name for name in filter(is_name, {*home.pipelines_with_files(), *left}) if name not in logs}
    return sorted({*logs, *(name for name in others if store.tombstone(name) is None)})


def look_at_all(home: Home, *, remembers: bool = True) -> Listing:
    """Return all pipelines, those that lost their logs among them; without `remembers` nothing is written."""
    return Listing(home.logs, home.index, list(home.pipelines_with_files()), remembers=remembers)


def _pipeline_of(path: Path, known: list[str], store: Store, home: Home) -> str:
    from pipeline.recordings import identify, pipeline_id_of

    pipeline = pipeline_id_of(identify(path, home.index), store)
    if pipeline not in known:
        _refuse_purged(pipeline, store)
        raise UnknownPipelineError(
            f"{printable(str(path))} has no pipeline in this home yet: `evt run` begins one. (A file goes before a "
            "pipeline of that name; to name a pipeline, write its ID, see `evt list`.)"
        )
    return pipeline


def _unknown(written: str, candidates: list[str], home: Home) -> UnknownPipelineError:
    if not candidates:
        return UnknownPipelineError(
            f"No pipeline or file answers to {printable(written)!r}. `evt list` shows the pipelines there are."
        )
    known = {row.pipeline: shown_name(row.name) for row in look_at_all(home).rows}
    lines = [f"{pipeline}  {known.get(pipeline, '?')}" for pipeline in candidates[:10]]
    return UnknownPipelineError(f"{printable(written)!r} can mean several pipelines; write more digits:", *lines)
