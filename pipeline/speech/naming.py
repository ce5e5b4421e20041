"""Names in the place of speakers' labels, and labels that are one person. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from pipeline.speech.transcript import Annotated, Transcript
from pipeline.speech.values import AttributedWord, Utterance


def apply(transcript: Transcript, said: Mapping[str, Any]) -> Annotated:
    """Add names to a transcript; its speakers keep their labels until `with_names`."""
    return Annotated(evolve(transcript, names={**transcript.names, **said.get("names", {})}))


def with_names(transcript: Transcript) -> Transcript:
    """Put the names in the place of the labels, everywhere; labels without a name stay."""
    names = transcript.names

    def word(spoken: AttributedWord) -> AttributedWord:
        others = tuple(names.get(label, label) for label in spoken.alternatives)
        return evolve(spoken, speaker=names.get(spoken.speaker, spoken.speaker), alternatives=others)

    if not names:
        return transcript
    return evolve(
        transcript,
        utterances=tuple(
            Utterance(names.get(u.speaker, u.speaker), tuple(map(word, u.words))) for u in transcript.utterances
        ),
        turns=tuple(evolve(turn, speaker=names.get(turn.speaker, turn.speaker)) for turn in transcript.turns),
    )
