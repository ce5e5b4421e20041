"""I9: a call that costs money is announced, durably and vouched for, before it is made; none is left unreported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field

from eventlog.store import Store
from pipeline.providers.base import Answer, Audio, Chunk, Work
from pipeline.providers.registry import Providers
from pipeline.providers.script import ScriptProvider
from projections.fold import fold, initial_state
from projections.options import Named
from projections.state import STARTED
from tests.support.proofs import rarely
from tests.support.shop import Crash, DyingStorage, make_shop, run_once, scripted, write_script, write_speech

WORDS = [("one", 0.2, 0.6), ("two", 1.5, 1.9), ("three", 3.2, 3.6), ("four", 4.4, 4.8), ("five", 6.1, 6.5)]


@define
class Meter:
    """What a service that is paid sees: each request, and what the log and its head held when it came."""

    store: Store
    made: list[str] = field(factory=list)

    def count(self, operation: str, unit: str) -> None:
        (pipeline,) = self.store.pipelines()
        calls = [record for record in self.store.read(pipeline).records if record.type == "call.started"]
        announced = [call for call in calls if (call.data["operation"], call.data["unit"]) == (operation, unit)]
        assert announced, "I9: announced before it is made"
        head = self.store.read_head(pipeline)
        assert head is not None
        assert head.seq >= announced[-1].seq, "I9: the head vouches for the announcement"
        self.made.append(f"{operation} {unit}")


class Metered(ScriptProvider):
    """A scripted provider with a meter."""

    def __init__(self, path: str, meter: Meter) -> None:
        super().__init__(path)
        self._meter = meter

    def diarize(self, audio: Audio, options: Mapping[str, Any], work: Work) -> Answer:
        self._meter.count("diarize", "whole")
        return super().diarize(audio, options, work)

    def transcribe(self, chunk: Chunk, options: Mapping[str, Any], work: Work) -> Answer:
        self._meter.count("transcribe", chunk.unit)
        return super().transcribe(chunk, options, work)


class MeteredProviders(Providers):
    """Gives the metered provider for every name."""

    def __init__(self, provider: Metered) -> None:
        super().__init__({})
        self._provider_of_all = provider

    def _provider(self, kind: str, name: str, model: str | None, identify: tuple[str, ...] = ()) -> Any:
        return (
            self._provider_of_all if name.startswith("script:") else super()._provider(kind, name, model, identify)
        )


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["after", *rarely("before", "torn")])
def test_no_paid_call_is_made_unannounced_and_none_is_left_open_after_a_crash_at_any_event(
    tmp_path: Path, mode: str
) -> None:
    script = write_script(
        tmp_path / "s.toml", words=WORDS, chunk_s="[2.0, 3.0]", billable="true", price_per_min=0.006
    )
    recording = write_speech(tmp_path / "talk.wav", 8.0)
    named = Named(options=scripted(script))
    for at in range(1, 60):
        home, out = tmp_path / f"home{at}", tmp_path / f"out{at}"
        out.mkdir()
        meter = Meter(Store(str(home / "logs")))
        providers = MeteredProviders(Metered(str(script), meter))
        try:
            run_once(evolve(make_shop(home, DyingStorage(at, mode)), providers=providers), recording, out, named)
            crashed = False
        except Crash:
            crashed = True
        require_reported(meter)
        result, deliveries = run_once(evolve(make_shop(home), providers=providers), recording, out, named)
        assert deliveries
        (pipeline,) = meter.store.pipelines()
        state = fold(initial_state(pipeline), meter.store.stream(pipeline))
        assert not [call for call in state.calls.values() if call.status == STARTED], (
            "I9: every outcome is reported"
        )
        assert result is None or result.state == state, "I8: the live state is the replayed one"
        if not crashed:
            return
    raise AssertionError("the run has fewer events than crashes were tried")


def require_reported(meter: Meter) -> None:
    """Every request that the service saw is in the log; at most one of each worker has no outcome yet."""
    for pipeline in meter.store.pipelines():
        state = fold(initial_state(pipeline), meter.store.stream(pipeline))
        announced = [f"{call.started.operation} {call.started.unit}" for call in state.calls.values()]
        assert set(meter.made) <= set(announced)
        assert sum(call.status == STARTED for call in state.calls.values()) <= 1, "I9: one call of one worker"
