"""Where exports go, and that nobody's file is lost for it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipeline.delivery import DeliveryError, require_writable, stems_of
from projections.graph import FORMATS, SUFFIXES
from tests.support.cli import Evt

LONG = "ä" * 125


def corrected(evt: Evt) -> Path:
    """Give the only place of a finished transcript a file of the user."""
    evt.speech()
    evt.run("talk.wav", "--format", "txt")
    (evt.work / "talk.txt").write_text("my corrections\n")
    return evt.work


@pytest.mark.slow
def test_corrections_in_every_place_are_kept(evt: Evt) -> None:
    folder = corrected(evt)
    (folder / "talk.new.txt").write_text("my notes\n")
    (delivery,) = evt.json("run", "talk.wav")[0]["deliveries"]
    assert Path(delivery["path"]).name == "talk.new2.txt"
    assert (delivery["outcome"], delivery["beside"]) == ("written", True)
    assert (folder / "talk.txt").read_text() == "my corrections\n"
    assert (folder / "talk.new.txt").read_text() == "my notes\n"
    again = evt("run", "talk.wav")
    assert "nothing to do" in again.stdout
    assert again.stderr.count("another file had the name already, and was left as it is") == 1


@pytest.mark.slow
def test_where_every_place_is_taken_the_delivery_is_refused(evt: Evt) -> None:
    folder = corrected(evt)
    taken = [folder / f"talk.new{number}.txt" for number in ("", *range(2, 10))]
    for path in taken:
        path.write_text("mine")
    assert "--output-dir" in evt("run", "talk.wav", code=3).stderr
    assert {path.read_text() for path in taken} == {"mine"}


@pytest.mark.slow
def test_what_killed_processes_left_is_removed_and_what_living_ones_write_is_not(evt: Evt) -> None:
    folder = corrected(evt)
    pipeline = evt.log().stem
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    names = [f".evt-{pipeline}-{ended.pid}.tmp", f".evt-{pipeline}-{os.getpid()}.tmp", f".evt-0-{ended.pid}.tmp"]
    for name in names:
        (folder / name).write_text("half")
    evt("run", "talk.wav")
    assert {path.name for path in folder.glob(".evt-*")} == set(names[1:])


@pytest.mark.slow
def test_the_longest_name_that_a_disk_takes_gets_its_transcripts(evt: Evt) -> None:
    evt.speech().rename(evt.work / f"{LONG}.wav")
    evt.run(f"{LONG}.wav", "--format", "txt,json")
    made = [path for path in evt.work.iterdir() if path.suffix != ".wav"]
    assert sorted(path.suffix for path in made) == [".json", ".txt"]
    (evt.work / made[0].name).write_text("mine")
    evt("run", f"{LONG}.wav")
    assert len(list(evt.work.iterdir())) == 4


@pytest.mark.slow
def test_every_format_is_delivered_once_under_the_name_that_its_program_looks_for(evt: Evt) -> None:
    evt.speech()
    evt("run", "talk.wav", *evt.engines, "--format", "txt")
    made = evt.json("export", "talk.wav", "--format", ",".join(FORMATS))[0]["deliveries"]
    names = {f"talk.{SUFFIXES.get(name, name)}" for name in FORMATS}
    assert "talk.TextGrid" in names
    assert (
        {Path(one["path"]).name for one in made}
        == names
        == {path.name for path in evt.work.glob("talk.*")} - {"talk.wav"}
    )
    assert zipfile.is_zipfile(evt.work / "talk.docx")
    again = evt.json("export", "talk.wav", "--format", ",".join(FORMATS))[0]["deliveries"]
    assert {one["outcome"] for one in again} == {"equal"}


def test_a_stem_is_cut_at_a_character_and_only_if_it_must_be() -> None:
    short, long = ("0123456789abcdef", f"{'b' * 241}.wav"), ("fedcba9876543210", f"{LONG}.wav")
    stems = stems_of([short, long])
    assert stems[short] == "b" * 241
    assert stems[long] == "ä" * 116 + "-fedcba98"
    assert len(f"{stems[long]}.new9.TextGrid".encode()) <= 255


def test_seeing_whether_a_folder_can_be_written_leaves_nothing_there(tmp_path: Path) -> None:
    require_writable(tmp_path / "made")
    assert list((tmp_path / "made").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(DeliveryError, match=r"a file where a folder is needed.*--output-dir"):
        require_writable(tmp_path / "file")
