from __future__ import annotations

import re

from hypothesis import given

from pipeline.formats.txt import render
from pipeline.speech.transcript import DRAFT_NOTE, Transcript
from pipeline.speech.values import Gap
from tests.support.documents import SAID, squeezed, visible
from tests.support.strategies import any_text, transcript_of, transcripts, utterance_of

PARAGRAPH = re.compile(r"\[\d{2,}:[0-5]\d:[0-5]\d\] (?P<speaker>[^:]*): (?P<text>.+)")


@given(transcripts())
def test_every_word_is_there_in_the_order_of_the_utterances(transcript: Transcript) -> None:
    paragraphs = render(transcript).removesuffix("\n").split("\n\n")[len(transcript.notes) :]
    shown = squeezed("".join(PARAGRAPH.sub(r"\g<text>", one) for one in paragraphs))
    assert shown == (visible(transcript) or "(nospeechfound)")


@given(transcripts(any_text, any_text))
def test_text_of_any_kind_stays_in_its_paragraph(transcript: Transcript) -> None:
    notes = len(transcript.notes)
    paragraphs = render(transcript).removesuffix("\n").split("\n\n")[notes:]
    assert all(re.match(r"\[\d{2,}:[0-5]\d:[0-5]\d\] ", one) or one == "(no speech found)" for one in paragraphs)
    assert all("\n" not in one for one in paragraphs)


def test_consecutive_utterances_of_a_speaker_are_one_paragraph() -> None:
    transcript = transcript_of(
        utterance_of("SPEAKER_00", "Hello there.", 1.9),
        utterance_of("SPEAKER_00", "How are you?", 3.0),
        utterance_of("SPEAKER_01", "Fine.", 5.0),
        utterance_of("SPEAKER_01", "And you?", 8.0),
    )
    assert render(transcript) == (
        "[00:00:01] SPEAKER_00: Hello there. How are you?\n\n"
        "[00:00:05] SPEAKER_01: Fine.\n\n"
        "[00:00:08] SPEAKER_01: And you?\n"
    )


def test_a_gap_is_a_paragraph_of_its_own_where_it_is() -> None:
    transcript = transcript_of(
        utterance_of("A", "before", 1.0), utterance_of("A", "after", 2.5), gaps=(Gap(720, 1078), Gap(1.5, 2.4))
    )
    assert render(transcript).partition("\n\n")[2] == (
        "[00:00:01] A: before\n\n[inaudible 00:01–00:02]\n\n[00:00:02] A: after\n\n[inaudible 12:00–17:58]\n"
    )
    assert render(transcript_of(gaps=(Gap(0, 9),))).endswith("\n\n[inaudible 00:00–00:09]\n")


def test_utterances_are_joined_as_their_script_is_written() -> None:
    assert render(SAID["chinese"]).endswith("王: 你好，世界。再见\n")


def test_a_monologue_has_a_paragraph_a_minute() -> None:
    said = [utterance_of("A", "on and on.", start_s, 0.6) for start_s in range(0, 300, 2)]
    times = re.findall(r"^\[(.*?)\]", render(transcript_of(*said)), flags=re.MULTILINE)
    assert times == ["00:00:00", "00:01:00", "00:02:00", "00:03:00", "00:04:00"]


def test_a_transcript_without_speech_says_so() -> None:
    assert render(transcript_of()) == "(no speech found)\n"
    assert render(transcript_of(utterance_of("A", "\x00"))) == "(no speech found)\n"
    assert render(transcript_of(draft=True)) == f"{DRAFT_NOTE}\n\n(no speech found)\n"


def test_hours_grow_past_two_digits() -> None:
    assert render(transcript_of(utterance_of("A", "so", 360_061.9))) == "[100:01:01] A: so\n"
