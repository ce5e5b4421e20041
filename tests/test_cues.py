"""Cues are readable, whatever was said when: properties of the cutting, the lines and the times."""

from __future__ import annotations

from itertools import pairwise
from unicodedata import east_asian_width

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.formats.cues import Cue, cues
from pipeline.formats.profile import READING, Profile, characters
from pipeline.speech.alignment import split_text
from pipeline.speech.values import AttributedWord, Gap, Utterance
from tests.support.lines import words_by_line
from tests.support.strategies import spoken_text, times_s, utterance_of

latin = st.text("abc", min_size=1, max_size=12)
chinese = st.sampled_from([*"你好世界今天气很", "天气", "，", "。", "」", "ー", "っ", "「", "Python"])
degenerate_s = times_s | st.just(0.0) | st.floats(-9, 200_000)
prefixes = st.sampled_from(["", "SPEAKER_00: ", "A name that is longer than any line of a subtitle: "])


def utterances(text: st.SearchStrategy[str]) -> st.SearchStrategy[Utterance]:
    """An utterance whose words have any times at all: backwards, equal, before the beginning."""
    words = st.builds(AttributedWord, text, degenerate_s, degenerate_s, st.just(""), st.just(1.0), st.just("none"))
    said_in_turn = st.lists(text, min_size=1, max_size=40).map(
        lambda some: utterance_of("", " ".join(some), 3, 0.3)
    )
    return st.builds(Utterance, st.just(""), st.lists(words, min_size=1, max_size=15).map(tuple)) | said_in_turn


def spoken(text: st.SearchStrategy[str] = spoken_text | chinese) -> st.SearchStrategy[list[Utterance]]:
    """Utterances, each of a speaker of its own, so that every cue tells whose it is."""
    return st.lists(utterances(text), max_size=4).map(
        lambda some: [Utterance(f"S{i}", utterance.words) for i, utterance in enumerate(some)]
    )


gaps = st.lists(st.builds(lambda start_s, length_s: Gap(start_s, start_s + length_s), times_s, times_s), max_size=2)


def lines_of(found: tuple[Cue, ...], speaker: str, prefix: str = "") -> list[str]:
    """Return the lines of a speaker without the prefix, which begins every cue."""
    own = [cue.lines for cue in found if cue.speaker == speaker]
    assert all(lines[0].startswith(prefix) for lines in own)
    return [line for first, *rest in own for line in (first.removeprefix(prefix), *rest)]


def is_full(line: str) -> bool:
    wide = sum(east_asian_width(char) in "WF" for char in line)
    return (len(line) - wide) / 42 + wide / 16 > 1


@given(spoken(), prefixes)
def test_all_words_are_there_whole_and_in_order(said: list[Utterance], prefix: str) -> None:
    found = cues(said, lambda _: prefix)
    for utterance in said:
        words_by_line(lines_of(found, utterance.speaker, prefix), [word.text for word in utterance.words])


@given(spoken(), gaps, prefixes)
def test_cues_are_in_order_and_apart(said: list[Utterance], missing: list[Gap], prefix: str) -> None:
    found = cues([*said, *missing], lambda _: prefix)
    assert all(cue.start_s >= 0 for cue in found)
    assert all(cue.end_s + 2 / 24 <= following.start_s + 1e-6 for cue, following in pairwise(found))


@given(spoken(), gaps)
def test_a_cue_is_as_long_as_its_text_takes_unless_the_next_one_begins(
    said: list[Utterance], missing: list[Gap]
) -> None:
    found = cues([*said, *missing], lambda _: "")
    for cue, following in zip(found, [*found, None][1:], strict=True):
        assert 0.5 - 1e-6 <= cue.end_s - cue.start_s <= 7 + 1e-6
        narrow, wide = characters("".join(cue.lines))
        needed_s = min(7.0, max(5 / 6, narrow / 17 + wide / 9))
        if following is None or following.start_s - cue.end_s > 2 / 24 + 1e-6:
            assert cue.end_s - cue.start_s >= needed_s - 1e-6


@given(spoken(st.text("aé9ж漢한あ", min_size=1, max_size=60)), prefixes)
def test_two_lines_at_most_and_a_line_is_too_long_only_for_one_word(said: list[Utterance], prefix: str) -> None:
    found = cues(said, lambda _: prefix)
    assert all(1 <= len(cue.lines) <= 2 for cue in found)
    for utterance in said:
        own = [line for cue in found if cue.speaker == utterance.speaker for line in cue.lines]
        bare = lines_of(found, utterance.speaker, prefix)
        for line, words in zip(own, words_by_line(bare, [word.text for word in utterance.words]), strict=True):
            assert len(words) == 1 or not is_full(line)


@example(["internationalisations", "whatsoever", "of", "us", "all", "too"])
@given(st.lists(latin, min_size=4, max_size=12).filter(lambda words: 42 < len(" ".join(words)) <= 60))
def test_two_lines_are_as_alike_as_can_be_and_none_is_a_lone_word(words: list[str]) -> None:
    (cue,) = cues([utterance_of("A", " ".join(words), 0, 0.1)], lambda _: "")
    broken = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(2, len(words) - 1)]
    fitting = [pair for pair in broken if max(map(len, pair)) <= 42]
    if fitting:
        assert abs(len(cue.lines[0]) - len(cue.lines[1])) == min(abs(len(a) - len(b)) for a, b in fitting)


