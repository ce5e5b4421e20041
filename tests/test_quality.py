"""The report on a transcript: its figures, where to listen, and what names and commands make of it."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from cli.main import main
from cli.reports.quality import FEW_SUSPECTS, SHOWN, percent, quality_lines, quality_note
from pipeline.annotations.speakers import naming_of
from pipeline.formats.json import render
from pipeline.formats.paragraphs import speakers
from pipeline.speech.naming import apply, as_content, with_names
from pipeline.speech.quality import about_speakers, numbers, report, suspect_places
from pipeline.speech.transcript import Transcript
from pipeline.speech.values import UNKNOWN_SPEAKER, AttributedWord, Gap, Turn, Utterance, Word
from projections.graph import MERGE, TRANSCRIPTION
from projections.options import Named
from tests.support.documents import with_report
from tests.support.shop import make_shop, run_once, scripted, write_script, write_speech
from tests.support.strategies import transcript_of, transcripts, turns, utterance_of

A, B = "SPEAKER_00", "SPEAKER_01"


def word(text: str, start_s: float, speaker: str = A, method: str = "overlap", **more: Any) -> AttributedWord:
    return AttributedWord(text, start_s, start_s + 0.5, speaker, 1.0, method, **more)


def said(*words: AttributedWord, **more: Any) -> Transcript:
    """A transcript with its report; each word is an utterance, speech is heard during [0, 20)."""
    utterances = tuple(Utterance(one.speaker, (one,)) for one in words)
    transcript = transcript_of(*utterances, **{"duration_s": 40.0, **more})
    plain = [Word(one.text, one.start_s, one.end_s) for one in words]
    made = report(plain, utterances, transcript.turns, transcript.gaps, [(0.0, 20.0)], transcript.duration_s)
    return evolve(transcript, quality=made)


SOME = said(
    word("so", 0.0, confidence=0.9),
    word("no", 1.0, confidence=0.4, suspect=("repeated", "too_fast")),
    word("no", 1.5, confidence=0.8, suspect=("repeated",)),
    word("well", 2.0, B, overlapped=True),
    word("then", 3.0, UNKNOWN_SPEAKER, "none", suspect=("made_up", "mine")),
    turns=(Turn(0, 3, A), Turn(1, 2, A), Turn(2, 4, B), Turn(2.5, 4.5, B, 1)),
    gaps=(Gap(5, 12), Gap(10, 13, 1)),
)


def test_the_report_counts_what_there_is() -> None:
    assert SOME.quality == {
        "coverage": {"speech_s": 20.0, "without_words_s": 15.5, "share": 0.225},
        "gaps": {"count": 2, "seconds": 8.0},
        "suspects": {"words": 3, "reasons": {"repeated": 2, "too_fast": 1, "other": 1}},
        "silence": {"seconds": 20.0, "share": 0.5},
        "confidence": {"words": 3, "mean": 0.7, "low_share": 0.333},
        "overlaps": {"words": 1, "seconds": 1.0, "share": 0.222},
        "speakers": {
            "dominant_share": 0.545,
            "talk": [{"speaker": A, "share": 0.545}, {"speaker": B, "share": 0.455}],
            "words_unknown_speaker": 1,
        },
        "methods": {"none": 1, "overlap": 4},
    }


def test_a_recording_without_speech_has_a_report_too() -> None:
    empty = report([], [], [], [], [], 0.0)
    assert empty["coverage"] == {"speech_s": 0.0, "without_words_s": 0.0, "share": 1.0}
    assert empty["silence"]["share"] == 0.0
    assert empty["confidence"] == {"words": 0, "mean": None, "low_share": None}
    assert empty["speakers"] == {"dominant_share": None, "talk": [], "words_unknown_speaker": 0}


def test_speech_that_is_heard_beyond_the_end_is_no_negative_silence() -> None:
    assert report([], [], [], [], [(0.0, 9.0)], 8.9)["silence"] == {"seconds": 0.0, "share": 0.0}


def test_words_that_were_only_reckoned_into_a_gap_do_not_cover_it() -> None:
    spread = [Word("so", at, at + 1.0, segment=(0.0, 30.0)) for at in range(0, 30, 2)]
    gap = [Gap(0.0, 30.0)]
    assert report(spread, [], [], gap, [(0.0, 30.0)], 30.0)["coverage"]["share"] == 0.0
    assert report(spread, [], [], [], [(0.0, 30.0)], 30.0)["coverage"]["share"] == 1.0
    other = [evolve(one, channel=1) for one in spread]
    assert report(other, [], [], [Gap(0.0, 30.0, 0)], [(0.0, 30.0)], 30.0)["coverage"]["share"] == 1.0


def test_three_who_talk_at_once_overlap_once() -> None:
    at_once = [Turn(0, 4, "A"), Turn(1, 3, "B"), Turn(2, 5, "C"), Turn(2, 3, "C", 1)]
    assert about_speakers([], at_once)["overlaps"] == {"words": 0, "seconds": 3.0, "share": 0.6}


@given(st.lists(turns, max_size=6), st.lists(st.integers(0, 30), max_size=3))
def test_shares_are_parts_of_a_whole(some: list[Turn], starts: list[int]) -> None:
    gaps = [Gap(start, start + 2.0) for start in starts]
    found = report([], [], some, gaps, [(1.0, 9.0)], 40.0)
    shares = [one["share"] for one in found["speakers"]["talk"]]
    assert not shares or sum(shares) == pytest.approx(1.0, abs=0.01)
    assert found["overlaps"]["share"] <= 1.0
    assert found["gaps"]["seconds"] <= 2.0 * len(gaps)


@given(transcripts())
def test_a_report_is_made_of_any_transcript_and_holds_no_label_for_the_log(transcript: Transcript) -> None:
    found = numbers(with_report(transcript).quality)
    assert "SPEAKER" not in json.dumps(found)
    assert found["speakers"]["words_unknown_speaker"] == 0
    assert numbers({}) == {}


# ---- names


def test_the_report_calls_people_what_the_user_calls_them_and_counts_two_labels_of_one_person_once() -> None:
    named = apply(SOME, as_content(naming_of(SOME, [(A, "Anna"), (B, "Ben")], []))).transcript
    shown = json.loads(render(with_names(named)))
    assert [one["speaker"] for one in shown["quality"]["speakers"]["talk"]] == ["Anna", "Ben"]
    assert A not in json.dumps(shown["quality"])
    merged = apply(SOME, as_content(naming_of(SOME, [(A, "Anna")], [(A, B)]))).transcript
    shown = json.loads(render(with_names(merged)))
    assert shown["quality"]["speakers"]["talk"] == [{"speaker": "Anna", "share": 1.0}]
    assert shown["quality"]["overlaps"]["seconds"] == 0.0
    assert shown["quality"]["suspects"] == SOME.quality["suspects"]


@given(transcripts())
def test_after_naming_the_report_is_that_of_the_named_transcript(transcript: Transcript) -> None:
    labels = [one.name for one in speakers(transcript)]
    names = [(label, f"Person {number}") for number, label in enumerate(labels)]
    named = with_names(apply(with_report(transcript), as_content(naming_of(transcript, names, []))).transcript)
    assert named.quality == with_report(named).quality
    without = with_names(apply(transcript, as_content(naming_of(transcript, names, []))).transcript)
    assert without.quality == {}


# ---- for people


def test_places_are_suspect_words_near_each_other() -> None:
    words = [word("x", at, suspect=("repeated",)) for at in (1.0, 2.0, 6.0)]
    words += [word("y", 3.0), word("z", 20.0, suspect=("no_speech", "mine"))]
    utterances = [Utterance(A, (one,)) for one in words]
    found = [(p.start_s, p.end_s, p.words, p.reasons) for p in suspect_places(utterances)]
    assert found == [(1.0, 6.5, 3, ("repeated",)), (20.0, 20.5, 1, ("no_speech", "other"))]


def test_what_matters_is_said_in_words_and_nothing_else() -> None:
    good = said(*(word("so", at + 0.0, confidence=0.9) for at in range(20)), turns=(Turn(0, 20, A),))
    assert quality_lines(good) == ["  quality    100 % of the speech has words"]
    assert quality_lines(SOME) == [
        "  quality    22 % of the speech has words; 2 gaps (8.0 s); 3 words look doubtful (repeated 2, too fast 1, "
        "for other reasons 1); the engine is unsure of 33 % of the words; 22 % of the talk overlaps; 1 word of "
        "nobody known",
        "  listen at  00:00:05–00:00:12  no words",
        "  listen at  00:00:10–00:00:13  no words",
        "  listen at  00:00:01–00:00:03  repeated and too fast and for other reasons",
    ]
    assert quality_lines(transcript_of(utterance_of(A, "so"))) == []
    nobody = evolve(said(), quality=report([], [], [], [], [], 9.0))
    assert quality_lines(nobody) == ["  quality    no speech"]


def test_only_the_first_places_are_named() -> None:
    many = said(*(word("so", at * 10.0, suspect=("too_fast",)) for at in range(SHOWN + 2)))
    lines = quality_lines(many)
    assert len(lines) == 1 + SHOWN + 1
    assert lines[-1].split() == ["and", "2", "places", "more"]


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "0 %"), (0.004, "under 1 %"), (0.06, "6 %"), (0.97, "97 %"), (0.999, "over 99 %"), (1.0, "100 %")],
)
def test_a_share_that_is_not_whole_is_not_called_whole(share: float, shown: str) -> None:
    assert percent(share) == shown


def test_after_a_run_gaps_are_news_and_a_few_suspects_are_not() -> None:
    def note(gaps: int, suspects: int) -> str | None:
        found = {"gaps": {"count": gaps, "seconds": gaps * 179.0}, "suspects": {"words": suspects, "reasons": {}}}
        return quality_note(found, "79a0")

    assert note(0, 0) is note(0, FEW_SUSPECTS) is quality_note({}, "79a0") is None
    assert note(0, 14) == "14 words look doubtful: `evt show 79a0` says where"
    assert note(2, 1) == "2 gaps (5 min 58 s): `evt show 79a0` says where"
    assert note(1, 14) == "1 gap (2 min 59 s); 14 words look doubtful: `evt show 79a0` says where"


# ---- a whole run

LOOP = [("no", 0.5 + i * 0.2, 0.6 + i * 0.2) for i in range(8)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a home in which a recording was run whose engine repeats itself and leaves a gap."""
    made = tmp_path_factory.mktemp("quality")
    recording = write_speech(made / "talk.wav", 33.0)
    write_script(made / "script.toml", words=LOOP, accounts_for_speech="true")
    named = Named(options=scripted(made / "script.toml", allow_gaps=True))
    result, _ = run_once(make_shop(made / "home"), recording, made, named)
    assert result is not None
    points = result.state.checkpoints
    assert points[TRANSCRIPTION].metadata["words_suspect"] == len(LOOP)
    assert points[MERGE].metadata["quality"]["suspects"] == {"words": len(LOOP), "reasons": {"repeated": len(LOOP)}}
    assert "talk" not in points[MERGE].metadata["quality"]["speakers"]
    return made


