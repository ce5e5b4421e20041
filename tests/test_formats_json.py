from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from hypothesis import given

from pipeline.formats.json import render
from pipeline.speech.transcript import DRAFT_NOTE, Transcript
from pipeline.speech.values import AttributedWord, Turn, Utterance
from tests.support.strategies import any_text, transcript_of, transcripts

DOCUMENT = Path(__file__).parents[1] / "docs" / "transcript-json.md"


def example() -> Transcript:
    """The transcript that the document shows."""
    words = (
        AttributedWord("Oh,", 8.436, 8.6564, "SPEAKER_00", 1.0, "overlap", 0.9141),
        AttributedWord("hello.", 8.656, 8.876, "SPEAKER_00", 0.81, "realigned", None, ("SPEAKER_01",), True),
    )
    return transcript_of(
        Utterance("SPEAKER_00", words),
        name="talk.wav",
        turns=(
            Turn(8.317, 9.92, "SPEAKER_00"),
            Turn(8.7, 9.1, "SPEAKER_01", 1),
            Turn(9, 9.2, "SPEAKER_01", 1),
        ),
        duration_s=30.0,
        draft=True,
    )


def crowd() -> Transcript:
    return transcript_of(turns=tuple(Turn(i, i + 1, f"SPEAKER_{i:02}") for i in range(9)))


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


def test_talk_time_counts_overlapping_turns_of_a_speaker_once() -> None:
    speakers = json.loads(render(example()))["speakers"]
    assert speakers == [
        {"speaker": "SPEAKER_00", "label": "SPEAKER_00", "talk_s": 1.603, "words": 2},
        {"speaker": "SPEAKER_01", "label": "SPEAKER_01", "talk_s": 0.5, "words": 0},
    ]


def test_equal_transcripts_give_equal_bytes_in_every_process() -> None:
    """The order of sets differs between processes with other hash seeds; that of the output doesn't."""
    program = "from tests.test_formats_json import crowd, render; print(render(crowd()), end='')"
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(DOCUMENT.parents[1])}
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
        )
        assert done.stdout == render(crowd())


def test_a_transcript_without_speech_is_valid() -> None:
    back = json.loads(render(transcript_of(language=None)))
    assert (back["utterances"], back["turns"], back["speakers"], back["notes"]) == ([], [], [], [])
    assert back["language"] is None
    assert json.loads(render(transcript_of(draft=True)))["notes"] == [DRAFT_NOTE]
