"""The last step: words that follow one another become utterances. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.speech.merge.claims import Claim
from pipeline.speech.merge.sentences import PAUSE_S, ends_sentence
from pipeline.speech.values import AttributedWord, Utterance

UTTERANCE_S = 30.0
"""An utterance without a pause or sentence mark ends here; engines without punctuation would never stop."""


def utterances_of(claims: Sequence[Claim]) -> list[Utterance]:
    """Return the words of one channel as utterances, in their order."""
    groups: list[list[AttributedWord]] = []
    for word in _attributed(claims):
        if groups and not _breaks(groups[-1], word):
            groups[-1].append(word)
        else:
            groups.append([word])
    return [Utterance(group[0].speaker, tuple(group)) for group in groups]


def _breaks(group: Sequence[AttributedWord], word: AttributedWord) -> bool:
    first, last = group[0], group[-1]
    return (
        word.speaker != last.speaker
        or word.start_s - last.end_s > PAUSE_S
        or ends_sentence(last.text)
        or word.end_s - first.start_s > UTTERANCE_S
    )


def _attributed(claims: Sequence[Claim]) -> list[AttributedWord]:
    """Return the words, each ending where the next one begins at the latest.

    Only now, since the end that the engine gave tells more of the speaker than the start of another word does.
    Words to which the engine itself gave different speakers were meant to overlap.
    """
    following: dict[str | None, float] = {}
    words: list[AttributedWord] = []
    for claim in reversed(claims):
        voice = claim.timed.word.speaker
        others = [start for other, start in following.items() if voice is None or other in {voice, None}]
        words.append(_word(claim, min([claim.timed.end_s, *others])))
        following[voice] = claim.timed.start_s
    return words[::-1]


def _word(claim: Claim, end_s: float) -> AttributedWord:
    word, heard = claim.timed.word, claim.heard
    start, end = claim.span
    others = sorted(heard.keys() - {claim.speaker}, key=lambda speaker: (-heard[speaker], speaker))
    return AttributedWord(
        text=word.text,
        start_s=claim.timed.start_s,
        end_s=end_s,
        speaker=claim.speaker,
        share=min(1.0, heard.get(claim.speaker, 0.0) / (end - start)),
        method=claim.method,
        confidence=word.confidence,
        alternatives=tuple(others),
        overlapped=claim.overlapped,
        suspect=word.suspect,
    )
