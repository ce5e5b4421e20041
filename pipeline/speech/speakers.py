"""What there is to say of each speaker of a transcript, for whoever wants to give them names. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from pipeline.speech.naming import speech_of
from pipeline.speech.times import length_s
from pipeline.speech.transcript import Transcript, one_line
from pipeline.speech.values import AttributedWord, Utterance

SAMPLE_CHARACTERS = 80
"""What fits beside a label and a few numbers."""


@frozen
class Sample:
    """Something that a speaker said, cut to one short line, and when it begins."""

    text: str
    start_s: float


@frozen
class Speaker:
    """One speaker.

    Attributes:
        label: as the diarizer calls the speaker.
        name: as the user does; None where nobody said.
        talk_s: how long the speaker speaks.
        share: the part of all talk, 0 to 1; the time of two speakers at once counts for both.
        words: how many words were heard.
        sample: the longest utterance that is clear; None where nothing was heard.
    """

    label: str
    name: str | None
    talk_s: float
    share: float
    words: int
    sample: Sample | None


def speakers_of(transcript: Transcript) -> tuple[Speaker, ...]:
    """Return the speakers in the order in which they begin to speak.

    Args:
        transcript: one whose speakers still have their labels.
    """
    speech = speech_of(transcript)
    total_s = sum(map(length_s, speech.values()))
    spoken: dict[str, list[Utterance]] = {}
    for utterance in transcript.utterances:
        spoken.setdefault(utterance.speaker, []).append(utterance)
    ordered = sorted(speech, key=lambda label: (speech[label][0] if speech[label] else (0.0, 0.0), label))
    return tuple(
        Speaker(
            label=label,
            name=transcript.names.get(label),
            talk_s=length_s(speech[label]),
            share=length_s(speech[label]) / total_s if total_s else 0.0,
            words=sum(len(utterance.words) for utterance in spoken.get(label, ())),
            sample=_sample(spoken.get(label, ())),
        )
        for label in ordered
    )


def _sample(utterances: Sequence[Utterance]) -> Sample | None:
    clear = [utterance for utterance in utterances if all(map(_is_clear, utterance.words))]
    if not utterances:
        return None
    longest = max(clear or utterances, key=lambda utterance: (len(utterance.text), -utterance.start_s))
    return Sample(_shortened(one_line(longest.text)), longest.start_s)


def _is_clear(word: AttributedWord) -> bool:
    return not (word.overlapped or word.suspect or word.alternatives)


def _shortened(text: str) -> str:
    if len(text) <= SAMPLE_CHARACTERS:
        return text
    cut = text[: SAMPLE_CHARACTERS - 1]
    return f"{cut.rpartition(' ')[0] or cut}…"
