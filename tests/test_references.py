"""References in every format that is read: what is in them, what isn't, and which line is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats import FORMATS
from pipeline.references import READERS, read
from pipeline.references.text import ReferenceFileError
from pipeline.references.values import Account
from pipeline.speech.metrics import words_of
from pipeline.speech.transcript import Transcript
from pipeline.speech.values import Turn
from tests.support.strategies import transcript_of, transcripts, utterance_of

STM = """;; a comment
talk 1 Ann 0.5 2 <o,f0,female> Hello there.
talk 1 Bob 2.0 3.25

talk 1 Bob 0 1 ignore_time_segment_in_scoring
other A Cy 1 2 Hi
"""
RTTM = """SPKR-INFO talk 1 <NA> <NA> <NA> unknown Ann <NA> <NA>
SPEAKER talk 1 0.5 1.5 <NA> <NA> Ann <NA> <NA>
SPEAKER talk 1 2 1.25 <NA> <NA> Bob <NA>
"""
SRT = """1
00:00:00,500 --> 00:00:02,000
Ann: <i>Hello</i> there.

2
00:00:02,000 --> 00:01:03,250 X1:40
{\\an8}[Bob]: Hi,
Ann: that's you.
"""
VTT = """WEBVTT - talk

NOTE made by hand

STYLE
::cue { color: red }

first
00:00.500 --> 00:02.000 align:left
<v.loud Ann &amp; co>Hello <00:01.000><c>there</c>.</v>

