"""Words that may be invented are marked: by what rule, and what is left alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from pipeline.speech.suspicion import REASONS, marked, segment_doubts
from pipeline.speech.times import Span, spans_of
from pipeline.speech.values import Word
from tests.support.strategies import any_text, channels, timed_words

heard = st.lists(st.tuples(st.integers(0, 160), st.integers(1, 40)), max_size=5).map(
    lambda some: spans_of((start / 4, (start + length) / 4) for start, length in some)
)
speech = st.none() | st.dictionaries(channels, heard)

said = st.lists(st.sampled_from(["no", "No!", "so", "oh no", "哈", "はい", "-", "ครับ"]) | any_text, max_size=40)
steps_s = st.sampled_from([0.0, 1 / 64, 1 / 8, 1 / 4, 4.0])
"""Sums of these are exact, so that a passage is the same wherever it stands."""

plain_words = st.lists(st.tuples(st.sampled_from(["no", "so", "很", "interesting"]), steps_s), max_size=40)


def spoken(text: str, start_s: float = 0.0, step_s: float = 0.4, **fields: object) -> list[Word]:
    """Words one after another."""
    return [
        evolve(Word(one, start_s + i * step_s, start_s + (i + 1) * step_s), **fields)
        for i, one in enumerate(text.split())
    ]


def reasons(words: Sequence[Word], speech: Sequence[Span] | None = None) -> list[tuple[str, ...]]:
    return [word.suspect for word in marked(words, None if speech is None else {None: speech})]


def doubted(words: Sequence[Word], speech: Sequence[Span] | None = None) -> str:
    """The text of the words that are marked."""
    return " ".join(word.text for word in marked(words, None if speech is None else {None: speech}) if word.suspect)


# ---- repeated


@pytest.mark.parametrize(
    "text",
    [
        "no no no no",
        "No, no! NO no.",
        "thank you thank you thank you thank you",
        "and then we went home " * 4,
        "one two three four five six seven eight nine ten eleven twelve " * 4,
        "谢 谢 " * 4,
        "谢谢 " * 4,
        "ご 視 聴 あ り が と う ご ざ い ま し た " * 4,
    ],
)
def test_a_phrase_that_is_said_four_times_running_is_marked(text: str) -> None:
    assert set(reasons(spoken(text))) == {("repeated",)}


@pytest.mark.parametrize(
    "text",
    [
        "no no no",
        "row row row your boat row row row your boat row row row your boat",
        "哈 哈 哈 哈",
        "对 对 对 对 ， 是 的",
        "ハハハハ",
        "yes no yes maybe yes no yes perhaps",
        "- - - - -",
        "one two three four five six seven eight nine ten eleven twelve thirteen " * 4,
    ],
)
def test_a_refrain_that_is_sung_three_times_and_laughter_are_not_marked(text: str) -> None:
    assert doubted(spoken(text)) == ""


def test_only_the_phrase_is_marked_and_what_was_begun_of_it_once_more() -> None:
    text = "so he said you know you know you know you know you and left"
    assert [word.text for word in marked(spoken(text), None) if word.suspect] == ["you", "know"] * 4 + ["you"]


def test_who_listens_and_agrees_again_and_again_is_not_marked() -> None:
    listener = [word for i in range(8) for word in spoken("mhm", i * 4.0)]
    assert doubted(listener) == ""
    assert doubted([word for i in range(8) for word in spoken("mhm", i * 2)]) == " ".join(["mhm"] * 8)


def test_four_people_who_say_the_same_are_not_marked() -> None:
    votes = [word for i, who in enumerate("ABCD") for word in spoken("aye", i * 0.5, speaker=who)]
    assert doubted(votes) == ""


def test_words_of_another_channel_are_not_between_those_of_one() -> None:
    words = [word for i in range(4) for channel in (0, 1) for word in spoken("no", i * 0.4, channel=channel)]
    words = [evolve(word, text="yes") if word.channel and i > 3 else word for i, word in enumerate(words)]
    assert [word.channel for word in marked(words, None) if word.suspect] == [0] * 4


# ---- too fast


def test_more_words_than_anybody_can_say_in_the_time_are_marked() -> None:
    before, after = spoken("so this is what he said", 0), spoken("and then he left the room", 6)
    burst = spoken("please subscribe to my channel and leave a comment below this video", 3, step_s=0.05)
    found = reasons([*before, *burst, *after])
    assert found == [()] * 6 + [("too_fast",)] * 12 + [()] * 6


BURST = "please subscribe to my channel and leave a comment below this video"


def test_two_bursts_do_not_make_suspects_of_what_is_said_around_them() -> None:
    burst = f"{BURST} again {BURST}"
    first, second = spoken(burst, 0.4, 0.02), spoken(burst, 3.4, 0.02)
    around = [*spoken("well", 0), *first, *spoken("he said so to me", 1), *second, *spoken("well then", 4)]
    assert doubted(around) == f"{burst} {burst}"


def test_of_two_bursts_with_a_pause_between_them_every_word_is_marked() -> None:
    assert doubted([*spoken(BURST, 0, 0.02), *spoken(BURST, 2, 0.02)]) == f"{BURST} {BURST}"


@pytest.mark.parametrize(
    ("text", "step_s"),
    [
        ("you know what I mean", 0.12),
        ("Donaudampfschifffahrtsgesellschaftskapitän", 0.6),
        ("this is somebody who speaks three hundred words in every single minute of the day", 0.2),
        ("我们现在说得非常快非常快非常快", 1.6),
        ("一 二 三 四 五 六 七 八 九 十 " * 2, 0.12),
        ("안녕하세요 여러분 오늘은 빠르게 말해 봅시다", 0.4),
    ],
)
def test_who_speaks_fast_is_not_marked(text: str, step_s: float) -> None:
    assert doubted(spoken(text, step_s=step_s)) == ""


def test_a_full_width_character_takes_as_long_as_two_others() -> None:
    text = "请 不 吝 点 赞 订 阅 转 发 打 赏 支 持 明 镜"
    assert set(reasons(spoken(text, step_s=0.04))) == {("too_fast",)}
    assert doubted(spoken(text, step_s=0.12)) == ""


def test_people_who_talk_at_once_are_not_too_fast_together() -> None:
    both = [
        word
        for i in range(30)
        for who in ("A", "B")
        for word in spoken(f"letters{i}", i * 0.5, step_s=0.5, speaker=who)
    ]
    assert doubted(both) == ""


def test_words_without_times_are_not_too_fast() -> None:
    assert doubted([Word(f"word{i}") for i in range(50)]) == ""
    assert doubted([Word(f"word{i}", float("nan"), float("inf")) for i in range(50)]) == ""


# ---- outside speech


def test_words_where_nobody_was_heard_are_marked() -> None:
    words = [*spoken("hello there", 0), *spoken("thank you", 20), *spoken("well then", 30)]
    assert doubted(words, [(0.0, 1.0), (30.0, 31.0)]) == "thank you"
    assert set(reasons(words, [])) == {("no_speech",)}


def test_words_that_reach_into_speech_or_nearly_do_are_not_marked() -> None:
    words = [Word("one", 0.0, 0.6), Word("two", 1.1, 1.4), Word("three", 2.4, 2.7)]
    assert doubted(words, [(1.0, 2.0)]) == ""
    assert doubted([Word("four", 2.6, 3.0), Word("five", 0.1, 0.4)], [(1.0, 2.0)]) == "four five"


def test_a_word_of_which_only_the_segment_was_timed_is_held_against_speech_as_the_segment() -> None:
    words = [Word("so", 8.0, 9.0, segment=(0.0, 10.0)), Word("so", 8.0, 9.0)]
    assert reasons(words, [(0.0, 2.0)]) == [(), ("no_speech",)]


def test_each_channel_has_its_own_speech() -> None:
    words = [Word("so", 1, 2, channel=0), Word("so", 1, 2, channel=1), Word("so", 1, 2, channel=2)]
    found = marked(words, {0: [(0.0, 3.0)], 1: [(9.0, 10.0)]})
    assert [word.suspect for word in found] == [(), ("no_speech",), ("no_speech",)]


def test_where_it_is_not_known_who_was_heard_no_word_is_outside() -> None:
    assert reasons(spoken("so"), None) == [()]


# ---- what an engine says itself


@pytest.mark.parametrize(
    ("silent", "sure", "compression", "expected"),
    [
        (0.7, -1.1, 1.5, ("no_speech_prob",)),
        (0.7, -0.9, 1.5, ()),
        (0.5, -1.1, 1.5, ()),
        (0.1, -0.2, 2.5, ("compressed",)),
        (0.1, -0.2, 2.4, ()),
        (0.9, -2.0, 9.0, ("no_speech_prob", "compressed")),
    ],
)
def test_what_whisper_says_of_a_segment_is_judged_as_whisper_judges_it(
    silent: float, sure: float, compression: float, expected: tuple[str, ...]
) -> None:
    flags = {"no_speech_prob": silent, "avg_logprob": sure, "compression_ratio": compression}
    assert segment_doubts(flags) == expected
    assert segment_doubts({}) == ()


# ---- for every text


@given(st.lists(timed_words, max_size=12), said, speech)
def test_marking_changes_nothing_but_marks(
    words: list[Word], texts: list[str], heard: dict[int | None, list[Span]] | None
) -> None:
    words = [evolve(word, text=text) for word, text in zip(words, texts, strict=False)]
    found = marked(words, heard)
    assert repr([evolve(word, suspect=()) for word in found]) == repr(words)  # where no number equals itself
    assert all(list(word.suspect) == [reason for reason in REASONS if reason in word.suspect] for word in found)


@given(st.lists(timed_words, max_size=12), said, speech)
def test_marking_twice_is_marking_once(
    words: list[Word], texts: list[str], heard: dict[int | None, list[Span]] | None
) -> None:
    once = marked([evolve(word, text=text) for word, text in zip(words, texts, strict=False)], heard)
    assert repr(marked(once, heard)) == repr(once)


@given(plain_words, plain_words, st.integers(5, 4000))
def test_silence_elsewhere_changes_nothing(
    first: list[tuple[str, float]], second: list[tuple[str, float]], silence_s: int
) -> None:
    """Two passages with silence between them are marked as each is by itself."""

    def passage(some: list[tuple[str, float]], start_s: float) -> list[Word]:
        words = []
        for text, step_s in some:
            words.append(Word(text, start_s, start_s + step_s / 2))
            start_s += step_s
        return words

    one = passage(first, 0.0)
    begins_s = (one[-1].end_s or 0.0 if one else 0.0) + silence_s
    other = passage(second, 0.0)
    moved = [evolve(w, start_s=(w.start_s or 0) + begins_s, end_s=(w.end_s or 0) + begins_s) for w in other]
    heard = [(0.0, 2.0)]
    together = reasons([*one, *moved], [*heard, (begins_s, begins_s + 2.0)] if begins_s > 2 else heard)
    assert together == [*reasons(one, heard), *reasons(other, heard)]
