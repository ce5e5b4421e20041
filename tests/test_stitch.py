from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.speech.cuts import RATE, Cut, chunks, overlapping
from pipeline.speech.stitch import Part, stitched
from pipeline.speech.values import Word


def said(text: str, start_s: float, step_s: float = 0.4) -> tuple[Word, ...]:
    return tuple(
        Word(word, start_s + i * step_s, start_s + (i + 1) * step_s) for i, word in enumerate(text.split())
    )


def texts(words: list[Word]) -> str:
    return " ".join(word.text for word in words)


def test_words_that_both_chunks_heard_stand_there_once() -> None:
    first = Part(0.0, 11.0, said("one two three four five", 9.0))
    second = Part(9.0, 20.0, said("two three four five six seven", 9.45))
    assert texts(stitched([first, second])) == "one two three four five six seven"


def test_case_and_punctuation_make_no_other_word() -> None:
    first = Part(0.0, 11.0, said("so he said Yes,", 9.0))
    second = Part(9.0, 20.0, said("said yes and went", 9.8))
    assert texts(stitched([first, second])) == "so he said yes and went"


def test_a_word_said_twice_stays_twice() -> None:
    """Text alone proves nothing: `no, no, no` is three words."""
    first = Part(0.0, 11.0, said("no no no", 9.5, 0.6))
    second = Part(9.0, 20.0, said("no no no yes", 9.5, 0.6))
    assert texts(stitched([first, second])) == "no no no yes"


def test_the_same_word_at_another_time_is_another_word() -> None:
    first = Part(0.0, 11.0, said("well", 9.1))
    second = Part(9.0, 20.0, said("well then", 10.7))
    assert texts(stitched([first, second])) == "well well then"


def test_a_word_cut_in_two_is_taken_whole_from_the_chunk_that_has_all_of_it() -> None:
    first = Part(0.0, 11.0, said("the house of repre", 9.4))
    second = Part(9.0, 20.0, said("house of representatives met", 9.8))
    assert texts(stitched([first, second])) == "the house of representatives met"


def test_the_seam_lies_where_both_chunks_are_least_near_their_edges() -> None:
    first = Part(0.0, 11.0, said("before rightly heard here torn", 9.1))
    second = Part(9.0, 20.0, said("before raggedly heard here after", 9.1))
    assert texts(stitched([first, second])) == "before rightly heard here after"


def test_without_a_common_word_the_seam_is_the_middle_of_the_overlap() -> None:
    first = Part(0.0, 11.0, (Word("a", 9.2, 9.4), Word("b", 10.4, 10.6)))
    second = Part(9.0, 20.0, (Word("c", 9.3, 9.5), Word("d", 10.3, 10.7)))
    assert texts(stitched([first, second])) == "a d"


def test_what_only_one_of_two_chunks_heard_is_kept() -> None:
    first = Part(0.0, 11.0, said("quiet before", 7.0))
    second = Part(9.0, 20.0, (Word("c", 9.3, 9.5), Word("d", 10.3, 10.7)))
    assert texts(stitched([first, second])) == "quiet before c d"
    first = Part(0.0, 11.0, (Word("a", 9.2, 9.4), Word("b", 10.4, 10.6)))
    second = Part(9.0, 20.0, said("much later", 12.0))
    assert texts(stitched([first, second])) == "a b much later"


def test_what_each_heard_only_in_the_other_s_half_is_taken_once() -> None:
    first = Part(0.0, 11.0, (Word("wreck", 10.1, 10.3),))
    second = Part(9.0, 20.0, (Word("reck", 9.9, 10.2),))
    assert texts(stitched([first, second])) == "wreck"


def test_chunks_that_do_not_overlap_are_left_alone() -> None:
    first, second = Part(0.0, 10.0, said("one one", 9.2)), Part(10.0, 20.0, said("one one", 10.0))
    assert texts(stitched([first, second])) == "one one one one"


def test_words_without_times_stay_with_the_word_before_them() -> None:
    first = Part(0.0, 11.0, (*said("one two", 9.0), Word("and")))
    second = Part(9.0, 20.0, (*said("two", 9.4), Word("and"), *said("three", 10.5)))
    assert texts(stitched([first, second])) == "one two and three"


@given(st.integers(2, 60), st.lists(st.integers(3, 8), min_size=1, max_size=5), st.floats(-0.2, 0.2))
def test_every_word_of_a_recording_cut_through_words_is_there_once(
    count: int, lengths: list[int], clock_error_s: float
) -> None:
    """Each chunk hears the words that begin in it, with a clock of its own."""
    truth = [Word(f"w{i}", i * 0.5, i * 0.5 + 0.5) for i in range(count)]
    total = int(count * 0.5 * RATE)
    ats = [at for at in (sum(lengths[: i + 1]) * RATE + 3000 for i in range(len(lengths))) if at < total]
    cuts = [Cut(at, hard=True) for at in ats]
    parts = []
    for number, (start, end) in enumerate(overlapping(chunks(total, cuts), cuts)):
        error_s = clock_error_s if number % 2 else 0.0
        heard = [word for word in truth if start / RATE <= (word.start_s or 0) < end / RATE]
        shifted = tuple(Word(w.text, (w.start_s or 0) + error_s, (w.end_s or 0) + error_s) for w in heard)
        parts.append(Part(start / RATE, end / RATE, shifted))
    assert texts(stitched(parts)) == texts(truth)
