"""Tables and lines are read back by readers that share nothing with what wrote them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from hypothesis import example, given

from pipeline.formats import csv, jsonl, tsv
from pipeline.speech.transcript import Transcript, gap_text, one_line
from pipeline.speech.values import Gap
from tests.support.documents import SAID, hostile_transcripts, squeezed, visible
from tests.support.strategies import transcript_of, utterance_of
from tests.test_formats_json import DOCUMENT
from tests.test_formats_json import example as documented

HEADER = ["start_s", "end_s", "speaker", "text"]


def read(text: str, separator: str) -> Iterator[list[str]]:
    """Read a table by the grammar of RFC 4180, with any separator."""
    field = rf'(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^{separator}"\n]*))(?P<end>[{separator}\n])'
    at, row = 0, []
    while at < len(text):
        found = re.compile(field).match(text, at)
        assert found, text[at : at + 40]
        row.append(found["plain"] if found["quoted"] is None else found["quoted"].replace('""', '"'))
        if found["end"] == "\n":
            yield row
            row = []
        at = found.end()
    assert row == []


def rows_of(transcript: Transcript) -> list[list[str]]:
    said = [
        (one.start_s, one.end_s, "", gap_text(one))
        if isinstance(one, Gap)
        else (one.start_s, one.end_s, one_line(one.speaker), one_line(one.text))
        for one in transcript.passages
    ]
    return [[f"{start_s:.3f}", f"{end_s:.3f}", speaker, text] for start_s, end_s, speaker, text in said]


@given(hostile_transcripts)
@example(SAID["markup"])
@example(SAID["nobody"])
def test_a_tsv_file_gives_back_what_was_said_to_the_letter(transcript: Transcript) -> None:
    assert list(read(tsv.render(transcript), "\t")) == [HEADER, *rows_of(transcript)]


@given(hostile_transcripts)
def test_a_tab_in_a_tsv_file_always_separates(transcript: Transcript) -> None:
    assert all(line.count("\t") == 3 for line in tsv.render(transcript).removesuffix("\n").split("\n"))


@given(hostile_transcripts)
@example(SAID["markup"])
@example(SAID["nobody"])
def test_no_cell_of_a_csv_file_is_a_formula_and_nothing_else_is_changed(transcript: Transcript) -> None:
    text = csv.render(transcript)
    header, *back = read(text.removeprefix("\ufeff"), ",")
    assert header == HEADER
    cells = [
        (cell, said)
        for row, given in zip(back, rows_of(transcript), strict=True)
        for cell, said in zip(row, given, strict=True)
    ]
    assert all(cell == (f"'{said}" if said[:1] in set("=+-@＝＋－＠") and said else said) for cell, said in cells)


def test_a_csv_file_begins_with_a_mark_by_which_excel_knows_its_encoding() -> None:
    assert csv.render(SAID["cyrillic"]).encode().startswith(b"\xef\xbb\xbfstart_s,")
    assert tsv.render(SAID["cyrillic"]).encode().startswith(b"start_s\t")


@pytest.mark.parametrize("case", SAID)
def test_every_word_is_in_every_table(case: str) -> None:
    said = [row[3] for row in read(tsv.render(SAID[case]), "\t") if row[2] != ""][1:]
    lines = [json.loads(line) for line in jsonl.render(SAID[case]).splitlines()]
    if case != "markup":
        assert squeezed("".join(said)) == visible(SAID[case])
    assert squeezed("".join(line["text"] for line in lines if not line["gap"])) == visible(SAID[case])


@given(hostile_transcripts)
def test_every_line_of_jsonl_is_an_object_with_the_same_fields(transcript: Transcript) -> None:
    lines = [json.loads(line) for line in jsonl.render(transcript).split("\n")[:-1]]
    assert [line["index"] for line in lines] == list(range(len(transcript.passages)))
    assert [line["gap"] for line in lines] == [isinstance(one, Gap) for one in transcript.passages]
    assert len({tuple(line) for line in lines}) <= 1
    assert all((line["speaker"] is None) is line["gap"] for line in lines)


def test_the_documents_lines_are_what_is_written() -> None:
    shown = re.search(r"```jsonl\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert shown
    assert jsonl.render(documented()) == shown[1]


def test_a_line_sums_up_its_words() -> None:
    lines = [json.loads(line) for line in jsonl.render(SAID["everything"]).splitlines()]
    facts = [(line["words"], line["confidence"], line["overlapped"], line["suspect"]) for line in lines]
    assert facts == [(3, None, False, []), (5, None, False, []), (0, None, False, []), (3, 0.1, True, ["repeated"])]


def test_without_speech_there_are_no_lines() -> None:
    assert jsonl.render(transcript_of()) == ""
    assert tsv.render(transcript_of()) == "\t".join(HEADER) + "\n"
    assert len(jsonl.render(transcript_of(utterance_of("A", "so"))).splitlines()) == 1