@pytest.mark.parametrize("is_witness", [True, False])
def test_words_in_silence_are_marked_if_the_engine_is_held_against_the_speech(
    tmp_path: Path, is_witness: bool
) -> None:
    recording = write_speech(tmp_path / "talk.wav", 3.0)
    with wave.open(str(recording)) as file:
        speech = file.readframes(file.getnframes())
    with wave.open(str(recording), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(speech + bytes(2 * 16000 * 8))
    script = write_script(
        tmp_path / "script.toml",
        words=[("so", 0.5, 0.9), ("thanks", 8.0, 8.4)],
        accounts_for_speech="true" if is_witness else "false",
    )
    run_once(make_shop(tmp_path / "home"), recording, tmp_path, Named(options=scripted(script)))
    words = [
        one for spoken in json.loads((tmp_path / "talk.json").read_text())["utterances"] for one in spoken["words"]
    ]
    assert [one["suspect"] for one in words] == [[], ["no_speech"] if is_witness else []]


def evt(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(folder / "home"), *arguments])
    assert ended.value.code == 0
    out, err = capsys.readouterr()
    return out, err


def test_a_run_marks_what_the_engine_invented_and_the_json_says_so(folder: Path) -> None:
    written = json.loads((folder / "talk.json").read_text())
    words = [one for utterance in written["utterances"] for one in utterance["words"]]
    assert [one["suspect"] for one in words] == [["repeated"]] * len(LOOP)
    assert written["quality"]["gaps"]["count"] == len(written["gaps"]) > 0
    assert written["quality"]["coverage"]["share"] < 0.5
    assert any("have no words here" in note for note in written["notes"])


