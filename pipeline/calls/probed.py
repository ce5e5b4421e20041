"""What was found out about models of servers, remembered for the next recordings of a home; disposable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from eventlog.storage import PosixStorage, replace_durably
from projections.engine import Engine
from projections.events import EngineProbed
from projections.plan import Plan
from projections.state import PipelineState

BELIEVED_DAYS = 30
"""Servers are updated; a probe costs one short request or three."""

_Key = tuple[str, str, str]


def recalled(file: Path, today: str, plan: Plan, state: PipelineState) -> tuple[EngineProbed, ...]:
    """Return what earlier recordings found out about the engines that a plan would have to probe.

    What the pipeline's own log says goes before it: `plan` is made with that.

    Args:
        file: see `Home.probed`.
        today: as YYYY-MM-DD; empty: unknown, and nothing is believed.
        plan: of the pipeline; a stage that is done already needs no facts.
        state: of the pipeline.
    """
    unprobed = {
        _key(step.engine): None
        for step in plan.stages
        if step.reused is None and step.engine is not None and step.engine.unprobed
    }
    known = _read(file, today) if unprobed else {}
    logged = {(event.provider, event.origin, event.model) for event in state.probed}
    return tuple(EngineProbed(*key, known[key][1]) for key in unprobed if key in known and key not in logged)


def remember(file: Path, today: str, found: EngineProbed) -> None:
    """Keep what was found out; where the disk refuses, the next recording finds it out again."""
    _write(file, today, {**_read(file, today), (found.provider, found.origin, found.model): (today, found.facts)})


def forget(file: Path, today: str, engine: Engine) -> None:
    """Believe nothing about an engine any more: it refuses what it took before."""
    known = _read(file, today)
    if known.pop(_key(engine), None):
        _write(file, today, known)


def _key(engine: Engine) -> _Key:
    return engine.name, engine.origin, engine.model or ""


def _read(file: Path, today: str) -> dict[_Key, tuple[str, Any]]:
    """Return (day, facts) by provider, origin and model; of a file that is old or damaged what can be believed."""
    try:
        content = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return dict(_believed(content, today)) if isinstance(content, list) else {}


def _believed(entries: list[Any], today: str) -> Iterator[tuple[_Key, tuple[str, Any]]]:
    for entry in entries:
        try:
            key = (entry["provider"], entry["origin"], entry["model"])
            age_days = (date.fromisoformat(today) - date.fromisoformat(entry["date"])).days
            facts = entry["facts"]
        except (KeyError, TypeError, ValueError):
            continue
        # An entry from the future was written by a clock that has been set back since.
        if 0 <= age_days <= BELIEVED_DAYS and isinstance(facts, dict) and all(isinstance(p, str) for p in key):
            yield key, (entry["date"], facts)


def _write(file: Path, today: str, known: dict[_Key, tuple[str, Any]]) -> None:
    if not today:
        return
    entries = [
        {"provider": provider, "origin": origin, "model": model, "date": day, "facts": facts}
        for (provider, origin, model), (day, facts) in known.items()
    ]
    with suppress(OSError):
        content = orjson.dumps(entries, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        replace_durably(PosixStorage(), str(file), content)
