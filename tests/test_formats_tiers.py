"""TextGrids are opened by Praat itself, annotation documents by another library for ELAN."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import parselmouth
import pytest
from hypothesis import HealthCheck, given, settings
from parselmouth.praat import call
from pympi import Elan

from pipeline.formats import eaf, textgrid
from pipeline.formats.tiers import GAPS, tiers
from pipeline.speech.transcript import Transcript
from pipeline.speech.values import Gap
from tests.support.documents import SAID, hostile_transcripts, squeezed, visible
from tests.support.strategies import transcript_of, utterance_of

Shown = list[tuple[str, list[tuple[int, int, str]]]]
"""Each tier's name and intervals in milliseconds."""

same_folder = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def expected(transcript: Transcript) -> Shown:
    return [(tier.name, [(i.start_ms, i.end_ms, i.text) for i in tier.intervals]) for tier in tiers(transcript)]


def in_praat(transcript: Transcript, folder: Path) -> Shown:
    """Return the tiers as Praat sees them, empty intervals left out; those fill the rest of the time."""
    path = folder / "talk.TextGrid"
    path.write_text(textgrid.render(transcript), encoding="utf-8")
    grid = parselmouth.read(str(path))
    found, until_s = [], call(grid, "Get end time")
    for tier in range(1, call(grid, "Get number of tiers") + 1):
        assert call(grid, "Is interval tier", tier)
        intervals, free_s = [], 0.0
        for number in range(1, call(grid, "Get number of intervals", tier) + 1):
            start_s, end_s = (call(grid, f"Get {what} time of interval", tier, number) for what in ("start", "end"))
            assert start_s == free_s < end_s
            free_s = end_s
            if text := call(grid, "Get label of interval", tier, number):
                intervals.append((round(start_s * 1000), round(end_s * 1000), text))
        assert free_s == until_s
        found.append((call(grid, "Get tier name", tier), intervals))
    return found


def in_elan(transcript: Transcript, folder: Path) -> Shown:
    path = folder / "talk.eaf"
    path.write_text(eaf.render(transcript), encoding="utf-8")
    document = Elan.Eaf(str(path))
    names = document.get_tier_names()
    return [(name, sorted(document.get_annotation_data_for_tier(name))) for name in names]


@same_folder
@given(hostile_transcripts)
def test_praat_shows_each_tier_whole(tmp_path: Path, transcript: Transcript) -> None:
    assert in_praat(transcript, tmp_path) == expected(transcript)


@same_folder
@given(hostile_transcripts)
def test_elan_shows_each_tier_whole(tmp_path: Path, transcript: Transcript) -> None:
    assert in_elan(transcript, tmp_path) == expected(transcript)


@pytest.mark.parametrize("case", SAID)
def test_every_case_comes_back_with_every_word(tmp_path: Path, case: str) -> None:
    shown = in_praat(SAID[case], tmp_path)
    assert shown == in_elan(SAID[case], tmp_path)
    said = "".join(text for name, intervals in shown for _, _, text in intervals if name != GAPS)
    assert sorted(squeezed(said)) == sorted(visible(SAID[case]))


@given(hostile_transcripts)
def test_intervals_of_a_tier_never_overlap_and_no_tier_comes_twice(transcript: Transcript) -> None:
    found = tiers(transcript)
    assert len({tier.name for tier in found}) == len(found) >= 1
    for tier in found:
        borders = [time for one in tier.intervals for time in (one.start_ms, one.end_ms)]
        assert borders == sorted(borders)
        assert all(one.start_ms < one.end_ms and one.text for one in tier.intervals)


def test_utterances_of_one_speaker_that_overlap_share_a_tier_and_those_of_two_do_not() -> None:
    assert expected(SAID["crowd"]) == [
        ("A", [(0, 6000, "one two three inside"), (6000, 9000, "late later")]),
        ("B", [(1500, 2500, "meanwhile")]),
    ]


def test_a_gap_has_a_tier_of_its_own() -> None:
    transcript = transcript_of(utterance_of("A", "so"), gaps=(Gap(720, 1078),), duration_s=1100)
    assert expected(transcript) == [
        (GAPS, [(720_000, 1_078_000, "[inaudible 12:00–17:58]")]),
        ("A", [(0, 400, "so")]),
    ]


def test_a_day_is_as_long_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "day.TextGrid"
    path.write_text(textgrid.render(SAID["a long day"]), encoding="utf-8")
    assert call(parselmouth.read(str(path)), "Get end time") == 90_000.0


def test_a_word_without_length_is_a_millisecond_long() -> None:
    assert expected(transcript_of(utterance_of("A", "so", 3.0, 0.0))) == [("A", [(3000, 3001, "so")])]
    assert expected(transcript_of(utterance_of("A", "so", 0.0, 0.0))) == [("A", [(0, 1, "so")])]


def test_elan_finds_the_recording_beside_the_document(tmp_path: Path) -> None:
    document = ElementTree.fromstring(eaf.render(transcript_of(name='a & "b".MP3')))
    (media,) = document.iter("MEDIA_DESCRIPTOR")
    assert media.attrib == {
        "MEDIA_URL": 'file:///a & "b".MP3',
        "RELATIVE_MEDIA_URL": './a & "b".MP3',
        "MIME_TYPE": "audio/mpeg",
    }


def test_an_annotation_document_refers_only_to_what_it_holds() -> None:
    document = ElementTree.fromstring(eaf.render(SAID["everything"]))
    assert [part.tag for part in document][:2] == ["HEADER", "TIME_ORDER"]
    times = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) for slot in document.iter("TIME_SLOT")}
    assert list(times.values()) == sorted(times.values())
    used = [one.attrib[f"TIME_SLOT_REF{end}"] for one in document.iter("ALIGNABLE_ANNOTATION") for end in (1, 2)]
    assert sorted(used) == sorted(times)
    types = {one.attrib["LINGUISTIC_TYPE_ID"] for one in document.iter("LINGUISTIC_TYPE")}
    assert {tier.attrib["LINGUISTIC_TYPE_REF"] for tier in document.iter("TIER")} == types
