"""`evt score`: what people and programs are told, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.main import main
from projections.options import Named
from tests.support.shop import make_shop, run_once, scripted, write_script, write_speech

TRUTH = """talk 1 Ann 0.0 3.0 One, two.
talk 1 Bob 3.0 9.0 Three for five!
"""
Score = Callable[..., tuple[str, str]]


@pytest.fixture
def score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Score:
    """Run `evt score` in a folder of its own; returns stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "truth.stm").write_text(TRUTH)
    (tmp_path / "out").mkdir()

    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(tmp_path / "home"), "score", *arguments])
        said = capsys.readouterr()
        assert ended.value.code == code, said.err
        return said.out, said.err

    return run


def report(score: Score, *arguments: str) -> Any:
    return json.loads(score(*arguments, "--json")[0])


def test_a_pipeline_is_measured_by_its_newest_export(score: Score, tmp_path: Path) -> None:
    words = [("one", 0.2, 0.6), ("two", 1.5, 1.9), ("three", 3.2, 3.6), ("four", 4.4, 4.8), ("five", 6.1, 6.5)]
    recording = write_speech(tmp_path / "talk.wav", 9.0)
    shop = make_shop(tmp_path / "home")
    for name, said in (("first", words[:2]), ("second", words)):
        script = write_script(tmp_path / f"{name}.toml", words=said)
        run_once(shop, recording, tmp_path / "out", Named(options=scripted(script)))
    found = report(score, "talk.wav", "-r", "truth.stm")
    assert (found["wer"]["wrong"], found["wer"]["words"]) == (1, 5)
    assert found["wder"] == {"rate": 0.0, "wrong": 0, "words": 5}
    assert found["der"]["rate"] == pytest.approx(0.0)
    assert found["pipeline"] in score(found["pipeline"][:6], "-r", "truth.stm")[0]
    assert report(score, "out/talk.json", "-r", "truth.stm")["wer"] == found["wer"]


def test_each_figure_comes_with_its_counts_its_meaning_and_the_settings(score: Score) -> None:
    text, _ = score("truth.stm", "-r", "truth.stm", "--collar", "0.25", "--no-overlap")
    for part in ("0 of 5 words: 0 replaced, 0 missing, 0 added", "of 8.00 s", "2 speakers found, 2 true"):
        assert part in text
    for name in ("WER", "CER", "WDER", "cpWER", "DER", "JER"):
        assert f"\n{name} " in text
    assert "collar ±0.25 s" in text
    assert "overlapping speech is not judged" in text
    assert "lower case" in text


def test_what_is_not_possible_says_why_for_people_and_programs(score: Score, tmp_path: Path) -> None:
    (tmp_path / "truth.txt").write_text("One two three four five")
    text, _ = score("truth.stm", "-r", "truth.txt")
    assert "not possible: the reference has no times" in text
    found = report(score, "truth.stm", "-r", "truth.txt")
    assert found["der"] == {"not_possible": "the reference has no times"}
    assert found["cpwer"] == {"not_possible": "the reference doesn't say who speaks"}
    assert found["settings"] == {"normaliser": "basic", "collar_s": 0.0, "overlaps": True}


def test_words_can_be_compared_as_they_are_written(score: Score, tmp_path: Path) -> None:
    (tmp_path / "found.txt").write_text("one two three for five")
    assert report(score, "found.txt", "-r", "truth.stm")["wer"]["wrong"] == 0
    assert report(score, "found.txt", "-r", "truth.stm", "--normalise", "none")["wer"]["wrong"] == 4


def test_what_cannot_be_read_is_refused_with_file_and_line(score: Score, tmp_path: Path) -> None:
    (tmp_path / "bad.stm").write_text("talk 1 Ann 0 x a\n")
    (tmp_path / "notes.docx").write_text("")
    assert "bad.stm: line 1: the end is 'x'" in score("truth.stm", "-r", "bad.stm", code=3)[1]
    assert "notes.docx: there is no reader for .docx" in score("truth.stm", "-r", "notes.docx", code=3)[1]
    assert "gone.stm is not there" in score("truth.stm", "-r", "gone.stm", code=3)[1]
    assert "out is not there, or not a file" in score("truth.stm", "-r", "out", code=3)[1]
    said = score("notes.docx", "-r", "truth.stm", code=3)[1]
    assert "notes.docx can't be measured" in said
    assert "its ID" in said
    assert "evt list" in score("nothing", "-r", "truth.stm", code=3)[1]
    assert "--reference" in score("truth.stm", code=2)[1]
    assert "--collar" in score("truth.stm", "-r", "truth.stm", "--collar", "nan", code=2)[1]


def test_what_is_not_finished_or_has_no_json_is_refused_with_the_remedy(score: Score, tmp_path: Path) -> None:
    script = write_script(tmp_path / "script.toml", words=[("one", 0.2, 0.6)])
    recording = write_speech(tmp_path / "talk.wav", 9.0)
    shop = make_shop(tmp_path / "home")
    options = scripted(script, formats=["txt"])
    run_once(shop, recording, tmp_path / "out", Named(options=options))
    assert "--format json" in score("talk.wav", "-r", "truth.stm", code=3)[1]
    other = write_speech(tmp_path / "other.wav", 9.0, seed=1)
    run_once(shop, other, tmp_path / "out", Named(options={**options, "transcriber": "script:gone.toml"}))
    assert "is not finished" in score("other.wav", "-r", "truth.stm", code=3)[1]
