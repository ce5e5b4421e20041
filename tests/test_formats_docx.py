"""Word documents are read back by another library, and as XML."""

from __future__ import annotations

import io
import zipfile
from xml.etree import ElementTree

import mammoth
import pytest
from hypothesis import given, settings

from pipeline.formats.docx import is_right_to_left, render
from pipeline.formats.paragraphs import NO_SPEECH, facts, paragraphs
from pipeline.speech.times import clock
from pipeline.speech.transcript import DRAFT_NOTE, Transcript, one_line
from tests.support.documents import SAID, hostile_transcripts, squeezed, visible
from tests.support.strategies import transcript_of, utterance_of

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def part(document: bytes, name: str) -> ElementTree.Element:
    return ElementTree.fromstring(zipfile.ZipFile(io.BytesIO(document)).read(name))


def shown(document: bytes) -> list[tuple[str, str]]:
    """Return the style's name and the text of each paragraph behind the table."""
    names = {
        style.attrib[f"{W}styleId"]: style.find(f"{W}name").attrib[f"{W}val"]  # type: ignore[union-attr]
        for style in part(document, "word/styles.xml").iter(f"{W}style")
    }
    body = part(document, "word/document.xml").find(f"{W}body")
    assert body is not None
    found = []
    for paragraph in body.findall(f"{W}p"):
        style = paragraph.find(f"{W}pPr/{W}pStyle")
        name = "Normal" if style is None else names[style.attrib[f"{W}val"]]
        found.append((name, "".join(text.text or "" for text in paragraph.iter(f"{W}t"))))
    return found


@settings(max_examples=8, deadline=None)
@given(hostile_transcripts)
def test_any_text_gives_a_document_that_shows_it(transcript: Transcript) -> None:
    read = mammoth.extract_raw_text(io.BytesIO(render(transcript))).value.removesuffix("\n\n").split("\n\n")
    expected = [
        one.text if one.speaker is None else f"{one.speaker} {clock(one.start_s)} {one.text}"
        for one in paragraphs(transcript)
    ]
    assert read[-max(1, len(expected)) :] == (expected or [NO_SPEECH])


@pytest.mark.parametrize("case", SAID)
def test_every_word_comes_back_with_its_speaker(case: str) -> None:
    transcript = SAID[case]
    html = mammoth.convert_to_html(
        io.BytesIO(render(transcript)),
        style_map="r[style-name='Speaker'] => b\nr[style-name='Utterance Time'] => i",
    ).value
    document = ElementTree.fromstring(f"<html>{html}</html>")
    spoken = [one for one in paragraphs(transcript) if one.speaker is not None]
    back = []
    for block in document.findall("p"):
        speaker, time = block.find("b"), block.find("i")
        if speaker is not None and time is not None:
            back.append((speaker.text, time.tail))
    assert back == [(one.speaker, one.text) for one in spoken]
    assert squeezed("".join(text or "" for _, text in back)) == visible(transcript)
    table = [["".join(cell.itertext()) for cell in row.iter("td")] for row in document.iter("tr")]
    assert table == [[label, value] for label, value in facts(transcript)]


def test_title_notes_gaps_and_turns_have_styles_of_their_own() -> None:
    assert shown(render(SAID["everything"])) == [
        ("Title", "talk.wav"),
        ("Normal", ""),
        ("Transcript Note", DRAFT_NOTE),
        ("Transcript Note", "The end is missing."),
        ("Transcript Note", "12 s of speech have no words here; they are marked [inaudible 00:07–00:19]."),
        ("Utterance", "SPEAKER_00 00:00:01 Hello there, everyone."),
        ("Utterance", "Анна 00:00:04 Съешь ещё этих мягких булок."),
        ("Gap", "[inaudible 00:07–00:19]"),
        ("Utterance", "Zoë 00:00:20 Well, so so"),
    ]
    assert shown(render(transcript_of()))[-1] == ("Utterance", NO_SPEECH)


def test_text_that_is_written_to_the_left_has_a_style_that_begins_on_the_right() -> None:
    document = render(SAID["arabic"])
    assert [name for name, _ in shown(document)][-1] == "Utterance (right to left)"
    styles = {s.attrib[f"{W}styleId"]: s for s in part(document, "word/styles.xml").iter(f"{W}style")}
    (style,) = (s for s in styles.values() if s.find(f"{W}name").attrib[f"{W}val"] == "Utterance (right to left)")  # type: ignore[union-attr]
    assert style.find(f"{W}pPr/{W}bidi") is not None
    runs = list(part(document, "word/document.xml").iter(f"{W}r"))[-3:]
    assert [run.find(f"{W}rPr/{W}rtl") is not None for run in runs] == [True, False, True]


@pytest.mark.parametrize(
    ("text", "leftward"),
    [("שלום", True), ("مرحبا", True), ("12, «سلام»", True), ("OK سلام", False), ("12", False), ("", False)],
)
def test_the_first_letter_with_a_direction_decides(text: str, leftward: bool) -> None:
    assert is_right_to_left(text) is leftward


def test_only_the_styles_say_what_something_looks_like() -> None:
    document = part(render(SAID["everything"]), "word/document.xml")
    formatted = {child.tag for properties in document.iter(f"{W}rPr") for child in properties}
    assert formatted == {f"{W}rStyle"}


def test_nothing_tells_when_or_with_what_the_document_was_made() -> None:
    document = render(transcript_of(utterance_of("A", "so")))
    archive = zipfile.ZipFile(io.BytesIO(document))
    assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert archive.testzip() is None
    core = archive.read("docProps/core.xml").decode()
    assert "python-docx" not in core
    assert "1980-01-01T00:00:00Z" in core
    assert len(document) < 100_000


def test_a_name_that_is_too_long_for_a_property_is_whole_in_the_title() -> None:
    name = "long " * 80 + "talk.wav"
    assert shown(render(transcript_of(name=name)))[0] == ("Title", one_line(name))


@pytest.mark.parametrize(("language", "said"), [("ja", ["ja"]), ("pt-BR", ["pt-BR"]), ("<x>", []), (None, [])])
def test_the_language_of_the_words_is_that_of_their_style(language: str | None, said: list[str]) -> None:
    styles = part(render(transcript_of(language=language)), "word/styles.xml")
    found = [lang.attrib[f"{W}eastAsia"] for lang in styles.findall(f"{W}style/{W}rPr/{W}lang")]
    assert [one for one in found if one in {"ja", "pt-BR", "<x>"}] == said
