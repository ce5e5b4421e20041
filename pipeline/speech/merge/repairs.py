"""The fifth to seventh step: small repairs, which look at the words around a word. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, groupby, takewhile
from operator import itemgetter

from attrs import evolve

from pipeline.speech.merge.claims import Claim
from pipeline.speech.merge.sentences import PAUSE_S, ends_sentence
from pipeline.speech.values import UNKNOWN_SPEAKER

PART_S = 1.0
PART_WORDS = 2
"""A segment without word times is divided at a turn's border only if either side has that much; what is less is as
likely an error of the times, which are reckoned. Source: TalkTrack#100."""

EDGE_RUN_WORDS = 2
"""How many words at the edge of a sentence may follow its majority; more would repair more and break more.

Source: noScribe#341 (whole-sentence majorities on 150,000 words: repairs, and harm on some corpora)."""

SENTENCE_WORDS = 50
"""A longer stretch between two sentence marks is taken for poor punctuation. Source: whisper-diarization."""

ISLAND_WORDS = 3
"""How many unknown words between words of one speaker are taken for that speaker's."""


def segments_held(claims: Sequence[Claim]) -> list[Claim]:
    """Divide each segment whose words have no times of their own into long parts of one speaker each.

    The shortest part that is too small and the longer one of those beside it go to the speaker of the longer, until
    none is too small or one is left: a segment of two speakers goes as a whole to the speaker of most of it.
    """
    held = list(claims)
    segments: dict[tuple[float, float], list[int]] = defaultdict(list)
    for i, claim in enumerate(claims):
        if claim.timed.word.segment is not None and not claim.is_fixed:
            segments[claim.timed.word.segment].append(i)
    for indexes in segments.values():
        for speaker, part in _parts(claims, indexes):
            for i in part:
                held[i] = evolve(
                    claims[i], speaker=speaker, method="none" if speaker == UNKNOWN_SPEAKER else "segment"
                )
    return held


_Part = tuple[str, list[int]]
"""A speaker, and the indexes of the words."""


def _parts(claims: Sequence[Claim], indexes: Sequence[int]) -> list[_Part]:
    """Return a segment in parts of which none is too small, unless it is the only one."""

    def length_s(part: _Part) -> float:
        speaker, words = part
        if speaker == UNKNOWN_SPEAKER:
            return claims[words[-1]].timed.end_s - claims[words[0]].timed.start_s
        return sum(claims[i].heard.get(speaker, 0.0) for i in words)

    def size(part: _Part) -> tuple[bool, float]:
        return part[0] != UNKNOWN_SPEAKER, length_s(part)

    parts = [(speaker, list(run)) for speaker, run in groupby(indexes, key=lambda i: claims[i].speaker)]
    while len(parts) > 1:
        small = [n for n, part in enumerate(parts) if length_s(part) < PART_S or len(part[1]) < PART_WORDS]
        if not small:
            break
        smallest = min(small, key=lambda n: length_s(parts[n]))
        beside = [n for n in (smallest - 1, smallest + 1) if 0 <= n < len(parts)]
        pair = (smallest, max(beside, key=lambda n: size(parts[n])))
        speaker = parts[max(pair, key=lambda n: size(parts[n]))][0]
        for n in pair:
            parts[n] = (speaker, parts[n][1])
        runs = groupby(parts, key=itemgetter(0))
        parts = [(speaker, [i for _, part in run for i in part]) for speaker, run in runs]
    return parts


def realigned(claims: Sequence[Claim]) -> list[Claim]:
    """Give the words at the edge of a sentence to the speaker of most of it.

    They must go on what the same speaker says beyond the edge: then the border between two turns lies a little off.
    A word between two words of another speaker is a turn of its own, such as a "Yes".
    """
    changed = list(claims)
    for sentence in _sentences(claims):
        speaker, count = Counter(claims[i].speaker for i in sentence).most_common(1)[0]
        if speaker == UNKNOWN_SPEAKER or 2 * count <= len(sentence):
            continue
        for inward in (sentence, sentence[::-1]):
            for i in _edge_run(claims, inward, speaker):
                if not claims[i].is_fixed:
                    changed[i] = evolve(claims[i], speaker=speaker, method="realigned")
    return changed


def _edge_run(claims: Sequence[Claim], inward: range, speaker: str) -> list[int]:
    """Return the few words at the first edge of a sentence that only an inexact border keeps from its speaker."""
    run = list(takewhile(lambda i: claims[i].speaker != speaker, inward))
    beyond = inward[0] - inward.step
    goes_on = not 0 <= beyond < len(claims) or claims[beyond].speaker == claims[inward[0]].speaker
    return run if len(run) <= EDGE_RUN_WORDS and goes_on else []


def _sentences(claims: Sequence[Claim]) -> Iterator[range]:
    """Yield the index ranges of sentences that end with a mark; the rest of the words are in none."""
    first = 0
    for i, claim in enumerate(claims):
        if i > 0 and claim.timed.start_s - claims[i - 1].timed.end_s > PAUSE_S:
            first = i
        if ends_sentence(claim.timed.word.text):
            if i + 1 - first <= SENTENCE_WORDS:
                yield range(first, i + 1)
            first = i + 1


def islands_folded(claims: Sequence[Claim]) -> list[Claim]:
    """Give a few unknown words between words of one speaker to that speaker."""
    runs = [list(run) for _, run in groupby(claims, key=lambda claim: claim.speaker)]
    folded = [list(run) for run in runs]
    for i in range(1, len(runs) - 1):
        around = runs[i - 1][0].speaker
        is_island = runs[i][0].speaker == UNKNOWN_SPEAKER and len(runs[i]) <= ISLAND_WORDS
        if is_island and around == runs[i + 1][0].speaker:
            folded[i] = [evolve(claim, speaker=around, method="island") for claim in runs[i]]
    return list(chain.from_iterable(folded))
