"""Every subtitle format, read by programs of other people, says what the transcript says."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from dataclasses import astuple
from itertools import pairwise
from unicodedata import normalize
from xml.etree import ElementTree

import pysubs2
import pytest
import webvtt
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from ttconv import model
from ttconv.imsc import reader
from ttconv.style_properties import DirectionType, StyleProperties

from pipeline.formats import FORMATS
from pipeline.formats.colours import PALETTE
from pipeline.speech.alignment import split_text
from pipeline.speech.transcript import DRAFT_NOTE, Transcript
from pipeline.speech.values import Gap, Utterance
from tests.support.lines import words_by_line
from tests.support.strategies import any_text, transcript_of, transcripts, utterance_of

TTM = "{http://www.w3.org/ns/ttml#metadata}"
XML = "{http://www.w3.org/XML/1998/namespace}"


@frozen
class Shown:
    """A cue as a reader of the format understands it; the speaker is None where it has none."""

    start_ms: int
    end_ms: int
    speaker: str | None
    lines: list[str]


def read_srt(text: str) -> list[Shown]:
    found = []
    for event in pysubs2.SSAFile.from_string(text, format_="srt"):
        speaker, colon, said = event.plaintext.partition(": ")
        shown = (speaker, said) if colon else (None, speaker)
        found.append(Shown(event.start, event.end, shown[0], shown[1].split("\n")))
    return found


def read_vtt(text: str) -> list[Shown]:
    return [
        Shown(
            cue.start_time.in_milliseconds(),
            cue.end_time.in_milliseconds(),
            html.unescape(cue.voice) if cue.voice else None,
            html.unescape(cue.text).split("\n"),
        )
        for cue in webvtt.from_string(text)
    ]


def read_ass(text: str) -> list[Shown]:
    file = pysubs2.SSAFile.from_string(text, format_="ass")
    assert {event.style for event in file} <= set(file.styles)
    return [
        Shown(event.start, event.end, event.name if event.style != "Default" else None, event.plaintext.split("\n"))
        for event in file
    ]


def read_ttml(text: str) -> list[Shown]:
    """Times and text by ttconv, which passes over agents; those by their ids."""
    tree = ElementTree.ElementTree(ElementTree.fromstring(text))
    agents = {agent.get(f"{XML}id"): agent[0].text or "" for agent in tree.iter(f"{TTM}agent")}
    said_by = [p.get(f"{TTM}agent") for p in tree.iter("{http://www.w3.org/ns/ttml}p")]
    document = reader.to_model(tree)
    paragraphs = [element for element in document.get_body().dfs_iterator() if isinstance(element, model.P)]
    found = []
    for paragraph, agent in zip(paragraphs, said_by, strict=True):
        texts = ["\n" if isinstance(e, model.Br) else e.get_text() for e in paragraph.dfs_iterator() if is_leaf(e)]
        times_ms = [round((time or 0) * 1000) for time in (paragraph.get_begin(), paragraph.get_end())]
        found.append(Shown(*times_ms, agents[agent] if agent else None, "".join(texts).split("\n")))
    return found


def is_leaf(element: model.ContentElement) -> bool:
    return isinstance(element, model.Br | model.Text)


READERS: dict[str, Callable[[str], list[Shown]]] = {
    "srt": read_srt,
    "vtt": read_vtt,
    "ass": read_ass,
    "ttml": read_ttml,
}

NASTY = [
    "Ann, Lee",
    "<b>Bob</b>",
    "{\\an8}Cy",
    "--> D & \"E\" 'F'",
    "*Default",
    "default",
    "Default",
    "]]><!--",
    "Ólafur Дмитрий 王 محمد",
    "&amp;",
]


def unspaced(speaker: str, text: str, start_s: float) -> Utterance:
    return utterance_of(speaker, " ".join(split_text(text)), start_s, 0.2)


ENGLISH = (
    "Well, it was a long and cold winter in the north, so all of us stayed at home and waited for the sun; nobody "
    "complained, and 1984 was like 2024."
)
RUSSIAN = "Съешь ещё этих мягких французских булок, да выпей чаю. " * 3 + "5"
ARABIC = "مرحبا بالعالم، كيف حالك اليوم؟ قال Python إن كل شيء على ما يرام في 2024."
HEBREW = "שלום עולם, מה שלומך היום? הכול בסדר גמור, תודה."
CHINESE = "今天天气很好，我们一起去公园散步吧。然后再去看电影，好不好？"
JAPANESE = "コーヒーを飲みながら、「さくら」について話しましょう。"
THAI = "วันนี้อากาศดีมากเราไปเดินเล่นที่สวนสาธารณะกันเถอะแล้วค่อยไปดูหนัง"

TRANSCRIPTS: dict[str, Transcript] = {
    "nobody": transcript_of(),
    "Latin": transcript_of(utterance_of("Ann", ENGLISH, 1.5, 0.3), utterance_of("Bob", "Yes.", 30)),
    "Cyrillic": transcript_of(
        utterance_of("Анна", "Съешь ещё этих мягких французских булок, да выпей чаю. " * 3 + "5")
    ),
    "Arabic": transcript_of(
        utterance_of("محمد", ARABIC),
        language="ar",
    ),
    "Hebrew": transcript_of(utterance_of("דנה", HEBREW), language="he"),
    "Chinese": transcript_of(unspaced("王", CHINESE, 3), language="zh"),
    "Japanese": transcript_of(unspaced("さくら", JAPANESE, 0), language="ja"),
    "Thai": transcript_of(unspaced("สมชาย", THAI, 0), language="th"),
    "nasty names": transcript_of(*(utterance_of(name, "So it is.", 3 * i) for i, name in enumerate(NASTY))),
    "overlaps": transcript_of(*(utterance_of(f"S{i}", ENGLISH, 1 + i / 10, 0.3) for i in range(4))),
    "25 hours": transcript_of(utterance_of("A", "early", 0), utterance_of("B", "late, very late", 90_061.25)),
    "gaps": transcript_of(
        utterance_of("A", "before", 700), utterance_of("B", "after", 1078), gaps=(Gap(720, 1078), Gap(4000, 4000.5))
    ),
}


def is_below_99_hours(transcript: Transcript) -> bool:
    """More is right, but pysubs2 reads two digits of hours."""
    return all(utterance.end_s < 99 * 3600 for utterance in transcript.utterances)


def literal(text: str) -> str:
    """Undo what stands in for marks that a format has no escape for."""
    return normalize("NFKC", text.replace("→", "-->"))


@pytest.mark.parametrize("case", TRANSCRIPTS)
@pytest.mark.parametrize("name", READERS)
def test_others_read_the_words_the_speakers_and_the_times(name: str, case: str) -> None:
    transcript = TRANSCRIPTS[case]
    found = READERS[name](FORMATS[name](transcript))
    assert all(cue.end_ms + 70 <= following.start_ms for cue, following in pairwise(found))
    for utterance in transcript.utterances:
        speaker = literal(utterance.speaker)
        own = [cue for cue in found if cue.speaker is not None and literal(cue.speaker) == speaker]
        words = [word.text for word in utterance.words]
        by_line = words_by_line([literal(line) for cue in own for line in cue.lines], [*map(literal, words)])
        at, line = 0, 0
        for cue in own:
            start_ms = round(utterance.words[at].start_s * 1000)
            pushed = case == "overlaps"
            assert cue.start_ms >= start_ms - 5 if pushed else abs(cue.start_ms - start_ms) <= 5
            assert cue.end_ms <= cue.start_ms + 7010
            at += sum(len(by_line[line + i]) for i in range(len(cue.lines)))
            line += len(cue.lines)
    gaps = [(cue.start_ms, cue.lines) for cue in found if cue.speaker is None]
    assert gaps == [(gap.start_s * 1000, [shown]) for gap, shown in zip(transcript.gaps, GAPS, strict=False)]


GAPS = ["[inaudible 12:00–17:58]", "[inaudible 1:06:40–1:06:40]"]

hostile_text = st.text(st.sampled_from("ab<>&-;/{}\\Nn,:*'\"#|!.=й漢"), min_size=1, max_size=20)
"""Without digits: pysubs2 takes a last line of nothing else for the number of the next cue."""


@settings(max_examples=60)
@given(st.lists(hostile_text, min_size=1, max_size=8), hostile_text)
def test_others_read_text_and_names_that_look_like_markup(words: list[str], speaker: str) -> None:
    transcript = transcript_of(utterance_of(speaker, " ".join(words)))
    for name, read in READERS.items():
        found = read(FORMATS[name](transcript))
        assert {literal(cue.speaker or "") for cue in found} == {literal(speaker)}, name
        words_by_line([literal(line) for cue in found for line in cue.lines], [*map(literal, words)])


@settings(max_examples=60)
@given(transcripts(any_text, any_text).filter(is_below_99_hours))
def test_others_read_any_text(transcript: Transcript) -> None:
    for name, read in READERS.items():
        found = read(FORMATS[name](transcript))
        assert all(0 <= cue.start_ms < cue.end_ms for cue in found), name


def test_the_words_that_are_doubted_are_not_marked() -> None:
    plain = utterance_of("A", "Thank you.")
    doubted = evolve(plain, words=tuple(evolve(word, suspect=("repeated",)) for word in plain.words))
    for name in READERS:
        assert FORMATS[name](transcript_of(doubted)) == FORMATS[name](transcript_of(plain))


# ---- ASS


def ass_of(*speakers: str) -> pysubs2.SSAFile:
    spoken = (utterance_of(speaker, "so", i) for i, speaker in enumerate(speakers))
    return pysubs2.SSAFile.from_string(str(FORMATS["ass"](transcript_of(*spoken))))


def test_speakers_have_styles_of_their_own_that_no_comma_ends() -> None:
    file = ass_of(*NASTY)
    styles = [event.style for event in file]
    assert len({style.casefold() for style in styles} | {"default"}) == len(NASTY) + 1
    assert not any(set(style) & set(",{}\\") or style.startswith("*") for style in styles)


def test_the_first_speaker_is_white_and_twice_as_many_as_colours_look_different() -> None:
    file = ass_of(*(f"S{i:02}" for i in range(2 * len(PALETTE))))
    styles = [style for name, style in file.styles.items() if name != "Default"]
    looks = [(astuple(style.primarycolor)[:3], style.italic) for style in styles]
    assert looks[:2] == [((255, 255, 255), False), ((0xF0, 0xE4, 0x42), False)]
    assert len(set(looks)) == 2 * len(PALETTE)


def test_a_speaker_of_a_right_to_left_script_has_the_direction_of_the_text() -> None:
    styles = pysubs2.SSAFile.from_string(str(FORMATS["ass"](TRANSCRIPTS["Hebrew"]))).styles
    assert (styles["דנה"].encoding, styles["Default"].encoding) == (-1, 1)


def test_hundred_hours_are_written_in_ass() -> None:
    assert "Dialogue: 0,100:00:00.00,100:00:00.83,A,A,0,0,0,,so\n" in str(
        FORMATS["ass"](transcript_of(utterance_of("A", "so", 360_000)))
    )


def linear(colour: str) -> list[float]:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def test_every_colour_stands_out_against_black() -> None:
    for red, green, blue in map(linear, PALETTE):
        assert (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) / 0.05 >= 5


# Linear RGB as seen without long-wave or without medium-wave cones.
# Source: F. Viénot, H. Brettel and J. Mollon, Digital video colourmaps for checking the legibility, 1999.
PROTANOPIA = ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0))
DEUTERANOPIA = ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0))


@pytest.mark.parametrize("matrix", [PROTANOPIA, DEUTERANOPIA])
def test_colours_differ_for_the_colour_blind(matrix: tuple[tuple[float, ...], ...]) -> None:
    seen = [[sum(a * b for a, b in zip(row, linear(colour), strict=True)) for row in matrix] for colour in PALETTE]
    for i, one in enumerate(seen):
        for other in seen[:i]:
            assert max(abs(a - b) for a, b in zip(one, other, strict=True)) > 0.09


# ---- TTML


def ttml_of(transcript: Transcript) -> ElementTree.Element:
    return ElementTree.parse(io.StringIO(str(FORMATS["ttml"](transcript)))).getroot()


@pytest.mark.parametrize(
    ("language", "written"), [("en", "en"), ("zh_Hant", "zh-Hant"), (None, ""), ("any language", ""), ("", "")]
)
def test_ttml_names_the_language_where_it_is_one(language: str | None, written: str) -> None:
    assert ttml_of(transcript_of(language=language)).get(f"{XML}lang") == written


@given(transcripts(any_text, any_text))
def test_ids_are_unique_and_names_and_references_lead_somewhere(transcript: Transcript) -> None:
    root = ttml_of(transcript)
    ids = [element.get(f"{XML}id") for element in root.iter() if element.get(f"{XML}id") is not None]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[A-Za-z_][\w.-]*", id_ or "", re.ASCII) for id_ in ids)
    used = {element.get(name) for element in root.iter() for name in ("style", "region", f"{TTM}agent")}
    assert used - {None} <= set(ids)


def test_ttml_says_which_profile_it_keeps_and_what_must_be_known_first(caplog: pytest.LogCaptureFixture) -> None:
    root = ttml_of(transcript_of(draft=True, name="a & b.wav"))
    document = reader.to_model(ElementTree.ElementTree(root))
    assert document.get_content_profiles() == {"http://www.w3.org/ns/ttml/profile/imsc1.1/text"}
    assert root.findtext(f".//{TTM}desc") == DRAFT_NOTE
    assert root.findtext(f".//{TTM}title") == "a & b.wav"
    assert caplog.records == []


def test_a_paragraph_runs_as_its_first_letter_does() -> None:
    said = [utterance_of("A", "שלום Python"), utterance_of("B", "Python שלום", 9), utterance_of("C", "24", 12)]
    document = reader.to_model(ElementTree.ElementTree(ttml_of(transcript_of(*said))))
    paragraphs = [element for element in document.get_body().dfs_iterator() if isinstance(element, model.P)]
    directions = [paragraph.get_style(StyleProperties.Direction) for paragraph in paragraphs]
    assert directions == [DirectionType.rtl, None, None]


def test_what_xml_cannot_hold_is_replaced() -> None:
    (cue,) = read_ttml(str(FORMATS["ttml"](transcript_of(utterance_of("a\uffff", "b\ufffe\x0b c\U0001f600")))))
    assert (cue.speaker, cue.lines) == ("a\ufffd", ["b\ufffd c\U0001f600"])
