"""Diarization and Jaccard error rates: how well it was found who speaks when. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping

from attrs import frozen

from pipeline.speech.metrics.assignment import best_pairs
from pipeline.speech.values import Turn


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
    def wrong_s(self) -> float:
        """All that is wrong."""
        return self.missed_s + self.false_alarm_s + self.confusion_s

    @property
    def rate(self) -> float:
        """The diarization error rate: 0 is perfect, and there is no upper limit."""
        return self.wrong_s / self.speech_s if self.speech_s else float(self.wrong_s > 0)


@frozen
class JaccardError:
    """How badly each true speaker was found, everybody weighing the same however little they say.

    Attributes:
        error: the sum over the speakers of 1 − (seconds of both) / (seconds of either); 1 for one who wasn't found.
        speakers: of the truth.
    """

    error: float
    speakers: int

    @property
    def rate(self) -> float:
        """The Jaccard error rate, 0 to 1: the mean of the speakers."""
        return self.error / self.speakers if self.speakers else 0.0


def diarization_error(
    truth: Collection[Turn], found: Collection[Turn], *, collar_s: float = 0.0, overlaps: bool = True
) -> DiarizationError:
    """Compare turns with the true ones, speakers paired so that the error is least.

    All time is judged, from the first turn of either to the last.

    Args:
        truth: the true turns, in any order; those of one speaker may overlap and then count once.
        found: the turns to judge, likewise; their speakers' names don't matter.
        collar_s: what lies so near to the start or end of a true turn, on either side, is not judged. (The collar
            of pyannote.metrics is the width of both sides together.)
        overlaps: judge also where several speakers truly speak at once.

    Source: NIST, "Rich Transcription Spring 2009 evaluation plan", section 6 (there: collar 0.25 s).
    """
    judged = _judged(truth, found, collar_s, overlaps)
    pairs = _best_pairs(judged)
    each = [
        (length_s, len(true), len(heard), sum(pairs.get(name) in heard for name in true))
        for (true, heard), length_s in judged.items()
    ]
    return DiarizationError(
        missed_s=sum((length_s * max(0, true - heard) for length_s, true, heard, _ in each), 0.0),
        false_alarm_s=sum((length_s * max(0, heard - true) for length_s, true, heard, _ in each), 0.0),
        confusion_s=sum((length_s * (min(true, heard) - right) for length_s, true, heard, right in each), 0.0),
        speech_s=sum((length_s * true for length_s, true, _, _ in each), 0.0),
    )


def jaccard_error(
    truth: Collection[Turn], found: Collection[Turn], *, collar_s: float = 0.0, overlaps: bool = True
) -> JaccardError:
    """Compare turns with the true ones, speaker by speaker; the arguments are those of `diarization_error`.

    Speakers are paired as they are there: so that they speak together for as long as possible.

    Source: N. Ryant et al., "Second DIHARD challenge evaluation plan", 2019, section 4.2.
    """
    judged = _judged(truth, found, collar_s, overlaps)
    true_s: dict[str, float] = defaultdict(float)
    heard_s: dict[str, float] = defaultdict(float)
    for (true, heard), length_s in judged.items():
        for name in true:
            true_s[name] += length_s
        for name in heard:
            heard_s[name] += length_s
    both_s = _together(judged)
    shares = (
        both_s[name, partner] / (true_s[name] + heard_s[partner] - both_s[name, partner])
        for name, partner in _best_pairs(judged).items()
    )
    return JaccardError(len(true_s) - sum(shares, 0.0), len(true_s))


_Speakers = tuple[frozenset[str], frozenset[str]]
"""Who truly speaks, and who was found."""


def _judged(
    truth: Collection[Turn], found: Collection[Turn], collar_s: float, overlaps: bool
) -> dict[_Speakers, float]:
    """Return for how many seconds who speaks while who was found."""
    seconds: dict[_Speakers, float] = {}
    for length_s, true, heard in _slices(truth, found, collar_s):
        if overlaps or len(true) < 2:
            seconds[true, heard] = seconds.get((true, heard), 0.0) + length_s
    return seconds


_TRUE, _FOUND, _COLLAR = 0, 1, 2


def _slices(
    truth: Collection[Turn], found: Collection[Turn], collar_s: float
) -> Iterator[tuple[float, frozenset[str], frozenset[str]]]:
    """Yield (length, true speakers, found speakers) of each stretch in which neither changes, collars left out."""
    changes = [change for kind, turns in ((_TRUE, truth), (_FOUND, found)) for change in _changes(kind, turns)]
    if collar_s > 0:
        edges = [change[0] for change in changes if change[1] == _TRUE]
        collars = [Turn(edge - collar_s, edge + collar_s, "") for edge in edges]
        changes += _changes(_COLLAR, collars)
    speaking: tuple[Counter[str], ...] = (Counter(), Counter(), Counter())
    last_s = 0.0
    for at_s, kind, speaker, step in sorted(changes):
        if at_s > last_s and not speaking[_COLLAR] and (speaking[_TRUE] or speaking[_FOUND]):
            yield at_s - last_s, frozenset(speaking[_TRUE]), frozenset(speaking[_FOUND])
        last_s = at_s
        speaking[kind][speaker] += step
        if speaking[kind][speaker] == 0:
            del speaking[kind][speaker]


def _changes(kind: int, turns: Collection[Turn]) -> Iterator[tuple[float, int, str, int]]:
    for turn in turns:
        if turn.end_s > turn.start_s:
            yield turn.start_s, kind, turn.speaker, 1
            yield turn.end_s, kind, turn.speaker, -1


def _together(judged: Mapping[_Speakers, float]) -> dict[tuple[str, str], float]:
    """Return for how many seconds each true speaker speaks while each found one does."""
    seconds: dict[tuple[str, str], float] = {}
    for (true, heard), length_s in judged.items():
        for pair in ((one, other) for one in true for other in heard):
            seconds[pair] = seconds.get(pair, 0.0) + length_s
    return seconds


def _best_pairs(judged: Mapping[_Speakers, float]) -> dict[str, str]:
    """Pair true and found speakers so that they speak together for as long as possible."""
    true_names = sorted({name for true, _ in judged for name in true})
    found_names = sorted({name for _, heard in judged for name in heard})
    return best_pairs(true_names, found_names, _together(judged))
