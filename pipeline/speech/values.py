"""The values that stages hand on: turns, words, utterances. Times are seconds.

Those of diarization and transcription count from the start of the converted audio, those of the merge and of all
that follows from the start of the recording.
"""

from __future__ import annotations

from typing import Any, TypeVar

from attrs import evolve, frozen

from pipeline.speech.scripts import joined

UNKNOWN_SPEAKER = "UNKNOWN"
"""The label of a word that no turn is near enough to claim."""


@frozen
class Turn:
    """One speaker speaks during the half-open interval [start_s, end_s); turns of different speakers may overlap.

    `channel` is set where the turn was found on one channel of the recording (0-based) and then holds only
    for words of that channel.
    """

    start_s: float
    end_s: float
    speaker: str
    channel: int | None = None


@frozen
class Word:
    """One transcribed word, its punctuation attached.

    The times are None where the engine gives none; `speaker` is set where whoever heard the word knew who spoke;
    `suspect` says why the word may not have been said, see `pipeline.speech.suspicion`. `segment` is set where the
    engine gave only the start and end of a whole segment: the word's times are reckoned from those.
    """

    text: str
    start_s: float | None = None
    end_s: float | None = None
    confidence: float | None = None
    channel: int | None = None
    speaker: str | None = None
    suspect: tuple[str, ...] = ()
    segment: tuple[float, float] | None = None


@frozen
class AttributedWord:
    """A word with times and a speaker, and how the speaker was found.

    Attributes:
        share: the part of the word, as its engine timed it, that the speaker's turns cover, 0 to 1.
        method: `given`, `channel`, `overlap`, `exclusive`, `previous`, `edge`, `segment`, `realigned`, `island`,
            `corrected` or `none`.
        alternatives: other speakers heard during the word, most heard first.
        overlapped: two speakers or more speak during the word.
        suspect: why the word may not have been said, see `pipeline.speech.suspicion`; mostly empty.
    """

    text: str
    start_s: float
    end_s: float
    speaker: str
    share: float
    method: str
    confidence: float | None = None
    alternatives: tuple[str, ...] = ()
    overlapped: bool = False
    suspect: tuple[str, ...] = ()


@frozen
class Utterance:
    """Consecutive words of one speaker; never empty, in the order in which they were spoken.

    `divided`: the user wants a paragraph to begin here.
    """

    speaker: str
    words: tuple[AttributedWord, ...]
    divided: bool = False

    @property
    def start_s(self) -> float:
        """Start of the first word."""
        return self.words[0].start_s

    @property
    def end_s(self) -> float:
        """Largest end of any word."""
        return max(word.end_s for word in self.words)

    @property
    def text(self) -> str:
        """The words, joined as their script is written."""
        return joined(word.text for word in self.words)


@frozen
class Gap:
    """Speech was heard during [start_s, end_s), and no words of it could be had; the user lets it be a gap.

    `channel` is set where the recording's channels are transcribed one by one.
    """

    start_s: float
    end_s: float
    channel: int | None = None


Timed = TypeVar("Timed", Turn, Word, Gap)


def later(found: Timed, begin_s: float) -> Timed:
    """Return what was found in audio that begins at such a time, timed by the clock that this time stands on."""
    if not begin_s or found.start_s is None or found.end_s is None:
        return found
    segment = getattr(found, "segment", None)
    moved: dict[str, Any] = {
        "start_s": round(found.start_s + begin_s, 6),
        "end_s": round(found.end_s + begin_s, 6),
        **({"segment": tuple(round(time_s + begin_s, 6) for time_s in segment)} if segment else {}),
    }
    return evolve(found, **moved)
