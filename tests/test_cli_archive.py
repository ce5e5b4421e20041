"""`evt archive`: what it says, what it leaves alone, and that every command reads an archived log as it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from proofs.medium import SECTOR
from tests.support.cli import Evt


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Evt:
    evt = Evt(tmp_path_factory.mktemp("archive"))
    evt.speech()
    evt.run("talk.wav")
    return evt


@pytest.fixture
def done(made: Evt, tmp_path: Path) -> Evt:
    """A home of its own with one finished pipeline."""
    shutil.copytree(made.folder, tmp_path / "evt")
    evt = Evt.__new__(Evt)
    evt.folder = tmp_path / "evt"
    evt.home, evt.work, evt.script = evt.folder / "home", evt.folder / "work", made.script
    return evt


def archive_of(evt: Evt) -> Path:
    (path,) = evt.home.glob("logs/*/*.jsonl.zst")
    return path


def logs(evt: Evt) -> list[str]:
    return sorted(path.suffix for path in evt.home.glob("logs/*/*"))


def test_what_would_be_saved_is_said_first_and_then_what_was(done: Evt) -> None:
    log = done.log().read_bytes()
    tried = done.json("archive", "--dry-run")
    assert logs(done) == [".head", ".jsonl"]
    assert tried["dry_run"]
    saved = done.json("archive")
    assert saved["archived"] == tried["archived"]
    assert saved["archived"][0]["log_bytes"] == len(log)
    assert saved["archived"][0]["archive_bytes"] == archive_of(done).stat().st_size < len(log) / 4
    assert logs(done) == [".head", ".zst"]
    assert "1 already archived" in done("archive").stdout
    assert "unpacked" in done("archive", "talk.wav", "--undo").stdout
    assert done.log().read_bytes() == log
    assert "smaller" in done("archive").stdout


def test_every_reading_command_says_of_an_archived_log_what_it_said_of_the_log(done: Evt) -> None:
    pipeline = done.log().stem
    commands = [
        ["list", "--json"],
        ["show", pipeline, "--json"],
        ["replay", pipeline],
        ["tail"],
        ["validate", "--json"],
        ["cost", "--json"],
        ["head"],
        ["plan", "talk.wav", "--json"],
        ["speakers", pipeline],
        ["run", "talk.wav"],
    ]
    before = [done(*command).stdout for command in commands]
    done("archive")
    archived = archive_of(done)
    after = [done(*command).stdout for command in commands]
    assert [text.replace(".jsonl.zst", ".jsonl") for text in after] == before
    assert done("path", pipeline).stdout.strip() == str(archived)
    assert archived.exists()
    done("export", pipeline, "--output-dir", done.folder)
    assert logs(done) == [".head", ".zst"], "nothing of all that had to write"


def test_a_command_that_writes_unpacks_the_log_and_goes_on(done: Evt) -> None:
    log = done.log().read_bytes()
    done("archive")
    done("speakers", "talk.wav", "--name", "SPEAKER_00=Anna")
    assert logs(done) == [".head", ".jsonl"]
    assert done.log().read_bytes().startswith(log)
    assert "speakers.named" in done.types()
    done("archive")
    done("run", "talk.wav", "--refresh", "merge")
    assert "Anna" in (done.work / "talk.txt").read_text()
    done("validate")


def test_what_is_young_or_not_finished_or_unknown_stays_as_it_is(done: Evt) -> None:
    assert "1 too young" in done("archive", "--older-than", "1d").stdout
    assert "stays as it is: too young" in done("archive", "talk.wav", "--older-than", "1d", code=3).stdout
    assert "not archived" in done("archive", "talk.wav", "--undo", code=3).stdout
    assert "span like" in done("archive", "--older-than", "soon", code=3).stderr
    assert "No pipeline or file" in done("archive", "nothing", code=3).stderr
    lines = done.log().read_bytes().splitlines(keepends=True)
    done.log().with_suffix(".head").unlink()
    done.log().write_bytes(b"".join(lines[:-1]))
    assert "1 not finished" in done("archive").stdout
    assert logs(done) == [".jsonl"]


def test_a_damaged_log_is_named_and_the_others_are_archived(done: Evt) -> None:
    done.speech("other.wav", seed=3)
    harmed = done.log()
    done.run("other.wav")
    harmed.write_bytes(harmed.read_bytes().replace(b"talk.wav", b"tolk.wav"))
    told = done("archive", code=4)
    assert "damaged" in told.stderr
    assert "Archived 1 log" in told.stdout
    assert archive_of(done).name != f"{harmed.name}.zst"


def test_a_damaged_archive_is_reported_by_every_command_and_never_replaced(done: Evt) -> None:
    pipeline = done.log().stem
    done("archive")
    archived = archive_of(done)
    content = bytearray(archived.read_bytes())
    content[SECTOR] ^= 1
    archived.write_bytes(content)
    assert json.loads(done("list", "--json", code=4).stdout)[0]["status"] == "damaged"
    for command in (["show", pipeline], ["replay", pipeline], ["run", "talk.wav"], ["export", pipeline]):
        assert "can't be read" in done(*command, code=4).stderr
    assert "can't be read" in done("validate", code=4).stdout
    for command in (
        ["archive", pipeline, "--undo"],
        ["salvage", pipeline],
        ["speakers", pipeline, "--name", "SPEAKER_00=A"],
    ):
        assert "can't be read" in done(*command, code=4).stderr
    assert archived.read_bytes() == content
    assert logs(done) == [".head", ".zst"]
