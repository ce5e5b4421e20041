"""Names for labels, and labels that are one person: carried over by the times of speech, one to one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.annotations.speakers import clean_name, differences, find, naming_of, order_from, split_name
from pipeline.errors import NamingError
from pipeline.formats import FORMATS
from pipeline.speech.naming import (
    CARRIED_SHARE,
    Naming,
    apply,
    as_content,
    counterparts,
    from_content,
    nameless,
    speech_of,
    with_names,
)
from pipeline.speech.speakers import SAMPLE_CHARACTERS, speakers_of
from pipeline.speech.times import Spans, common_s, length_s, spans_of
from pipeline.speech.transcript import Engines, Transcript
from pipeline.speech.values import UNKNOWN_SPEAKER, AttributedWord, Turn, Utterance

A, B, C = "SPEAKER_00", "SPEAKER_01", "SPEAKER_02"
LABELS = (A, B, C, "SPEAKER_03")


def word(speaker: str, start_s: float, text: str = "word", **more: Any) -> AttributedWord:
    return AttributedWord(text, start_s, start_s + 0.4, speaker, 1.0, "overlap", **more)


def said(*passages: tuple[str, float, str], turns: list[Turn] | None = None) -> Transcript:
    """Return a transcript of people who say these words, each word half a second."""
    utterances = tuple(
        Utterance(speaker, tuple(word(speaker, start_s + n / 2, text) for n, text in enumerate(text.split())))
        for speaker, start_s, text in passages
    )
    own = [Turn(u.start_s, u.end_s, u.speaker) for u in utterances if u.speaker != UNKNOWN_SPEAKER]
    found = tuple(own if turns is None else turns)
    return Transcript("ab", "talk.wav", utterances, found, 100.0, "en", False, Engines("x", "y"))


def named(transcript: Transcript, *names: tuple[str, str], same: list[tuple[str, str]] | None = None) -> Transcript:
    return apply(transcript, as_content(naming_of(transcript, names, same or []))).transcript


def shown(transcript: Transcript) -> list[str]:
    return [utterance.speaker for utterance in with_names(transcript).utterances]


def relabelled(transcript: Transcript, new: Mapping[str, str]) -> Transcript:
    """Return what another diarizer would make of it that hears the same and calls people otherwise."""
    passages = [(new[u.speaker], u.start_s, u.text) for u in transcript.utterances]
    return said(*passages, turns=[Turn(t.start_s, t.end_s, new[t.speaker]) for t in transcript.turns])


TWO = said((A, 0.0, "good morning everybody"), (B, 3.0, "hello"), (A, 5.0, "how are you"))

spans = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9)), min_size=1, max_size=6).map(
    lambda found: spans_of((start, start + length) for start, length in found)
)
seconds = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)))
speech = st.dictionaries(st.sampled_from(LABELS), spans, max_size=4)


# ---- times


@given(seconds, seconds)
def test_what_spans_cover_and_share_is_what_counting_seconds_gives(one, other):
    """Whole seconds, so that they can be counted."""
    sets = [{s for start, length in found for s in range(start, start + length)} for found in (one, other)]
    first, second = (spans_of((start, start + length) for start, length in found) for found in (one, other))
    assert (length_s(first), length_s(second)) == (len(sets[0]), len(sets[1]))
    assert common_s(first, second) == common_s(second, first) == len(sets[0] & sets[1])


# ---- carrying over


@given(speech, speech)
def test_no_label_speaks_for_two_and_only_labels_that_share_much_speech_correspond(was, now):
    found = counterparts(was, now)
    assert len(set(found.values())) == len(found)
    assert found.keys() <= was.keys()
    assert set(found.values()) <= now.keys()
    for old, new in found.items():
        assert common_s(was[old], now[new]) >= CARRIED_SHARE * min(length_s(was[old]), length_s(now[new]))


@given(speech)
def test_the_same_diarization_leaves_every_label_as_it_is(was):
    assert counterparts(was, was) == {label: label for label in was}


@given(st.permutations(LABELS), st.lists(st.tuples(st.sampled_from(LABELS), st.integers(1, 9)), max_size=12))
def test_labels_that_only_changed_places_are_all_found_again(new, turns):
    """People who speak one after the other are told apart by their times alone, whatever they are called."""
    was: dict[str, Spans] = {}
    at = 0
    for label, length in turns:
        was[label] = spans_of([*was.get(label, ()), (at, at + length)])
        at += length + 1
    renamed = dict(zip(LABELS, new, strict=True))
    now = {renamed[label]: found for label, found in was.items()}
    assert counterparts(was, now) == {label: renamed[label] for label in was}


@given(speech, speech)
def test_who_is_left_out_shares_much_speech_only_with_labels_that_are_taken(was, now):
    found = counterparts(was, now)
    for old in was.keys() - found.keys():
        for new in now.keys() - set(found.values()):
            least_s = CARRIED_SHARE * min(length_s(was[old]), length_s(now[new]))
            assert common_s(was[old], now[new]) < least_s or common_s(was[old], now[new]) == 0


def test_a_name_follows_the_voice_and_not_the_label():
    content = as_content(naming_of(TWO, [(A, "Anna"), (B, "Ben")], []))
    other = apply(relabelled(TWO, {A: B, B: A}), content)
    assert shown(other.transcript) == ["Anna", "Ben", "Anna"]
    assert other.notes == ()


def test_a_name_whose_speaker_is_not_heard_any_more_is_left_out_and_told():
    content = as_content(naming_of(TWO, [(B, "Ben")], []))
    other = apply(said((A, 50.0, "somebody else speaks here")), content)
    assert other.transcript.names == {}
    (note,) = other.notes
    assert "Ben" in note
    assert B in note


def test_another_transcription_of_the_same_turns_keeps_every_name():
    content = as_content(naming_of(TWO, [(A, "Anna"), (B, "Ben")], []))
    again = said((A, 0.1, "good evening"), (B, 3.1, "yellow"), turns=list(TWO.turns))
    assert shown(apply(again, content).transcript) == ["Anna", "Ben"]


def test_that_two_are_one_needs_no_note_where_the_new_diarizer_hears_one():
    content = as_content(naming_of(TWO, [], [(A, B)]))
    other = apply(said((C, 0.0, "good morning everybody a b hello c d e how are you")), content)
    assert other.notes == ()
    gone = apply(said((A, 0.0, "good morning everybody"), (C, 50.0, "hello")), content)
    assert len(gone.notes) == 1


def test_the_unknown_speaker_can_be_named_and_stays_unknown_elsewhere():
    unknown = said((A, 0.0, "good morning"), (UNKNOWN_SPEAKER, 3.0, "hello"))
    content = as_content(naming_of(unknown, [(UNKNOWN_SPEAKER, "audience")], []))
    assert shown(apply(unknown, content).transcript) == [A, "audience"]
    moved = said((A, 3.0, "good morning"), (UNKNOWN_SPEAKER, 9.0, "hello"))
    assert shown(apply(moved, content).transcript) == [A, "audience"]


# ---- applying


def test_a_name_stands_wherever_the_label_stood():
    heard = Utterance(A, (word(A, 0.0, alternatives=(B,), overlapped=True),))
    transcript = Transcript(
        "ab", "t", (heard,), (Turn(0, 1, A), Turn(0, 1, B)), 9.0, None, False, Engines("x", "y")
    )
    final = with_names(named(transcript, (A, "Anna"), (B, "Ben")))
    for name in FORMATS:
        content = FORMATS[name](final)
        text = content if isinstance(content, str) else content.decode(errors="replace")
        assert "SPEAKER_" not in text.replace(f'"label": "{A}"', "").replace(f'"label": "{B}"', ""), name
    (only,) = final.utterances[0].words
    assert (only.speaker, only.alternatives, only.overlapped) == ("Anna", ("Ben",), True)


def test_the_json_tells_name_and_label_of_each_speaker():
    document = orjson.loads(FORMATS["json"](with_names(named(TWO, (A, "Anna")))))
    found = {(one["speaker"], one["label"]) for one in document["speakers"]}
    assert found == {("Anna", A), (B, B)}


@pytest.mark.parametrize("name", ["<b>&-->", "]]>", 'a "quoted" name', "名前", "a,b;c", "x: y", "{\\an8}", "=1+1"])
@pytest.mark.parametrize("format_name", sorted(FORMATS))
def test_every_format_can_hold_any_name(name, format_name):
    assert FORMATS[format_name](with_names(named(TWO, (A, name))))


def test_two_labels_that_are_one_person_are_one_everywhere():
    heard = Utterance(A, (word(A, 0.0, alternatives=(B,), overlapped=True),))
    turns = (Turn(0, 2, A), Turn(1, 3, B), Turn(5, 6, B))
    transcript = Transcript("ab", "t", (heard,), turns, 9.0, None, False, Engines("x", "y"))
    joined = named(transcript, same=[(A, B)])
    assert joined.turns == (Turn(0, 3, A), Turn(5, 6, A))
    (only,) = joined.utterances[0].words
    assert (only.alternatives, only.overlapped) == ((), False)


def test_who_becomes_somebody_gives_a_name_only_to_one_who_has_none():
    assert named(named(TWO, (B, "Ben")), same=[(A, B)]).names == {A: "Ben"}
    assert named(named(TWO, (A, "Anna"), (B, "Ben")), same=[(A, B)]).names == {A: "Anna"}


def test_labels_can_be_joined_in_a_chain_and_named_by_any_of_them():
    three = said((A, 0.0, "one"), (B, 2.0, "two"), (C, 4.0, "three"))
    assert shown(named(three, (C, "Anna"), same=[(A, B), (B, C)])) == ["Anna"] * 3
    assert shown(named(three, same=[(B, C), (A, B)])) == [A] * 3


def test_names_can_change_places_at_once():
    once = named(TWO, (A, "Anna"), (B, "Ben"))
    assert named(once, ("Anna", "Ben"), ("Ben", "Anna")).names == {A: "Ben", B: "Anna"}


def test_the_later_word_holds_where_two_namings_come_to_one_name():
    """Each was possible as it was said; what was said between them was taken back."""
    first, second = (as_content(naming_of(TWO, [(label, "Anna")], [])) for label in (A, B))
    assert apply(apply(TWO, first).transcript, second).transcript.names == {B: "Anna"}


def test_a_speaker_who_is_called_by_its_label_has_no_name_any_more():
    assert named(named(TWO, (A, "Anna")), ("Anna", A)).names == {}


def test_names_in_order_go_to_those_who_say_something_as_they_begin():
    content = as_content(Naming(in_order=("Ben", "Anna", "Cara")))
    found = apply(said((UNKNOWN_SPEAKER, 0.0, "hm"), (B, 1.0, "hello"), (A, 3.0, "hi")), content)
    assert found.transcript.names == {B: "Ben", A: "Anna"}
    assert "Cara" in found.notes[0]
    fewer = apply(TWO, as_content(Naming(in_order=("Anna",))))
    assert (fewer.notes, nameless(fewer.transcript)) == ((), (B,))


@given(
    st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(["Anna", "Ben", "Cara", *LABELS[:2]])), max_size=6)
)
def test_no_two_labels_ever_have_one_name(steps):
    transcript = said(*((label, float(4 * at), "some words") for at, label in enumerate(LABELS)))
    for step in steps:
        try:
            transcript = named(transcript, step)
        except NamingError:
            continue
        assert len(transcript.labels) == len(transcript.names)
        assert not set(transcript.labels) & set(LABELS)


@given(st.dictionaries(st.sampled_from(LABELS), st.text(max_size=5)), speech, st.none() | st.text(max_size=9))
def test_what_is_kept_is_what_was_said(names, when, because):
    naming = Naming(names, ((A, B),), ("Anna",), when, because or None)
    assert from_content(orjson.loads(orjson.dumps({"salt": "ab", **as_content(naming)}))) == naming


# ---- what is refused


@pytest.mark.parametrize(
    "bad", ["", "  ", "\u200d", "a\x1b[2Jb", "a\x00b", "a\u202eb", "a\u200bb", "\ufeffa", "a\udce9", "x" * 201]
)
def test_what_can_be_no_name_is_refused(bad):
    with pytest.raises(NamingError):
        clean_name(bad)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("  Anna   Müller ", "Anna Müller"),
        ("Anna\nMüller", "Anna Müller"),
        ("Mu\u0308ller", "Müller"),
        ("می‌خواهم",) * 2,
    ],
)
def test_white_space_is_reduced_and_letters_are_composed(written, kept):
    assert clean_name(written) == kept


@pytest.mark.parametrize(
    ("names", "same", "advice"),
    [
        ([(A, "Ben")], [], f"--same {B} {A}"),
        ([(A, B)], [], f"--same {B} {A}"),
        ([(A, "speaker_17")], [], "diarizer"),
        ([(A, "Anna"), (A, "Cara")], [], "two names"),
        ([("Dora", "Anna")], [], "There are"),
        ([], [(A, A)], "one speaker already"),
        ([], [(A, B), (B, A)], "one speaker already"),
        ([(A, "x" * 201)], [], "201 characters"),
    ],
)
def test_what_makes_no_sense_is_refused_with_advice(names, same, advice):
    with pytest.raises(NamingError, match=advice):
        naming_of(named(TWO, (B, "Ben")), names, same)


def test_a_speaker_is_found_by_label_or_name_in_any_case_unless_that_is_two():
    transcript = named(TWO, (A, "Anna"), (B, "anna"))
    assert [find(transcript, text) for text in (A, A.lower(), "Anna", "anna", " Anna ")] == [A, A, A, B, A]
    with pytest.raises(NamingError, match="Anna"):
        find(transcript, "ANNA")


def test_a_name_may_hold_the_sign_that_separates_it():
    assert split_name(TWO, f"{A}=x=y") == (A, "x=y")
    assert split_name(named(TWO, (A, "x=y")), "x=y=z") == (A, "z")
    for bad in ("Anna", "=", "nobody=Anna"):
        with pytest.raises(NamingError):
            split_name(TWO, bad)


@pytest.mark.parametrize("bad", [["Anna,Anna"], ["Anna,"], ["UNKNOWN"], [""]])
def test_names_in_order_are_checked_like_others(bad):
    with pytest.raises(NamingError):
        order_from(bad)


# ---- the list


def test_the_list_shows_who_speaks_how_much_and_a_clear_line():
    long = "word " * 40
    transcript = said((B, 0.0, "first"), (A, 5.0, long), (A, 40.0, "bye"), (UNKNOWN_SPEAKER, 50.0, "hm"))
    first, second, third = speakers_of(named(transcript, (A, "Anna")))
    assert [speaker.label for speaker in (first, second, third)] == [B, A, UNKNOWN_SPEAKER]
    assert (second.name, second.words, third.words) == ("Anna", 41, 1)
    assert sum(speaker.share for speaker in (first, second, third)) == pytest.approx(1)
    assert second.sample is not None
    assert len(second.sample.text) <= SAMPLE_CHARACTERS
    assert (second.sample.start_s, second.sample.text[-1]) == (5.0, "…")


def test_a_line_during_which_others_speak_is_no_sample_if_there_is_another():
    crossed = Utterance(A, (word(A, 0.0, "interruptions", overlapped=True),))
    clear = Utterance(A, (word(A, 9.0, "yes"),))
    transcript = Transcript("ab", "t", (crossed, clear), (), 9.0, None, False, Engines("x", "y"))
    (speaker,) = speakers_of(transcript)
    assert speaker.sample is not None
    assert speaker.sample.text == "yes"


def test_what_changed_is_told_both_ways():
    after = named(TWO, (A, "Anna"), same=[(A, B)])
    assert differences(TWO, after) == (f"{A} is Anna now.", f"{B} and {A} are one person now, {A}.")
    assert differences(after, TWO) == (f"{A} has no name any more.", f"{B} is a speaker of its own again.")
    assert differences(TWO, TWO) == ()
    assert set(speech_of(after)) == {A}
