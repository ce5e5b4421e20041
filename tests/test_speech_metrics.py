"""Diarization and word error rates against cases whose answer is known, and against properties that any has."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.speech.metrics import diarization_error, normalised_words, word_errors
from pipeline.speech.values import Turn

TALK = [Turn(0.0, 4.0, "ann"), Turn(4.0, 8.0, "bob"), Turn(7.0, 10.0, "ann")]


@st.composite
def turns(draw: st.DrawFn) -> list[Turn]:
    starts = draw(st.lists(st.integers(0, 40), max_size=6))
    return [
        Turn(start / 2, (start + draw(st.integers(1, 8))) / 2, draw(st.sampled_from("abc"))) for start in starts
    ]


def test_the_truth_has_no_error_whatever_the_speakers_are_called() -> None:
    found = [Turn(turn.start_s, turn.end_s, {"ann": "1", "bob": "0"}[turn.speaker]) for turn in TALK]
    assert diarization_error(TALK, found).rate == 0.0


def test_each_kind_of_error_is_counted_in_seconds() -> None:
    found = [Turn(0.0, 5.0, "0"), Turn(5.0, 7.0, "1"), Turn(10.0, 12.0, "1")]
    error = diarization_error(TALK, found)
    assert (error.missed_s, error.false_alarm_s, error.confusion_s) == (4.0, 2.0, 1.0)
    assert error.speech_s == 11.0
    assert error.rate == pytest.approx(7 / 11)


def test_nothing_found_misses_everything() -> None:
    assert diarization_error(TALK, []).rate == 1.0


def test_a_file_without_speech_is_right_only_when_nothing_is_found() -> None:
    assert diarization_error([], []).rate == 0.0
    assert diarization_error([], TALK).rate == 1.0


def test_the_collar_excuses_errors_near_true_borders() -> None:
    late = [Turn(turn.start_s + 0.2, turn.end_s + 0.2, turn.speaker) for turn in TALK]
    assert diarization_error(TALK, late).rate > 0.0
    assert diarization_error(TALK, late, collar_s=0.25).rate == 0.0


def test_overlaps_can_be_left_out() -> None:
    without_overlap = [Turn(0.0, 4.0, "0"), Turn(4.0, 7.5, "1"), Turn(7.5, 10.0, "0")]
    assert diarization_error(TALK, without_overlap).missed_s == 1.0
    assert diarization_error(TALK, without_overlap, overlaps=False).rate == 0.0


@given(turns(), turns())
def test_the_speakers_are_paired_as_well_as_any_pairing(truth: list[Turn], found: list[Turn]) -> None:
    error = diarization_error(truth, found)
    names = ["a", "b", "c"]
    paired = (dict(zip(names, order, strict=True)) for order in permutations(names))
    least = min(_confusion(truth, [(turn, pairs[turn.speaker]) for turn in found]) for pairs in paired)
    assert error.confusion_s == pytest.approx(least)


def _confusion(truth: list[Turn], found: list[tuple[Turn, str]]) -> float:
    """Count confusion in half seconds, the grid of the generated turns."""
    confused = 0.0
    for cell in range(60):
        at_s = cell / 2 + 0.25
        true = {turn.speaker for turn in truth if turn.start_s <= at_s < turn.end_s}
        heard = {name for turn, name in found if turn.start_s <= at_s < turn.end_s}
        confused += 0.5 * (min(len(true), len(heard)) - len(true & heard))
    return confused


@given(turns(), turns())
def test_missed_and_false_time_explain_the_difference_in_speech(truth: list[Turn], found: list[Turn]) -> None:
    error = diarization_error(truth, found)
    found_s = diarization_error(found, []).speech_s
    assert error.speech_s - error.missed_s + error.false_alarm_s == pytest.approx(found_s)


def test_word_errors_ignore_case_and_punctuation() -> None:
    assert word_errors("Ask not: what, your country.", "ask NOT what your country").wrong == 0


def test_word_errors_count_replaced_missing_and_added_words() -> None:
    assert word_errors("one two three four", "one too three").wrong == 2
    assert word_errors("one two", "one and two and").wrong == 2
    assert word_errors("one two three four", "one two").rate == 0.5


def test_apostrophes_belong_to_words() -> None:
    assert normalised_words("It’s 'fine', isn't it?") == ["it's", "fine", "isn't", "it"]


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_word_errors_are_a_distance(one: list[str], other: list[str]) -> None:
    wrong = word_errors(" ".join(one), " ".join(other)).wrong
    assert wrong == word_errors(" ".join(other), " ".join(one)).wrong
    assert abs(len(one) - len(other)) <= wrong <= max(len(one), len(other))
    assert (wrong == 0) == (one == other)
