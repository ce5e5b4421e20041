"""How far a result is from the truth: diarization and word error rates. Pure; for benchmarks and tests."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from attrs import frozen

from pipeline.speech.values import Turn

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@frozen
class DiarizationError:
    """Seconds of speech that a diarizer got wrong; with two speakers at once, each counts.

    Attributes:
        missed_s: somebody speaks and nobody was found.
        false_alarm_s: somebody was found and nobody speaks.
        confusion_s: somebody else was found.
        speech_s: all speech of the truth; the time of two speakers at once counts twice.
    """

    missed_s: float
    false_alarm_s: float
    confusion_s: float
    speech_s: float

    @property
    def rate(self) -> float:
        """The diarization error rate: 0 is perfect, and there is no upper limit."""
        wrong_s = self.missed_s + self.false_alarm_s + self.confusion_s
        return wrong_s / self.speech_s if self.speech_s else float(wrong_s > 0)


@frozen
class WordErrors:
    """How many words of a transcript are wrong.

    Attributes:
        wrong: words to replace, leave out or put in until the transcript is right.
        words: the words of the truth.
    """

    wrong: int
    words: int

    @property
    def rate(self) -> float:
        """The word error rate: 0 is perfect, and there is no upper limit."""
        return self.wrong / self.words if self.words else float(self.wrong > 0)


def diarization_error(
    truth: Collection[Turn], found: Collection[Turn], *, collar_s: float = 0.0, overlaps: bool = True
) -> DiarizationError:
    """Compare turns with the true ones, speakers paired so that the error is least.

    Args:
        truth: the true turns, in any order; those of one speaker may overlap and then count once.
        found: the turns to judge, likewise; their speakers' names don't matter.
        collar_s: what lies so near to the start or end of a true turn, on either side, is not judged.
        overlaps: judge also where several speakers truly speak at once.

    Source: NIST, "Rich Transcription Spring 2009 evaluation plan", section 6 (there: collar 0.25 s).
    """
    judged = [
        (length_s, true, heard)
        for length_s, true, heard in _slices(truth, found, collar_s)
        if overlaps or len(true) < 2
    ]
    pairs = _best_pairs(judged)
    correct_s = sum(length_s * sum(pairs.get(name) in heard for name in true) for length_s, true, heard in judged)
    common_s = sum(length_s * min(len(true), len(heard)) for length_s, true, heard in judged)
    return DiarizationError(
        missed_s=sum(length_s * max(0, len(true) - len(heard)) for length_s, true, heard in judged),
        false_alarm_s=sum(length_s * max(0, len(heard) - len(true)) for length_s, true, heard in judged),
        confusion_s=max(0.0, common_s - correct_s),
        speech_s=sum(length_s * len(true) for length_s, true, _ in judged),
    )


_Slice = tuple[float, frozenset[str], frozenset[str]]


def _slices(truth: Collection[Turn], found: Collection[Turn], collar_s: float) -> Iterable[_Slice]:
    """Yield (length, true speakers, found speakers) of each stretch in which neither changes, collars left out."""
    edges = [edge for turn in truth for edge in (turn.start_s, turn.end_s)]
    cuts = {cut for edge in edges for cut in (edge - collar_s, edge, edge + collar_s)}
    cuts |= {edge for turn in found for edge in (turn.start_s, turn.end_s)}
    for start_s, end_s in pairwise(sorted(cuts)):
        middle_s = (start_s + end_s) / 2
        if all(abs(middle_s - edge) >= collar_s for edge in edges):
            yield end_s - start_s, _speaking(truth, middle_s), _speaking(found, middle_s)


def _speaking(turns: Collection[Turn], at_s: float) -> frozenset[str]:
    return frozenset(turn.speaker for turn in turns if turn.start_s <= at_s < turn.end_s)


def _best_pairs(slices: Sequence[_Slice]) -> dict[str, str]:
    """Pair true and found speakers so that they speak together for as long as possible."""
    true_names = sorted({name for _, true, _ in slices for name in true})
    found_names = sorted({name for _, _, heard in slices for name in heard})
    size = max(len(true_names), len(found_names))
    together = [[0.0] * size for _ in range(size)]
    for length_s, true, heard in slices:
        for one in true:
            for other in heard:
                together[true_names.index(one)][found_names.index(other)] += length_s
    column_of = _assignment([[-seconds for seconds in row] for row in together])
    return {
        name: found_names[column]
        for name, column in zip(true_names, column_of, strict=False)
        if column < len(found_names)
    }


def _assignment(costs: Sequence[Sequence[float]]) -> list[int]:
    """Return for each row of a square matrix a column of its own, so that the sum of the costs is least.

    Source: the Hungarian method as shortest augmenting paths: R. Jonker, A. Volgenant, Computing 38, 1987.
    """
    size = len(costs)
    row_price, column_price = [0.0] * size, [0.0] * (size + 1)
    row_of: list[int] = [-1] * (size + 1)  # the last column is the root of each search
    for row in range(size):
        row_of[size] = row
        came_from, column = [size] * size, size
        slack, visited = [float("inf")] * size, [False] * (size + 1)
        while row_of[column] != -1:
            visited[column] = True
            current = row_of[column]
            open_columns = [j for j in range(size) if not visited[j]]
            for j in open_columns:
                reduced = costs[current][j] - row_price[current] - column_price[j]
                if reduced < slack[j]:
                    slack[j], came_from[j] = reduced, column
            nearest = min(open_columns, key=slack.__getitem__)
            step = slack[nearest]
            for j in range(size + 1):
                if visited[j]:
                    row_price[row_of[j]] += step
                    column_price[j] -= step
                elif j < size:
                    slack[j] -= step
            column = nearest
        while column != size:
            row_of[column] = row_of[came_from[column]]
            column = came_from[column]
    return [row_of.index(row, 0, size) for row in range(size)]


def word_errors(truth: str, transcript: str) -> WordErrors:
    """Compare a transcript with the truth, word by word; case and punctuation don't count.

    Numbers and abbreviations are taken as they are written: "Mr" and "mister" are different words.
    """
    true_words, words = normalised_words(truth), normalised_words(transcript)
    distances = list(range(len(words) + 1))
    for row, true_word in enumerate(true_words, start=1):
        diagonal, distances[0] = distances[0], row
        for column, word in enumerate(words, start=1):
            replaced = diagonal + (word != true_word)
            diagonal = distances[column]
            distances[column] = min(replaced, diagonal + 1, distances[column - 1] + 1)
    return WordErrors(distances[-1], len(true_words))


def normalised_words(text: str) -> list[str]:
    """Return the words in lower case without punctuation, apostrophes within words kept as '."""
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())]
