"""Pools: never more than fit, the nearest to done first, nobody left behind, and a stop ends every wait."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from pipeline.errors import StoppedError
from pipeline.pools import CONVERSION, LIGHT, MODEL, Pools, pool_of
from projections.engine import Engine
from projections.graph import AUDIO_CONVERSION, DIARIZATION, EXPORT, TRANSCRIPTION

LOCAL = Engine("a", 1)


def go_on() -> None:
    pass


class Crowd:
    """Threads that want a place, begun one after another while the first one has it."""

    def __init__(self, pools: Pools, pool: str) -> None:
        self.pools, self.pool = pools, pool
        self.order: list[tuple[str, int]] = []
        self.threads: list[threading.Thread] = []

    def join(self, stage: str, number: int, check: Callable[[], None] = go_on) -> None:
        waiting = self._waiting()

        def work() -> None:
            with self.pools.place(self.pool, stage, number, check):
                self.order.append((stage, number))

        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()
        while self._waiting() == waiting:
            pass

    def _waiting(self) -> int:
        return len(self.pools._pool(self.pool).waiting)

    def wait(self) -> None:
        for thread in self.threads:
            thread.join()


def test_the_nearest_to_done_goes_first_then_who_began_first() -> None:
    pools = Pools(cores=1)
    crowd = Crowd(pools, LIGHT)
    with pools.place(LIGHT, EXPORT, 0, go_on):
        wanted = [(AUDIO_CONVERSION, 1), (TRANSCRIPTION, 3), (EXPORT, 4), (TRANSCRIPTION, 2)]
        for stage, number in wanted:
            crowd.join(stage, number)
    crowd.wait()
    assert crowd.order == [(EXPORT, 4), (TRANSCRIPTION, 2), (TRANSCRIPTION, 3), (AUDIO_CONVERSION, 1)]


@pytest.mark.parametrize("size", [1, 3])
def test_no_more_are_at_work_than_fit(size: int) -> None:
    pools = Pools(cores=size)
    lock, met = threading.Lock(), threading.Barrier(size)
    now, most = 0, 0

    def work(number: int) -> None:
        nonlocal now, most
        with pools.place(CONVERSION, AUDIO_CONVERSION, number, go_on):
            with lock:
                now += 1
                most = max(most, now)
            met.wait(10)  # as many as fit are here together
            with lock:
                now -= 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(size * 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == size


def test_a_stop_ends_a_wait_and_leaves_the_place_to_others() -> None:
    pools = Pools(cores=1)
    crowd = Crowd(pools, LIGHT)
    stopped: list[bool] = []

    def stop() -> None:
        stopped.append(True)
        raise StoppedError("the run was stopped")

    with pools.place(LIGHT, EXPORT, 0, go_on):
        with pytest.raises(StoppedError), pools.place(LIGHT, EXPORT, 1, stop):
            raise AssertionError("there was no place")
        crowd.join(DIARIZATION, 2)
    crowd.wait()
    assert crowd.order == [(DIARIZATION, 2)]


def test_an_error_gives_the_place_back() -> None:
    pools = Pools(cores=1)
    with pytest.raises(ValueError, match="broken"), pools.place(LIGHT, EXPORT, 0, go_on):
        raise ValueError("broken")
    with pools.place(LIGHT, EXPORT, 1, go_on):
        pass


def test_an_engine_says_which_pool_its_calls_are_in() -> None:
    assert pool_of(LOCAL) == LIGHT
    assert pool_of(Engine("a", 1, heavy=True)) == MODEL
    services = {pool_of(Engine("a", 1, network=True, origin=origin)) for origin in ("https://a", "https://b")}
    assert len(services) == 2


def test_a_model_has_the_machine_to_itself_and_a_service_keeps_nobody_waiting() -> None:
    pools = Pools(cores=1, models=1, remote=1)
    remote = pool_of(Engine("a", 1, network=True, origin="https://a"))
    with (
        pools.place(MODEL, TRANSCRIPTION, 1, go_on),
        pools.place(remote, TRANSCRIPTION, 2, go_on),
        pools.place(LIGHT, DIARIZATION, 3, go_on),
        pools.place(CONVERSION, AUDIO_CONVERSION, 4, go_on),
    ):
        assert [pools._pool(name).taken for name in (MODEL, remote, LIGHT, CONVERSION)] == [1, 1, 1, 1]
