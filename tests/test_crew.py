"""Worker processes of a batch: what goes there, and that a stop, a kill and an end are what they are in threads."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import evolve

from cli.batching.crew import Crew, Orders
from cli.batching.roll import Item, enroll
from cli.batching.view import Row
from cli.batching.work import BatchWork
from cli.outcomes import Outcome
from cli.progress import PlainReporter
from cli.wiring import shop_of
from pipeline.home import Home
from projections.limits import NO_LIMITS
from projections.options import Named
from tests.support.shop import scripted, write_script, write_speech

pytestmark = pytest.mark.slow

WORDS = [("one", 0.2, 0.6)]


class Bench:
    """A crew, and recordings for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "home").mkdir()
        self.crew = self._crew(write_script(folder / "script.toml", words=WORDS))
        self.posted: list[str] = []

    def _crew(self, script: Path) -> Crew:
        home = Home(self.folder / "home")
        named = Named(options=scripted(script))
        shop = shop_of(home, NO_LIMITS, {})
        return Crew(shop, Orders(home.root, False, NO_LIMITS, named, (), debug=False, verbose=False))

    def with_script(self, **fields: object) -> Crew:
        return self._crew(write_script(self.folder / "other.toml", words=WORDS, **fields))

    def item(self, seed: int = 0) -> Item:
        recording = write_speech(self.folder / f"r{seed}.wav", 1.0, seed)
        shop = self.crew.shop
        roll = enroll([str(recording)], shop.store, shop.home, self.folder)
        return roll.item(roll.entries[0])

    def work_on(self, item: Item) -> Outcome:
        return self.crew.work_on(item, Row(lambda text, always: self.posted.append(text), item.name))

    @contextmanager
    def working(self, item: Item) -> Iterator[list[Outcome]]:
        """While the block lasts, a worker is in the middle of a recording; then it is waited for."""
        delay = '[[delays]]\noperation = "transcription"\nseconds = 60'
        script = write_script(self.folder / "slow.toml", words=WORDS, extra=delay)
        self.quick = self.crew.orders.named
        self.crew.orders = evolve(self.crew.orders, named=Named(options=scripted(script)))
        row, outcomes = Row(lambda text, always: None, item.name), list[Outcome]()
        thread = threading.Thread(target=lambda: outcomes.append(self.crew.work_on(item, row)))
        thread.start()
        while "transcription" not in row.stages:
            thread.join(0.02)
        yield outcomes
        thread.join()

    def started(self, item: Item) -> dict[str, object]:
        lines = Path(self.crew.shop.store.path(item.pipeline)).read_text().splitlines()
        (started,) = [json.loads(line)["data"] for line in lines if '"run.started"' in line]
        return started


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.crew.close()


def test_a_worker_does_what_a_thread_does_in_a_process_of_its_own(bench: Bench) -> None:
    first, second = bench.item(1), bench.item(2)
    outcomes = [bench.work_on(first), bench.work_on(second)]
    assert [outcome.code for outcome in outcomes] == [0, 0]
    assert outcomes[0].ran == ("audio_conversion", "diarization", "transcription", "merge", "export")
    assert (bench.folder / "r1.txt").exists()
    assert bench.started(first)["pid"] == bench.started(second)["pid"] != os.getpid()


def test_what_costs_or_is_heavy_or_known_stays_with_the_threads(bench: Bench) -> None:
    item = bench.item(1)
    assert bench.crew.takes(item)
    assert not bench.with_script(billable="true", price_per_min=0.6).takes(item)
    assert not bench.with_script(heavy="true").takes(item)
    bench.work_on(item)
    assert not bench.crew.takes(item)


def test_a_recording_that_fails_is_an_outcome_and_the_worker_goes_on(bench: Bench) -> None:
    bad = bench.folder / "bad.wav"
    bad.write_bytes(b"RIFF, but no sound")
    shop = bench.crew.shop
    roll = enroll([str(bad)], shop.store, shop.home, bench.folder)
    assert bench.work_on(roll.item(roll.entries[0])).code == 3
    assert bench.work_on(bench.item(1)).code == 0


def test_a_worker_that_died_while_it_waited_costs_nothing(bench: Bench) -> None:
    bench.work_on(bench.item(1))
    (worker,) = bench.crew._all
    worker.process.kill()
    worker.process.join()
    assert bench.work_on(bench.item(2)).code == 0


def test_a_worker_that_is_killed_fails_its_recording_only_and_the_next_one_gets_another(bench: Bench) -> None:
    with bench.working(bench.item(1)) as outcomes:
        (worker,) = bench.crew._all
        # As at the moment when its connection is gone already, and the system hasn't told of its end.
        worker.process.is_alive = lambda: True
        os.kill(worker.process.pid, signal.SIGKILL)
    assert outcomes[0].code == 1
    assert "ended from outside" in str(outcomes[0].error)
    bench.crew.orders = evolve(bench.crew.orders, named=bench.quick)
    assert bench.work_on(bench.item(2)).code == 0


def test_a_file_of_diagnostics_holds_what_workers_do_too(bench: Bench) -> None:
    log_file = bench.folder / "evt.log"
    bench.crew.orders = evolve(bench.crew.orders, log_file=log_file)
    item = bench.item(1)
    bench.work_on(item)
    said = log_file.read_text()
    assert "stage.succeeded stage=transcription" in said
    assert f" {bench.started(item)['pid']} " in said


def test_a_stop_reaches_the_workers_and_the_log_says_so(bench: Bench) -> None:
    item = bench.item(1)
    with bench.working(item) as outcomes:
        bench.crew.shop.stop.set()
    assert outcomes[0].outcome == "interrupted"
    assert '"run.finished"' in Path(bench.crew.shop.store.path(item.pipeline)).read_text().splitlines()[-1]


def test_a_recording_whose_turn_comes_after_a_stop_is_left_as_it_is(bench: Bench) -> None:
    shop, recording = bench.crew.shop, write_speech(bench.folder / "r.wav", 1.0, 1)
    roll = enroll([str(recording)], shop.store, shop.home, bench.folder)
    work = BatchWork(shop, roll, bench.crew.orders.named)
    shop.stop.set()
    outcome = work._outcome(roll.entries[0], PlainReporter())
    assert (outcome.outcome, outcome.code) == ("interrupted", 130)
    assert shop.store.pipelines() == []