01:00:02.000 --> 01:00:03.250
<v Bob>Fish &amp; chips <v Cy>no
"""


def only(text: str, suffix: str) -> Account:
    (account,) = read(text.encode(), suffix).values()
    return account


def told(account: Account) -> tuple[bool, bool, bool]:
    return account.words, account.times, account.speakers


def said(account: Account) -> list[tuple[str | None, str | None]]:
    return [(segment.speaker, segment.text) for segment in account.said]


def test_stm_tells_words_times_and_speakers_of_several_recordings() -> None:
    accounts = read(STM.encode(), "stm")
    assert list(accounts) == ["talk", "other"]
    assert told(accounts["talk"]) == (True, True, True)
    assert said(accounts["talk"]) == [("Ann", "Hello there."), ("Bob", "")]
    assert accounts["talk"].turns == (Turn(0.5, 2.0, "Ann"), Turn(2.0, 3.25, "Bob"))


def test_rttm_tells_turns_and_no_words() -> None:
    account = only(RTTM, ".RTTM")
    assert told(account) == (False, True, True)
    assert account.turns == (Turn(0.5, 2.0, "Ann"), Turn(2.0, 3.25, "Bob"))


def test_ctm_tells_words_and_no_speakers() -> None:
    account = only(";; x\ntalk 1 0.5 0.25 Hello 0.9\ntalk 1 0.1 0.25 Oh\n", "ctm")
    assert told(account) == (True, True, False)
    assert said(account) == [(None, "Oh"), (None, "Hello")]


def test_subrip_tells_speakers_where_each_subtitle_names_one() -> None:
    account = only(SRT, "srt")
    assert told(account) == (True, True, True)
    assert said(account) == [("Ann", "Hello there."), ("Bob", "Hi, Ann: that's you.")]
    assert account.turns[1] == Turn(2.0, 63.25, "Bob")
    unnamed = only(SRT.replace("[Bob]: ", ""), "srt")
    assert not unnamed.speakers
    assert said(unnamed)[0] == (None, "Ann: Hello there.")


def test_subtitles_without_empty_lines_between_them_are_still_apart() -> None:
    text = "1\n00:00:00,5 --> 00:00:01,000\nAnn: Hi\n2\n00:00:01,000 --> 00:00:02,000\nBob: Oh\n"
    assert said(only(text, "srt")) == [("Ann", "Hi"), ("Bob", "Oh")]


def test_webvtt_tells_speakers_by_its_voices_and_passes_over_comments() -> None:
    account = only(VTT, "vtt")
    assert told(account) == (True, True, True)
    assert said(account) == [("Ann & co", "Hello there."), ("Bob", "Fish & chips"), ("Cy", "no")]
    assert account.turns[2] == Turn(3602.0, 3603.25, "Cy")
    assert not only(VTT.replace("<v Bob>", ""), "vtt").speakers
    plain = only("WEBVTT\n\n00:00.500 --> 00:02.000\nAnn: Oh.\n", "vtt")
    assert said(plain) == [("Ann", "Oh.")]


def test_plain_text_tells_speakers_where_each_line_or_paragraph_names_one() -> None:
    assert said(only("Ann: Hello\nthere.\n\nBob: Hi: you.\n", "txt")) == [
        ("Ann", "Hello there."),
        ("Bob", "Hi: you."),
    ]
    assert said(only("Dr. Ann Lee: Oh.\n- [Bob]: Hi.\n", "txt")) == [("Dr. Ann Lee", "Oh."), ("Bob", "Hi.")]
    assert said(only("Ann: Hello.\nBob: Hi.\n", "txt")) == [("Ann", "Hello."), ("Bob", "Hi.")]
    account = only("Ann said: hello.\nAnd then she left.\n", "txt")
    assert told(account) == (True, False, False)
    assert said(account) == [(None, "Ann said: hello. And then she left.")]


def test_notes_and_gaps_of_our_own_text_were_not_said() -> None:
    text = (
        "Draft: made by a machine.\n\n[00:00:01] Ann: Oh [inaudible 12:00–17:58] no.\n\n[inaudible 01:00–01:02]\n"
    )
    account = only(text, "txt")
    assert [words_of(segment.text or "") for segment in account.said] == [["oh", "no"]]
    assert account.speakers
    assert said(only("Draft: made by a machine.\n\n(no speech found)\n", "txt")) == []


def test_json_lines_tell_what_their_objects_do() -> None:
    text = '{"text": "Hi", "start_s": 1, "end_s": 2, "speaker": "Ann"}\n{"gap": true, "text": "[inaudible]"}\n'
    account = only(text, "jsonl")
    assert told(account) == (True, True, True)
    assert account.turns == (Turn(1, 2, "Ann"),)
    assert told(only('{"text": "Hi"}', "jsonl")) == (True, False, False)


def test_our_json_tells_words_and_the_turns_of_the_diarizer() -> None:
    transcript = transcript_of(utterance_of("Ann", "so we went"), turns=(Turn(0.0, 7.0, "Ann"),))
    account = only(str(FORMATS["json"](transcript)), "json")
    assert told(account) == (True, True, True)
    assert said(account) == [("Ann", "so we went")]
    assert account.turns == (Turn(0.0, 7.0, "Ann"),)


@pytest.mark.parametrize("name", ["txt", "srt", "vtt", "json"])
@given(transcript=transcripts())
def test_what_we_write_is_read_again_word_for_word(name: str, transcript: Transcript) -> None:
    account = only(str(FORMATS[name](transcript)), name)
    spoken = [(utterance.speaker, utterance.text) for utterance in transcript.utterances]
    assert by_speaker(said(account)) == by_speaker(spoken)
    assert account.speakers


def by_speaker(spoken: list[tuple[str | None, str | None]]) -> dict[str | None, list[str]]:
    """Return each speaker's words, sorted: subtitles of people who talk at once may change places."""
    words: dict[str | None, list[str]] = {}
    for speaker, text in spoken:
        words.setdefault(speaker, []).extend("".join(words_of(text or "")))
    return {speaker: sorted(found) for speaker, found in words.items() if found}


@given(transcripts())
def test_our_turns_are_read_again(transcript: Transcript) -> None:
    account = only(str(FORMATS["rttm"](transcript)), "rttm")
    written = {(round(t.start_s, 3), round(t.end_s, 3), t.speaker) for t in transcript.turns}
    read_again = {(round(t.start_s, 3), round(t.end_s, 3), t.speaker) for t in account.turns}
    assert read_again <= written
    assert all(round(end_s * 1000) == round(start_s * 1000) for start_s, end_s, _ in written - read_again)


