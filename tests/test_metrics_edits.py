"""Distances and alignments of sequences against the plain table that everybody knows, and against properties."""

from __future__ import annotations

import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.speech.metrics.edits import alignment, distance

letters = st.text("abc", max_size=24)


def by_table(truth: str, found: str) -> int:
    distances = list(range(len(found) + 1))
    for row, one in enumerate(truth, start=1):
        diagonal, distances[0] = distances[0], row
        for column, other in enumerate(found, start=1):
            replaced = diagonal + (one != other)
            diagonal = distances[column]
            distances[column] = min(replaced, diagonal + 1, distances[column - 1] + 1)
    return distances[-1]


@given(letters, letters)
def test_the_distance_is_that_of_the_plain_table(truth: str, found: str) -> None:
    assert distance(truth, found) == by_table(truth, found)


@given(letters, letters, st.integers(0, 30))
def test_a_limit_that_holds_changes_nothing_and_one_that_does_not_gives_no_less(
    truth: str, found: str, limit: int
) -> None:
    least = by_table(truth, found)
    assert distance(truth, found, least) == least
    assert distance(truth, found, limit) >= least


def test_a_limit_holds_over_many_windows_of_the_band() -> None:
    chance = Random(5)
    truth = [chance.randrange(50) for _ in range(9000)]
    found = [one if chance.random() > 0.02 else chance.randrange(50) for one in truth if chance.random() > 0.01]
    assert distance(truth, found, 400) == distance(truth, found)


@given(letters, letters)
def test_an_alignment_holds_everything_once_in_order_and_is_as_short_as_possible(truth: str, found: str) -> None:
    pairs = alignment(truth, found)
    assert [i for i, _ in pairs if i is not None] == list(range(len(truth)))
    assert [j for _, j in pairs if j is not None] == list(range(len(found)))
    changes = sum(i is None or j is None or truth[i] != found[j] for i, j in pairs)
    assert changes == by_table(truth, found)


@pytest.mark.slow
def test_three_hours_are_aligned_in_seconds() -> None:
    """Usually two; a plain table would take many minutes."""
    chance = Random(7)
    truth = [chance.randrange(4000) for _ in range(30_000)]
    found = [one if chance.random() > 0.1 else chance.randrange(4000) for one in truth if chance.random() > 0.03]
    began_s = time.process_time()
    assert len(alignment(truth, found)) >= len(truth)
    assert time.process_time() - began_s < 20
