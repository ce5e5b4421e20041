"""What a user corrected: found by comparing texts, applied to the same transcript and to later ones, never lost."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import orjson
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.speech.alignment import units
from pipeline.speech.corrections.correcting import apply_corrections
from pipeline.speech.corrections.differences import corrections_of
from pipeline.speech.corrections.editable import EditedTextError, Paragraph, paragraphs_of, text_of
from pipeline.speech.corrections.values import APPLIED, CONFLICT, SATISFIED, Corrected, Correction, correction_from
from pipeline.speech.scripts import is_unspaced
from pipeline.speech.transcript import Transcript
from pipeline.speech.values import AttributedWord, Gap, Utterance
from projections.summary import as_json
from tests.support.strategies import any_text, transcript_of, transcripts, utterance_of

SOME = settings(max_examples=max(10, settings().max_examples // 4))

Edit = tuple[str, int, int, str]

edits = st.lists(
    st.tuples(
        st.sampled_from(["change", "delete", "insert", "speaker", "divide", "join", "remove", "add", "move"]),
        st.integers(0, 50),
        st.integers(0, 50),
        st.sampled_from(["so", "no", "Zürich,", "漢字", "あ", "—", "שלום", "ابه.", "SPEAKER_01", "Berta"]),
    ),
    max_size=6,
)


def edited(paragraphs: list[Paragraph], changes: list[Edit]) -> list[Paragraph]:
    """Do what people do with a text."""
    found = list(paragraphs)
    for what, which, where, text in changes:
        if not found:
            found = [Paragraph(1.0, "Berta", text)]
            continue
        at = which % len(found)
        one = found[at]
        words = one.text.split()
        place = where % (len(words) + 1)
        match what:
            case "change" if place < len(words):
                words[place] = text
            case "delete":
                del words[place : place + 1]
            case "insert":
                words.insert(place, text)
            case "speaker":
                found[at] = evolve(one, speaker=text)
                continue
            case "divide":
                parts = [" ".join(words[:place]), " ".join(words[place:])]
                found[at : at + 1] = [evolve(one, text=part) for part in parts]
                continue
            case "join" if at + 1 < len(found):
                words += found.pop(at + 1).text.split()
            case "remove":
                del found[at]
                continue
            case "add":
                found.insert(at, Paragraph(where / 10, "Berta", text))
                continue
            case "move":
                found.insert(where % len(found), found.pop(at))
                continue
        found[at] = evolve(one, text=" ".join(words))
    return found


def reading(utterances: tuple[Utterance, ...]) -> list[tuple[str, tuple[str, ...]]]:
    return [(p.speaker, tuple(units(p.text))) for p in as_paragraphs(transcript_of(*utterances))]


def wanted(paragraphs: list[Paragraph]) -> list[tuple[str, tuple[str, ...]]]:
    return [(p.speaker, tuple(units(p.text))) for p in paragraphs if units(p.text)]


def as_paragraphs(transcript: Transcript) -> list[Paragraph]:
    return list(paragraphs_of(text_of(transcript), transcript))


def corrected(transcript: Transcript, corrections: tuple[Correction, ...]) -> Corrected:
    return apply_corrections(transcript.utterances, dict(enumerate(corrections, start=1)))


def is_one_after_another(transcript: Transcript) -> bool:
    return all(one.end_s <= other.start_s for one, other in pairwise(transcript.utterances))


@SOME
@given(transcripts(any_text, any_text))
def test_a_text_that_was_not_edited_gives_no_corrections(transcript: Transcript) -> None:
    assert corrections_of(transcript.utterances, as_paragraphs(transcript)) == ()


@given(transcripts(), edits)
def test_a_transcript_with_its_corrections_reads_as_the_edited_text(
    transcript: Transcript, changes: list[Edit]
) -> None:
    paragraphs = edited(as_paragraphs(transcript), changes)
    corrections = corrections_of(transcript.utterances, paragraphs)
    result = corrected(transcript, corrections)
    assert {outcome.status for outcome in result.outcomes.values()} <= {APPLIED}
    if is_one_after_another(transcript):
        assert reading(result.utterances) == wanted(paragraphs)
    else:
        assert sorted(reading(result.utterances)) == sorted(wanted(paragraphs))


@given(transcripts(), edits)
def test_what_no_correction_names_stays_as_it_is_and_no_word_begins_before_the_one_before(
    transcript: Transcript, changes: list[Edit]
) -> None:
    corrections = corrections_of(transcript.utterances, edited(as_paragraphs(transcript), changes))
    result = corrected(transcript, corrections)
    before = [word for utterance in transcript.utterances for word in utterance.words]
    touched = {
        at for one in corrections if one.kind == "words" for at in range(one.index, one.index + len(one.was))
    }
    after = [word for utterance in result.utterances for word in utterance.words]
    heard = [as_heard(word) for word in after]
    assert all(as_heard(word) in heard for at, word in enumerate(before) if at not in touched)
    if not any(one.speaker for one in corrections):
        assert all(word in after for at, word in enumerate(before) if at not in touched)
    in_order = is_one_after_another(transcript)
    for utterance in result.utterances:
        assert not in_order or all(one.start_s <= other.start_s for one, other in pairwise(utterance.words))
        assert {word.speaker for word in utterance.words} == {utterance.speaker}
        assert all(word.start_s <= word.end_s for word in utterance.words)
    assert all(one.start_s <= other.start_s for one, other in pairwise(result.utterances))


def as_heard(word: AttributedWord) -> AttributedWord:
    """A word without who says it."""
    return evolve(word, speaker="", share=1.0, method="", alternatives=())


@SOME
@given(transcripts(), edits, transcripts())
def test_every_correction_is_applied_satisfied_or_a_conflict_in_any_transcript(
    transcript: Transcript, changes: list[Edit], other: Transcript
) -> None:
    corrections = corrections_of(transcript.utterances, edited(as_paragraphs(transcript), changes))
    result = corrected(other, corrections)
    assert list(result.outcomes) == list(range(1, len(corrections) + 1))
    if not any(outcome.status == APPLIED for outcome in result.outcomes.values()):
        undivided = tuple(evolve(utterance, divided=False) for utterance in result.utterances)
        assert undivided == other.utterances


@SOME
@given(transcripts(), edits)
def test_corrections_survive_being_stored(transcript: Transcript, changes: list[Edit]) -> None:
    corrections = corrections_of(transcript.utterances, edited(as_paragraphs(transcript), changes))
    stored = orjson.loads(orjson.dumps([as_json(one) for one in corrections]))
    assert tuple(map(correction_from, stored)) == corrections


@SOME
@given(transcripts(), st.randoms(use_true_random=False))
def test_lines_may_be_wrapped_anywhere(transcript: Transcript, chance: Random) -> None:
    wrapped = []
    for line in text_of(transcript).split("\n"):
        head, colon, text = line.partition(": ")
        parts = units(text) if colon and line.startswith("[") else []
        ends = ["\n", "\r\n  ", " "] if all(map(is_spaced, parts)) else ["\n"]
        wrapped.append(head + colon + "".join(part + chance.choice(ends) for part in parts) if parts else line)
    found = paragraphs_of("\n".join(wrapped), transcript)
    assert [evolve(one, text="") for one in found] == [evolve(one, text="") for one in as_paragraphs(transcript)]
    assert [units(one.text) for one in found] == [units(one.text) for one in as_paragraphs(transcript)]


def is_spaced(text: str) -> bool:
    return not any(map(is_unspaced, text))


def talk(text: str, **changes: float) -> Transcript:
    """`A: one two. B: three` as a transcript, each word 0.4 s long and 0.1 s apart from the next."""
    found, at_s = [], changes.get("start_s", 0.0)
    for paragraph in text.split(" | "):
        speaker, _, said = paragraph.partition(": ")
        words = []
        for word in said.split():
            words.append(AttributedWord(word, at_s, at_s + 0.4, speaker, 1.0, "overlap", confidence=0.5))
            at_s += 0.5
        found.append(Utterance(speaker, tuple(words)))
    return transcript_of(*found)


def as_text(utterances: tuple[Utterance, ...]) -> str:
    return " | ".join(f"{utterance.speaker}: {utterance.text}" for utterance in utterances)


OLD = "A: well I met Ann Nox | B: at the harbour | A: yes indeed"


def between(old: str, new: str) -> tuple[Correction, ...]:
    return corrections_of(talk(old).utterances, as_paragraphs(talk(new)))


@pytest.mark.parametrize(
    ("new", "kinds"),
    [
        ("A: well I met Anne Knox | B: at the harbour | A: yes indeed", ["words"]),
        ("A: well met Ann Nox | B: at the harbour | A: yes", ["words", "words"]),
        ("A: well then I met Ann Nox | B: right at the harbour | A: yes indeed", ["words", "words"]),
        ("B: well I met Ann Nox | B: at the harbour | A: yes indeed", ["speaker"]),
        ("A: well I met | B: Ann Nox | B: at the harbour | A: yes indeed", ["speaker"]),
        ("A: well I met Ann Nox | B: at | B: the harbour | A: yes indeed", ["paragraph"]),
        ("A: well I met Ann Nox | A: yes indeed", ["words"]),
        ("A: well I met Ann Nox | C: who | B: at the harbour | A: yes indeed", ["words"]),
    ],
)
def test_corrections_are_as_few_as_people_would_say(new: str, kinds: list[str]) -> None:
    corrections = between(OLD, new)
    assert [one.kind for one in corrections] == kinds
    assert as_text(corrected(talk(OLD), corrections).utterances) == new


@pytest.mark.parametrize(
    ("new", "later", "result"),
    [
        # Words elsewhere are others now.
        ("A: well I met Anne Nox | B: at the harbour | A: yes indeed",
         "A: and I met Ann Nox | B: at the harbor | A: yeah indeed",
         "A: and I met Anne Nox | B: at the harbor | A: yeah indeed"),
        # Only the punctuation is another one.
        ("A: well I met Anne Nox | B: at the harbour | A: yes indeed",
         "A: Well, I met Ann, Nox. | B: At the harbour? | A: Yes! Indeed.",
         "A: Well, I met Anne Nox. | B: At the harbour? | A: Yes! Indeed."),
        # What a speaker says is written in another way.
        ("A: well I met Ann Nox | A: at the harbour | A: yes indeed",
         "A: well I met Ann Nox | B: at a harbor | A: yes indeed",
         "A: well I met Ann Nox | A: at a harbor | A: yes indeed"),
        # Labels are others now, which words don't care about.
        ("A: well I met Anne Nox | B: at the harbour | A: yes indeed",
         "S: well I met Ann Nox | T: at the harbour | S: yes indeed",
         "S: well I met Anne Nox | T: at the harbour | S: yes indeed"),
    ],
)  # fmt: skip
def test_a_later_transcript_is_corrected_where_the_same_words_stand(new: str, later: str, result: str) -> None:
    found = corrected(talk(later), between(OLD, new))
    assert as_text(found.utterances) == result
    assert {outcome.status for outcome in found.outcomes.values()} == {APPLIED}


@pytest.mark.parametrize(
    "new",
    [
        "A: well I met Anne Knox | B: at the harbour | A: yes indeed",
        "A: well I met Ann | B: at the harbour | A: yes indeed",
        "A: so well I met Ann Nox | B: at the harbour | A: yes indeed",
        "A: well I met Ann Nox | B: at the the harbour | A: yes indeed",
        "A: well I met Ann Nox | B: at the harbour | A: yes indeed you know",
        "A: well I met Ann Nox | A: at the harbour | A: yes indeed",
        "A: well I met Ann Nox | B: at the | B: harbour | A: yes indeed",
    ],
)
def test_what_a_later_transcript_has_right_is_satisfied(new: str) -> None:
    found = corrected(talk(new), between(OLD, new))
    assert as_text(found.utterances) == new
    assert {outcome.status for outcome in found.outcomes.values()} == {SATISFIED}


@pytest.mark.parametrize(
    ("new", "later", "found"),
    [
        ("A: well I met Anne Nox | B: at the harbour | A: yes indeed",
         "A: well I met Hans Nox | B: at the harbour | A: yes indeed", ("Hans",)),
        ("A: well I met Ann | B: at the harbour | A: yes indeed",
         "A: well I met Ann Fox | B: at the harbour | A: yes indeed", ("Ann", "Fox")),
        ("A: well I met Ann Nox today | B: at the harbour | A: yes indeed",
         "A: well I met Ann Nox now | B: at the harbour | A: yes indeed", ("Nox",)),
        ("A: well I met Ann Nox | C: at the harbour | A: yes indeed",
         "A: well I met Ann Nox | D: at the harbour | A: yes indeed", ("at", "the", "harbour")),
        ("A: well I met Ann Nox | B: at the harbour | A: yes | A: indeed", "A: well I met", ()),
    ],
)  # fmt: skip
def test_what_was_changed_otherwise_is_a_conflict_and_stays(new: str, later: str, found: tuple[str, ...]) -> None:
    result = corrected(talk(later), between(OLD, new))
    assert as_text(result.utterances) == later
    (outcome,) = result.outcomes.values()
    assert (outcome.status, outcome.found) == (CONFLICT, found)


def test_the_same_words_at_another_time_are_not_taken_for_the_corrected_ones() -> None:
    corrections = between("A: Ann and Bob and Ann", "A: Anne and Bob and Ann")
    result = corrected(talk("A: Hans and Bob and Ann"), corrections)
    assert [outcome.status for outcome in result.outcomes.values()] == [CONFLICT]
    late = corrected(talk("A: Ann and Bob and Ann", start_s=0.9), corrections)
    assert [outcome.status for outcome in late.outcomes.values()] == [CONFLICT]


def test_new_words_have_the_time_of_those_they_replace_and_lie_between_their_neighbours_otherwise() -> None:
    corrections = between("A: one two three", "A: one twenty five three four")
    words = corrected(talk("A: one two three"), corrections).utterances[0].words
    assert [word.text for word in words] == ["one", "twenty", "five", "three", "four"]
    assert (words[1].start_s, words[1].end_s, words[2].end_s) == (0.5, pytest.approx(0.74), 0.9)
    assert words[3].end_s == words[4].start_s == pytest.approx(1.4)
    assert [word.confidence for word in words] == [0.5, None, None, 0.5, None]
    assert [word.method for word in words] == ["overlap", "corrected", "corrected", "overlap", "corrected"]


def test_a_new_paragraph_stands_at_its_time_within_the_pause() -> None:
    transcript = transcript_of(utterance_of("A", "one"), utterance_of("B", "two", start_s=60.0))
    paragraphs = [
        *as_paragraphs(transcript)[:1],
        Paragraph(42.0, "Berta", "hello there"),
        Paragraph(60.0, "B", "two"),
    ]
    result = corrected(transcript, corrections_of(transcript.utterances, paragraphs))
    assert as_text(result.utterances) == "A: one | Berta: hello there | B: two"
    assert result.utterances[1].start_s == 42.0
    assert 42.5 < result.utterances[1].end_s < 43.0


@pytest.mark.parametrize(
    ("old", "new", "was", "now"),
    [
        (["今日", "は", "東京。"], "今日は京都。", ("東京。",), ("京", "都。")),
        (["שלום", "עולם"], "שלום לכם עולם", ("שלום",), ("שלום", "לכם")),
        (["สวัสดี", "ครับ"], "สวัสดี ค่ะ", ("ครับ",), ("ค่", "ะ")),
    ],
)
def test_scripts_without_spaces_and_from_right_to_left_are_corrected_by_word(
    old: list[str], new: str, was: tuple[str, ...], now: tuple[str, ...]
) -> None:
    words = tuple(AttributedWord(text, at, at + 1.0, "A", 1.0, "overlap") for at, text in enumerate(old))
    transcript = transcript_of(Utterance("A", words))
    (one,) = corrections_of(transcript.utterances, [Paragraph(0.0, "A", new)])
    assert (one.was, one.now) == (was, now)
    (utterance,) = corrected(transcript, (one,)).utterances
    assert units(utterance.text) == units(new)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# help\n\nhello", 3),
        ("[00:00:01] A: one\n\n[00:0x:02] A: two", 3),
        ("[00:00:01] A: one\ntwo\n[0:02 A: three", 3),
        ("\n[00:00:01] one", 2),
        ("[00:00:01] : one", 1),
        ("# all is gone\n", 1),
        ("[00:00:01] A: one\n\nB: two", 3),
        ("[00:00:01] A: one\n\n[zz] B: two", 3),
    ],
)
def test_the_line_that_can_not_be_understood_is_named(text: str, line: int) -> None:
    with pytest.raises(EditedTextError) as error:
        paragraphs_of(text, talk(OLD))
    assert error.value.line == line


def test_names_stand_for_labels_and_gaps_are_only_shown() -> None:
    transcript = evolve(talk(OLD), names={"A": "Anna: the elder", "B": "B"}, gaps=(Gap(1.0, 65.0),))
    text = text_of(transcript)
    assert "[inaudible 00:01–01:05]" in text
    assert "[00:00:00] Anna꞉ the elder: well" in text
    assert {paragraph.speaker for paragraph in paragraphs_of(text, transcript)} == {"A", "B"}
    assert corrections_of(transcript.utterances, paragraphs_of(text, transcript)) == ()


def test_what_is_right_already_keeps_its_own_punctuation() -> None:
    corrections = between(OLD, "A: well I met Anne Nox | B: at the harbour | A: yes indeed")
    later = "A: well I met Anne, Nox | B: at the harbour | A: yes indeed"
    result = corrected(talk(later), corrections)
    assert (as_text(result.utterances), result.outcomes[1].status) == (later, SATISFIED)


def test_who_is_named_as_the_speaker_of_a_word_leaves_no_doubt_about_it() -> None:
    doubted = AttributedWord("so", 0.0, 0.4, "A", 0.3, "edge", alternatives=("B",), confidence=0.5)
    transcript = transcript_of(Utterance("A", (doubted,)))
    result = corrected(transcript, corrections_of(transcript.utterances, [Paragraph(0.0, "B", "so")]))
    assert result.utterances[0].words == (
        evolve(doubted, speaker="B", share=1.0, method="corrected", alternatives=()),
    )
