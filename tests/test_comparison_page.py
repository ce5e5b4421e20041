"""The page of a comparison: text stays text, nothing is loaded, and differences are told by more than colour."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from cli.errors import PageRefusedError
from cli.reports.comparison import Side
from cli.reports.comparison_page import render_page, write_page
from pipeline.speech.comparison.alignment import compare
from pipeline.speech.transcript import Transcript
from tests.support.transcripts import said, transcript


def sides_of(*transcripts: Transcript) -> list[Side]:
    engines = {"diarization": "script:a", "transcription": "script:a"}
    return [
        Side(f"4f2a.{number}", engines, 1.0, "", {}, found, aligned)
        for number, (found, aligned) in enumerate(zip(transcripts, compare(transcripts), strict=True), 1)
    ]


class Page(HTMLParser):
    """Collects tags with their attributes, and complains about any that isn't closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "img", "input", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


HOSTILE = "<script>alert(1)</script> &amp; \u202eevil"


def test_a_page_loads_nothing_runs_nothing_and_shows_text_as_text() -> None:
    sides = sides_of(transcript(said("one two three")), transcript(said(HOSTILE)))
    text = render_page('"><img src=x onerror=alert(1)>.wav', sides)
    page = Page(text)
    assert {"script", "img", "link", "iframe", "object"} & {tag for tag, _ in page.tags} == set()
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert not {"src", "href"} & {name for _, attributes in page.tags for name in attributes}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&amp;amp;" in text
    assert "\u202e" not in text
    assert "url(" not in text


def test_a_page_can_be_read_without_eyes_and_without_colour() -> None:
    sides = sides_of(transcript(said("one two", "A")), transcript(said("won two", "B")))
    text = render_page("talk.wav", sides)
    tags = Page(text).tags
    assert tags[0] == ("html", {"lang": "en"})
    assert all(attributes["scope"] in {"row", "col"} for tag, attributes in tags if tag == "th")
    assert all(
        attributes["dir"] == "auto" for tag, attributes in tags if tag == "p" and attributes.get("class") == "part"
    )
    assert ">[only here: </span>won<" in text
    assert ">[only in 1: </span>one<" in text
    assert re.search(r"^ins \{.*underline", text, re.MULTILINE)
    assert re.search(r"^del \{.*line-through", text, re.MULTILINE)


def test_letters_of_scripts_without_spaces_stay_together_in_the_page() -> None:
    sides = sides_of(transcript(said("你好 世界")), transcript(said("你好 世間")))
    text = re.sub(r"<[^>]*>", "", render_page("talk.wav", sides))
    assert "A: 你好世界" in text
    assert "你好[only in 1: 世界] [only here: 世間]" in text


def test_a_page_replaces_a_page_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "talk.compare.html"
    old, new = (f"<!doctype html>\n<!-- made by evt compare; {text} -->" for text in ("old", "new"))
    assert write_page(path, old)
    assert write_page(path, new)
    assert not write_page(path, new)
    path.write_text("<!doctype html>\nmine")
    with pytest.raises(PageRefusedError, match="--html"):
        write_page(path, new)
    with pytest.raises(PageRefusedError, match="--html"):
        write_page(tmp_path, new)
    assert path.read_text().endswith("mine")
