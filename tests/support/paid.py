"""Runs with the two paid services on loopback: their meters, and what the log says of the same money."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from attrs import evolve

from eventlog.storage import PosixStorage
from pipeline.calls.ledger import Ledger
from pipeline.calls.pacing import Pace
from pipeline.providers.registry import Providers
from pipeline.providers.remote import Access
from pipeline.providers.services import Services, load_services
from pipeline.runner import RunResult
from pipeline.secret import Secret
from pipeline.workshop import Workshop
from projections.cost import FREE, PAID, call_cost
from projections.fold import fold, initial_state
from projections.limits import REPEAT, Limits
from projections.options import Named
from projections.state import PipelineState
from tests.support.openai_server import OpenAIServer, Spoken, speak
from tests.support.pyannoteai_server import PyannoteAI
from tests.support.service import Clock
from tests.support.shop import make_shop, run_once, write_speech

HASTE = 30.0
"""evt's clocks run so fast here that nobody waits for two seconds to pass."""
LIMITS = Limits(in_doubt=REPEAT, retry_wait_s=0.01, attempts=4, retry_limit_s=20.0 * HASTE)
BOTH = {"diarizer": "pyannoteai", "transcriber": "openai", "model": "whisper-1"}
TURNS = {**BOTH, "model": "gpt-transcribe"}
SPEED = 5000.0
"""pyannoteAI's clock runs so fast here that the 120 seconds until a job is absent pass in a blink."""


def short_chunks(folder: Path, **more: Any) -> Services:
    """Return the services' data with chunks of a few seconds, as a user's services.toml would."""
    path = folder / "services.toml"
    set_here = {"chunk_s": [3, 5], **more}
    lines = ["[openai]", *(f"{name} = {value}" for name, value in set_here.items())]
    path.write_text("\n".join(lines))
    return load_services(path)


class Paid:
    """Both services, one recording, and homes that use them; a context."""

    def __init__(
        self, folder: Path, seconds: float = 12.0, hear: Callable[[bytes], list[Spoken]] = speak, **services: Any
    ) -> None:
        self.folder = folder
        self.services = short_chunks(folder, **services)
        self.recording = write_speech(folder / "talk.wav", seconds)
        self.openai = OpenAIServer(services=self.services, hear=hear)
        self.pyannoteai = PyannoteAI(clock=Clock(speed=SPEED))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.openai)
        self._stack.enter_context(self.pyannoteai)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def access(self, key: str = "sk-test") -> dict[str, Access]:
        return {
            "openai": Access(url=self.openai.base_url, key=Secret(key), account="0a0a0a0a"),
            "pyannoteai": Access(url=self.pyannoteai.url, key=Secret(key), account="0b0b0b0b"),
        }

    def shop(
        self, name: str = "home", storage: PosixStorage | None = None, limits: Limits = LIMITS, **changes: Any
    ) -> Workshop:
        shop = make_shop(self.folder / name, storage, limits=limits, **changes)
        ledger = Ledger(limits, self.services.rates, time.monotonic)
        return evolve(
            shop,
            providers=Providers({}, access=self.access(), services=self.services),
            ledger=ledger,
            clock_s=lambda: time.monotonic() * HASTE,
            pace=Pace(shop.home.pace, lambda: time.time() * HASTE),
        )

    def run(self, shop: Workshop, options: dict[str, Any] | None = None, **named: Any) -> RunResult | None:
        out = shop.home.root.parent / f"{shop.home.root.name}-out"
        out.mkdir(exist_ok=True)
        result, _ = run_once(
            shop, self.recording, out, Named(options=BOTH if options is None else options, **named)
        )
        return result

    def text(self, name: str = "home") -> bytes:
        return (self.folder / f"{name}-out" / "talk.json").read_bytes()

    def state(self, shop: Workshop) -> PipelineState:
        (pipeline,) = shop.store.pipelines()
        return fold(initial_state(pipeline), shop.store.read(pipeline).records)

    def charged(self) -> Counter[str]:
        """Return how often each request was charged, by both services."""
        self.pyannoteai.settle()
        return self.openai.meter.per_request() + self.pyannoteai.meter.per_request()

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.openai.faults.script()
        self.pyannoteai.faults.script()
        self.pyannoteai.job_faults = []

    def require_balanced(self, state: PipelineState) -> None:
        """Paid ≤ meter ≤ paid and all that may be, for each currency."""
        self.pyannoteai.settle()
        for currency, service in (("USD", self.openai), ("EUR", self.pyannoteai)):
            costs = [call_cost(call) for call in state.calls.values()]
            here = [
                cost for cost in costs if cost.state != FREE and cost.amount and cost.amount.currency == currency
            ]
            paid = sum((cost.amount.amount for cost in here if cost.state == PAID and cost.amount), Decimal(0))
            most = sum((cost.amount.amount for cost in here if cost.amount), Decimal(0))
            meter = service.meter.total(currency).amount
            assert paid <= meter <= most, f"{currency}: {paid} <= {meter} <= {most}"


def repeats(state: PipelineState) -> int:
    """Return how many calls the log says may be paid twice, or were paid without use."""
    return sum(call.resolution in {"repeated", "given_up"} for call in state.calls.values())