def test_show_says_how_good_it_looks_and_where_to_listen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = evt(folder, capsys, "show", "talk.wav")
    assert "8 words look doubtful (repeated 8)" in out
    assert "listen at  00:00:00–00:00:02  repeated" in out
    assert "no words" in out
    shown = json.loads(evt(folder, capsys, "show", "talk.wav", "--json")[0])["quality"]
    written = json.loads((folder / "talk.json").read_text())["quality"]
    assert {name: shown[name] for name in written} == written
    assert [place["reasons"] for place in shown["places"]["suspects"]] == [["repeated"]]
    assert shown["places"]["gaps"]


def test_a_run_ends_with_a_note_of_gaps_and_suspects(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, err = evt(folder, capsys, "run", str(folder / "talk.wav"), "-o", str(tmp_path))
    assert "8 words look doubtful: `evt show" in err
    assert "gap" in err


def test_show_says_so_where_the_transcript_is_gone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = folder.glob("home/artifacts/*/*/merge/1/transcript.json")
    kept = path.read_bytes()
    path.unlink()
    try:
        assert "is gone or was changed" in evt(folder, capsys, "show", "talk.wav")[0]
        assert json.loads(evt(folder, capsys, "show", "talk.wav", "--json")[0])["quality"] is None
    finally:
        path.write_bytes(kept)
