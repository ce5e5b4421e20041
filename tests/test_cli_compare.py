"""`evt compare` and its variants as a user meets them: the real program, real files, a scripted engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.errors import UnknownPipelineError
from cli.lookup import find_known
from eventlog.store import Store
from pipeline.home import Home
from tests.support.cli import WORDS, Evt
from tests.support.shop import write_script
from tests.support.spending import write_pipeline


@pytest.fixture
def engines(evt: Evt) -> list[str]:
    """Another script beside the usual one, as flags."""
    other = write_script(evt.folder / "other.toml", words=WORDS[:3], chunk_s="[2.0, 3.0]")
    return ["--diarizer", "none", "--transcriber", f"script:{evt.script}", "--transcriber", f"script:{other}"]


@pytest.mark.slow
def test_a_comparison_is_a_table_a_page_and_variants_below_their_base(evt: Evt, engines: list[str]) -> None:
    evt.speech()
    said = evt("compare", "talk.wav", *engines)
    base = next(path.stem for path in evt.home.glob("logs/*/*.jsonl") if path.stem.count(".") == 0)
    assert f"2  {base}.2  none" in said.stdout
    assert "Side by side: talk.compare.html" in said.stdout
    assert "transcription     waiting  waits for audio_conversion" in said.stderr
    assert sorted(path.name for path in evt.work.iterdir()) == ["talk.compare.html", "talk.wav"]
    assert [line.split()[0] for line in evt("list").stdout.splitlines()] == ["ID", base, f"{base}.2"]
    assert f"variant of {base}" in evt("show", f"{base[:6]}.2").stdout
    assert "taken over from" in evt("show", f"{base}.2").stdout
    evt("validate")


@pytest.mark.slow
def test_a_file_and_a_name_mean_the_base_and_a_variant_s_id_the_variant(evt: Evt, engines: list[str]) -> None:
    evt.speech()
    (first, second) = evt.json("compare", "talk.wav", *engines, "--no-html")["variants"]
    (report,) = evt.json("run", "talk.wav")
    assert report["pipeline"] == first["pipeline"]
    assert "one two three four five" in (evt.work / "talk.txt").read_text()
    (report,) = evt.json("run", second["pipeline"])
    assert (report["pipeline"], report["ran"]) == (second["pipeline"], [])
    assert "one two three\n" in (evt.work / "talk.2.txt").read_text()
    assert evt.json("compare", second["pipeline"], "--no-html")["variants"][0]["pipeline"] == first["pipeline"]


@pytest.mark.slow
def test_what_is_let_be_a_gap_makes_no_other_variant(evt: Evt, engines: list[str]) -> None:
    evt.speech()
    first = evt.json("compare", "talk.wav", *engines, "--no-html")["variants"]
    again = evt.json("compare", "talk.wav", *engines, "--no-html", "--allow-gaps")["variants"]
    assert [one["pipeline"] for one in again] == [one["pipeline"] for one in first]


@pytest.mark.slow
def test_a_page_of_somebody_else_is_kept_and_nothing_is_begun(evt: Evt, engines: list[str]) -> None:
    evt.speech()
    (evt.work / "talk.compare.html").write_text("mine")
    assert "--html" in evt("compare", "talk.wav", *engines, code=3).stderr
    assert not list(evt.home.glob("logs/*/*"))
    assert (evt.work / "talk.compare.html").read_text() == "mine"


@pytest.mark.slow
def test_nothing_to_compare_is_refused_before_anything_is_made(evt: Evt) -> None:
    evt.speech()
    refused = evt("compare", "talk.wav", "--transcriber", "builtin", code=3)
    assert "name two different engines" in refused.stderr
    assert not list(evt.home.glob("logs/*/*"))


# Which pipeline is meant


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A base with two variants, and another pipeline whose id begins alike."""
    for pipeline, name in (
        ("4f2a11", "talk.wav"),
        ("4f2a11.2", "talk.wav"),
        ("4f2a11.21", "talk.wav"),
        ("4f9900", "other.wav"),
    ):
        write_pipeline(tmp_path, pipeline, [], name=name)
    return Home(tmp_path)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("4f2a11", "4f2a11"),
        ("4f2a", "4f2a11"),
        ("talk.wav", "4f2a11"),
        ("4f2a11.2", "4f2a11.2"),
        ("4f2a.2", "4f2a11.2"),
        ("4f2a.21", "4f2a11.21"),
    ],
)
def test_digits_and_names_mean_the_base_and_a_number_its_variant(home: Home, written: str, found: str) -> None:
    assert find_known(written, Store(str(home.logs)), home) == found


@pytest.mark.parametrize("written", ["4f", "4f2a.", "4f2a.3", ".2", "4f2a.02"])
def test_what_fits_none_or_several_pipelines_is_refused(home: Home, written: str) -> None:
    with pytest.raises(UnknownPipelineError):
        find_known(written, Store(str(home.logs)), home)
