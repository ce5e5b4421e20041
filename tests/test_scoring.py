"""All metrics of a transcript against a reference: sums over recordings, what isn't possible, published figures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.references import read
from pipeline.references.values import Account, Accounts, Segment
from pipeline.scoring import NEEDS, NotPossible, RecordingsError, Result, Settings, paired, score
from pipeline.speech.metrics import DiarizationError, JaccardError, SpeakerWordErrors, WordErrors

TRUTH = """talk 1 Ann 0 2 so we went
talk 1 Bob 2 4 and then
"""
FOUND = """talk 1 B 2 4 and then
talk 1 A 0 2 so he went
"""


def stm(text: str) -> Accounts:
    return read(text.encode(), "stm")


def scored(truth: Accounts, found: Accounts, settings: Settings | None = None) -> dict[str, Result | NotPossible]:
    pairs, _ = paired(truth, found)
    return score(pairs, settings or Settings())


def test_every_metric_is_there_and_perfect_for_the_truth_itself() -> None:
    results = scored(stm(TRUTH), stm(TRUTH))
    assert list(results) == list(NEEDS)
    assert [result.rate for result in results.values() if not isinstance(result, NotPossible)] == [0.0] * 6


def test_words_are_compared_in_the_order_in_which_they_were_said() -> None:
    assert scored(stm(TRUTH), stm(FOUND))["WER"] == WordErrors(1, 5, 1, 0, 0)


@pytest.mark.parametrize(
    ("suffix", "text", "impossible", "reason"),
    [
        ("rttm", "SPEAKER talk 1 0 1 <NA> <NA> A\n", {"WER", "CER", "WDER", "cpWER"}, "the reference has no words"),
        ("txt", "so we went", {"WDER", "cpWER"}, "the reference doesn't say who speaks"),
        ("txt", "so we went", {"DER", "JER"}, "the reference has no times"),
        ("ctm", "talk 1 0 1 so", {"DER", "JER", "WDER", "cpWER"}, "the reference doesn't say who speaks"),
    ],
)
def test_what_a_reference_does_not_tell_is_said_to_be_impossible_and_never_0(
    suffix: str, text: str, impossible: set[str], reason: str
) -> None:
    results = scored(read(text.encode(), suffix), stm(TRUTH))
    assert {name for name, result in results.items() if result == NotPossible(reason)} == impossible
    judged = {
        name
        for name, result in scored(stm(TRUTH), read(text.encode(), suffix)).items()
        if isinstance(result, NotPossible)
    }
    assert impossible <= judged


def test_a_reference_in_which_nothing_is_said_gives_no_figure() -> None:
    nothing = {"talk": Account((), words=True, times=True, speakers=True)}
    assert all(isinstance(result, NotPossible) for result in scored(nothing, stm(FOUND)).values())
    strangers = scored(stm(TRUTH), {"talk": Account((), words=True, times=True, speakers=True)})
    assert isinstance(strangers["WDER"], NotPossible), "no word was heard that could have the wrong speaker"
    assert strangers["WER"] == WordErrors(5, 5, 0, 5, 0)


def test_counts_of_several_recordings_are_summed() -> None:
    truth, found = stm(TRUTH + "other 1 Cy 0 1 yes\n"), stm(FOUND + "other 1 X 0 1 yes\n")
    results = scored(truth, found)
    assert results["WER"] == WordErrors(1, 6, 1, 0, 0)
    assert results["cpWER"] == SpeakerWordErrors(1, 6, 1, 0, 0, 3, 3)
    assert results["DER"] == DiarizationError(0.0, 0.0, 0.0, 5.0)
    assert results["JER"] == JaccardError(0.0, 3)


def test_a_recording_of_which_nothing_was_found_is_missing_and_one_too_many_is_told() -> None:
    truth, found = stm(TRUTH + "other 1 Cy 0 1 yes\n"), stm(FOUND + "third 1 X 0 1 yes\n")
    pairs, notes = paired(truth, found)
    results = score(pairs, Settings())
    assert results["WER"] == WordErrors(2, 6, 1, 1, 0)
    assert results["DER"] == DiarizationError(1.0, 0.0, 0.0, 5.0)
    assert ["other" in notes[0], "third" in notes[1], len(notes)] == [True, True, 2]


def test_one_recording_finds_its_own_among_several() -> None:
    truth, found = stm(TRUTH + "other 1 Cy 0 1 yes\n"), read(b"Cy: yes", "txt")
    pairs, _ = paired(truth, found, "other")
    assert pairs == [(truth["other"], found[""])]
    assert paired(found, truth, "other")[0] == [(found[""], truth["other"])]
    with pytest.raises(RecordingsError, match="other, talk"):
        paired(truth, found, "third")


def test_settings_decide_what_is_judged() -> None:
    truth, found = stm(TRUTH), stm(FOUND.replace("so he", "So, HE").replace("0 2", "0.2 3"))
    assert scored(truth, found, Settings("none"))["WER"] == WordErrors(2, 5, 2, 0, 0)
    assert scored(truth, found, Settings(collar_s=0.25))["DER"] == DiarizationError(0.0, 0.75, 0.0, 3.0)
    both = {"": Account((Segment(None, 0.0, 4.0, "A"), Segment(None, 2.0, 4.0, "B")), False, True, True)}
    alone = scored(both, both, Settings(overlaps=False))["DER"]
    assert alone == DiarizationError(0.0, 0.0, 0.0, 2.0)


@pytest.fixture
def corpus() -> Path:
    folder = os.environ.get("EVT_CORPUS")
    if folder is None:
        pytest.skip("NOT RUN: set EVT_CORPUS to the folder of the shared recordings")
    return Path(folder)


def rates(truth: Path, found: Path, settings: Settings) -> dict[str, float]:
    results = scored(read(truth.read_bytes(), truth.suffix), read(found.read_bytes(), found.suffix), settings)
    return {name: result.rate for name, result in results.items() if not isinstance(result, NotPossible)}


def test_the_example_of_meeteval_has_the_figures_that_it_gives(corpus: Path) -> None:
    folder = corpus / "metrics_golden"
    found = rates(folder / "ref.stm", folder / "hyp.stm", Settings("none"))
    assert found["cpWER"] == 25 / 92


def test_two_diarizers_have_the_errors_that_their_makers_published(corpus: Path) -> None:
    folder = corpus / "pyannote_sample"
    for name, der in (("legacy-3.1", 0.1269), ("community-1", 0.0520)):
        found = rates(folder / "sample.rttm", folder / f"hyp.{name}.rttm", Settings())
        assert found["DER"] == pytest.approx(der, abs=5e-5)


def test_utterances_as_turns_have_the_errors_that_pyannote_gives(corpus: Path) -> None:
    """pyannote's collar is the width of both sides: its 0.25 is our 0.125."""
    folder = corpus / "pyannote_sample"
    for collar_s, der in ((0.0, 0.1396), (0.125, 0.0635)):
        found = rates(folder / "sample.rttm", folder / "sample.stm", Settings(collar_s=collar_s))
        assert found["DER"] == pytest.approx(der, abs=5e-5)
        assert collar_s or found["JER"] == pytest.approx(0.148, abs=5e-4)


def test_an_utterance_at_the_wrong_speaker_is_missing_there_and_added_here(corpus: Path) -> None:
    truth = (corpus / "pyannote_sample" / "sample.stm").read_text()
    lines = truth.splitlines()
    assert "Oh, hello." in lines[2]
    lines[2] = lines[2].replace("Diane", "Sheila")
    results = scored(stm(truth), stm("\n".join(lines)))
    assert isinstance(results["cpWER"], SpeakerWordErrors)
    assert (results["cpWER"].wrong, results["cpWER"].words) == (4, 81)
    assert results["WER"] == WordErrors(0, 81, 0, 0, 0)
