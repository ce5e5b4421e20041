"""Histories of paid calls: their events, and logs of them that the real store writes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from eventlog.store import Store
from projections import events as ev
from projections.failures import AMBIGUOUS, PAID_UNUSABLE
from projections.graph import TRANSCRIPTION
from tests.support.runs import run_started

BEGIN = datetime(2026, 11, 1, 9, 0, 0, tzinfo=UTC)
ANSWER = ev.ArtifactRef("calls/1.json", "cd" * 32, 3)


def attempt(number: int = 1, stage: str = TRANSCRIPTION) -> ev.Event:
    """Return the begin of an attempt."""
    return ev.StageStarted(stage, number, "key", 1, "first", (), {}, {})


def call(
    call_id: str,
    expected: str | None = "0.10",
    at_most: str | None = "0.20",
    *,
    currency: str = "USD",
    provider: str = "openai",
    model: str | None = "gpt-transcribe",
    **more: Any,
) -> ev.Event:
    """Return the announcement of a call; amounts that are None are unknown."""
    place = {"stage": TRANSCRIPTION, "attempt": 1, "billable": True, "request": f"request of {call_id}", **more}
    return ev.CallStarted(
        call=call_id,
        provider=provider,
        operation="transcribe",
        unit="0.00-300.00",
        model=model,
        expected=_money(expected, currency),
        at_most=_money(at_most, currency),
        **place,
    )


def paid(call_id: str, amount: str | None, basis: str = "billed", currency: str = "USD") -> ev.Event:
    """Return the answer of a call; an amount that is None was not recorded."""
    return ev.CallSucceeded(call_id, ANSWER, 1.0, cost=_cost(amount, basis, currency))


def failed(
    call_id: str, kind: str, amount: str | None = None, basis: str = "billed", currency: str = "USD"
) -> ev.Event:
    """Return the failure of a call."""
    may_cost = kind in {AMBIGUOUS, PAID_UNUSABLE}
    error = ev.StageError("code", "A message.")
    return ev.CallFailed(call_id, kind, error, may_cost, cost=_cost(amount, basis, currency))


def resolved(call_id: str, resolution: str) -> ev.Event:
    """Return what became of a call."""
    return ev.CallResolved(call_id, resolution, "policy", {})


def write_pipeline(
    home: Path,
    pipeline: str,
    events: Iterable[ev.Event],
    *,
    name: str = "talk.wav",
    begin: datetime = BEGIN,
    keep_open: bool = False,
) -> Any:
    """Write a log with the real store, a second between records; return its writer, which is closed unless kept."""
    ticks = (begin + timedelta(seconds=second) for second in range(10_000))
    store = Store(str(home / "logs"), clock=lambda: next(ticks))
    writer = store.open_writer(pipeline, run="run1", create=True).writer
    recording = {"name": name, "size_bytes": 10, "sha256": pipeline * 4}
    everything = [ev.PipelineCreated(recording, "0.1.0"), run_started(), attempt(), *events]
    for event in everything:
        writer.append([(event.type, ev.to_data(event))], run="run1")
    if not keep_open:
        writer.close()
    return writer


def _money(amount: str | None, currency: str) -> dict[str, Any] | None:
    return None if amount is None else {"amount": amount, "currency": currency}


def _cost(amount: str | None, basis: str, currency: str) -> dict[str, Any] | None:
    return None if amount is None else {"amount": amount, "currency": currency, "basis": basis}
