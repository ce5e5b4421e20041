from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.rttm import render
from pipeline.speech.transcript import Transcript, one_line
from pipeline.speech.values import Turn
from tests.support.documents import hostile_transcripts
from tests.support.strategies import any_text, transcript_of, transcripts, turns

LINE = re.compile(
    r"SPEAKER (?P<name>\S+) (?P<channel>[1-9]\d*) (?P<start>\d+\.\d{3}) (?P<length>\d+\.\d{3}) "
    r"<NA> <NA> (?P<speaker>\S+) <NA> <NA>"
)


@given(st.lists(turns, max_size=8))
def test_turns_come_back_to_the_millisecond_ordered_by_start(some: list[Turn]) -> None:
    found = [LINE.fullmatch(line) for line in render(transcript_of(turns=tuple(some))).splitlines() if line]
    back = [(milliseconds(f["start"]), milliseconds(f["length"]), f["speaker"]) for f in found if f]
    turns_ms = [(round(t.start_s * 1000), round(t.end_s * 1000), t.speaker) for t in some]
    lasting = [(start, end - start, speaker) for start, end, speaker in turns_ms if end > start]
    assert len(back) == len(found)
    assert [start for start, _, _ in back] == sorted(start for start, _, _ in back)
    assert sorted(back) == sorted(lasting)


@pytest.mark.parametrize("start_s", [0.0005, 0.0015, 8.0025, 1.1115])
def test_a_border_between_two_milliseconds_is_rounded_once(start_s: float) -> None:
    fields = LINE.fullmatch(render(transcript_of(turns=(Turn(start_s, 9.0, "A"),))).removesuffix("\n"))
    assert fields is not None
    assert milliseconds(fields["start"]) + milliseconds(fields["length"]) == 9000


def milliseconds(text: str) -> int:
    return int(text.replace(".", ""))


@given(transcripts(any_text, any_text), any_text)
def test_any_name_is_one_field(transcript: Transcript, speaker: str) -> None:
    full = transcript_of(name=transcript.name, turns=(Turn(0, 1, speaker),))
    assert LINE.fullmatch(render(full).removesuffix("\n"))


def test_a_line_is_as_programs_expect_it() -> None:
    transcript = transcript_of(
        name="my  talk.v2.wav", turns=(Turn(62.25, 63, "SPEAKER_01", 1), Turn(0.5, 2, "SPEAKER_00"))
    )
    assert render(transcript) == (
        "SPEAKER my_talk.v2 1 0.500 1.500 <NA> <NA> SPEAKER_00 <NA> <NA>\n"
        "SPEAKER my_talk.v2 2 62.250 0.750 <NA> <NA> SPEAKER_01 <NA> <NA>\n"
    )


@given(hostile_transcripts)
def test_a_reader_that_splits_at_white_space_finds_every_turn(transcript: Transcript) -> None:
    """As dscore reads: ten fields, of which the third is the channel and the eighth the speaker."""
    hostile = tuple(Turn(i, i + 1.5, one.speaker, i % 2) for i, one in enumerate(transcript.utterances))
    rows = [
        line.split() for line in render(transcript_of(name=transcript.name, turns=hostile)).splitlines() if line
    ]
    assert {len(row) for row in rows} <= {10}
    assert [(row[2], row[7]) for row in rows] == [
        (str(turn.channel + 1), "_".join(one_line(turn.speaker).split()) or "UNKNOWN") for turn in hostile
    ]


def test_no_turns_are_one_empty_line() -> None:
    assert render(transcript_of()) == "\n"
    assert render(transcript_of(turns=(Turn(1, 1, "A"),))) == "\n"
