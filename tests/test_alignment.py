"""Punctuated text and timed words become one: no word is lost, none changes places, times never go back."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.speech.alignment import between, letters, split_text, with_times
from pipeline.speech.values import Word

SYLLABLES = st.sampled_from(
    ["so", "na", "i'll", "twenty", "five", "ß", "é", "über", "7", "你", "好", "สวัสดี", "日本"]
)
PUNCTUATION = st.sampled_from(["", "", ",", ".", "?!", " —", "…", '"', "。", " !"])
SEPARATORS = st.sampled_from([" ", " ", "  ", "-", "", "\n"])


def timed(texts, length_s=0.5):
    return [Word(text, at * 0.5, at * 0.5 + length_s) for at, text in enumerate(texts)]


def said(words):
    return "".join(letters(word.text) for word in words)


def is_within(part, whole):
    rest = iter(whole)
    return all(char in rest for char in part)


@given(st.lists(st.tuples(SYLLABLES, PUNCTUATION, SEPARATORS), min_size=1, max_size=30))
def test_text_that_says_the_same_keeps_its_punctuation_and_every_letter_in_order(parts):
    """However differently the two cut their words."""
    words = timed([syllable for syllable, _, _ in parts])
    text = "".join(syllable.capitalize() + mark + separator for syllable, mark, separator in parts)
    found = with_times(text, words)
    assert [word.text for word in found] == split_text(text)
    assert said(found) == said(words)
    check_times(found, words[-1].end_s)


TEXTS = st.lists(st.one_of(SYLLABLES, st.text(max_size=6)), max_size=25)


@given(TEXTS, TEXTS, st.sampled_from([0.0, 0.5, 1.25]))
def test_text_that_says_something_else_loses_no_timed_word(written, spoken, length_s):
    """Also where words overlap, as those of some servers do."""
    words = [word for word in timed(spoken, length_s) if letters(word.text)]
    found = with_times(" ".join(written), words)
    assert is_within(said(words), said(found))
    check_times(found, 0.5 * len(spoken) + length_s)


def check_times(words, end_s):
    times = [time_s for word in words for time_s in (word.start_s, word.end_s)]
    assert all(time_s is not None and 0 <= time_s <= end_s for time_s in times)
    assert all(word.start_s <= word.end_s for word in words)
    assert all(first.start_s <= second.start_s for first, second in pairwise(words))


@given(st.text())
def test_splitting_loses_no_letter(text):
    assert "".join(map(letters, split_text(text))) == "".join(letters(piece) for piece in text.split())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("… ♪ ?", []),
        ("And so, my fellow Americans:", ["And", "so,", "my", "fellow", "Americans:"]),
        ("« Bonjour ! » dit-il", ["« Bonjour ! »", "dit-il"]),
        ("- Yes.  - No.", ["- Yes. -", "No."]),
        ("東京は、晴れ。", ["東", "京", "は、", "晴", "れ。"]),
        ("「東京」です", ["「東", "京」", "で", "す"]),
        ("GPT東京5号", ["GPT", "東", "京", "5", "号"]),
        ("ｶﾞｽ", ["ｶﾞ", "ｽ"]),
        ("สวัส", ["ส", "วั", "ส"]),
        ("한국어 문장", ["한국어", "문장"]),
    ],
)
def test_a_text_is_split_as_its_script_asks(text, words):
    assert split_text(text) == words


def test_words_cut_differently_take_the_times_of_what_holds_them():
    found = with_times(
        "Twenty-five, 你好!", [Word("twenty", 0.0, 1.0), Word("five", 1.0, 2.0), Word("你好", 2.0, 4.0)]
    )
    assert found == [Word("Twenty-five,", 0.0, 2.0), Word("你", 2.0, 3.0), Word("好!", 3.0, 4.0)]


def test_words_that_only_the_text_has_stand_in_their_gap():
    found = with_times("We, the people, go.", [Word("we", 0.0, 1.0), Word("go", 3.0, 4.0)])
    assert [word.text for word in found] == ["We,", "the", "people,", "go."]
    assert [(word.start_s, word.end_s) for word in found] == [(0.0, 1.0), (1.0, 1.6), (1.6, 3.0), (3.0, 4.0)]


def test_where_words_overlap_what_only_the_text_has_stands_at_the_start_of_the_next():
    found = with_times("We, too, go.", [Word("we", 0.0, 3.0), Word("go", 2.0, 4.0)])
    assert [(word.start_s, word.end_s) for word in found] == [(0.0, 3.0), (2.0, 2.0), (2.0, 4.0)]


def test_words_that_the_text_writes_otherwise_stay_as_they_were_heard():
    found = with_times("It costs $5 today.", timed(["it", "costs", "five", "dollars", "today"]))
    assert [word.text for word in found] == ["It", "costs", "five", "dollars", "today."]


def test_the_least_sure_part_of_a_word_decides_how_sure_it_is():
    words = [Word("twenty", 0.0, 1.0, 0.9), Word("five", 1.0, 2.0, 0.4)]
    assert with_times("twenty-five", words) == [Word("twenty-five", 0.0, 2.0, 0.4)]


def test_words_without_a_span_have_no_times():
    assert between(["a", "b"], None, None) == [Word("a"), Word("b")]
