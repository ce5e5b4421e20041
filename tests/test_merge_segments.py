"""Words that were timed by the segment only: their times are reckoned, so turns' borders divide few segments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from pipeline.providers.openai_answers import Asked, read_body, spoken
from pipeline.speech.groups import spread
from pipeline.speech.merge import merge
from pipeline.speech.values import AttributedWord, Turn, Word
from tests.support.paid import Paid
from tests.support.service import status
from tests.support.shop import write_script
from tests.support.strategies import numbered, timed_words, wild_turns

A, B, C = "SPEAKER_00", "SPEAKER_01", "SPEAKER_02"


def segment(text: str, start_s: float, end_s: float) -> list[Word]:
    words = text.split()
    times = spread(words, start_s, end_s)
    return [Word(word, a, b, segment=(start_s, end_s)) for word, (a, b) in zip(words, times, strict=True)]


def merged(said: Sequence[Word], *turns: Turn) -> list[AttributedWord]:
    return [word for utterance in merge(said, turns) for word in utterance.words]


def who(said: Sequence[Word], *turns: Turn) -> str:
    return "".join(word.speaker[-1] for word in merged(said, *turns))


def test_a_segment_is_divided_at_a_turns_border_with_a_second_and_two_words_on_either_side():
    said = segment("we go now and you stay", 0, 6)
    assert who(said, Turn(0, 3, A), Turn(3, 6, B)) == "000111"
    assert {word.method for word in merged(said, Turn(0, 3, A), Turn(3, 6, B))} == {"segment"}


@pytest.mark.parametrize("border", [0.8, 5.3])
def test_a_side_of_less_than_a_second_goes_to_the_segments_majority(border: float):
    said = segment("a b c d e f g h i j k l", 0, 6)
    majority = "1" if border < 3 else "0"
    assert who(said, Turn(0, border, A), Turn(border, 6, B)) == majority * 12
    divided = [evolve(word, segment=None) for word in said]
    assert set(who(divided, Turn(0, border, A), Turn(border, 6, B))) == {"0", "1"}


def test_a_side_of_a_single_word_goes_to_the_segments_majority():
    assert who(segment("Wednesday we go", 0, 3), Turn(0, 1.8, A), Turn(1.8, 3, B)) == "000"
    assert who(segment("no Wednesday", 0, 3), Turn(0, 1, A), Turn(1, 3, B)) == "11"


def test_a_segment_shorter_than_two_seconds_is_never_divided():
    assert who(segment("we go now and you", 0, 1.9), Turn(0, 0.8, A), Turn(0.8, 2, B)) == "11111"


def test_a_short_turn_within_a_segment_takes_nothing_from_the_one_around_it():
    said = segment("a b c d e f g h i j k l", 0, 12)
    assert who(said, Turn(0, 6, A), Turn(6, 6.9, B), Turn(6.9, 12, A)) == "0" * 12


def test_what_is_too_short_between_two_speakers_goes_to_the_longer_side():
    said = segment("a b c d e f g h i j k l", 0, 12)
    assert who(said, Turn(0, 4, A), Turn(4, 4.9, B), Turn(4.9, 12, C)) == "0000" + "2" * 8


def test_words_of_one_segment_whose_speaker_was_given_are_no_part_of_the_division():
    said = segment("we go now and you stay", 0, 6)
    said[2] = evolve(said[2], speaker=C)
    assert who(said, Turn(0, 3, A), Turn(3, 6, B)) == "002111"


def test_a_segment_outside_all_turns_stays_unknown():
    words = merged(segment("we go now", 50, 53), Turn(0, 3, A))
    assert {(word.speaker, word.method) for word in words} == {("UNKNOWN", "none")}


def test_two_segments_that_overlap_a_little_are_divided_each_by_itself():
    said = [*segment("we go now", 0, 3.2), *segment("you stay here", 3.0, 6)]
    assert who(sorted(said, key=lambda word: word.start_s or 0), Turn(0, 3.1, A), Turn(3.1, 6, B)) == "000111"


@given(numbered(timed_words), st.lists(wild_turns, max_size=6))
def test_no_part_of_a_segment_is_short_unless_a_sentence_or_a_given_word_says_so(said, turns):
    plain = [evolve(w, speaker=None, channel=None, text=w.text.rstrip(".?…\"'")) for w in said]
    segment_of = {word.text: word.segment for word in plain}
    by_segment: dict[object, list[AttributedWord]] = {}
    for word in merged(plain, *(evolve(turn, channel=None) for turn in turns)):
        if segment_of[word.text]:
            by_segment.setdefault(segment_of[word.text], []).append(word)
    for words in by_segment.values():
        speakers = [word.speaker for word in words if word.method != "island"]
        starts = [0, *(i for i in range(1, len(speakers)) if speakers[i] != speakers[i - 1]), len(speakers)]
        if len(starts) > 2:
            assert all(b - a >= 2 for a, b in pairwise(starts))


def test_an_answer_of_segments_only_says_that_its_times_are_reckoned():
    body = {"text": "One, two.", "segments": [{"start": 0.5, "end": 2.5, "text": " One, two."}]}
    heard = read_body(orjson.dumps(body).decode(), Asked("verbose_json", 4.0))
    assert [word["segment"] for word in spoken(heard)] == [[0.5, 2.5]] * 2
    timed = {**body, "words": [{"word": "One", "start": 0.5, "end": 1}, {"word": "two", "start": 1, "end": 2}]}
    heard = read_body(orjson.dumps(timed).decode(), Asked("verbose_json", 4.0))
    assert ["segment" in word for word in spoken(heard)] == [False, False]


def test_segments_of_a_server_reach_the_merge_on_the_recordings_clock(tmp_path: Path):
    text = "this is what we would like to say"
    body = {"text": text, "language": "english", "segments": [{"start": 0.0, "end": 3.0, "text": text}]}
    script = write_script(tmp_path / "script.toml", words=[])
    with Paid(tmp_path, seconds=8.0) as paid:
        paid.openai.faults.script(status(200, body))
        shop = paid.shop()
        paid.run(shop, {"diarizer": f"script:{script}", "transcriber": "openai", "model": "whisper-1"})
    (words_file,) = tmp_path.glob("home/artifacts/*/*/transcription/*/words.json")
    (merged_file,) = tmp_path.glob("home/artifacts/*/*/merge/*/transcript.json")
    segments = [word["segment"] for word in orjson.loads(words_file.read_bytes())["words"]]
    assert segments[0] == [0.0, 3.0]
    assert segments[-1][0] > 3.0
    assert segments[-1][1] == pytest.approx(segments[-1][0] + 3.0)
    found = [word for u in orjson.loads(merged_file.read_bytes())["utterances"] for word in u["words"]]
    assert [word["text"] for word in found] == text.split() * 2
    assert {word["method"] for word in found} == {"segment"}
