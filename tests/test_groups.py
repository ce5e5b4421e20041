"""Parts for a transcriber that times nothing: one speaker each, none lost, none twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.speech.cuts import RATE
from pipeline.speech.groups import SHORTEST, UNCOVERED, find_groups, spread
from pipeline.speech.values import Turn

TOTAL_S = 60
times = st.integers(0, TOTAL_S * 100).map(lambda hundredths: hundredths / 100)
turns = st.builds(
    lambda a, b, who: Turn(min(a, b), max(a, b), f"SPEAKER_{who:02d}"), times, times, st.integers(0, 2)
)


def in_the_middle(start: int, end: int) -> int:
    return (start + end) // 2


def groups_of(
    found: list[Turn], speech: list[tuple[int, int]] | None = None, longest_s: float = 10.0, quietest=in_the_middle
):
    return find_groups(
        TOTAL_S * RATE,
        found,
        [],
        speech=speech or [],
        silences=[],
        longest_s=longest_s,
        quietest=quietest,
    )


@given(st.lists(turns, max_size=12), st.sampled_from([2.0, 10.0, 100.0]))
def test_parts_are_in_order_within_the_recording_and_none_is_sent_twice(found, longest_s):
    groups = groups_of(found, longest_s=longest_s)
    edges = [edge for group in groups for edge in (group.start, group.end)]
    assert edges == sorted(edges)
    assert all(0 <= group.start < group.end <= TOTAL_S * RATE for group in groups)
    assert all(group.end - group.start <= longest_s * RATE for group in groups)


@given(st.lists(turns, max_size=12))
def test_whatever_a_turn_covers_is_in_some_part(found):
    groups = groups_of(found)
    for turn in found:
        for at in range(round(turn.start_s * RATE), min(TOTAL_S * RATE, round(turn.end_s * RATE)), RATE // 20):
            assert any(group.start <= at < group.end for group in groups)


@given(st.lists(turns, max_size=12), st.sampled_from([2.0, 1000.0]))
def test_no_part_is_shorter_than_half_a_second_unless_it_is_the_only_one(found, longest_s):
    groups = groups_of(found, longest_s=longest_s, quietest=lambda start, end: end)
    assert len(groups) == 1 or all(group.end - group.start >= SHORTEST for group in groups)


@given(st.lists(turns, min_size=1, max_size=12))
def test_a_part_is_of_somebody_who_speaks_in_it(found):
    for group in groups_of(found):
        speaking = {t.speaker for t in found if t.start_s * RATE < group.end and t.end_s * RATE > group.start}
        assert group.speaker in speaking


@given(st.lists(turns, min_size=1, max_size=8))
def test_a_turn_of_half_a_second_that_nobody_interrupts_is_its_speakers(found):
    groups = groups_of(found)
    for turn in found:
        start, end = round(turn.start_s * RATE), round(turn.end_s * RATE)
        others = [other for other in found if other is not turn]
        if end - start >= SHORTEST and not any(o.start_s < turn.end_s and turn.start_s < o.end_s for o in others):
            inside = {group.speaker for group in groups if group.start < end and start < group.end}
            assert inside == {turn.speaker}


def test_speech_outside_all_turns_is_a_part_of_nobody():
    speech = [(0, 5 * RATE), (20 * RATE, 20 * RATE + UNCOVERED - 1)]
    groups = groups_of([Turn(2.0, 3.0, "SPEAKER_00")], speech)
    assert [(g.start / RATE, g.end / RATE, g.speaker) for g in groups] == [
        (0.0, 2.0, None),
        (2.0, 3.0, "SPEAKER_00"),
        (3.0, 5.0, None),
    ]


def test_turns_of_one_speaker_are_one_part_across_a_pause_and_not_across_another_speaker():
    a, b, c = Turn(0.0, 2.0, "A"), Turn(3.0, 5.0, "A"), Turn(8.0, 9.0, "A")
    assert [(g.start, g.end) for g in groups_of([a, b, c])] == [(0, 5 * RATE), (8 * RATE, 9 * RATE)]
    assert len(groups_of([a, Turn(2.0, 3.0, "B"), b])) == 3


@given(st.lists(st.text(min_size=1, max_size=12), max_size=20), times, times)
def test_words_are_spread_in_their_order_within_their_part(words, first, second):
    start_s, end_s = min(first, second), max(first, second)
    spans = spread(words, start_s, end_s)
    assert len(spans) == len(words)
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges)
    assert all(start_s - 0.001 <= edge <= end_s + 0.001 for edge in edges)


def test_a_word_far_from_all_others_is_a_part_of_its_own_and_the_pause_before_the_next_is_not_sent():
    groups = groups_of([Turn(0.0, 0.01, "SPEAKER_00"), Turn(7.26, 10.01, "SPEAKER_01")])
    assert [(g.start / RATE, g.end / RATE, g.speaker) for g in groups] == [
        (0.0, 0.5, "SPEAKER_00"),
        (7.26, 10.01, "SPEAKER_01"),
    ]
