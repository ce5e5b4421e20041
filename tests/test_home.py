"""Where the files of a pipeline lie: in folders by its first digits, or where an older version put them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cli.lookup import known_pipelines
from eventlog.store import Store
from pipeline.home import Home
from tests.support.cli import Evt

ID = "59dfb9a4acb36fe2"


@pytest.fixture
def evt(tmp_path: Path) -> Evt:
    return Evt(tmp_path)


def test_files_of_a_new_pipeline_and_its_variants_lie_in_a_folder_by_its_first_digits(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.artifacts(ID) == tmp_path / "artifacts" / "59" / ID
    home.artifacts(ID).mkdir(parents=True)
    assert home.artifacts(f"{ID}.2") == tmp_path / "artifacts" / "59" / f"{ID}.2"


def test_files_that_an_older_version_made_stay_where_they_are_and_variants_come_beside_them(tmp_path: Path) -> None:
    home, flat = Home(tmp_path), tmp_path / "artifacts" / ID
    flat.mkdir(parents=True)
    assert home.artifacts(ID) == flat
    assert home.artifacts(f"{ID}.2") == flat.with_name(f"{ID}.2")
    assert home.artifacts("59" + "0" * 14) == tmp_path / "artifacts" / "59" / ("59" + "0" * 14)
    home.artifacts(f"{ID}.2").mkdir()
    flat.rmdir()
    assert home.artifacts(f"{ID}.2") == flat.with_name(f"{ID}.2")


def test_a_variant_stays_where_it_is_when_its_base_comes_back_elsewhere(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (tmp_path / "artifacts" / "59" / f"{ID}.2").mkdir(parents=True)
    (tmp_path / "artifacts" / ID).mkdir()
    assert home.artifacts(f"{ID}.2") == tmp_path / "artifacts" / "59" / f"{ID}.2"


def test_pipelines_are_known_by_their_files_wherever_these_lie(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert list(home.pipelines_with_files()) == []
    for path in (ID, "59/59aa", "59/60aa", "59/59aa.2", "60"):
        (tmp_path / "artifacts" / path).mkdir(parents=True)
    (tmp_path / "artifacts" / "file").touch()
    assert sorted(home.pipelines_with_files()) == ["59aa", "59aa.2", ID]
    assert known_pipelines(Store(str(home.logs)), home) == ["59aa", "59aa.2", ID]


@pytest.mark.slow
def test_a_home_of_an_older_version_goes_on_without_a_second_folder(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav")
    pipeline = evt.log().stem
    new, flat = evt.home / "artifacts" / pipeline[:2] / pipeline, evt.home / "artifacts" / pipeline
    new.rename(flat)
    new.parent.rmdir()
    salt = (flat / "salt").read_bytes()
    assert evt("path", pipeline, "--artifacts").stdout.strip() == str(flat)
    assert "nothing to do" in evt("run", "talk.wav", *evt.engines).stdout
    evt("run", "talk.wav", *evt.engines, "--refresh", "merge")
    evt("validate")
    other = shutil.copy(evt.script, evt.folder / "other.toml")
    evt("compare", "talk.wav", "--diarizer", f"script:{evt.script}", "--transcriber", f"script:{other}")
    assert {path.name for path in flat.parent.iterdir()} == {pipeline, f"{pipeline}.2"}
    assert (flat / "salt").read_bytes() == salt
    shutil.rmtree(evt.home / "logs")
    assert str(flat) in evt("run", "talk.wav", *evt.engines, code=4).stderr
