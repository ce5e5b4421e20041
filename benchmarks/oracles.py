"""Writes what other programs say of generated cases: `make oracles`. The tests compare our metrics with that.

Runs in an environment of its own, since these programs bring pandas, scikit-learn, numba and a compiler; nothing of
evt is imported. The cases are generated from a seed, so that only a newer program can change the files, which are
data of the tests: tests/golden/metrics/NAME.json.
"""

from __future__ import annotations

import json
import logging
import random
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "golden" / "metrics"
SEED = 2026
VOWELS = "aeiouäéø"
CONSONANTS = "bdfgklmnprst"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    write("jiwer", ["jiwer", "rapidfuzz"], words_by_jiwer)
    write("meeteval", ["meeteval"], speakers_by_meeteval)
    write("diarizationlm", ["diarizationlm"], speakers_by_diarizationlm)
    write("pyannote", ["pyannote.metrics"], turns_by_pyannote)


def write(name: str, packages: list[str], cases: Callable[[random.Random], Iterator[dict[str, Any]]]) -> None:
    made = list(cases(random.Random(SEED)))
    versions = {package: version(package) for package in packages}
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in made)
    text = f'{{"versions": {json.dumps(versions)}, "seed": {SEED}, "cases": [\n{lines}\n]}}\n'
    (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
    print(f"{name}: {len(made)} cases by {versions}")


def words_by_jiwer(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield pairs of texts with jiwer's counts of words and characters."""
    import jiwer

    pairs: list[tuple[list[str], list[str]]] = [([], []), (["a"], []), ([], ["a", "b"]), (["a", "b"], ["b", "c"])]
    for number in range(120):
        vocabulary = [word(chance) for _ in range((3, 12, 200)[number % 3])]
        truth = chance.choices(vocabulary, k=chance.randrange(1, 40))
        pairs.append((truth, damaged(chance, truth, vocabulary, chance.choice((0.05, 0.2, 0.6)))))
    vocabulary = [word(chance) for _ in range(300)]
    long = chance.choices(vocabulary, k=1500)
    pairs.append((long, damaged(chance, long, vocabulary, 0.1)))
    for truth, found in pairs:
        texts = " ".join(truth), " ".join(found)
        by_word, by_character = jiwer.process_words(*texts), jiwer.process_characters(*texts)
        yield {
            "truth": texts[0],
            "found": texts[1],
            "replaced": by_word.substitutions,
            "missing": by_word.deletions,
            "added": by_word.insertions,
            "characters_wrong": by_character.substitutions + by_character.deletions + by_character.insertions,
        }


def speakers_by_meeteval(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield the words of true and found speakers with meeteval's cpWER."""
    from meeteval.wer.wer.cp import cp_word_error_rate

    logging.disable(logging.WARNING)  # that the words have no times is no news
    for number in range(80):
        vocabulary = [word(chance) for _ in range((4, 40)[number % 2])]
        true_speakers, found_speakers = chance.randrange(1, 8), chance.randrange(0, 8)
        truth: dict[str, list[str]] = {f"true {at}": [] for at in range(true_speakers)}
        found: dict[str, list[str]] = {f"found {at}": [] for at in range(found_speakers)}
        for _ in range(chance.randrange(1, 16)):
            spoken = chance.choices(vocabulary, k=chance.randrange(1, 12))
            speaker = chance.randrange(true_speakers)
            truth[f"true {speaker}"] += spoken
            if found:
                heard = speaker if chance.random() < 0.8 else chance.randrange(found_speakers)
                found[f"found {heard % found_speakers}"] += damaged(chance, spoken, vocabulary, 0.15)
        theirs = [{name: " ".join(words) for name, words in side.items() if words} for side in (truth, found)]
        result = cp_word_error_rate(*theirs)
        yield {
            "truth": theirs[0],
            "found": theirs[1],
            "wrong": result.errors,
            "words": result.length,
            "speakers_missing": result.missed_speaker,
            "speakers_added": result.falarm_speaker,
        }


def speakers_by_diarizationlm(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield words with speakers and diarizationlm's WDER.

    Every word is another one and wrong words are far apart, so that there is one alignment only.
    """
    from diarizationlm.metrics import compute_utterance_metrics

    for _ in range(60):
        true_speakers, found_speakers = chance.randrange(1, 6), chance.randrange(1, 6)
        truth, found = [], []
        for at in range(chance.randrange(1, 50)):
            speaker = chance.randrange(true_speakers)
            heard = speaker % found_speakers if chance.random() < 0.7 else chance.randrange(found_speakers)
            change = chance.choice(("none", "replaced", "missing", "added")) if at % 3 == 1 else "none"
            truth.append((f"word{at}x", speaker))
            if change != "missing":
                found.append((f"other{at}x" if change == "replaced" else f"word{at}x", heard))
            if change == "added":
                found.append((f"more{at}x", chance.randrange(found_speakers)))
        sides = [(" ".join(w for w, _ in side), " ".join(str(s + 1) for _, s in side)) for side in (found, truth)]
        result = compute_utterance_metrics(sides[0][0], sides[1][0], sides[0][1], sides[1][1])
        yield {
            "truth": truth,
            "found": found,
            "wrong": result.wder_sub,
            "words": result.wder_total,
        }


def turns_by_pyannote(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield true and found turns with pyannote's diarization and Jaccard error."""
    from pyannote.core import Annotation, Segment
    from pyannote.metrics.diarization import DiarizationErrorRate, JaccardErrorRate

    def theirs(turns: list[list[Any]]) -> Any:
        annotation = Annotation()
        for track, (start_s, end_s, speaker) in enumerate(turns):
            annotation[Segment(start_s, end_s), track] = speaker
        return annotation

    # That what is judged was taken from the files themselves is what we want.
    warnings.filterwarnings("ignore", message=".*uem.*")
    for number in range(120):
        truth = talk(chance, chance.randrange(1, 7))
        found = talk(chance, chance.randrange(0, 7)) if number % 10 == 9 else heard_turns(chance, truth)
        collar_s, overlaps = chance.choice((0.0, 0.0, 0.1, 0.25, 0.5)), number % 3 != 2
        # Their collar is the width of both sides together.
        settings = {"collar": 2 * collar_s, "skip_overlap": not overlaps}
        diarization = DiarizationErrorRate(**settings)(theirs(truth), theirs(found), detailed=True)
        jaccard = JaccardErrorRate(**settings)(theirs(truth), theirs(found), detailed=True)
        yield {
            "truth": truth,
            "found": found,
            "collar_s": collar_s,
            "overlaps": overlaps,
            "missed_s": round(diarization["missed detection"], 6),
            "false_alarm_s": round(diarization["false alarm"], 6),
            "confusion_s": round(diarization["confusion"], 6),
            "speech_s": round(diarization["total"], 6),
            "jaccard_error": round(jaccard["speaker error"], 6),
            "jaccard_speakers": jaccard["speaker count"],
        }


def talk(chance: random.Random, speakers: int) -> list[list[Any]]:
    """Return turns [start, end, speaker] of some speakers; those of one never overlap."""
    turns = []
    for speaker in range(speakers):
        at_s = chance.uniform(0.0, 20.0)
        for _ in range(chance.randrange(1, 6)):
            end_s = at_s + chance.uniform(0.2, 8.0)
            turns.append([round(at_s, 3), round(end_s, 3), f"speaker {speaker}"])
            at_s = end_s + chance.choice((0.0, 0.5, 1.0)) * chance.uniform(0.1, 12.0)
    return turns


def heard_turns(chance: random.Random, truth: list[list[Any]]) -> list[list[Any]]:
    """Return true turns as a diarizer might find them: borders moved, some missed, some at the wrong speaker."""
    names = chance.sample("ABCDEFG", k=7)
    last_s: dict[str, float] = {}
    turns = []
    for start_s, end_s, speaker in sorted(truth):
        name = names[int(speaker[-1])] if chance.random() < 0.8 else chance.choice(names)
        begin_s = max(start_s + chance.gauss(0.0, 0.3), last_s.get(name, 0.0))
        stop_s = end_s + chance.gauss(0.0, 0.3)
        if stop_s - begin_s > 0.05 and chance.random() < 0.9:
            turns.append([round(begin_s, 3), round(stop_s, 3), name])
            last_s[name] = stop_s + 0.001
    return turns


def word(chance: random.Random) -> str:
    return "".join(chance.choice(CONSONANTS) + chance.choice(VOWELS) for _ in range(chance.randrange(1, 4)))


def damaged(chance: random.Random, words: list[str], vocabulary: list[str], share: float) -> list[str]:
    """Return words of which some are replaced, left out or preceded by another."""
    found: list[str] = []
    for one in words:
        change = chance.choice(("replaced", "missing", "added")) if chance.random() < share else "none"
        if change in {"replaced", "added"}:
            found.append(chance.choice(vocabulary))
        if change in {"none", "added"}:
            found.append(one)
    return found


if __name__ == "__main__":
    main()
