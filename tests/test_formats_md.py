"""Markdown is read back by a parser of CommonMark, also with the extensions of GitHub."""

from __future__ import annotations

import pytest
from hypothesis import given
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pipeline.formats.md import render
from pipeline.formats.paragraphs import facts, paragraphs
from pipeline.speech.times import clock
from pipeline.speech.transcript import Transcript, one_line
from tests.support.documents import SAID, hostile_transcripts, squeezed, visible
from tests.support.strategies import transcript_of

PARSERS = (MarkdownIt("commonmark"), MarkdownIt("gfm-like", {"linkify": False}))

HEADING, BULLETS, QUOTE, PARAGRAPH = "heading_open", "bullet_list_open", "blockquote_open", "paragraph_open"


def blocks(text: str, parser: MarkdownIt = PARSERS[0]) -> list[tuple[str, str, list[Token]]]:
    """Return each block's kind, its text, and the parts of that text."""
    found, outer = [], ""
    for token in parser.parse(text):
        if token.level == 0 and token.nesting >= 0:
            outer = token.type
        if token.type == "inline":
            parts = token.children or []
            found.append((outer, "".join(part.content for part in parts), parts))
        else:
            assert token.type.endswith(("_open", "_close")), token
    return found


def assert_is_shown(transcript: Transcript, parser: MarkdownIt) -> None:
    shown = blocks(render(transcript), parser)
    kinds = [kind for kind, _, _ in shown]
    spoken = paragraphs(transcript)
    listed = facts(transcript)
    assert kinds == [
        HEADING,
        *[BULLETS] * len(listed),
        *[QUOTE] * len(transcript.notes),
        *[PARAGRAPH] * max(1, len(spoken)),
    ]
    assert shown[0][1] == (one_line(transcript.name) or "Transcript")
    texts = {kind: [text for found, text, _ in shown if found == kind] for kind in (BULLETS, QUOTE)}
    assert texts[BULLETS] == [f"{label}: {value}".strip() for label, value in listed]
    assert texts[QUOTE] == [f"Note: {note}".strip() for note in transcript.notes]
    for (_, text, parts), one in zip(shown[len(shown) - len(spoken) :], spoken, strict=True):
        marks = [part.type for part in parts if part.type != "text"]
        if one.speaker is None:
            assert (text, marks) == (one.text, ["em_open", "em_close"])
        else:
            assert marks == ["strong_open", "strong_close"]
            assert text == f"{one.speaker} ({clock(one.start_s)}): {one.text}"


@given(hostile_transcripts)
def test_no_name_and_no_word_becomes_markup(transcript: Transcript) -> None:
    for parser in PARSERS:
        assert_is_shown(transcript, parser)


@pytest.mark.parametrize("case", SAID)
def test_every_word_comes_back(case: str) -> None:
    for parser in PARSERS:
        assert_is_shown(SAID[case], parser)
    said = [one.text for one in paragraphs(SAID[case]) if one.speaker is not None]
    assert squeezed("".join(said)) == visible(SAID[case])


def test_a_document_is_as_people_see_it() -> None:
    lines = render(SAID["everything"]).splitlines()
    assert lines[:9] == [
        "# talk.wav",
        "",
        "- Recording: talk.wav",
        "- Length: 00:01:40",
        "- Language: en",
        "- Speaker: SPEAKER\\_00, 00:00:02 of speech, 3 words",
        "- Speaker: Zoë, 00:00:03 of speech, 3 words",
        "- Speaker: Анна, 00:00:03 of speech, 5 words",
        "- Engines: builtin (speakers), whisper (words)",
    ]
    assert lines[10].startswith("> **Note:** Draft: ")
    assert lines[-7:] == [
        "**SPEAKER\\_00** (00:00:01): Hello there, everyone.",
        "",
        "**Анна** (00:00:04): Съешь ещё этих мягких булок.",
        "",
        "*\\[inaudible 00:07–00:19\\]*",
        "",
        "**Zoë** (00:00:20): Well, so so",
    ]


def test_a_transcript_without_speech_says_so() -> None:
    assert render(transcript_of()).endswith("\n\n(no speech found)\n")
