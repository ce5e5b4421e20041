from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given

from pipeline.formats import FORMATS
from pipeline.speech.transcript import DRAFT_NOTE, Transcript, one_line
from pipeline.speech.values import Gap, Turn
from projections.graph import SUFFIXES, USUAL_FORMATS
from tests.support.documents import SAID
from tests.support.strategies import any_text, transcript_of, transcripts, utterance_of

ROOT = Path(__file__).parents[1]

EMPTY_WITHOUT_SPEECH = {"jsonl", "ctm"}
"""Formats in which an empty line is a mistake."""

BIDI_AND_BREAKS = "\u202e\u2066\u200f\ufeff\u2028\u2029\x85\x0b\x1b\x00\r\n\t"


@given(transcripts(any_text, any_text))
def test_every_format_takes_any_text_and_ends_with_a_newline(transcript: Transcript) -> None:
    """Word documents, which are no text, are read by their own tests."""
    for name in (name for name in FORMATS if name != "docx"):
        text = FORMATS[name](transcript)
        assert isinstance(text, str)
        assert text.endswith("\n") or (text == "" and name in EMPTY_WITHOUT_SPEECH)
        text.encode()
        text = text.removeprefix("\ufeff") if name == "csv" else text
        assert not set(text) & set(BIDI_AND_BREAKS.replace("\n", "").replace("\t", "" if name == "tsv" else "\t"))


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "docx"])
def test_a_name_or_word_with_line_breaks_adds_no_line(name: str) -> None:
    def lines(separator: str) -> int:
        utterance = utterance_of(f"SPEAKER{separator}00", f"so{separator}we went")
        turn = Turn(0, 1, f"SPEAKER{separator}00")
        transcript = transcript_of(
            utterance, name=f"a{separator}b.wav", turns=(turn,), warnings=(f"cut{separator}short",)
        )
        return len(FORMATS[name](transcript).splitlines())

    assert lines(BIDI_AND_BREAKS) == lines("\r\n\r\n") == lines("-")


@pytest.mark.parametrize(
    ("name", "marked"), [(n, n in ("txt", "md", "vtt", "ass", "ttml", "json")) for n in FORMATS if n != "docx"]
)
def test_a_draft_says_so_first_wherever_the_format_has_comments(name: str, marked: bool) -> None:
    """Word documents are read by their own tests."""
    utterance = utterance_of("SPEAKER_00", "hello")
    draft, plain = (
        str(FORMATS[name](transcript)).replace("\\", "")
        for transcript in (
            transcript_of(utterance, draft=True, warnings=("The end is missing.",)),
            transcript_of(utterance),
        )
    )
    assert (DRAFT_NOTE in draft and draft.index(DRAFT_NOTE) < draft.index("hello")) is marked
    assert ("The end is missing." in draft) is marked
    assert DRAFT_NOTE not in plain


@pytest.mark.parametrize(
    ("name", "told"), [(n, n in ("txt", "md", "vtt", "ass", "ttml", "json")) for n in FORMATS if n != "docx"]
)
def test_who_reads_is_told_first_how_much_is_missing_wherever_the_format_has_comments(
    name: str, told: bool
) -> None:
    """Suspect words are marked in the formats for programs alone; where there are no gaps nothing is said."""
    after = utterance_of("SPEAKER_00", "hello", 2000)
    one, some, none = (
        str(FORMATS[name](transcript_of(after, gaps=gaps, duration_s=2001))).replace("\\", "")
        for gaps in ((Gap(720, 1078),), (Gap(720, 1078, 0), Gap(1070, 1090, 1)), ())
    )
    said = "5 min 58 s of speech have no words here; they are marked [inaudible 12:00–17:58]."
    assert (said in one and one.index(said) < one.index("hello")) is told
    assert ("2 stretches of speech, 6 min 10 s in all, have no words here" in some) is told
    assert "no words here" not in none


def digests() -> list[str]:
    made = [render(SAID[case]) for render in FORMATS.values() for case in ("everything", "markup", "nobody")]
    return [hashlib.sha256(one if isinstance(one, bytes) else one.encode()).hexdigest() for one in made]


def test_equal_transcripts_give_equal_bytes_in_every_process() -> None:
    """Neither the time of day nor the order of sets, which differs between processes, is seen."""
    program = "from tests.test_formats_common import digests; print(*digests())"
    environment = {**os.environ, "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == digests()


def test_the_page_about_formats_has_a_row_for_each() -> None:
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `talk\.(\w+)` \|", page, flags=re.MULTILINE)
    assert sorted(rows) == sorted((name, SUFFIXES.get(name, name)) for name in FORMATS)


def test_the_formats_that_one_gets_unasked_are_named_where_people_look() -> None:
    usual = ", ".join(USUAL_FORMATS)
    for page, said in (
        ("formats.md", f"Without `--format` you get {' and '.join(usual.rsplit(', ', 1))}."),
        ("settings.md", f"| {usual}; all that there are"),
        ("cli.md", f"({usual}; others with --format)"),
    ):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        assert " ".join(said.split()) in " ".join(text.split())


def test_one_line_keeps_letters_and_joiners_of_every_script() -> None:
    for text in ("Съешь ещё", "今日は", "مرحبا بالعالم", "می\u200cخواهم", "👩\u200d👧", "e\u0301"):
        assert one_line(text) == text


def test_one_line_leaves_nothing_that_breaks_or_turns_a_line() -> None:
    assert one_line(f"a{BIDI_AND_BREAKS}b") == "a b"
    assert all(one_line(f"a{mark}b") == "ab" for mark in "\u061c\u200e\u200f\u202a\u202e\u2066\u2069\ufeff")


def test_one_line_replaces_what_no_encoder_accepts() -> None:
    assert one_line("a\udcff \n b") == "a\ufffd b"


def test_the_table_of_formats_imports_no_format() -> None:
    program = "import sys, pipeline.formats; print([m for m in sys.modules if m.startswith('pipeline.formats.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
