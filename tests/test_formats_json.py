from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from jsonschema import Draft202012Validator

from pipeline.formats.json import render
from pipeline.speech.quality import report
from pipeline.speech.transcript import DRAFT_NOTE, Transcript
from pipeline.speech.values import AttributedWord, Gap, Turn, Utterance, Word
from tests.support.documents import SAID, hostile_transcripts, with_report
from tests.support.strategies import any_text, transcript_of, transcripts

DOCUMENT = Path(__file__).parents[1] / "docs" / "transcript-json.md"


SCHEMA = json.loads((DOCUMENT.parent / "transcript.schema.json").read_text(encoding="utf-8"))
Draft202012Validator.check_schema(SCHEMA)
VALIDATOR = Draft202012Validator(SCHEMA)


def example() -> Transcript:
    """The transcript that the document shows."""
    words = (
        AttributedWord("Oh,", 8.436, 8.6564, "SPEAKER_00", 1.0, "overlap", 0.9141),
        AttributedWord(
            "hello.", 8.656, 8.876, "SPEAKER_00", 0.81, "realigned", None, ("SPEAKER_01",), True, ("repeated",)
        ),
    )
    transcript = transcript_of(
        Utterance("SPEAKER_00", words),
        name="talk.wav",
        turns=(
            Turn(8.317, 9.92, "SPEAKER_00"),
            Turn(8.7, 9.1, "SPEAKER_01", 1),
            Turn(9, 9.2, "SPEAKER_01", 1),
        ),
        duration_s=30.0,
        draft=True,
        gaps=(Gap(12.0, 17.5),),
    )
    said = [Word(word.text, word.start_s, word.end_s) for word in words]
    speech = [(8.3, 10.0), (12.0, 17.5)]
    made = report(said, transcript.utterances, transcript.turns, transcript.gaps, speech, transcript.duration_s)
    return evolve(transcript, quality=made)


def test_the_documents_example_is_what_is_written() -> None:
    shown = re.search(r"```json\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert shown
    assert render(example()) == shown[1]


def test_the_document_explains_every_field() -> None:
    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*map(keys, value.values()))
        return set().union(*map(keys, value)) if isinstance(value, list) else set()

    explained = set(re.findall(r"`(\w+)`", DOCUMENT.read_text(encoding="utf-8")))
    assert keys(json.loads(render(example()))) - explained == set()


@given(transcripts())
def test_everything_that_was_said_comes_back(transcript: Transcript) -> None:
    back = json.loads(render(transcript))
    assert (back["schema"], back["version"], back["draft"]) == ("evt.transcript", 1, transcript.draft)
    assert [u["text"] for u in back["utterances"]] == [u.text for u in transcript.utterances]
    words = [word for utterance in transcript.utterances for word in utterance.words]
    assert [(w["text"], w["speaker"]) for u in back["utterances"] for w in u["words"]] == [
        (word.text, word.speaker) for word in words
    ]
    assert [(t["speaker"], t["channel"]) for t in back["turns"]] == [
        (turn.speaker, turn.channel) for turn in transcript.turns
    ]
    assert sum(speaker["words"] for speaker in back["speakers"]) == len(words)


@given(transcripts(any_text, any_text))
def test_any_text_gives_valid_json_with_every_word(transcript: Transcript) -> None:
    back = json.loads(render(transcript).encode())
    assert [len(u["words"]) for u in back["utterances"]] == [len(u.words) for u in transcript.utterances]


@given(hostile_transcripts)
def test_what_is_written_is_as_the_schema_says(transcript: Transcript) -> None:
    VALIDATOR.validate(json.loads(render(transcript)))
    every_field_is_in_the_schema(json.loads(render(transcript)), SCHEMA)


@pytest.mark.parametrize("case", SAID)
def test_every_script_and_case_is_as_the_schema_says(case: str) -> None:
    VALIDATOR.validate(json.loads(render(SAID[case])))


@pytest.mark.parametrize(
    ("field", "value"),
    [("version", 2), ("duration_s", "1"), ("name", "a\nb"), ("gaps", [{"start_s": 1}]), ("quality", None)],
)
def test_the_schema_refuses_what_is_not_a_transcript(field: str, value: object) -> None:
    document = json.loads(render(example()))
    assert VALIDATOR.is_valid(document)
    assert not VALIDATOR.is_valid({**document, field: value})
    assert not VALIDATOR.is_valid({name: document[name] for name in document if name != field})


def every_field_is_in_the_schema(value: Any, schema: Any) -> None:
    if "anyOf" in schema:
        kinds = ({"$defs": SCHEMA["$defs"], **one} for one in schema["anyOf"])
        schema = next(kind for kind in kinds if VALIDATOR.evolve(schema=kind).is_valid(value))
    schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if isinstance(value, dict) and "properties" in schema:
        assert set(value) == set(schema["properties"]) == set(schema["required"])
        for name, inner in value.items():
            every_field_is_in_the_schema(inner, schema["properties"][name])
    elif isinstance(value, list):
        for inner in value:
            every_field_is_in_the_schema(inner, schema["items"])


def test_gaps_suspicions_and_the_report_are_written_as_they_are() -> None:
    back = json.loads(render(SAID["everything"]))
    assert back["gaps"] == [{"start_s": 7.5, "end_s": 19.25, "channel": 1}]
    assert back["quality"] == SAID["everything"].quality
    assert [one["speaker"] for one in back["quality"]["speakers"]["talk"]] == ["SPEAKER_00", "Zoë", "Анна"]
    assert [word["suspect"] for word in back["utterances"][2]["words"]] == [[], [], ["repeated"]]


def test_reports_that_are_equal_are_written_equally() -> None:
    reports = ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1})
    first, second = (render(transcript_of(quality=report)) for report in reports)
    assert first == second


def test_labels_in_the_report_are_one_line_as_everywhere() -> None:
    turns = (Turn(0, 1, "A\nB\u202e"), Turn(1, 2, "\ud800"))
    back = json.loads(render(with_report(transcript_of(turns=turns))))
    assert [one["speaker"] for one in back["quality"]["speakers"]["talk"]] == ["A B", "\ufffd"]
    assert {one["speaker"] for one in back["speakers"]} == {"A B", "\ufffd"}


def test_talk_time_counts_overlapping_turns_of_a_speaker_once() -> None:
    speakers = json.loads(render(example()))["speakers"]
    assert speakers == [
        {"speaker": "SPEAKER_00", "label": "SPEAKER_00", "talk_s": 1.603, "words": 2},
        {"speaker": "SPEAKER_01", "label": "SPEAKER_01", "talk_s": 0.5, "words": 0},
    ]


def test_a_transcript_without_speech_is_valid() -> None:
    back = json.loads(render(transcript_of(language=None)))
    assert (back["utterances"], back["turns"], back["speakers"], back["notes"]) == ([], [], [], [])
    assert back["language"] is None
    assert json.loads(render(transcript_of(draft=True)))["notes"] == [DRAFT_NOTE]
