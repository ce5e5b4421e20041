from __future__ import annotations

import html
import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.vtt import render
from pipeline.speech.transcript import DRAFT_NOTE, Transcript
from tests.support.strategies import spaced_text, speakers, transcript_of, transcripts, utterance_of

TIMES = re.compile(r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})")
markup_text = st.text(st.sampled_from("ab<>&-;/vltgm"), min_size=1, max_size=20)


def milliseconds(hours: str, minutes: str, seconds: str, thousandths: str) -> int:
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(thousandths)


def parsed(vtt: str) -> list[tuple[int, int, str, list[str]]]:
    """Return (start, end, speaker, lines) of each cue; fail on anything that is neither cue nor note."""
    header, *blocks = vtt.removesuffix("\n").split("\n\n")
    assert header in ("WEBVTT", "WEBVTT\n")
    cues = []
    for block in blocks:
        assert block.count("-->") == (0 if block.startswith("NOTE") else 1)
        if block.startswith("NOTE "):
            continue
        times, _, payload = block.partition("\n")
        found = TIMES.fullmatch(times)
        assert found, block
        tag = re.match(r"<v ([^<>\n]+)>", payload)
        assert tag, block
        text = payload[tag.end() :]
        assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", text)
        lines = [html.unescape(line) for line in text.split("\n")]
        start, end = milliseconds(*found.groups()[:4]), milliseconds(*found.groups()[4:])
        cues.append((start, end, html.unescape(tag[1]), lines))
    return cues


@given(transcripts(spaced_text))
def test_no_word_is_lost_or_split(transcript: Transcript) -> None:
    shown = [(cue[2], word) for cue in parsed(render(transcript)) for word in " ".join(cue[3]).split(" ")]
    spoken = [(u.speaker, word.text) for u in transcript.utterances for word in u.words]
    assert Counter(shown) == Counter(spoken)


@given(transcripts(markup_text, speakers | markup_text))
def test_markup_in_words_and_names_is_escaped(transcript: Transcript) -> None:
    shown = [(cue[2], word) for cue in parsed(render(transcript)) for word in " ".join(cue[3]).split(" ")]
    spoken = [(u.speaker, word.text) for u in transcript.utterances for word in u.words]
    assert Counter(shown) == Counter(spoken)


@given(transcripts(spaced_text))
def test_cues_are_in_order_apart_and_fit_the_screen(transcript: Transcript) -> None:
    cues = parsed(render(transcript))
    assert all(0 <= start < end for start, end, _, _ in cues)
    assert all(cue[1] <= following[0] for cue, following in pairwise(cues))
    for *_, lines in cues:
        assert len(lines) <= 2
        assert all(len(line) <= 42 or " " not in line for line in lines)


def test_a_transcript_without_speech_is_a_header() -> None:
    assert render(transcript_of()) == "WEBVTT\n"


def test_notes_stand_between_header_and_cues() -> None:
    vtt = render(transcript_of(utterance_of("A", "so"), draft=True, warnings=("Cut --> short & ended.",)))
    assert vtt.split("\n\n")[:3] == ["WEBVTT", f"NOTE {DRAFT_NOTE}", "NOTE Cut --&gt; short &amp; ended."]
    assert len(parsed(vtt)) == 1


@pytest.mark.parametrize(("start_s", "clock"), [(90_000.5, "25:00:00.500"), (360_000, "100:00:00.000")])
def test_hours_grow_past_a_day_and_past_two_digits(start_s: float, clock: str) -> None:
    assert f"\n{clock} --> " in render(transcript_of(utterance_of("A", "so", start_s)))


def test_letters_of_every_script_arrive() -> None:
    for text in ("Съешь ещё этих булок", "今日はいい天気", "مرحبا بالعالم"):
        assert parsed(render(transcript_of(utterance_of("A", text))))[0][3] == [text]


def test_a_speaker_whose_name_ends_in_hyphens_makes_no_arrow() -> None:
    transcript = transcript_of(utterance_of("--", "yes"))
    ((_, _, speaker, lines),) = parsed(render(transcript))
    assert (speaker, lines) == ("--", ["yes"])


def test_a_speaker_without_a_visible_name_makes_no_empty_voice() -> None:
    assert render(transcript_of(utterance_of("\u202e", "yes"))).endswith(".833\nyes\n")
