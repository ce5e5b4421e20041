"""Work done ahead in a thread is the same work."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audio.ahead import ahead


@given(st.lists(st.integers()), st.integers(1, 5))
def test_items_arrive_all_and_in_order(items: list[int], depth: int) -> None:
    assert list(ahead(iter(items), depth)) == items


def test_an_error_arrives_at_its_place() -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("third")

    items = ahead(failing())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(ValueError, match="third"):
        next(items)


def test_closing_early_ends_the_thread_and_the_iterator() -> None:
    ended = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield len(ended)
        finally:
            ended.append(True)

    before = threading.active_count()
    source = endless()
    items = ahead(source)
    next(items)
    items.close()
    assert ended == [True]
    assert threading.active_count() == before
