"""A Word document: title, facts of the recording, notes, and a paragraph for each time that somebody speaks.

What something looks like is said by its style, so that an author can change it in one place.

Source: ISO/IEC 29500-1, sections 17.3.1.6 (bidi), 17.3.2.30 (rtl) and 17.3.2.20 (lang).
"""

from __future__ import annotations

import io
import re
import unicodedata
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipeline.formats.paragraphs import NO_SPEECH, Paragraph, facts, paragraphs
from pipeline.speech.times import clock
from pipeline.speech.transcript import Transcript, one_line

if TYPE_CHECKING:
    from docx.document import Document

NOTE, UTTERANCE, GAP, SPEAKER, TIME = "Transcript Note", "Utterance", "Gap", "Speaker", "Utterance Time"

RIGHT_TO_LEFT = " (right to left)"
"""What the names of the styles end with whose lines begin on the right."""

_MADE = datetime(1980, 1, 1, tzinfo=UTC)
"""When the document and each file in it was made: the earliest that zip knows. The real time would make equal
transcripts differ."""

_TABLES = frozenset({"Normal Table", "Table Grid"})
_UNUSED_PARTS = ("/stylesWithEffects", "/thumbnail", "/customXml")

_TITLE_CHARACTERS = 255
"""Source: python-docx, which refuses core properties that are longer."""


def render(transcript: Transcript) -> bytes:
    """Write the transcript as docx; equal transcripts give equal bytes."""
    import docx

    document = docx.Document()
    _trim(document)
    _describe(document, transcript)
    _add_styles(document, transcript.language)
    document.add_paragraph(one_line(transcript.name) or "Transcript", "Title")
    table = document.add_table(0, 2, "Table Grid")
    for label, value in facts(transcript):
        cells = table.add_row().cells
        cells[0].text, cells[1].text = label, value
    document.add_paragraph()
    for note in transcript.notes:
        document.add_paragraph(note, NOTE)
    _add_paragraphs(document, paragraphs(transcript))
    written = io.BytesIO()
    document.save(written)
    return _always_the_same(written.getvalue())


def is_right_to_left(text: str) -> bool:
    """Say whether the first letter with a direction is one of Arabic, Hebrew or another script of that direction.

    Source: Unicode Standard Annex 9, rules P2 and P3.
    """
    directions = (unicodedata.bidirectional(char) for char in text)
    return next((one for one in directions if one in {"L", "R", "AL"}), "L") != "L"


def _describe(document: Document, transcript: Transcript) -> None:
    properties = document.core_properties
    properties.title = one_line(transcript.name)[:_TITLE_CHARACTERS]
    properties.author = properties.last_modified_by = "evt"
    properties.comments = ""
    properties.created = properties.modified = _MADE


def _trim(document: Document) -> None:
    """Remove what python-docx's template has for documents of other kinds: nine tenths of its size."""
    from docx.enum.style import WD_STYLE_TYPE

    for style in list(document.styles):
        if style.type in {WD_STYLE_TYPE.TABLE, WD_STYLE_TYPE.LIST} and style.name not in _TABLES:
            style.delete()
    for relations in (document.part.rels, document.part.package.rels):
        for key in [key for key, one in relations.items() if one.reltype.endswith(_UNUSED_PARTS)]:
            del relations[key]


def _add_styles(document: Document, language: str | None) -> None:
    from docx.enum.style import WD_STYLE_TYPE

    def added(name: str, kind: Any, based_on: str) -> Any:
        style = document.styles.add_style(name, kind)
        style.base_style = document.styles[based_on]
        style.quick_style = True
        return style

    added(NOTE, WD_STYLE_TYPE.PARAGRAPH, "Intense Quote")
    added(UTTERANCE, WD_STYLE_TYPE.PARAGRAPH, "Normal")
    leftward = added(UTTERANCE + RIGHT_TO_LEFT, WD_STYLE_TYPE.PARAGRAPH, UTTERANCE)
    _append(leftward.element.get_or_add_pPr(), "w:bidi")
    gap = added(GAP, WD_STYLE_TYPE.PARAGRAPH, UTTERANCE)
    gap.font.italic = gap.font.cs_italic = True
    speaker = added(SPEAKER, WD_STYLE_TYPE.CHARACTER, "Default Paragraph Font")
    speaker.font.bold = speaker.font.cs_bold = True
    added(TIME, WD_STYLE_TYPE.CHARACTER, "Subtle Reference")
    if language and re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", language):
        spoken = document.styles[UTTERANCE].element.get_or_add_rPr()
        _append(spoken, "w:lang", {"w:val": language, "w:eastAsia": language, "w:bidi": language})


def _add_paragraphs(document: Document, shown: tuple[Paragraph, ...]) -> None:
    from docx.oxml import OxmlElement
    from docx.text.paragraph import Paragraph as Block

    names = (UTTERANCE, UTTERANCE + RIGHT_TO_LEFT, GAP, SPEAKER, TIME)
    ids = {name: document.styles[name].style_id for name in names}
    for one in shown:
        text = one.text
        # Put before the section's end, and styled by id: python-docx's own ways look through the whole document
        # or all its styles for each paragraph, which for a day of speech takes minutes.
        element = OxmlElement("w:p")
        document.element.body[-1].addprevious(element)
        paragraph = Block(element, document._body)
        if one.speaker is None:
            element.style = ids[GAP]
            paragraph.add_run(text)
            continue
        leftward = is_right_to_left(text)
        element.style = ids[UTTERANCE + RIGHT_TO_LEFT * leftward]
        speaker = paragraph.add_run(one.speaker)
        time = paragraph.add_run(f" {clock(one.start_s)} ")
        words = paragraph.add_run(text)
        speaker.element.style, time.element.style = ids[SPEAKER], ids[TIME]
        for run, text_of_run in ((speaker, one.speaker), (words, text)):
            if is_right_to_left(text_of_run):
                # Word takes the font and the order of a run's letters from this, not from the letters.
                run.font.rtl = True
    if not shown:
        document.add_paragraph(NO_SPEECH, UTTERANCE)


def _append(parent: Any, tag: str, attributes: dict[str, str] | None = None) -> None:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    element = OxmlElement(tag)
    for name, value in (attributes or {}).items():
        element.set(qn(name), value)
    parent.append(element)


def _always_the_same(document: bytes) -> bytes:
    """Pack a zip again without times, and without compression, whose bytes differ between versions of zlib."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(document)) as old, zipfile.ZipFile(packed, "w") as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name, _MADE.timetuple()[:6]), old.read(name))
    return packed.getvalue()
