"""How far a transcript is from the truth: error rates of words, characters, speakers and turns. Pure.

docs/scoring.md says what each means; other programs' figures are the tests' yardstick.
"""

from __future__ import annotations

from pipeline.speech.metrics.attribution import (
    SpeakerWordErrors,
    WrongSpeakers,
    speaker_word_errors,
    wrong_speakers,
)
from pipeline.speech.metrics.diarization import DiarizationError, JaccardError, diarization_error, jaccard_error
from pipeline.speech.metrics.normalising import BASIC, NONE, NORMALISERS, normalised_words, words_of
from pipeline.speech.metrics.words import CharacterErrors, WordErrors, character_errors, errors_between, word_errors

__all__ = [
    "BASIC",
    "NONE",
    "NORMALISERS",
    "CharacterErrors",
    "DiarizationError",
    "JaccardError",
    "SpeakerWordErrors",
    "WordErrors",
    "WrongSpeakers",
    "character_errors",
    "diarization_error",
    "errors_between",
    "jaccard_error",
    "normalised_words",
    "speaker_word_errors",
    "word_errors",
    "words_of",
    "wrong_speakers",
]
