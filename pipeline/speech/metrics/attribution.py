"""How many words have the wrong speaker: WDER and cpWER. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from attrs import frozen

from pipeline.speech.metrics.assignment import assignment, best_pairs
from pipeline.speech.metrics.edits import Pair, distance
from pipeline.speech.metrics.words import errors_between


@frozen
class WrongSpeakers:
    """How many words that were heard have the wrong speaker (WDER).

    Attributes:
        wrong: words whose speaker isn't the one that is paired with the true one.
        words: of the truth that a word of the transcript stands for, right or wrong; others have no speaker.
    """

    wrong: int
    words: int

    @property
    def rate(self) -> float:
        """The word diarization error rate, 0 to 1."""
        return self.wrong / self.words if self.words else 0.0


@frozen
class SpeakerWordErrors:
    """How many words are wrong when each speaker's words are compared by themselves (cpWER).

    Attributes:
        wrong: to be replaced, put in or left out; a word at the wrong speaker is missing there and added here.
        words: of the truth.
        replaced, missing, added: the kinds of `wrong`.
        true_speakers, found_speakers: who has words.
    """

    wrong: int
    words: int
    replaced: int
    missing: int
    added: int
    true_speakers: int
    found_speakers: int

    @property
    def rate(self) -> float:
        """The error rate: 0 is perfect, and there is no upper limit."""
        return self.wrong / self.words if self.words else float(self.wrong > 0)


def wrong_speakers(
    truth: Sequence[str], found: Sequence[str], pairs: Sequence[Pair]
) -> tuple[WrongSpeakers, dict[str, str]]:
    """Count words with the wrong speaker, speakers paired so that they are fewest; return the pairing too.

    Args:
        truth: the speaker of each true word.
        found: the speaker of each word of the transcript.
        pairs: which word stands for which.

    Source: L. El Shafey, H. Soltau, I. Shafran, "Joint speech recognition and speaker diarization via sequence
    transduction", 2019; google/speaker-id, diarizationlm/metrics.py.
    """
    together = Counter((truth[i], found[j]) for i, j in pairs if i is not None and j is not None)
    partners = best_pairs(sorted(set(truth)), sorted(set(found)), together)
    right = sum(together[pair] for pair in partners.items())
    return WrongSpeakers(together.total() - right, together.total()), partners


def speaker_word_errors(
    truth: Mapping[str, Sequence[str]], found: Mapping[str, Sequence[str]]
) -> SpeakerWordErrors:
    """Compare the words of each speaker, speakers paired so that the least is wrong; names don't matter.

    All words of a speaker without a partner are missing, or added. A speaker without words is none.

    Source: S. Watanabe et al., "CHiME-6 challenge", 2020, section 4.2 (concatenated minimum-permutation WER).
    """
    rows = [list(truth[name]) for name in sorted(truth) if truth[name]]
    columns = [list(found[name]) for name in sorted(found) if found[name]]
    size = max(len(rows), len(columns))
    nobody: list[list[str]] = [[]]
    padded_rows = rows + nobody * (size - len(rows))
    padded_columns = columns + nobody * (size - len(columns))
    costs = [[float(distance(row, column)) for column in padded_columns] for row in padded_rows]
    each = [
        errors_between(row, padded_columns[column])
        for row, column in zip(padded_rows, assignment(costs), strict=True)
    ]
    return SpeakerWordErrors(
        wrong=sum(errors.wrong for errors in each),
        words=sum(errors.words for errors in each),
        replaced=sum(errors.replaced for errors in each),
        missing=sum(errors.missing for errors in each),
        added=sum(errors.added for errors in each),
        true_speakers=len(rows),
        found_speakers=len(columns),
    )
