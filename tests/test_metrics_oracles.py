"""Our metrics against what other programs said of the same cases, in tests/golden/metrics: `make oracles`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.speech.metrics import (
    character_errors,
    diarization_error,
    errors_between,
    jaccard_error,
    speaker_word_errors,
    wrong_speakers,
)
from pipeline.speech.metrics.edits import alignment
from pipeline.speech.values import Turn

GOLDEN = Path(__file__).parent / "golden" / "metrics"


def cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))["cases"]
    assert len(found) >= 60
    return found


def turns(rows: list[list[Any]]) -> list[Turn]:
    return [Turn(*row) for row in rows]


def test_word_errors_and_their_kinds_are_those_of_jiwer() -> None:
    for case in cases("jiwer"):
        errors = errors_between(case["truth"].split(), case["found"].split())
        assert (errors.replaced, errors.missing, errors.added) == (case["replaced"], case["missing"], case["added"])


def test_character_errors_are_those_of_jiwer() -> None:
    for case in cases("jiwer"):
        truth, found = case["truth"].split(), case["found"].split()
        errors = character_errors(truth, found, alignment(truth, found))
        assert (errors.wrong, errors.characters) == (case["characters_wrong"], len(case["truth"]))


def test_word_errors_by_speaker_are_those_of_meeteval() -> None:
    for case in cases("meeteval"):
        truth, found = ({name: text.split() for name, text in case[side].items()} for side in ("truth", "found"))
        errors = speaker_word_errors(truth, found)
        assert (errors.wrong, errors.words) == (case["wrong"], case["words"])
        lacking = errors.true_speakers - errors.found_speakers
        assert lacking == case["speakers_missing"] - case["speakers_added"]


def test_words_with_the_wrong_speaker_are_those_of_diarizationlm() -> None:
    for case in cases("diarizationlm"):
        (true_words, true_speakers), (words, speakers) = (
            ([word for word, _ in case[side]], [str(speaker) for _, speaker in case[side]])
            for side in ("truth", "found")
        )
        errors, _ = wrong_speakers(true_speakers, speakers, alignment(true_words, words))
        assert (errors.wrong, errors.words) == (case["wrong"], case["words"])


def test_diarization_errors_and_their_kinds_are_those_of_pyannote() -> None:
    for case in cases("pyannote"):
        settings = {"collar_s": case["collar_s"], "overlaps": case["overlaps"]}
        error = diarization_error(turns(case["truth"]), turns(case["found"]), **settings)
        for kind in ("missed_s", "false_alarm_s", "confusion_s", "speech_s"):
            assert getattr(error, kind) == pytest.approx(case[kind], abs=1e-5), (kind, case)


def test_jaccard_errors_are_those_of_pyannote() -> None:
    for case in cases("pyannote"):
        settings = {"collar_s": case["collar_s"], "overlaps": case["overlaps"]}
        error = jaccard_error(turns(case["truth"]), turns(case["found"]), **settings)
        assert error.speakers == case["jaccard_speakers"]
        assert error.error == pytest.approx(case["jaccard_error"], abs=1e-5), case
