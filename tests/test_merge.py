from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain, pairwise

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from pipeline.speech.merge import merge
from pipeline.speech.merge.sentences import ends_sentence
from pipeline.speech.values import UNKNOWN_SPEAKER, AttributedWord, Turn, Utterance, Word
from tests.support.strategies import any_text, numbered, timed_words, wild_times_s, wild_turns

full_turns = st.lists(wild_turns, max_size=6)
exclusive_turns = st.lists(wild_turns, max_size=3)

A, B, C = "SPEAKER_00", "SPEAKER_01", "SPEAKER_02"


def spoken(text: str, start_s: float = 0.0, step_s: float = 0.4, channel: int | None = None) -> list[Word]:
    """Words one after another, each `step_s` long."""
    return [
        Word(one, start_s + i * step_s, start_s + (i + 1) * step_s, channel=channel)
        for i, one in enumerate(text.split())
    ]


def flat(utterances: Sequence[Utterance]) -> list[AttributedWord]:
    return list(chain.from_iterable(utterance.words for utterance in utterances))


def who(utterances: Sequence[Utterance]) -> str:
    """The last character of each word's speaker, N for unknown."""
    return "".join(word.speaker[-1] for word in flat(utterances))


def how(utterances: Sequence[Utterance]) -> list[str]:
    return [word.method for word in flat(utterances)]


def is_time(time_s: float | None) -> bool:
    return time_s is not None and math.isfinite(time_s)


def in_spoken_order(own: Sequence[Word]) -> list[str]:
    """The texts sorted by start, where a word without times moves together with the one before it."""
    blocks: list[list[Word]] = [[]]
    for word in own:
        if is_time(word.start_s) or is_time(word.end_s):
            blocks.append([])
        blocks[-1].append(word)

    def start_s(block: list[Word]) -> float:
        first = block[0]
        return max(0.0, first.start_s if is_time(first.start_s) else first.end_s - 0.3)  # type: ignore[type-var,operator]

    timed = sorted(blocks[1:], key=start_s)
    return [word.text for block in [blocks[0], *timed] for word in block]


@given(numbered(timed_words), full_turns, exclusive_turns)
def test_no_word_is_lost_added_changed_or_moved(said: list[Word], full: list[Turn], exclusive: list[Turn]) -> None:
    channel_of = {word.text: word.channel for word in said}
    confidence_of = {word.text: word.confidence for word in said}
    merged = flat(merge(said, full, exclusive))
    for channel in (None, 0, 1):
        own = [word for word in said if word.channel == channel]
        assert [word.text for word in merged if channel_of[word.text] == channel] == in_spoken_order(own)
    assert len(merged) == len(said)
    assert all(word.confidence == confidence_of[word.text] for word in merged)


@given(numbered(st.just(Word("so"))), full_turns)
def test_words_without_any_times_keep_their_order(said: list[Word], full: list[Turn]) -> None:
    assert [word.text for word in flat(merge(said, full))] == [word.text for word in said]


@given(numbered(timed_words), full_turns, exclusive_turns)
def test_every_value_is_within_its_bounds(said: list[Word], full: list[Turn], exclusive: list[Turn]) -> None:
    utterances = merge(said, full, exclusive)
    known = {turn.speaker for turn in full} | {word.speaker for word in said} | {UNKNOWN_SPEAKER}
    for word in flat(utterances):
        assert 0 <= word.start_s <= word.end_s < math.inf
        assert 0 <= word.share <= 1
        assert word.speaker in known
        assert word.speaker not in word.alternatives
        assert set(word.alternatives) <= known
    assert [u.start_s for u in utterances] == sorted(u.start_s for u in utterances)
    for utterance in utterances:
        assert {word.speaker for word in utterance.words} == {utterance.speaker}
        starts = [word.start_s for word in utterance.words]
        assert starts == sorted(starts)


@given(numbered(timed_words), full_turns, exclusive_turns)
def test_order_and_repetition_of_turns_change_nothing(
    said: list[Word], full: list[Turn], exclusive: list[Turn]
) -> None:
    assert merge(said, full[::-1] + full, exclusive[::-1] + exclusive) == merge(said, full, exclusive)