@pytest.mark.parametrize(("name", "text"), [("stm", STM), ("rttm", RTTM), ("srt", SRT), ("vtt", VTT)])
def test_byte_order_marks_and_line_ends_of_other_systems_make_no_difference(name: str, text: str) -> None:
    plain = read(text.encode(), name)
    for other in (text.replace("\n", "\r\n"), text.replace("\n", "\r")):
        assert read(b"\xef\xbb\xbf" + other.encode(), name) == plain
        assert read(other.encode("utf-16"), name) == plain


@pytest.mark.parametrize("name", READERS)
def test_an_empty_file_holds_one_recording_in_which_nothing_is_said(name: str) -> None:
    empty = {"vtt": "WEBVTT\n", "json": '{"schema": "evt.transcript", "utterances": [], "turns": []}'}
    account = only(empty.get(name, "\n"), name)
    assert account.said == account.turns == ()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("stm", "talk 1 Ann 0 1 a\ntalk 1 Ann 0\n", "line 2: an STM line is"),
        ("stm", "\n\ntalk 1 Ann zero 1 a\n", "line 3: the start is 'zero'"),
        ("stm", "talk 1 Ann 2 1 a\n", "line 1: it ends at 1 s, before it begins at 2 s"),
        ("rttm", "SPEAKER talk 1 0 1 <NA> <NA>\n", "line 1: an RTTM line is"),
        ("rttm", "talk 1 Ann 0 1 a b c d\n", "line 1: an RTTM line is"),
        ("rttm", "SPEAKER talk 1 0 -1 <NA> <NA> Ann\n", "line 1: the length is '-1'"),
        ("rttm", "SPEAKER talk 1 nan 1 <NA> <NA> Ann\n", "line 1: the start is 'nan'"),
        ("ctm", "talk 1 0.5 0.2\n", "line 1: a CTM line is"),
        ("srt", "1\n00:00:01,000 --> then\nHi\n", "line 2: these are no times"),
        ("srt", "1\n00:00:01,000 --> 00:00:02,000\nHi\n\nand more\n", "line 5: a line of times is missing"),
        ("srt", "1\n00:00:03,000 --> 00:00:02,000\nHi\n", "line 2: it ends at 2 s"),
        ("vtt", "1\n00:00:01.000 --> 00:00:02.000\nHi\n", "line 1: a WebVTT file begins with"),
        ("json", '{"a": 1}', "no transcript of evt"),
        ("json", '{"schema": "evt.transcript", "utterances": [{}], "turns": []}', "not as evt writes it"),
        ("json", "\n{", "line 2: this is no JSON"),
        ("jsonl", '{"text": "a"}\n[1]\n', "line 2: this is no object"),
        ("jsonl", '{"speaker": "a"}\n', "line 1: this is no object with a `text`"),
        ("jsonl", '{"text": "a", "start_s": "b"}\n', "line 1: could not convert"),
        ("jsonl", '{"text": 7}\n', "line 1: this is no object with a `text`"),
        ("docx", "", "there is no reader for docx"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(name: str, text: str, message: str) -> None:
    with pytest.raises(ReferenceFileError) as caught:
        read(text.encode(), name)
    assert message in str(caught.value)


def test_text_of_an_unknown_encoding_is_refused_with_its_line() -> None:
    with pytest.raises(ReferenceFileError, match="line 2: this is not UTF-8"):
        read("good\nschön\n".encode("latin-1"), "txt")


@pytest.mark.parametrize("name", READERS)
@given(text=st.lists(st.sampled_from([*'1a:.,<>[]{}-"\n ', "\n\n", "-->", "00:01", "WEBVTT", "SPEAKER", "<v A>"])))
def test_whatever_a_file_holds_is_read_or_refused(name: str, text: list[str]) -> None:
    try:
        accounts = read("".join(text).encode(), name)
    except ReferenceFileError:
        return
    assert all(
        isinstance(account.said, tuple) and isinstance(account.turns, tuple) for account in accounts.values()
    )
