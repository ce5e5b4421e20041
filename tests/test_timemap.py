from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.speech.cuts import RATE, Span
from pipeline.speech.placing import Place, placed
from pipeline.speech.timemap import LONG, MARGIN, back, kept_spans, sample_of

speech_in_a_minute = st.lists(st.integers(0, 600), max_size=12, unique=True).map(
    lambda edges: [
        (a * RATE // 10, b * RATE // 10) for a, b in zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False)
    ]
)
MINUTE: Span = (0, 60 * RATE)


def test_a_long_pause_is_cut_out_but_for_its_edges() -> None:
    kept = kept_spans((0, 30 * RATE), [(0, 5 * RATE), (20 * RATE, 30 * RATE)])
    assert kept == ((0, 5 * RATE + MARGIN), (20 * RATE - MARGIN, 30 * RATE))


def test_silence_at_both_ends_is_cut_off() -> None:
    assert kept_spans(MINUTE, [(20 * RATE, 30 * RATE)]) == ((20 * RATE - MARGIN, 30 * RATE + MARGIN),)


def test_a_short_pause_stays() -> None:
    assert kept_spans((0, 10 * RATE), [(0, 4 * RATE), (6 * RATE, 10 * RATE)]) == ((0, 10 * RATE),)


@given(speech_in_a_minute)
def test_all_speech_is_kept_and_only_long_pauses_go(speech: list[Span]) -> None:
    kept = kept_spans(MINUTE, speech)
    if not speech:
        return
    assert all(any(a <= start and end <= b for a, b in kept) for start, end in speech)
    assert list(kept) == sorted(kept)
    assert all(before[1] + LONG < after[0] for before, after in pairwise(kept))


@given(speech_in_a_minute, st.integers(0, 6000))
def test_a_moment_of_a_kept_part_comes_back_to_where_it_was(speech: list[Span], hundredth: int) -> None:
    kept = kept_spans(MINUTE, speech) or (MINUTE,)
    at = hundredth * RATE // 100
    before = sum(min(end, at) - start for start, end in kept if start < at)
    if any(start < at < end for start, end in kept):
        assert back(before / RATE, kept) == pytest.approx(at / RATE)
        assert back(before / RATE, kept, is_end=True) == pytest.approx(at / RATE)


def test_a_word_before_a_cut_ends_there_and_one_behind_it_begins_there() -> None:
    place = Place((0, 30 * RATE), ((0, 5 * RATE), (20 * RATE, 30 * RATE)))
    answer = [
        {"text": "before", "start_s": 4.5, "end_s": 5.0},
        {"text": "behind", "start_s": 5.0, "end_s": 5.6},
    ]
    assert [(word.start_s, word.end_s) for word in placed(answer, place)] == [(4.5, 5.0), (20.0, 20.6)]


def test_times_are_clamped_to_the_piece() -> None:
    place = Place((10 * RATE, 20 * RATE))
    (word,) = placed([{"text": "late", "start_s": 9.9, "end_s": 12.5}], place)
    assert (word.start_s, word.end_s) == (19.9, 20.0)
    (word,) = placed([{"text": "early", "start_s": -1.0, "end_s": -0.5}], place)
    assert (word.start_s, word.end_s) == (10.0, 10.0)


@given(st.lists(st.integers(0, 99), min_size=2, max_size=8, unique=True))
def test_every_sample_that_was_sent_has_a_place_in_what_was_kept(edges: list[int]) -> None:
    kept = list(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
    places = [at for start, end in kept for at in range(start, end)]
    assert [sample_of(number, kept) for number in range(len(places))] == places
    assert sample_of(len(places), kept) == kept[-1][1]
