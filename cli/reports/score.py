"""The figures of `evt score` for people: each with its counts, and a line that says what it means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cli.render import count
from pipeline.scoring import NotPossible, Result, Settings
from pipeline.speech.metrics import (
    NORMALISERS,
    CharacterErrors,
    DiarizationError,
    JaccardError,
    SpeakerWordErrors,
    WordErrors,
    WrongSpeakers,
)

MEANINGS: Mapping[str, str] = {
    "WER": "word error rate: words to replace, put in or leave out, per word of the reference",
    "CER": "character error rate: the same by characters; a word that is nearly right counts less",
    "WDER": "word diarization error rate: of the words that were heard, those at the wrong speaker",
    "cpWER": "word error rate by speaker: also a word at the wrong speaker is wrong",
    "DER": "diarization error rate: seconds missed, invented or at the wrong speaker, per second of speech",
    "JER": "Jaccard error rate: how badly each speaker's time was found, everybody weighing the same",
}


def report_lines(
    results: Mapping[str, Result | NotPossible], settings: Settings, notes: Sequence[str]
) -> list[str]:
    """Return a table of the figures, then the settings that they depend on."""
    lines = [line for name, result in results.items() for line in _figure(name, result)]
    return [*lines, "", *_settings(settings), *(f"Note: {note}" for note in notes)]


def _figure(name: str, result: Result | NotPossible) -> Iterator[str]:
    if isinstance(result, NotPossible):
        yield f"{name:<5}       -  not possible: {result.reason}"
    else:
        yield f"{name:<5} {100 * result.rate:>5.1f} %  {_counts(result)}"
        yield f"{'':<15}{MEANINGS[name]}"


def _counts(result: Result) -> str:
    match result:
        case WordErrors():
            return f"{result.wrong} of {count(result.words, 'word')}: {_kinds(result)}"
        case SpeakerWordErrors():
            speakers = f"{count(result.found_speakers, 'speaker')} found, {result.true_speakers} true"
            return f"{result.wrong} of {count(result.words, 'word')}: {_kinds(result)}; {speakers}"
        case CharacterErrors():
            return f"{result.wrong} of {count(result.characters, 'character')}"
        case WrongSpeakers():
            return f"{result.wrong} of {count(result.words, 'word')}"
        case DiarizationError():
            kinds = (
                f"{result.missed_s:.2f} s missed, {result.false_alarm_s:.2f} s false alarm, "
                f"{result.confusion_s:.2f} s confused"
            )
            return f"{result.wrong_s:.2f} of {result.speech_s:.2f} s: {kinds}"
        case JaccardError():
            return f"mean of {count(result.speakers, 'speaker')}"


def _kinds(errors: WordErrors | SpeakerWordErrors) -> str:
    return f"{errors.replaced} replaced, {errors.missing} missing, {errors.added} added"


def _settings(settings: Settings) -> Iterator[str]:
    yield f"Words:  {settings.normaliser}: {NORMALISERS[settings.normaliser]}."
    overlap = "counts for each who speaks" if settings.overlaps else "is not judged"
    yield (
        f"Turns:  collar ±{settings.collar_s:g} s around the borders of true turns; overlapping speech {overlap}; "
        "all time is judged."
    )
