"""Limits hold for all that an invocation pays, however many pipelines pay at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from eventlog.storage import LogFile, PosixStorage
from pipeline.pools import Pools
from projections.limits import Limits
from projections.money import Money
from projections.options import Named
from tests.support.paid import LIMITS, Paid
from tests.support.service import RESET_AFTER_ACCEPTANCE, STATUS, Fault
from tests.support.shop import run_once, write_speech

ENGINES = {"diarizer": "none", "transcriber": "openai", "model": "whisper-1"}
COUNT = 8


class SlowStorage(PosixStorage):
    """A disk that takes its time with each append, so that others come in between if nothing keeps them out."""

    def open_log(self, path: str, *, create: bool) -> LogFile:
        file = super().open_log(path, create=create)
        append = file.append

        def slow(data: bytes) -> int:
            time.sleep(0.02)
            return append(data)

        file.append = slow  # type: ignore[method-assign] # the wrapped file is this one's own
        return file


@pytest.fixture
def paid(tmp_path: Path) -> Iterator[Paid]:
    with Paid(tmp_path, seconds=4.0) as services:
        yield services


def run_all(paid: Paid, limits: Limits, count: int = COUNT) -> tuple[list[str], Money]:
    """Run as many recordings at once as there are; return how each ended, and what was charged."""
    shop = evolve(paid.shop(storage=SlowStorage(), limits=limits), pools=Pools(cores=count, remote=count))
    recordings = [write_speech(paid.folder / f"r{n}.wav", 4.0, seed=n + 1) for n in range(count)]
    out = paid.folder / "out"
    out.mkdir()
    outcomes: list[str] = []

    def work(recording: Path) -> None:
        result, _ = run_once(shop, recording, out, Named(options=ENGINES))
        assert result is not None
        outcomes.append(result.outcome)

    threads = [threading.Thread(target=work, args=(recording,)) for recording in recordings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shop.ledger.under_way() == {}
    return outcomes, paid.openai.meter.total("USD")


def test_all_that_is_paid_at_once_stays_below_the_limit_of_the_batch(paid: Paid) -> None:
    outcomes, free = run_all(paid, LIMITS)
    assert outcomes == ["completed"] * COUNT
    one = free.amount / COUNT
    limit = Money((one * 3).quantize(Decimal("0.000001")) + Decimal("0.000001"), "USD")
    (paid.folder / "again").mkdir()
    with Paid(paid.folder / "again", seconds=4.0) as again:
        outcomes, charged = run_all(again, evolve(LIMITS, max_batch_cost=limit))
    assert charged.amount <= limit.amount
    assert 1 <= outcomes.count("completed") <= 3
    assert outcomes.count("needs_decision") == COUNT - outcomes.count("completed")


def test_what_may_be_paid_twice_is_limited_for_all_pipelines_together(paid: Paid) -> None:
    """Answers are lost: each may be repeated by itself, and of all together ten are, whoever loses how many."""
    (outcome, *_), free = run_all(paid, LIMITS, 1)
    assert outcome == "completed"
    limits = evolve(LIMITS, in_doubt="auto", in_doubt_amount=free, in_doubt_share=Decimal(0))
    (paid.folder / "again").mkdir()
    with Paid(paid.folder / "again", seconds=4.0) as again:
        again.openai.faults.script(Fault(RESET_AFTER_ACCEPTANCE, times=14))
        outcomes, charged = run_all(again, limits, 14)
    assert 1 <= outcomes.count("completed") <= 10
    assert outcomes.count("needs_decision") == 14 - outcomes.count("completed")
    assert free.amount * 14 < charged.amount <= free.amount * 24


def test_recordings_that_are_throttled_at_the_same_moment_are_all_done_in_the_end(paid: Paid) -> None:
    paid.openai.faults.script(Fault(STATUS, status=429, times=COUNT))
    outcomes, _ = run_all(paid, LIMITS)
    assert outcomes == ["completed"] * COUNT
