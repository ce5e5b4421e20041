"""Diarization and word error rates against cases whose answer is known, and against properties that any has."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.speech.metrics import (
    character_errors,
    diarization_error,
    errors_between,
    jaccard_error,
    normalised_words,
    speaker_word_errors,
    word_errors,
    words_of,
    wrong_speakers,
)
from pipeline.speech.metrics.assignment import assignment
from pipeline.speech.metrics.edits import alignment, distance
from pipeline.speech.scripts import joined
from pipeline.speech.values import Turn
from tests.support.strategies import any_text

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


def test_a_true_turn_without_length_excuses_nothing() -> None:
    error = diarization_error([Turn(0.0, 2.0, "ann"), Turn(1.0, 1.0, "bob")], [], collar_s=0.25)
    assert error.missed_s == error.speech_s == 1.5


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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ｆｕｌｌ ﬁne", ["full", "fine"]),
        ("ℕ Ⓐ", ["n", "a"]),
        ("İstanbul'da", ["i̇stanbul'da"]),
        ("all-hands at 3.5 %", ["all", "hands", "at", "3", "5"]),
        ("rock 'n' roll_x", ["rock", "n", "roll", "x"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("می\u200cخواهم", ["میخواهم"]),
        ("今日は、iPhone 5です。", ["今", "日", "は", "iphone", "5", "で", "す"]),
        ("ที่นี่", ["ที่", "นี่"]),
        (" … ¿ ! ", []),
    ],
)
def test_words_are_found_in_every_script(text: str, words: list[str]) -> None:
    assert normalised_words(text) == words


def test_words_as_they_are_written_keep_case_and_punctuation() -> None:
    assert words_of("Ask not: “what”", "none") == ["Ask", "not:", "“what”"]
    assert words_of("「今日は。」Hi!", "none") == ["「", "今", "日", "は。」", "Hi!"]


@given(any_text)
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    words = normalised_words(text)
    assert normalised_words(" ".join(words)) == words


def test_word_errors_tell_their_kinds() -> None:
    errors = word_errors("one two three four five six", "zero one two too four six")
    assert (errors.replaced, errors.missing, errors.added, errors.wrong) == (1, 1, 1, 3)


def test_character_errors_count_the_spaces_between_words_but_none_where_the_script_has_none() -> None:
    assert characters("to day", "today") == (1, 6)
    assert characters("今日は", "今日") == (1, 3)


pieces = st.lists(st.sampled_from(["a", "bc", "あ", "いう", "ａ"]), max_size=7)


@given(pieces, pieces)
def test_character_errors_are_those_of_the_whole_texts(truth: list[str], found: list[str]) -> None:
    errors = character_errors(truth, found, alignment(truth, found))
    assert errors.wrong == distance(joined(truth), joined(found))


def characters(truth: str, found: str) -> tuple[int, int]:
    one, other = normalised_words(truth), normalised_words(found)
    errors = character_errors(one, other, alignment(one, other))
    return errors.wrong, errors.characters


said = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["ann", "bob", "cy", "dee"])), max_size=12)


def by_speaker(spoken: list[tuple[str, str]]) -> dict[str, list[str]]:
    return {name: [word for word, speaker in spoken if speaker == name] for _, name in spoken}


def speakers_wrong(truth: list[tuple[str, str]], found: list[tuple[str, str]]) -> tuple[int, int]:
    pairs = alignment([word for word, _ in truth], [word for word, _ in found])
    errors, _ = wrong_speakers([name for _, name in truth], [name for _, name in found], pairs)
    return errors.wrong, errors.words


def test_a_word_at_the_wrong_speaker_is_wrong_twice_by_speaker_and_once_among_the_words_heard() -> None:
    truth = [("a", "ann"), ("b", "ann"), ("c", "bob"), ("d", "bob")]
    found = [("a", "0"), ("b", "0"), ("c", "0"), ("d", "1")]
    assert speakers_wrong(truth, found) == (1, 4)
    errors = speaker_word_errors(by_speaker(truth), by_speaker(found))
    assert (errors.wrong, errors.missing, errors.added, errors.words) == (2, 1, 1, 4)


def test_speakers_without_a_partner_count_with_all_their_words() -> None:
    errors = speaker_word_errors({"ann": ["a", "b"]}, {"0": ["a", "b"], "1": ["c"], "2": []})
    assert (errors.wrong, errors.added, errors.found_speakers) == (1, 1, 2)
    assert speaker_word_errors({"ann": ["a", "b"], "bob": ["c"]}, {}).missing == 3


@given(said, said, st.permutations(["ann", "bob", "cy", "dee"]))
def test_what_speakers_are_called_changes_nothing(
    truth: list[tuple[str, str]], found: list[tuple[str, str]], names: list[str]
) -> None:
    called = dict(zip(["ann", "bob", "cy", "dee"], names, strict=True))
    renamed = [(word, called[name]) for word, name in found]
    one = speaker_word_errors(by_speaker(truth), by_speaker(found)).wrong
    assert one == speaker_word_errors(by_speaker(truth), by_speaker(renamed)).wrong
    assert speakers_wrong(truth, found) == speakers_wrong(truth, renamed)


@given(said)
def test_the_truth_has_no_errors_by_speaker(truth: list[tuple[str, str]]) -> None:
    assert speaker_word_errors(by_speaker(truth), by_speaker(truth)).wrong == 0
    assert speakers_wrong(truth, truth) == (0, len(truth))


@given(said, said)
def test_errors_by_speaker_are_the_least_of_all_pairings(
    truth: list[tuple[str, str]], found: list[tuple[str, str]]
) -> None:
    true, heard = by_speaker(truth), by_speaker(found)
    size = max(len(true), len(heard))
    rows = [*true.values(), *([[]] * (size - len(true)))]
    columns = [*heard.values(), *([[]] * (size - len(heard)))]
    least = min(
        sum(errors_between(row, column).wrong for row, column in zip(rows, order, strict=True))
        for order in permutations(columns)
    )
    assert speaker_word_errors(true, heard).wrong == least


@given(said, said)
def test_errors_by_speaker_are_symmetric_and_no_fewer_than_the_bags_of_words_differ(
    truth: list[tuple[str, str]], found: list[tuple[str, str]]
) -> None:
    errors = speaker_word_errors(by_speaker(truth), by_speaker(found))
    assert errors.wrong == speaker_word_errors(by_speaker(found), by_speaker(truth)).wrong
    assert abs(len(truth) - len(found)) <= errors.wrong <= len(truth) + len(found)
    common = Counter(word for word, _ in truth) & Counter(word for word, _ in found)
    assert errors.wrong >= max(len(truth), len(found)) - common.total()


def test_with_one_speaker_the_errors_by_speaker_are_the_word_errors() -> None:
    words, others = list("abcd"), list("acdde")
    assert speaker_word_errors({"ann": words}, {"0": others}).wrong == errors_between(words, others).wrong


@given(
    st.integers(0, 5).flatmap(
        lambda n: st.lists(st.lists(st.integers(0, 9), min_size=n, max_size=n), min_size=n, max_size=n)
    )
)
def test_the_assignment_costs_as_little_as_any(costs: list[list[int]]) -> None:
    columns = assignment(costs)
    every = permutations(range(len(costs)))
    assert sum(costs[i][j] for i, j in enumerate(columns)) == min(
        sum(costs[i][j] for i, j in enumerate(order)) for order in every
    )


def test_jaccard_errors_weigh_speakers_alike() -> None:
    truth = [Turn(0.0, 9.0, "ann"), Turn(9.0, 10.0, "bob")]
    error = jaccard_error(truth, [Turn(0.0, 10.0, "0")])
    assert error.error == pytest.approx(1.1)
    assert error.rate == pytest.approx(0.55)


@given(turns(), turns())
def test_jaccard_errors_lie_between_none_and_all(truth: list[Turn], found: list[Turn]) -> None:
    assert -1e-9 <= jaccard_error(truth, found).rate <= 1.0 + 1e-9
    assert jaccard_error(truth, truth).rate == pytest.approx(0.0)
    assert jaccard_error(truth, []).error == jaccard_error(truth, []).speakers


@given(turns(), turns(), st.permutations("abc"))
def test_renaming_found_speakers_changes_no_diarization_error(
    truth: list[Turn], found: list[Turn], names: list[str]
) -> None:
    renamed = [Turn(one.start_s, one.end_s, names["abc".index(one.speaker)]) for one in found]
    assert diarization_error(truth, found).rate == pytest.approx(diarization_error(truth, renamed).rate)


@given(turns(), turns())
def test_a_collar_and_leaving_out_overlaps_only_ever_take_speech_away(truth: list[Turn], found: list[Turn]) -> None:
    whole = diarization_error(truth, found)
    for less in (
        diarization_error(truth, found, collar_s=0.25),
        diarization_error(truth, found, overlaps=False),
    ):
        assert less.speech_s <= whole.speech_s + 1e-9
        assert less.missed_s <= whole.missed_s + 1e-9
        assert less.false_alarm_s <= whole.false_alarm_s + 1e-9


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_word_errors_are_a_distance(one: list[str], other: list[str]) -> None:
    wrong = word_errors(" ".join(one), " ".join(other)).wrong
    assert wrong == word_errors(" ".join(other), " ".join(one)).wrong
    assert abs(len(one) - len(other)) <= wrong <= max(len(one), len(other))
    assert (wrong == 0) == (one == other)
