"""Transcripts side by side: what they share, how far they are apart, and the rows in which they are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.speech.comparison.alignment import SPEAKER, WORDS, Aligned, Difference, compare
from pipeline.speech.comparison.rows import GAP, LACKING, OTHER, SAME, Row, rows_of
from pipeline.speech.comparison.wording import keys_of, shared_words
from pipeline.speech.metrics import word_errors
from pipeline.speech.transcript import Transcript
from pipeline.speech.values import Gap
from tests.support.transcripts import said, transcript


def beside(first: Transcript, other: Transcript) -> Aligned:
    return compare([first, other])[1]


def agreement(first: str, other: str) -> tuple[int, int]:
    found = beside(transcript(said(first)), transcript(said(other))).agreement
    return found.wrong, found.words


def test_equal_words_are_not_apart_and_case_and_punctuation_don_t_count() -> None:
    assert agreement("Mr. Quilter, is the Apostle’s", "mr quilter is the apostle's …") == (0, 5)


def test_each_word_that_is_replaced_left_out_or_put_in_counts_once() -> None:
    assert agreement("the apostle of the middle classes", "a parcel of middle middle classes now") == (4, 6)


def test_a_transcript_without_words_is_as_far_apart_as_can_be() -> None:
    empty = transcript()
    assert beside(empty, empty).agreement.rate == 0
    assert beside(transcript(said("one two")), empty).agreement.rate == 1
    assert beside(empty, transcript(said("one"))).agreement.rate == 1
    assert beside(empty, transcript(said("one"))).agreement.speakers is None


def test_scripts_without_spaces_are_compared_letter_by_letter_however_they_are_cut() -> None:
    assert keys_of("你好，GPT世界") == ["你", "好", "gpt", "世", "界"]
    assert agreement("你好 世界 。", "你 好 世 間") == (1, 4)


def test_a_word_that_is_written_as_two_is_the_same_word() -> None:
    found = beside(transcript(said("an e-mail came")), transcript(said("an e mail came")))
    assert found.agreement.differences == ()
    assert all(found.shared)


def test_a_word_of_which_a_part_is_shared_is_not() -> None:
    found = beside(transcript(said("an e-mail came")), transcript(said("an mail came")))
    assert found.shared == (True, False, True)
    assert [word.text for word in found.lacking] == ["e-mail"]


def test_differences_say_where_they_are_and_what_each_has() -> None:
    found = beside(transcript(said("is the apostle of all")), transcript(said("is a parcel of all really")))
    assert found.agreement.differences == (
        Difference(0.5, 1.4, WORDS, "the apostle", "a parcel"),
        Difference(2.5, 2.9, WORDS, "", "really"),
    )


def test_speakers_are_paired_by_the_words_that_they_share() -> None:
    """Their labels mean nothing; who says the last word is another one."""
    first = transcript(said("one two three", "A"), said("four five six seven", "B", 3.0))
    other = transcript(said("one two three", "S1"), said("four five six", "S0", 3.0), said("seven", "S1", 4.5))
    found = beside(first, other).agreement
    assert found.names == {"S1": "A", "S0": "B"}
    assert found.speakers == pytest.approx(6 / 7)
    assert found.differences == (Difference(4.5, 4.9, SPEAKER, "B", "S1"),)


def test_of_the_first_only_words_that_all_others_have_are_shared() -> None:
    columns = compare([transcript(said(text)) for text in ("one two three", "one two", "one three")])
    assert columns[0].shared == (True, False, False)


TEXTS = st.lists(st.sampled_from(["one", "two", "three", "e-mail", "你好", "—"]), max_size=30).map(" ".join)


@given(TEXTS, TEXTS)
def test_the_shared_words_stand_in_both_in_one_order(one: str, other: str) -> None:
    these, those = said(one), said(other)
    pairs = shared_words(these, those).pairs
    assert list(pairs) == sorted(pairs)
    assert [b for _, b in pairs] == sorted(b for _, b in pairs)
    kept = [
        [key for place in dict.fromkeys(pair[side] for pair in pairs) for key in keys_of(words[place].text)]
        for side, words in enumerate((these, those))
    ]
    assert kept[0] == kept[1]
    assert len(shared_words(these, these).pairs) == len([word for word in these if keys_of(word.text)])


@given(TEXTS, TEXTS)
def test_the_distance_is_that_of_the_metrics_or_a_little_more(one: str, other: str) -> None:
    """It is reckoned piece by piece; short transcripts are one piece or cut where both surely say the same."""
    whole = word_errors(" ".join(keys_of(one)), " ".join(keys_of(other)))
    wrong, words = agreement(one, other)
    assert words == whole.words
    assert whole.wrong <= wrong <= whole.wrong + 2


def test_an_hour_is_compared_in_the_time_of_its_minutes() -> None:
    """Counted, not timed: no piece that is reckoned word by word against word is long."""
    one = [word for minute in range(60) for word in said("so we go on and on with it " * 10, at_s=minute * 60.0)]
    other = [word for place, word in enumerate(one) if place % 7]
    pieces = shared_words(one, other).pieces
    assert len(pieces) >= 60
    assert max(len(piece) for piece, _ in pieces) <= 2 * len(one) / 60


# Rows


def rows(*transcripts: Transcript) -> list[Row]:
    return rows_of(transcripts, compare(transcripts))


def runs(row: Row, column: int) -> list[tuple[str, str]]:
    return [(run.kind, run.text) for part in row.cells[column] for run in part.runs]


def test_a_row_begins_with_an_utterance_of_any_transcript_and_cuts_no_word() -> None:
    first = transcript(said("one two three four"), said("five six", "B", 4.0))
    other = transcript(said("one two"), said("three four five six", "B", 1.0))
    assert [row.start_s for row in rows(first, other)] == [0.0, 1.0, 4.0]
    slower = transcript(said("one two three four", at_s=0.2), said("five six", "B", 4.2))
    assert all(
        not word.start_s < row.start_s < word.end_s
        for row in rows(first, slower)
        for words in (first, slower)
        for utterance in words.utterances
        for word in utterance.words
    )


def test_words_are_marked_as_the_first_s_only_and_as_here_only() -> None:
    (row,) = rows(transcript(said("is the apostle of all")), transcript(said("is a parcel of all")))
    assert runs(row, 0) == [(SAME, "is"), (OTHER, "the apostle"), (SAME, "of all")]
    assert runs(row, 1) == [(SAME, "is"), (LACKING, "the apostle"), (OTHER, "a parcel"), (SAME, "of all")]


def test_whoever_says_shared_words_instead_of_another_is_told() -> None:
    first = transcript(said("one two three", "A"), said("four five", "B", 3.0))
    other = transcript(said("one two three", "S0"), said("four or five", "S0", 3.0))
    parts = [part for row in rows(first, other) for part in row.cells[1]]
    assert [(part.speaker, part.first_says) for part in parts] == [("S0", ""), ("S0", "B")]


def test_speech_that_has_no_words_stands_in_its_row() -> None:
    found = rows(transcript(said("one")), transcript(said("one"), gaps=[Gap(10.0, 20.0)]))
    assert runs(found[-1], 1)[-1] == (GAP, "[inaudible 00:10–00:20]")


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_no_word_is_lost_or_shown_twice(texts: list[str]) -> None:
    transcripts = [
        transcript(said(text, "A"), said(text[::-1], "B", 9.0 + number)) for number, text in enumerate(texts)
    ]
    found = rows(*transcripts)
    for number, expected in enumerate(transcripts):
        shown = [text for row in found for kind, text in runs(row, number) if kind in {SAME, OTHER}]
        words = [word.text for utterance in expected.utterances for word in utterance.words]
        assert sorted("".join(shown).replace(" ", "")) == sorted("".join(words))
