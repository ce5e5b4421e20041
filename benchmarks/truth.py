"""What was truly said in a recording, and how many words were given to the wrong speaker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

from attrs import frozen

from pipeline.speech.groups import spread
from pipeline.speech.metrics import normalised_words
from pipeline.speech.values import Turn


@frozen
class Said:
    """A word that was truly said, or that a transcript says was."""

    text: str
    start_s: float
    end_s: float
    speaker: str


def stm(path: Path) -> list[list[Said]]:
    """Read the utterances of an STM file of one recording; words lie along their utterance, by their letters."""
    utterances = []
    for line in path.read_text().splitlines():
        _, _, speaker, start, end, text = line.split(None, 5)
        words = text.split()
        times = spread(words, float(start), float(end))
        utterances.append([Said(word, a, b, speaker) for word, (a, b) in zip(words, times, strict=True)])
    return utterances


def rttm(path: Path) -> list[Turn]:
    """Read the turns of an RTTM file of one recording."""
    fields = [line.split() for line in path.read_text().splitlines() if line.startswith("SPEAKER")]
    return [Turn(float(row[3]), float(row[3]) + float(row[4]), row[7]) for row in fields]


def repeated(turns: Sequence[Turn], times: int, every_s: float) -> list[Turn]:
    """Return turns as they are where a recording is played several times over."""
    return [
        Turn(turn.start_s + every_s * k, turn.end_s + every_s * k, turn.speaker)
        for k in range(times)
        for turn in turns
    ]


def wrong_speakers(true: Sequence[str], found: Sequence[str | None]) -> int:
    """Return how many words have the wrong speaker, the names paired so that they are fewest; None is wrong."""
    together = Counter(zip(true, found, strict=True))
    true_names = sorted(set(true))
    found_names: list[str | None] = sorted({name for name in found if name is not None})
    found_names += [None] * len(true_names)
    right = max(
        sum(together[pair] for pair in zip(true_names, chosen, strict=True) if pair[1] is not None)
        for chosen in set(permutations(found_names, len(true_names)))
    )
    return len(true) - right


def paired(true: Sequence[Said], found: Sequence[Said]) -> list[tuple[Said, Said]]:
    """Return the words of the truth that a transcript has, or has as another word, beside those."""
    import jiwer

    mine, theirs = ([(norm, w) for w in words for norm in normalised_words(w.text)] for words in (true, found))
    if not mine or not theirs:
        return []
    aligned = jiwer.process_words(*(" ".join(norm for norm, _ in words) for words in (mine, theirs)))
    return [
        (mine[part.ref_start_idx + i][1], theirs[part.hyp_start_idx + i][1])
        for part in aligned.alignments[0]
        if part.type in {"equal", "substitute"}
        for i in range(part.ref_end_idx - part.ref_start_idx)
    ]