@given(numbered(timed_words), full_turns, exclusive_turns)
def test_no_word_of_a_channel_ends_after_the_next_one_starts(
    said: list[Word], full: list[Turn], exclusive: list[Turn]
) -> None:
    spoken_by = {word.text: word for word in said}
    merged = flat(merge(said, full, exclusive))
    for channel in (None, 0, 1):
        own = [word for word in merged if spoken_by[word.text].channel == channel]
        for at, word in enumerate(own):
            known = spoken_by[word.text].speaker
            later = [w for w in own[at + 1 :] if None in (known, spoken_by[w.text].speaker) or w.speaker == known]
            assert all(word.end_s <= other.start_s for other in later[:1])


@given(numbered(timed_words), full_turns, exclusive_turns)
def test_a_word_whose_speaker_was_given_keeps_it(said: list[Word], full: list[Turn], exclusive: list[Turn]) -> None:
    known = {word.text: word.speaker for word in said if word.speaker}
    merged = {word.text: (word.speaker, word.method) for word in flat(merge(said, full, exclusive))}
    assert all(merged[text] == (speaker, "given") for text, speaker in known.items())


@given(st.lists(any_text, max_size=9), full_turns)
def test_words_of_any_text_are_kept_as_they_are(texts: list[str], full: list[Turn]) -> None:
    assert [word.text for word in flat(merge([Word(text) for text in texts], full))] == texts


@given(numbered(timed_words), full_turns, st.lists(st.builds(Turn, wild_times_s, wild_times_s, st.just(C))))
def test_turns_without_length_or_sense_change_nothing(said: list[Word], full: list[Turn], more: list[Turn]) -> None:
    senseless = [turn for turn in more if not (turn.start_s < turn.end_s and is_time(turn.end_s - turn.start_s))]
    assert merge(said, [*full, *senseless], senseless) == merge(said, full)


@given(numbered(timed_words))
def test_without_turns_every_speaker_is_the_given_one_or_unknown(said: list[Word]) -> None:
    anonymous = [evolve(word, speaker=None) for word in said]
    assert {(w.speaker, w.method, w.share) for w in flat(merge(anonymous, []))} <= {(UNKNOWN_SPEAKER, "none", 0.0)}


def test_thousands_of_words_at_one_time_keep_their_order_and_take_no_time() -> None:
    said = [Word(str(i), 5.0, 5.2) for i in range(5000)]
    merged = flat(merge(said, [Turn(0, 9, A), Turn(0, 9, B)] * 50))
    assert [word.text for word in merged] == [word.text for word in said]
    assert {(word.start_s, word.end_s) for word in merged[:-1]} == {(5.0, 5.0)}
    assert merged[-1].end_s == 5.2


def test_no_words_give_no_utterances() -> None:
    assert merge([], [Turn(0, 1, A)]) == ()


def test_the_speaker_who_covers_most_of_a_word_gets_it() -> None:
    [word] = flat(merge([Word("so", 1.0, 2.0)], [Turn(0, 1.4, A), Turn(1.4, 3, B)]))
    assert (word.speaker, word.method, word.alternatives) == (B, "overlap", (A,))
    assert word.share == pytest.approx(0.6)
    assert not word.overlapped


def test_cover_is_summed_over_a_speakers_turns() -> None:
    full = [Turn(1.0, 1.3, A), Turn(1.3, 1.7, B), Turn(1.7, 2.0, A)]
    assert who(merge([Word("so", 1.0, 2.0)], full)) == "0"


def test_a_turn_within_another_of_the_same_speaker_shortens_nothing() -> None:
    [word] = flat(merge([Word("so", 5, 5.4)], [Turn(0, 9, A), Turn(1, 2, A), Turn(5, 5.1, B)]))
    assert (word.speaker, word.share) == (A, 1.0)


def test_exclusive_turns_decide_between_level_speakers() -> None:
    full = [Turn(0, 2, A), Turn(1, 3, B)]
    [first, second] = flat(merge(spoken("no yes", 1.0), full, [Turn(0, 1, A), Turn(1, 3, B)]))
    assert (first.speaker, first.method, first.overlapped) == (B, "exclusive", True)
    assert second.speaker == B


