"""Counting voices: on made-up sounds, quickly, and what counting is built of."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audio.voices.clustering import groupings
from pipeline.audio.voices.counting import persistence
from pipeline.audio.voices.speakers import speaker_labels
from pipeline.audio.voices.windows import windows

CEPSTRA = 16
SOUNDS = 12
TURN = 400


def talk(voices: int, turns: int, seed: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Let voices take turns of four seconds: sounds of a tenth of a second each, all moved aside by who speaks."""
    rng = np.random.default_rng(seed)
    sounds = rng.normal(0.0, 1.0, (SOUNDS, CEPSTRA))
    speakers = rng.normal(0.0, 0.7, (voices, CEPSTRA))
    heard = []
    for turn in range(turns):
        said = np.repeat(rng.integers(SOUNDS, size=TURN // 10), 10)
        heard.append(sounds[said] + speakers[turn % voices] + rng.normal(0.0, 0.5, (TURN, CEPSTRA)))
    spectra = np.concatenate(heard)
    spectra = (spectra - spectra.mean(axis=0)) / spectra.std(axis=0)
    pause = 50
    intervals = [(turn * (TURN + pause), turn * (TURN + pause) + TURN) for turn in range(turns)]
    return spectra.astype(np.float32), intervals


def counted(spectra: np.ndarray, intervals: list[tuple[int, int]]) -> int:
    return len(np.unique(speaker_labels(spectra, intervals, 1, None, lambda: None)))


@pytest.mark.parametrize("voices", [1, 2, 4])
def test_as_many_voices_are_counted_as_take_turns(voices: int) -> None:
    assert counted(*talk(voices, 12, seed=voices)) == voices


def test_a_recording_of_which_only_a_part_is_clustered_has_no_more_voices_for_its_length() -> None:
    spectra, intervals = talk(2, 78, seed=1)
    assert len(windows(intervals).steps) > 600
    assert counted(spectra, intervals) == 2


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(1, 15), st.integers(0, 99))
def test_each_grouping_refines_the_one_before(rows: int, most: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(rows, 3))
    found = groupings(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), most)
    assert [len(np.unique(labels)) for labels in found] == list(range(1, min(rows, most) + 1))
    for coarse, fine in pairwise(found):
        assert len({*zip(coarse.tolist(), fine.tolist(), strict=True)}) == len(np.unique(fine))


def test_groups_are_of_the_rows_that_are_alike() -> None:
    rng = np.random.default_rng(3)
    middles = np.eye(4)[[0, 1, 2, 0, 1, 2, 0, 0, 1]]
    vectors = middles + rng.normal(0.0, 0.1, middles.shape)
    labels = groupings(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), 3)[2]
    assert len({*zip(labels.tolist(), middles.argmax(axis=1).tolist(), strict=True)}) == 3


def test_voices_that_go_on_persist_and_sounds_that_come_and_go_do_not() -> None:
    starts = np.arange(400) * 50
    turns = np.repeat(np.arange(40) % 2, 10)
    sounds = np.random.default_rng(0).integers(2, size=400)
    assert persistence(turns, starts, 2)[0, 1] > 0.3
    assert persistence(sounds, starts, 2)[0, 1] < 0.2
