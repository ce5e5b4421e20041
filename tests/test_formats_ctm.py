from __future__ import annotations

import pytest
from hypothesis import given

from pipeline.formats.ctm import render
from pipeline.speech.transcript import Transcript, one_line
from pipeline.speech.values import AttributedWord, Turn, Utterance
from tests.support.documents import SAID, hostile_transcripts
from tests.support.strategies import transcript_of, utterance_of


def read(text: str) -> list[tuple[str, str, float, float, str, float | None]]:
    """Read a CTM file as sclite does: comments begin with two semicolons, white space separates."""
    found = []
    for line in text.split("\n")[:-1]:
        assert not line.startswith(";;")
        name, channel, start, length, word, *rest = line.split()
        assert len(rest) <= 1
        found.append((name, channel, float(start), float(length), word, float(rest[0]) if rest else None))
    return found


@given(hostile_transcripts)
def test_every_word_is_a_line_in_the_order_of_the_format(transcript: Transcript) -> None:
    words = read(render(transcript))
    assert [(channel, start) for _, channel, start, *_ in words] == sorted((c, s) for _, c, s, *_ in words)
    said = [one_line(word.text).replace(" ", "_") for one in transcript.utterances for word in one.words]
    assert sorted(word for *_, word, _ in words) == sorted(word for word in said if word)
    assert len({name for name, *_ in words}) <= 1
    assert all(length >= 0 for _, _, _, length, _, _ in words)


@pytest.mark.parametrize("case", SAID)
def test_the_times_are_those_of_the_words(case: str) -> None:
    words = [word for one in SAID[case].utterances for word in one.words if one_line(word.text)]
    expected = sorted((round(w.start_s * 1000), round(w.end_s * 1000)) for w in words)
    back = sorted(
        (round(start * 1000), round((start + length) * 1000))
        for _, _, start, length, *_ in read(render(SAID[case]))
    )
    assert back == expected


def test_a_line_is_as_programs_expect_it() -> None:
    words = (
        AttributedWord("Oh, yes", 62.0004, 62.5006, "B", 1.0, "channel", 0.91449),
        AttributedWord("no", 62.5006, 62.4, "B", 1.0, "channel"),
    )
    transcript = transcript_of(
        Utterance("B", words), utterance_of("A", "so", 90_000.0), name="my talk.wav", turns=(Turn(0, 1, "B", 1),)
    )
    assert render(transcript) == (
        "my_talk 1 90000.000 0.400 so\nmy_talk 2 62.000 0.501 Oh,_yes 0.914\nmy_talk 2 62.501 0.000 no\n"
    )


def test_a_speaker_who_is_heard_on_several_channels_is_on_the_first() -> None:
    turns = (Turn(0, 1, "A", 0), Turn(0, 1, "A", 1))
    assert render(transcript_of(utterance_of("A", "so"), turns=turns)) == "talk 1 0.000 0.400 so\n"


@pytest.mark.parametrize(
    ("name", "shown"),
    [(";; talk.wav", "_talk"), (";;.wav", None), (" ", None), ("\x00", None), ("a b;;.wav", "a_b;;")],
)
def test_no_name_makes_a_line_a_comment_or_an_empty_field(name: str, shown: str | None) -> None:
    transcript = transcript_of(utterance_of("A", "so"), name=name)
    ((back, *_),) = read(render(transcript))
    assert back == (shown or transcript.id)


def test_without_words_there_are_no_lines() -> None:
    assert render(transcript_of(utterance_of("A", "\x00"))) == ""
