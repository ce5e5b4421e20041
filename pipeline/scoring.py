"""Every metric of a transcript against a reference, or why it isn't possible: docs/scoring.md. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import astuple, frozen

from pipeline.errors import PipelineError
from pipeline.references.values import Account, Accounts
from pipeline.speech.metrics import (
    BASIC,
    CharacterErrors,
    DiarizationError,
    JaccardError,
    SpeakerWordErrors,
    WordErrors,
    WrongSpeakers,
    character_errors,
    diarization_error,
    jaccard_error,
    speaker_word_errors,
    words_of,
    wrong_speakers,
)
from pipeline.speech.metrics.edits import Pair, alignment
from pipeline.speech.metrics.words import counted

Result = WordErrors | CharacterErrors | WrongSpeakers | SpeakerWordErrors | DiarizationError | JaccardError


@frozen
class NotPossible:
    """A metric that can't be had, and why."""

    reason: str


@frozen
class Settings:
    """What the figures depend on besides the two texts.

    Attributes:
        normaliser: a key of `pipeline.speech.metrics.NORMALISERS`.
        collar_s: so near to the border of a true turn, on either side, turns aren't judged.
        overlaps: turns are judged also where several people truly speak at once.
    """

    normaliser: str = BASIC
    collar_s: float = 0.0
    overlaps: bool = True


NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "WER": ("words",),
    "CER": ("words",),
    "WDER": ("words", "speakers"),
    "cpWER": ("words", "speakers"),
    "DER": ("times", "speakers"),
    "JER": ("times", "speakers"),
}
"""What both sides must tell for each metric."""

_LACKS = {"words": "has no words", "times": "has no times", "speakers": "doesn't say who speaks"}


class RecordingsError(PipelineError):
    """Which recording of one side belongs to which of the other can't be told. The message names them."""


def paired(reference: Accounts, found: Accounts, name: str = "") -> tuple[list[tuple[Account, Account]], list[str]]:
    """Pair what both sides say of the same recording; return the pairs, and notes on what has no partner.

    A recording that only the reference has counts as if nothing had been found there; one that it doesn't have
    isn't judged. Where each side has one recording, they are a pair whatever they are called.

    Args:
        reference: the truth.
        found: what is judged.
        name: of the recording that is judged, where the other side has no names.

    Raises:
        RecordingsError: one side has several recordings, and the other one that isn't among them.
    """
    if len(reference) == len(found) == 1:
        return [(*reference.values(), *found.values())], []  # type: ignore[list-item] # one of each
    if len(reference) == 1 or len(found) == 1:
        one, many = (reference, found) if len(reference) == 1 else (found, reference)
        wanted = next((known for known in (*one, name) if known in many), None)
        if wanted is None:
            raise RecordingsError(
                f"{', '.join(sorted(many))}: {next(iter(one)) or name or 'no name'} is none of these"
            )
        first, second = next(iter(one.values())), many[wanted]
        return [(first, second) if one is reference else (second, first)], []
    any_found = next(iter(found.values()))
    nothing = Account((), any_found.words, any_found.times, any_found.speakers)
    notes = [
        f"Nothing was found of {known}; all of it counts as missing." for known in reference if known not in found
    ]
    notes += [f"{known} is not judged: the reference doesn't know it." for known in found if known not in reference]
    return [(true, found.get(known, nothing)) for known, true in reference.items()], notes


def score(pairs: Sequence[tuple[Account, Account]], settings: Settings) -> dict[str, Result | NotPossible]:
    """Return each metric by its name, counts summed over the recordings.

    Args:
        pairs: (truth, what is judged) of each recording, one at least.
        settings: see there.
    """
    reasons = {name: _why_not(needs, pairs) for name, needs in NEEDS.items()}
    results: dict[str, list[Result]] = {name: [] for name in NEEDS}
    for truth, found in pairs:
        for name, result in _results(truth, found, settings, lambda name: reasons[name] is None).items():
            results[name].append(result)
    return {
        name: NotPossible(reason) if (reason := reasons[name]) is not None else _judged(_summed(results[name]))
        for name in NEEDS
    }


def _judged(result: Result) -> Result | NotPossible:
    """Return a figure, unless there is nothing that it could be a share of."""
    if isinstance(result, WrongSpeakers):
        return result if result.words else NotPossible("the two have no words in common")
    if isinstance(result, DiarizationError):
        return result if result.speech_s else NotPossible("nobody speaks in the reference")
    if isinstance(result, JaccardError):
        return result if result.speakers else NotPossible("nobody speaks in the reference")
    total = result.characters if isinstance(result, CharacterErrors) else result.words
    return result if total else NotPossible("nothing is said in the reference")


def _why_not(needs: Sequence[str], pairs: Sequence[tuple[Account, Account]]) -> str | None:
    for side, accounts in zip(("the reference", "what is judged"), zip(*pairs, strict=True), strict=True):
        for need in needs:
            if not all(getattr(account, need) for account in accounts):
                return f"{side} {_LACKS[need]}"
    return None


@frozen
class _Words:
    """The words of one side in the order in which they were said, and who says each."""

    words: Sequence[str]
    speakers: Sequence[str]


def _words(account: Account, normaliser: str) -> _Words:
    words, speakers = [], []
    for segment in account.said:
        said = words_of(segment.text or "", normaliser)
        words += said
        speakers += [segment.speaker or ""] * len(said)
    return _Words(words, speakers)


def _results(
    truth: Account, found: Account, settings: Settings, possible: Callable[[str], bool]
) -> dict[str, Result]:
    results: dict[str, Result] = {}
    if possible("WER"):
        true, heard = _words(truth, settings.normaliser), _words(found, settings.normaliser)
        pairs = alignment(true.words, heard.words)
        results["WER"] = counted(true.words, heard.words, pairs)
        results["CER"] = character_errors(true.words, heard.words, pairs)
        if possible("cpWER"):
            results |= _attribution(true, heard, pairs)
    if possible("DER"):
        how: dict[str, Any] = {"collar_s": settings.collar_s, "overlaps": settings.overlaps}
        results["DER"] = diarization_error(truth.turns, found.turns, **how)
        results["JER"] = jaccard_error(truth.turns, found.turns, **how)
    return results


def _attribution(true: _Words, heard: _Words, pairs: Sequence[Pair]) -> dict[str, Result]:
    wrong, _ = wrong_speakers(true.speakers, heard.speakers, pairs)
    return {"WDER": wrong, "cpWER": speaker_word_errors(_by_speaker(true), _by_speaker(heard))}


def _by_speaker(side: _Words) -> dict[str, list[str]]:
    words: dict[str, list[str]] = {}
    for word, speaker in zip(side.words, side.speakers, strict=True):
        words.setdefault(speaker, []).append(word)
    return words


def _summed(results: Sequence[Result]) -> Result:
    """Return the sums of the counts; a rate follows from them."""
    return type(results[0])(*map(sum, zip(*map(astuple, results), strict=True)))
