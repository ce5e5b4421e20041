from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.speech.coverage import LOST_S, REACH_S, coverage
from pipeline.speech.times import Spans, length_s, spans_of, without
from pipeline.speech.values import Word

spans = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60)), max_size=8).map(
    lambda some: spans_of([(start / 4, (start + length) / 4) for start, length in some if length])
)
words = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 8)).map(lambda w: Word("so", w[0] / 4, (w[0] + w[1]) / 4)),
    max_size=12,
)


def spoken(start_s: float, end_s: float, step_s: float = 0.5) -> list[Word]:
    return [
        Word("so", start_s + i * step_s, start_s + (i + 1) * step_s) for i in range(int((end_s - start_s) / step_s))
    ]


def test_speech_with_words_all_along_is_covered() -> None:
    found = coverage([(0.0, 60.0)], spoken(0, 60))
    assert found.lost == ()
    assert found.share == 1.0


def test_a_long_stretch_of_speech_without_a_word_is_lost_even_in_a_long_chunk() -> None:
    found = coverage([(0.0, 480.0)], spoken(0, 200) + spoken(220, 480))
    assert found.lost == ((201.0, 219.0),)
    assert found.silent_s == pytest.approx(18.0)


def test_a_stretch_shorter_than_ten_seconds_is_counted_and_not_lost() -> None:
    found = coverage([(0.0, 60.0)], spoken(0, 30) + spoken(40, 60))
    assert found.lost == ()
    assert found.silent_s == pytest.approx(8.0)


def test_many_short_stretches_are_lost_where_they_are_most_of_the_speech() -> None:
    said = [Word("so", at, at + 0.5) for at in (0.0, 8.0, 16.0, 24.0)]
    found = coverage([(0.0, 30.0)], said)
    assert len(found.lost) == 4
    short = coverage([(0.0, 30.0), (50.0, 51.0), (60.0, 61.5)], [*said, Word("so", 50.0, 50.4)])
    assert short.lost == found.lost, "a second and a half is no gap"


def test_a_word_that_is_stretched_over_a_pause_covers_no_more_than_its_letters() -> None:
    assert coverage([(0.0, 40.0)], [Word("so", 0.0, 40.0)]).lost == ((2.0, 40.0),)


def test_pauses_are_no_speech_that_is_missing() -> None:
    assert coverage([(0.0, 2.0), (100.0, 102.0)], [*spoken(0, 2), *spoken(100, 102)]).silent == ()


def test_words_without_times_are_held_against_the_speech_by_their_number() -> None:
    assert coverage([(5.0, 65.0)], [Word("so")] * 10).lost == ((5.0, 65.0),)
    assert coverage([(5.0, 65.0)], [Word("so")] * 30).lost == ()


def test_no_speech_lacks_no_words() -> None:
    assert coverage([], []).share == 1.0


@given(spans, words)
def test_what_is_without_words_is_speech_and_near_no_word(speech: Spans, said: list[Word]) -> None:
    found = coverage(speech, said)
    assert 0 <= found.silent_s <= found.speech_s + 1e-9 == pytest.approx(length_s(speech) + 1e-9)
    for (start, end), length in found.silent:
        assert 0 < length <= end - start + 1e-9
        assert any(a <= start < b for a, b in speech)
        assert not any(start - REACH_S < (word.start_s or 0) < end + REACH_S for word in said)
    if not said and length_s(speech) >= LOST_S:
        assert found.lost


@given(spans, spans)
def test_spans_and_what_was_taken_from_them_are_the_whole(speech: Spans, taken: Spans) -> None:
    left = without(speech, taken)
    assert length_s(spans_of([*left, *taken])) == pytest.approx(length_s(spans_of([*speech, *taken])))
    assert length_s(left) + length_s(taken) == pytest.approx(length_s(spans_of([*left, *taken])))
