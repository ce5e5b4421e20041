"""Transcripts written down as texts."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.speech.transcript import Engines, Transcript
from pipeline.speech.values import AttributedWord, Gap, Utterance


def said(text: str, speaker: str = "A", at_s: float = 0.0) -> list[AttributedWord]:
    """Return words half a second apart, each 0.4 s long."""
    return [
        AttributedWord(word, at_s + place / 2, at_s + place / 2 + 0.4, speaker, 1.0, "overlap")
        for place, word in enumerate(text.split())
    ]


def transcript(*utterances: list[AttributedWord], gaps: Iterable[Gap] = ()) -> Transcript:
    spoken = tuple(Utterance(words[0].speaker, tuple(words)) for words in utterances if words)
    return Transcript("id", "talk.wav", spoken, (), 60.0, "en", False, Engines("d", "t"), gaps=tuple(gaps))
