"""Works on a stream of recordings, several at once; nothing of one that is done is kept here.

The stream is asked for the next recording when somebody is free, so it may be as long as it likes, and may wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, Queue
from typing import Generic, TypeVar

from attrs import define, field

Task = TypeVar("Task")
Result = TypeVar("Result")

_LOOK_S = 0.1


@define
class Crowd(Generic[Task, Result]):
    """So many threads that do the same with each task of a stream.

    Args:
        tasks: is asked by one thread at a time.
        work: does it; an error that it raises ends the crowd.
        jobs: how many are done at once.
        stop: once it is set, nothing new begins; what is under way is expected to end by itself.
    """

    tasks: Iterable[Task]
    work: Callable[[Task], Result]
    jobs: int
    stop: threading.Event

    def results(self) -> Iterator[tuple[Task, Result] | None]:
        """Yield each task with its result as it ends, and None now and then, so that the caller can look up.

        Raises:
            BaseException: what the stream or `work` raised, once all that was under way has ended.
        """
        tasks, lock = iter(self.tasks), threading.Lock()
        # Bounded, lest results pile up where the caller's terminal is held.
        ended: Queue[tuple[Task, Result] | None] = Queue(2 * self.jobs)
        broken: list[BaseException] = []

        def labour() -> None:
            try:
                while not self.stop.is_set() and not broken:
                    with lock:
                        task = next(tasks)
                    ended.put((task, self.work(task)))
            except StopIteration:
                pass
            except BaseException as error:  # handed to the caller
                broken.append(error)
            ended.put(None)

        threads = [threading.Thread(target=labour, name=f"job-{n}", daemon=True) for n in range(self.jobs)]
        for thread in threads:
            thread.start()
        left = len(threads)
        while left:
            try:
                result = ended.get(timeout=_LOOK_S)
            except Empty:
                yield None
                continue
            if result is None:
                left -= 1
            else:
                yield result
        if broken:
            raise broken[0]


@define
class OneAtATime:
    """Lets only one thread at a time work on a thing of a name; the others wait."""

    _busy: set[str] = field(factory=set, init=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Wait until nobody else works on it."""
        with self._changed:
            while name in self._busy:
                self._changed.wait()
            self._busy.add(name)
        try:
            yield
        finally:
            with self._changed:
                self._busy.remove(name)
                self._changed.notify_all()
