"""TTML subtitles in the text profile of IMSC 1.1: an agent and a colour for each speaker.

Sources: W3C, Timed Text Markup Language 2; W3C, TTML Profiles for Internet Media Subtitles and Captions 1.1.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from xml.etree import ElementTree

from pipeline.formats.colours import PLAIN, Look, looks
from pipeline.formats.cues import Cue, clock, cues
from pipeline.speech.transcript import Transcript, one_line

_TTML = "http://www.w3.org/ns/ttml"

ROOT = {
    "xmlns": _TTML,
    "xmlns:ttp": f"{_TTML}#parameter",
    "xmlns:tts": f"{_TTML}#styling",
    "xmlns:ttm": f"{_TTML}#metadata",
    "ttp:contentProfiles": f"{_TTML}/profile/imsc1.1/text",
    "ttp:timeBase": "media",
    "ttp:cellResolution": "32 15",
}

REGION = {
    "xml:id": "bottom",
    "tts:origin": "10% 70%",
    "tts:extent": "80% 25%",
    "tts:displayAlign": "after",
    "tts:textAlign": "center",
    "tts:overflow": "visible",
}

TEXT = {
    "xml:id": "text",
    "tts:fontFamily": "proportionalSansSerif",
    "tts:fontSize": "80%",
    "tts:lineHeight": "125%",
    "tts:textOutline": "#000000 5%",
}

UNHEARD = "unheard"
"""The style of cues that no speaker has."""

_LANGUAGE = re.compile("[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
"""Source: W3C, XML Schema 1.1 Part 2, section 3.4.3."""

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Source: W3C, Extensible Markup Language 1.0, production 2."""


def render(transcript: Transcript) -> str:
    """Write the transcript as TTML; notes are the document's description."""
    found = cues(transcript.passages, lambda speaker: "")
    known = looks(found)
    ids = {speaker: f"speaker{number}" for number, speaker in enumerate(known, start=1)}
    root = ElementTree.Element("tt", ROOT | {"xml:lang": _language(transcript.language)})
    _add_head(root, transcript, known, ids)
    body = ElementTree.SubElement(root, "body", {"region": REGION["xml:id"], "style": TEXT["xml:id"]})
    division = ElementTree.SubElement(body, "div")
    for cue in found:
        _add_cue(division, cue, ids)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _add_head(
    root: ElementTree.Element, transcript: Transcript, known: Mapping[str, Look], ids: Mapping[str, str]
) -> None:
    head = ElementTree.SubElement(root, "head")
    metadata = ElementTree.SubElement(head, "metadata")
    ElementTree.SubElement(metadata, "ttm:title").text = _text(one_line(transcript.name))
    if transcript.notes:
        ElementTree.SubElement(metadata, "ttm:desc").text = _text(" ".join(transcript.notes))
    for speaker, id_ in ids.items():
        agent = ElementTree.SubElement(metadata, "ttm:agent", {"type": "person", "xml:id": id_})
        ElementTree.SubElement(agent, "ttm:name", {"type": "alias"}).text = _text(speaker)
    styling = ElementTree.SubElement(head, "styling")
    ElementTree.SubElement(styling, "style", TEXT)
    for name, look in [(UNHEARD, PLAIN), *((_style_of(ids[speaker]), look) for speaker, look in known.items())]:
        shown = {"tts:color": f"#{look.colour}"} | ({"tts:fontStyle": "italic"} if look.is_italic else {})
        ElementTree.SubElement(styling, "style", {"xml:id": name} | shown)
    ElementTree.SubElement(ElementTree.SubElement(head, "layout"), "region", REGION)


def _add_cue(division: ElementTree.Element, cue: Cue, ids: Mapping[str, str]) -> None:
    times = {"begin": clock(cue.start_s, "."), "end": clock(cue.end_s, ".")}
    if cue.speaker is None:
        who = {"style": UNHEARD}
    else:
        who = {"style": _style_of(ids[cue.speaker]), "ttm:agent": ids[cue.speaker]}
    direction = {"tts:direction": "rtl"} if _runs_right_to_left("".join(cue.lines)) else {}
    paragraph = ElementTree.SubElement(division, "p", times | who | direction)
    paragraph.text = _text(cue.lines[0])
    for line in cue.lines[1:]:
        ElementTree.SubElement(paragraph, "br").tail = _text(line)


def _style_of(agent: str) -> str:
    return f"{agent}-style"


def _language(code: str | None) -> str:
    """Return the value of xml:lang, which is empty where the language isn't known."""
    tag = (code or "").replace("_", "-")
    return tag if _LANGUAGE.fullmatch(tag) else ""


def _text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _runs_right_to_left(text: str) -> bool:
    """Say how a text runs by its first letter that has a direction.

    Source: Unicode Standard Annex 9, rules P2 and P3.
    """
    directions = (unicodedata.bidirectional(char) for char in text)
    return next((direction for direction in directions if direction in ("L", "R", "AL")), "L") != "L"
