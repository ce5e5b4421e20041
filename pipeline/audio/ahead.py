"""Runs an iterator in a thread of its own, a few items ahead of its reader."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

Item = TypeVar("Item")

END: Final = object()


def ahead(items: Iterator[Item], depth: int = 3) -> Generator[Item, None, None]:
    """Yield the same items in the same order while a thread already makes the next ones.

    Decoders, resampler and encoder release the interpreter's lock, so the steps of a conversion overlap. What the
    iterator raises is raised here, at its place. Close the result (`contextlib.closing`) to end the thread early.

    Args:
        items: runs in the thread only; a generator is closed at the end.
        depth: how many items may wait.
    """
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, items, END) for _ in range(depth))
        try:
            while (item := waiting.popleft().result()) is not END:
                waiting.append(pool.submit(next, items, END))
                yield item  # type: ignore[misc] # END, the only other type, has just been excluded
        finally:
            pool.shutdown(cancel_futures=True)
            if hasattr(items, "close"):
                items.close()