@given(st.lists(st.sampled_from(["a", "be", "cedar", "dictionaries", "everlastingness"]), min_size=9, max_size=40))
def test_no_more_cues_than_needed(words: list[str]) -> None:
    """Filling each cue to the brim needs the fewest."""
    utterance = utterance_of("A", " ".join(words), 0, 0.01)
    filled, line = 0, ""
    for word in words:
        if line and len(line) + 1 + len(word) <= 42:
            line += f" {word}"
        else:
            line, filled = word, filled + 1
    found = len(cues([utterance], lambda _: ""))
    assert found == (filled + 1) // 2


def test_cues_of_one_utterance_are_of_like_lengths() -> None:
    found = cues([utterance_of("A", " ".join(["word"] * 39), 0, 0.1)], lambda _: "")
    assert [len(" ".join(cue.lines).split()) for cue in found] == [13, 13, 13]


@given(st.lists(st.sampled_from([*"你好世界あア一気", *"。、」）ーっ々"]), min_size=1, max_size=70).map("".join))
def test_no_line_begins_with_a_mark_that_belongs_to_the_character_before(text: str) -> None:
    said = utterance_of("A", " ".join(text), 0, 0.2)
    for line in lines_of(cues([said], lambda _: ""), "A")[1:]:
        overlong_run = text.strip("。、」）ーっ々") == "" or "".join(["。"] * 9) in line
        assert line[0] not in "。、」）ーっ々" or overlong_run or _is_unavoidable(text, line)


def _is_unavoidable(text: str, line: str) -> bool:
    """A run of marks that with its character is longer than a line has to be broken somewhere."""
    marks = len(line) - len(line.lstrip("。、」）ーっ々"))
    at = text.index(line)
    before = text[:at]
    return len(before) - len(before.rstrip("。、」）ーっ々")) + marks >= 15


def test_an_opening_bracket_goes_to_the_line_of_what_it_opens() -> None:
    before, after = "今日はとてもいい天気ですね", "さくらと言いましたそうですよ"
    said = utterance_of("A", " ".join([*before, "「", *after]), 0, 0.1)
    (first, second) = lines_of(cues([said], lambda _: ""), "A")
    assert (first, second[0]) == (before, "「")


@pytest.mark.parametrize(
    ("text", "per_line"),
    [
        ("今天天气很好我们一起去公园散步吧然后再去看电影好不好呢", 16),
        ("วันนี้อากาศดีมากเราไปเดินเล่นที่สวนสาธารณะกันเถอะแล้วค่อยไปดูหนังด้วยกันดีไหม", 42),
    ],
)
def test_scripts_without_spaces_are_broken_between_words_without_spaces(text: str, per_line: int) -> None:
    said = utterance_of("A", " ".join(split_text(text)), 0, 0.05)
    lines = lines_of(cues([said], lambda _: ""), "A")
    assert "".join(lines) == text
    assert len(lines) == 2
    assert all(sum(characters(line)) <= per_line for line in lines)


def test_marks_upon_letters_take_no_room() -> None:
    assert characters("e\u0301") == characters("é") == (1, 0)
    assert characters("ดี") == (1, 0)
    assert characters("漢字A") == (1, 2)
    assert characters("Ａ，") == (0, 2)
    assert characters("각") == characters("\u1100\u1161\u11a8") == (0, 1)
    assert characters("می\u200cخواهم") == (7, 0)


def test_a_cut_comes_after_a_sentence_rather_than_a_clause_and_after_a_clause_rather_than_anywhere() -> None:
    sentence = "It was a long and cold winter in the north. So, we all stayed at home and waited for the sun."
    clause = "It was a long and cold winter in the north, so we all stayed at home and waited for the sun to."
    for text, end in ((sentence, "north."), (clause, "north,")):
        found = cues([utterance_of("A", text, 0, 0.2)], lambda _: "")
        assert [cue.lines[-1].endswith(end) for cue in found] == [True, False]


def test_a_pause_too_short_to_be_seen_is_not_shown() -> None:
    first, second = utterance_of("A", "so we went home", 0, 0.5), utterance_of("B", "yes", 2.4, 1.0)
    found = cues([first, second], lambda _: "")
    assert found[0].end_s == pytest.approx(2.4 - 2 / 24)
    later = cues([first, utterance_of("B", "yes", 2.6, 1.0)], lambda _: "")
    assert later[0].end_s == 2.0
    drawn_out = cues([utterance_of("A", "so", 0, 6.9), utterance_of("B", "yes", 7.3, 1.0)], lambda _: "")
    assert drawn_out[0].end_s == 7.0


def test_a_gap_is_a_cue_at_its_place_without_speaker_and_no_longer_than_any_other() -> None:
    said = [utterance_of("A", "before", 700), utterance_of("B", "after", 1078)]
    found = cues([*said, Gap(720, 1078)], lambda speaker: f"{speaker}: ")
    assert [cue.lines[0] for cue in found] == ["A: before", "[inaudible 12:00–17:58]", "B: after"]
    assert (found[1].start_s, found[1].end_s, found[1].speaker) == (720, 727, None)


def test_another_profile_gives_other_cues() -> None:
    said = utterance_of("A", " ".join(["word"] * 16), 0, 0.1)
    assert len(cues([said], lambda _: "")) == 1
    narrow = cues([said], lambda _: "", Profile(line_characters=20, lines=1))
    assert [cue.lines for cue in narrow] == [("word word word word",)] * 4
    assert Profile() == READING


def test_a_speech_of_an_hour_without_a_full_stop_is_cut_quickly() -> None:
    found = cues([utterance_of("A", " ".join(["word"] * 9000), 0, 0.4)], lambda _: "")
    assert sum(len(" ".join(cue.lines).split()) for cue in found) == 9000