def test_exclusive_turns_decide_while_two_speak_at_once() -> None:
    full = [Turn(0, 10, A), Turn(4, 4.5, B)]
    merged = merge([Word("yes", 3.9, 4.5)], full, [Turn(0, 4, A), Turn(4, 4.5, B), Turn(4.5, 10, A)])
    assert (who(merged), how(merged)) == ("1", ["exclusive"])
    assert who(merge([Word("yes", 3.9, 4.5)], full)) == "0"


def test_an_exclusive_speaker_who_is_not_heard_decides_nothing() -> None:
    full = [Turn(0, 2, A), Turn(0, 2, B)]
    assert who(merge([Word("so", 0.5, 1)], full, [Turn(0, 2, C)])) == "0"


def test_between_level_speakers_the_previous_one_goes_on() -> None:
    full = [Turn(0, 1, B), Turn(1, 2, A), Turn(1, 2, B)]
    merged = merge([Word("and", 0.5, 0.9), Word("so", 1.2, 1.6)], full)
    assert (who(merged), how(merged)) == ("11", ["overlap", "previous"])


def test_between_level_speakers_whoever_began_to_speak_earlier_goes_on() -> None:
    full = [Turn(0, 3, B), Turn(2, 5, A)]
    merged = merge(spoken("so then we go", 1.9, 0.5), full)
    assert (who(merged), how(merged)) == ("1100", ["overlap", "previous", "overlap", "overlap"])
    assert who(merge([Word("so", 2.2, 2.6)], [Turn(0, 1, B), Turn(1, 3, B), Turn(0.5, 3, A)])) == "1"


def test_an_unknown_word_does_not_end_who_speaks() -> None:
    full = [Turn(0, 1, B), Turn(10, 12, A), Turn(10, 12, B)]
    said = [Word("and", 0.1, 0.5), Word("er", 5.0, 5.2), Word("so", 10.2, 10.6)]
    assert who(merge(said, full)) == "111"


def test_a_turn_without_length_claims_nothing() -> None:
    assert who(merge([Word("so", 2.5, 2.7)], [Turn(0, 2, A), Turn(2.4, 2.4, B)])) == "0"


def test_a_word_outside_all_turns_goes_to_the_nearest_edge_within_a_second() -> None:
    full = [Turn(0, 2, A), Turn(5, 6, B)]
    merged = merge([Word("a", 2.5, 2.7), Word("b", 3.5, 3.7), Word("c", 4.6, 4.8)], full)
    assert who(merged) == "0N1"
    assert how(merged) == ["edge", "none", "edge"]
    assert who(merge([Word("z", 7.0, 7.1)], full)) == "1"
    assert who(merge([Word("z", 7.1, 7.2)], full)) == "N"


def test_a_word_without_length_is_found_in_its_turn() -> None:
    [word] = flat(merge([Word("so", 1.0, 1.0)], [Turn(0, 2, A), Turn(1, 1.5, B), Turn(2, 3, C)], []))
    assert word.speaker == A
    assert (word.share, word.overlapped, word.alternatives) == (1.0, True, (B,))


@pytest.mark.parametrize("text", ["We are glad to see you.", "We are glad to see you!»", "我 们 很 高 兴 。"])
def test_two_words_at_the_edge_of_a_sentence_follow_its_majority(text: str) -> None:
    said = spoken(text)
    count = len(said)
    head, tail = Turn(0, 0.8, A), Turn(0.8, 9, B)
    assert who(merge(said, [head, tail])) == "1" * count
    assert how(merge(said, [head, tail]))[:3] == ["realigned", "realigned", "overlap"]
    border = (count - 2) * 0.4
    assert who(merge(said, [Turn(0, border, B), Turn(border, 9, A)])) == "1" * count


def test_three_words_at_the_edge_of_a_sentence_stay() -> None:
    said = spoken("I know that we are glad to see you.")
    assert who(merge(said, [Turn(0, 1.2, A), Turn(1.2, 9, B)])) == "000111111"


