from __future__ import annotations

import re
from collections import Counter
from itertools import chain, pairwise

import pytest
from hypothesis import given

from pipeline.formats.srt import render
from pipeline.speech.transcript import Transcript
from tests.support.strategies import any_text, spaced_text, speakers, transcript_of, transcripts, utterance_of

BLOCK = re.compile(
    r"(?P<number>\d+)\n"
    r"(\d{2,}):([0-5]\d):([0-5]\d),(\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d),(\d{3})\n"
    r"(?P<text>.+(\n.+)?)\n"
)


def milliseconds(hours: str, minutes: str, seconds: str, thousandths: str) -> int:
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(thousandths)


def parsed(srt: str) -> list[tuple[int, int, str, list[str]]]:
    """Return (start, end, speaker, lines without the speaker) of each cue; fail on anything else."""
    cues = []
    for number, block in enumerate(srt.split("\n\n") if srt != "\n" else [], start=1):
        found = BLOCK.fullmatch(block.rstrip("\n") + "\n")
        assert found, block
        assert int(found["number"]) == number
        speaker, colon, first = found["text"].partition(": ")
        assert colon
        cues.append(
            (
                milliseconds(*found.groups()[1:5]),
                milliseconds(*found.groups()[5:9]),
                speaker,
                first.split("\n"),
            )
        )
    return cues


@given(transcripts(spaced_text))
def test_no_word_is_lost_or_split(transcript: Transcript) -> None:
    shown = [(cue[2], word) for cue in parsed(render(transcript)) for word in " ".join(cue[3]).split(" ")]
    spoken = [(u.speaker, word.text) for u in transcript.utterances for word in u.words]
    assert Counter(shown) == Counter(spoken)


@given(transcripts(spaced_text))
def test_words_of_an_utterance_stay_in_order(transcript: Transcript) -> None:
    for utterance in transcript.utterances:
        cues = parsed(render(transcript_of(utterance)))
        shown = " ".join(chain.from_iterable(cue[3] for cue in cues))
        assert shown == utterance.text


@given(transcripts(any_text, speakers))
def test_cues_are_in_order_apart_and_of_sensible_length(transcript: Transcript) -> None:
    cues = parsed(render(transcript))
    for (start, end, _, _), (next_start, _, _, _) in pairwise(cues):
        assert start < end <= next_start - 83
    for start, end, _, _ in cues:
        assert 499 <= end - start <= 7001


@given(transcripts(spaced_text))
def test_a_line_is_longer_than_42_characters_only_for_a_single_word(transcript: Transcript) -> None:
    for _, _, speaker, lines in parsed(render(transcript)):
        assert len(lines) <= 2
        assert all(len(line) <= 42 or " " not in line for line in lines)
        assert len(lines[0]) + len(speaker) + 2 <= 42 or " " not in lines[0]


@pytest.mark.parametrize(
    ("start_s", "clock"),
    [
        (0.0, "00:00:00,000"),
        (3661.2346, "01:01:01,235"),
        (90_000.5, "25:00:00,500"),
        (360_000, "100:00:00,000"),
    ],
)
def test_hours_grow_past_a_day_and_past_two_digits(start_s: float, clock: str) -> None:
    assert render(transcript_of(utterance_of("A", "so", start_s))).startswith(f"1\n{clock} --> ")


def test_a_transcript_without_speech_is_one_empty_line() -> None:
    assert render(transcript_of()) == "\n"
    assert render(transcript_of(utterance_of("A", "\u202e \x00"))) == "\n"


def test_a_short_cue_is_shown_for_five_sixths_of_a_second_where_there_is_room() -> None:
    alone = render(transcript_of(utterance_of("A", "so", 1, 0.2), utterance_of("B", "no", 5, 0.2)))
    assert [cue[:2] for cue in parsed(alone)] == [(1000, 1833), (5000, 5833)]
    crowded = render(transcript_of(utterance_of("A", "so", 1, 0.2), utterance_of("B", "no", 1.7, 0.2)))
    assert [cue[:2] for cue in parsed(crowded)] == [(1000, 1617), (1700, 2533)]
    at_once = render(transcript_of(utterance_of("A", "so", 1, 0.2), utterance_of("B", "no", 1, 0.2)))
    assert [cue[:2] for cue in parsed(at_once)] == [(1000, 1500), (1583, 2417)]


def test_a_long_sentence_is_cut_after_a_clause_near_its_middle() -> None:
    halves = ["And so my friends, ask not what your country can do,", "ask what you can do for your country."]
    srt = render(transcript_of(utterance_of("SPEAKER_00", " ".join(halves), 0, 0.4)))
    assert [" ".join(lines) for *_, lines in parsed(srt)] == halves


def test_slow_speech_is_cut_by_time() -> None:
    srt = render(transcript_of(utterance_of("A", "so slow is it all here", 0, 2)))
    assert [cue[:2] for cue in parsed(srt)] == [(0, 5917), (6000, 12000)]


def test_words_with_hyphens_stay_whole() -> None:
    text = " ".join(["ab-cd-ef-gh-ij-kl"] * 9)
    srt = render(transcript_of(utterance_of("A", text)))
    assert {word for *_, lines in parsed(srt) for line in lines for word in line.split()} == {"ab-cd-ef-gh-ij-kl"}


def test_an_arrow_in_a_word_is_no_line_of_times() -> None:
    srt = render(transcript_of(utterance_of("A", "00:00:01,000 ---> 00:00:02,000")))
    assert srt.count("-->") == 1


@pytest.mark.parametrize("text", ["Съешь ещё этих мягких булок", "今日はいい天気です", "مرحبا بالعالم من هنا"])
def test_letters_of_every_script_arrive(text: str) -> None:
    assert [" ".join(lines) for *_, lines in parsed(render(transcript_of(utterance_of("A", text))))] == [text]


def test_what_a_player_would_hide_is_shown_with_full_width_marks() -> None:
    srt = render(transcript_of(utterance_of("<i>A", "a <b> {\\an8}c a<5 {d} \\N \\o")))
    assert srt.endswith("\n＜i>A: a ＜b> ｛\\an8}c a<5 ｛d} ＼N \\o\n")