def test_a_short_turn_between_two_sentences_of_another_speaker_is_left_to_whom_it_belongs() -> None:
    said = spoken("I went home. Yes and then I slept.")
    assert who(merge(said, [Turn(0, 1.2, A), Turn(1.2, 1.6, B), Turn(1.6, 9, A)])) == "00010000"
    assert who(merge(said, [Turn(0, 1.6, B), Turn(1.6, 9, A)])) == "11100000"


def test_a_given_speaker_stands_against_the_rest_of_the_sentence() -> None:
    said = spoken("We are glad to see you.")
    said[0] = evolve(said[0], speaker=A)
    assert who(merge(said, [Turn(0, 9, B)])) == "011111"


def test_words_of_two_given_speakers_may_overlap_and_those_of_one_may_not() -> None:
    said = [Word("so", 0, 0.9, speaker=A), Word("yes", 0.5, 0.8, speaker=B), Word("then", 0.7, 1, speaker=A)]
    times = {word.text: (word.start_s, word.end_s) for word in flat(merge(said, []))}
    assert times == {"so": (0, 0.7), "yes": (0.5, 0.8), "then": (0.7, 1)}
    one = [evolve(said[1], speaker=None) if word is said[1] else word for word in said]
    assert [word.end_s for word in flat(merge(one, []))] == [0.5, 0.7, 1]


def test_half_a_sentence_is_no_majority() -> None:
    assert who(merge(spoken("Are you? Yes I am."), [Turn(0, 0.4, A), Turn(0.4, 9, B)])) == "01111"
    assert who(merge(spoken("I am."), [Turn(0, 0.4, A), Turn(0.4, 9, B)])) == "01"


def test_without_sentence_marks_nothing_is_realigned() -> None:
    said = spoken("we are glad to see you")
    assert who(merge(said, [Turn(0, 0.8, A), Turn(0.8, 9, B)])) == "001111"


def test_words_before_a_pause_belong_to_no_later_sentence() -> None:
    said = spoken("well then") + spoken("we are glad to go.", 4)
    assert who(merge(said, [Turn(0, 1, A), Turn(4, 9, B)])) == "0011111"


def test_a_stretch_too_long_for_a_sentence_is_not_realigned() -> None:
    said = spoken("so then " + "la " * 60 + "la.")
    assert who(merge(said, [Turn(0, 0.8, A), Turn(0.8, 99, B)])) == "00" + "1" * 61


def test_known_words_never_follow_an_unknown_majority() -> None:
    said = [Word("Yes", 0, 1.2), Word("we", 1.6, 1.8), Word("are", 1.9, 2.0), Word("glad.", 2.1, 2.3)]
    assert who(merge(said, [Turn(0, 0.4, A)])) == "0NNN"


def test_a_title_or_an_initial_ends_no_sentence() -> None:
    assert not any(map(ends_sentence, ["Mr.", "dr.", "J.", "well,", "", "."[:0]]))
    assert all(map(ends_sentence, ["I.", "him.", "what?”", "了。", "है।", "؟", "end.)"]))


def test_a_small_unknown_island_joins_the_speaker_around_it() -> None:
    full = [Turn(0, 1, A), Turn(8, 9, A)]
    near = spoken("so then", 0.1) + spoken("one two three", 4.0) + spoken("and on", 8.1)
    assert (who(merge(near, full)), how(merge(near, full))[2:5]) == ("0000000", ["island"] * 3)
    far = spoken("so then", 0.1) + spoken("one two three four", 4.0) + spoken("and on", 8.1)
    assert who(merge(far, full)) == "00NNNN00"
    assert who(merge(near, [Turn(0, 1, A), Turn(8, 9, B)])) == "00NNN11"


def test_missing_times_are_filled_in_from_the_neighbours() -> None:
    said = [Word("a"), Word("b", 1.0, 1.2), Word("c"), Word("d"), Word("e", 1.8, 2.0), Word("f")]
    times = [(round(w.start_s, 3), round(w.end_s, 3)) for w in flat(merge(said, []))]
    assert times == [(0.7, 1.0), (1.0, 1.2), (1.2, 1.5), (1.5, 1.8), (1.8, 2.0), (2.0, 2.3)]


def test_words_without_any_times_are_spread_along_the_turns() -> None:
    merged = merge([Word(text) for text in "abcd"], [Turn(10, 12, A), Turn(12, 14, B)])
    assert who(merged) == "0011"


def test_half_known_times_are_completed() -> None:
    said = [Word("a", 1.0, None), Word("b", 1.2, None), Word("c", None, 2.0), Word("d", 5.0, 4.0)]
    times = [(round(w.start_s, 3), round(w.end_s, 3)) for w in flat(merge(said, []))]
    assert times == [(1.0, 1.2), (1.2, 1.5), (1.7, 2.0), (5.0, 5.0)]


def test_a_word_stretched_over_a_pause_is_cut_on_the_side_of_the_pause() -> None:
    said = [Word("Stop.", 0.0, 0.4), Word("So", 0.4, 9.0), Word("we", 9.0, 20.0), Word("go", 20.0, 20.2)]
    times = [(word.start_s, word.end_s) for word in flat(merge(said, []))]
    assert times == [(0.0, 0.4), (8.0, 9.0), (9.0, 10.0), (20.0, 20.2)]


def test_utterances_break_on_speaker_pause_and_sentence_end() -> None:
    said = spoken("Hello there. How are you", 0) + spoken("today then", 4) + spoken("fine", 4.8)
    full = [Turn(0, 4.8, A), Turn(4.8, 9, B)]
    assert [u.text for u in merge(said, full)] == ["Hello there.", "How are you", "today then", "fine"]


def test_unpunctuated_speech_breaks_after_half_a_minute() -> None:
    utterances = merge(spoken("la " * 300), [Turn(0, 200, A)])
    assert len(utterances) > 3
    assert max(u.end_s - u.start_s for u in utterances) <= 30


def test_channels_are_merged_apart_and_ordered_by_utterance() -> None:
    left = spoken("I think that we should go.", 0.0, channel=0)
    right = spoken("Yes yes. Certainly.", 0.5, channel=1)
    full = [Turn(0, 3, A, 0), Turn(0.4, 3, B, 1)]
    interleaved = sorted([*left, *right], key=lambda word: word.start_s or 0)
    merged = merge(interleaved, full)
    assert [u.text for u in merged] == ["I think that we should go.", "Yes yes.", "Certainly."]
    assert set(how(merged)) == {"channel"}
    assert [word.overlapped for word in merged[1].words] == [True, True]


def test_the_only_speaker_of_a_channel_gets_all_its_words() -> None:
    merged = merge([Word("so", 50, 51, channel=0)], [Turn(0, 1, A, 0), Turn(49, 52, B, 1)])
    [word] = flat(merged)
    assert (word.speaker, word.method, word.share, word.alternatives) == (A, "channel", 0.0, ())


def test_several_speakers_of_a_channel_are_told_apart_by_their_turns() -> None:
    full = [Turn(0, 1, A, 0), Turn(1, 2, B, 0), Turn(0, 2, C, 1)]
    said = [Word("so", 0.2, 0.6, channel=0), Word("no", 1.2, 1.6, channel=0)]
    assert (who(merge(said, full)), how(merge(said, full))) == ("01", ["overlap", "overlap"])


def test_a_channel_without_turns_takes_those_of_the_mix_and_never_another_channels() -> None:
    said = [Word("so", 0.2, 0.6, channel=1)]
    assert who(merge(said, [Turn(0, 1, A, 0), Turn(0, 1, B)])) == "1"
    assert who(merge(said, [Turn(0, 1, A, 0)])) == "N"


def test_a_word_of_the_mix_is_matched_with_channels_if_there_is_nothing_else() -> None:
    assert who(merge([Word("so", 1.2, 1.6)], [Turn(0, 1, A, 0), Turn(1, 2, B, 1)])) == "1"


def test_utterances_of_a_channel_stay_in_order() -> None:
    merged = merge(spoken("a. b. c. d. e.", 0, 0.3), [Turn(0, 0.7, A), Turn(0.7, 3, B)])
    assert all(earlier.start_s <= later.start_s for earlier, later in pairwise(merged))
