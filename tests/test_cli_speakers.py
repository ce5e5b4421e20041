"""`evt speakers` and `evt run --names`, as users meet them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cli.main import main
from projections.options import Named
from tests.support.shop import Crash, DyingStorage, make_shop, run_once, scripted, write_script, write_speech

WORDS = [("one", 0.2, 0.6), ("two", 1.5, 1.9), ("three", 3.2, 3.6), ("four", 4.4, 4.8), ("five", 6.1, 6.5)]


class Evt:
    """Calls the command line in this process, in a folder with a home."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.capsys = folder, capsys
        self.work = folder / "work"
        monkeypatch.chdir(self.work)
        monkeypatch.setenv("EVT_HOME", str(folder / "home"))

    def __call__(self, *arguments: str, code: int = 0) -> str:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, self.err = self.capsys.readouterr()
        assert ended.value.code == code, f"{out}\n{self.err}"
        return out

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    def records(self) -> list[dict[str, Any]]:
        (log,) = self.folder.glob("home/logs/*/*.jsonl")
        return [json.loads(line) for line in log.read_bytes().splitlines()]

    def names(self) -> dict[str, str | None]:
        return {one["label"]: one["name"] for one in self.json("speakers", "talk.wav")["speakers"]}

    @property
    def engines(self) -> list[str]:
        script = f"script:{self.folder / 'script.toml'}"
        return ["--diarizer", script, "--transcriber", script]

    @property
    def text(self) -> str:
        return (self.work / "talk.txt").read_text()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a recording, which nobody has run yet, and a script."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "work").mkdir()
    write_speech(folder / "work" / "talk.wav", 8.0)
    write_script(folder / "script.toml", words=WORDS)
    return folder


@pytest.fixture(scope="module")
def finished(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy in which the recording was run; the engine stays the script in the first folder."""
    folder = shutil.copytree(prepared, tmp_path_factory.mktemp("finished"), dirs_exist_ok=True)
    named = Named(options=scripted(prepared / "script.toml"))
    run_once(make_shop(folder / "home"), folder / "work" / "talk.wav", folder / "work", named)
    return folder


@pytest.fixture
def fresh(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Evt:
    return Evt(shutil.copytree(prepared, tmp_path, dirs_exist_ok=True), capsys, monkeypatch)


@pytest.fixture
def evt(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Evt:
    return Evt(shutil.copytree(finished, tmp_path, dirs_exist_ok=True), capsys, monkeypatch)


def test_the_list_shows_label_talk_words_and_a_line_with_its_time(evt: Evt) -> None:
    first, second = evt("speakers", "talk.wav").splitlines()[1:]
    assert first.split() == ["SPEAKER_00", "3.0", "s", "33%", "2", "[00:00:00]", "one", "two"]
    assert second.split()[-3:] == ["[00:00:03]", "three", "four"]
    report = evt.json("speakers", "talk.wav")["speakers"][0]
    assert report["sample"] == {"text": "one two", "start_s": 0.2}
    assert (report["label"], report["name"]) == ("SPEAKER_00", None)


def test_the_list_appends_nothing(evt: Evt) -> None:
    before = evt.records()
    evt("speakers", "talk.wav")
    assert evt.records() == before


def test_names_replace_labels_in_what_was_delivered_without_the_recording(evt: Evt) -> None:
    pipeline = evt.json("speakers", "talk.wav")["pipeline"]
    (evt.work / "talk.wav").unlink()
    said = evt("speakers", pipeline, "--name", "SPEAKER_00=Anna Müller", "--name", "speaker_01=Ben")
    assert "SPEAKER_00 is Anna Müller now." in said
    assert "Anna Müller: one two" in evt.text
    assert "SPEAKER_" not in evt.text + (evt.work / "talk.srt").read_text() + (evt.work / "talk.rttm").read_text()
    started = [record["data"]["stage"] for record in evt.records() if record["type"] == "stage.started"]
    assert started[5:] == ["export"]
    assert evt("run", pipeline).endswith("nothing to do\n")


def test_changes_are_taken_back_one_by_one(evt: Evt) -> None:
    untouched = evt.text
    evt("speakers", "talk.wav", "--name", "SPEAKER_00=Anna")
    evt("speakers", "talk.wav", "--same", "Anna", "SPEAKER_01", "--because", "the same voice")
    assert evt.names() == {"SPEAKER_00": "Anna"}
    evt("speakers", "talk.wav", "--undo")
    assert evt.names() == {"SPEAKER_00": "Anna", "SPEAKER_01": None}
    evt("speakers", "talk.wav", "--undo")
    assert evt.text == untouched
    evt("speakers", "talk.wav", "--undo", code=3)


def test_no_name_and_no_reason_gets_into_a_log_and_who_said_it_does(evt: Evt) -> None:
    evt("speakers", "talk.wav", "--name", "SPEAKER_00=Zwiebelfisch", "--because", "Quarktasche said so")
    evt("run", "talk.wav", "--names", "Fledermaus,Zwergziege")
    logs = b"".join(path.read_bytes() for path in evt.folder.glob("home/logs/*/*"))
    assert not any(word in logs for word in (b"Zwiebelfisch", b"Quarktasche", b"Fledermaus", b"Zwergziege"))
    users = [record["data"]["user"] for record in evt.records() if record["type"] == "speakers.named"]
    assert len(users) == 3, "the names in order are settled as soon as there are speakers"
    assert all(users)
    assert (
        '"because":"Quarktasche said so"' in next(evt.folder.glob("home/artifacts/*/*/annotation/1/*")).read_text()
    )


def test_what_is_so_already_appends_nothing(evt: Evt) -> None:
    evt("speakers", "talk.wav", "--name", "SPEAKER_00=Anna")
    before = evt.records()
    assert "it is so already" in evt("speakers", "talk.wav", "--name", "Anna=Anna")
    assert evt.records() == before


def test_names_in_order_hold_from_the_first_run_and_are_said_once(fresh: Evt) -> None:
    fresh("run", "talk.wav", *fresh.engines, "--names", "Anna, Ben", "--names", "Cara")
    assert "not used, since only 2 speakers said something: Cara" in fresh.err
    assert fresh.names() == {"SPEAKER_00": "Anna", "SPEAKER_01": "Ben"}
    before = fresh.records()
    assert fresh("run", "talk.wav", "--names", "Anna,Ben,Cara").endswith("nothing to do\n")
    assert fresh.records() == before
    fresh("run", "talk.wav", "--names", "Dora")
    assert fresh.names() == {"SPEAKER_00": "Dora", "SPEAKER_01": "Ben"}


def test_names_in_order_go_with_the_voices_when_the_words_are_found_again(fresh: Evt) -> None:
    """The new words begin with the other speaker, and the turns are those of before."""
    fresh("run", "talk.wav", *fresh.engines, "--names", "Anna,Ben")
    write_script(fresh.folder / "script.toml", words=[*WORDS[2:], ("late", 2.2, 2.6)])
    fresh("run", "talk.wav", "--refresh", "transcription")
    assert fresh.names() == {"SPEAKER_00": "Anna", "SPEAKER_01": "Ben"}
    write_script(fresh.folder / "script.toml", words=WORDS[2:])
    fresh("run", "talk.wav", "--refresh", "transcription")
    assert "Ben: three" in fresh.text


def test_a_correction_of_names_in_order_outlives_the_same_command(fresh: Evt) -> None:
    fresh("run", "talk.wav", *fresh.engines, "--names", "Anna,Ben")
    fresh("speakers", "talk.wav", "--name", "Ben=Benno")
    fresh("run", "talk.wav", "--names", "Anna,Ben")
    assert "Benno: three" in fresh.text


def test_names_go_with_the_voices_when_speakers_are_found_again(fresh: Evt) -> None:
    evt = fresh
    evt("run", "talk.wav", *evt.engines)
    evt("speakers", "talk.wav", "--name", "SPEAKER_00=Anna", "--name", "SPEAKER_01=Ben")
    script = (evt.folder / "script.toml").read_text()
    swapped = script.replace("SPEAKER_00", "X").replace("SPEAKER_01", "SPEAKER_00").replace("X", "SPEAKER_01")
    (evt.folder / "script.toml").write_text(swapped)
    evt("run", "talk.wav", "--refresh", "diarization")
    assert evt.names() == {"SPEAKER_01": "Anna", "SPEAKER_00": "Ben"}
    assert "Anna: one two" in evt.text
    assert "could not be carried over" not in evt.err


def test_a_name_that_finds_nobody_any_more_is_told(fresh: Evt) -> None:
    evt = fresh
    evt("run", "talk.wav", *evt.engines)
    evt("speakers", "talk.wav", "--name", "SPEAKER_00=Anna", "--name", "SPEAKER_01=Ben")
    script = (evt.folder / "script.toml").read_text()
    turns = 'turns = [[0.0, 9.0, "SPEAKER_07"]]'
    (evt.folder / "script.toml").write_text(
        "\n".join(turns if line.startswith("turns") else line for line in script.splitlines())
    )
    evt("run", "talk.wav", "--refresh", "diarization")
    assert "Anna could not be carried over" in evt.err
    assert evt.names() == {"SPEAKER_07": "Ben"}
    assert "Anna could not be carried over" in evt.json("speakers", "talk.wav")["notes"][0]


def test_before_there_is_a_transcript_it_is_refused_with_what_to_do(fresh: Evt) -> None:
    fresh("speakers", "talk.wav", code=3)
    assert "evt run talk.wav" in fresh.err
    fresh("speakers", "talk.wav", "--name", "SPEAKER_00=Anna", code=3)
    fresh("speakers", "nothing", code=3)


def test_a_transcript_that_is_to_be_made_again_can_be_named_written_and_exported_until_then(evt: Evt) -> None:
    """A run that was to transcribe again died at its begin; naming must not do its paid work in passing."""
    shop = make_shop(evt.folder / "home", DyingStorage(1, "after"))
    with pytest.raises(Crash):
        run_once(shop, evt.work / "talk.wav", evt.work, Named(refresh=frozenset({"transcription"})))
    before = len(evt.records())
    evt("speakers", "talk.wav", "--name", "SPEAKER_00=Anna")
    assert "Anna: " in evt.text
    evt("export", "talk.wav", "--format", "md")
    assert "Anna" in (evt.work / "talk.md").read_text()
    started = [record["data"]["stage"] for record in evt.records()[before:] if record["type"] == "stage.started"]
    assert set(started) == {"export"}
    (report,) = evt.json("run", "talk.wav")
    assert "transcription" in report["ran"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--name", "SPEAKER_00="], 3),
        (["--name", "SPEAKER_00=\x1b[2J"], 3),
        (["--name", "SPEAKER_00=" + "x" * 201], 3),
        (["--name", "SPEAKER_09=Anna"], 3),
        (["--name", "Anna"], 3),
        (["--same", "SPEAKER_00", "SPEAKER_00"], 3),
        (["--undo", "--name", "SPEAKER_00=Anna"], 2),
        (["--because", "so"], 2),
    ],
)
def test_what_makes_no_sense_changes_nothing(evt: Evt, arguments: list[str], code: int) -> None:
    before = evt.records()
    evt("speakers", "talk.wav", *arguments, code=code)
    assert evt.err
    assert "\x1b" not in evt.err
    assert evt.records() == before


def test_a_file_of_the_user_is_left_as_it_is(evt: Evt) -> None:
    (evt.work / "talk.txt").write_text("my own corrections\n")
    evt("speakers", "talk.wav", "--name", "SPEAKER_00=Anna")
    assert evt.text == "my own corrections\n"
    assert "Anna: one two" in (evt.work / "talk.new.txt").read_text()


def test_show_tells_the_names(evt: Evt) -> None:
    evt("speakers", "talk.wav", "--name", "SPEAKER_00=Anna")
    assert "SPEAKER_00 is Anna" in evt("show", "talk.wav")


def test_the_changes_are_reported_as_json(evt: Evt) -> None:
    report = evt.json("speakers", "talk.wav", "--name", "SPEAKER_00=Anna")
    assert report["changes"] == ["SPEAKER_00 is Anna now."]
    assert report["ran"] == ["export"]
    assert report["speakers"][0]["name"] == "Anna"
    assert {one["outcome"] for one in report["deliveries"]} == {"replaced"}


def test_validate_finds_the_files_of_what_was_said(evt: Evt) -> None:
    evt("speakers", "talk.wav", "--name", "SPEAKER_00=Anna")
    evt("validate")
    next(evt.folder.glob("home/artifacts/*/*/annotation/1/*")).unlink()
    assert "annotation/1/names.json is missing" in evt("validate", code=1)
    evt("speakers", "talk.wav", code=1)
    assert "--undo" in evt.err
    evt("speakers", "talk.wav", "--undo")
    assert evt.names() == {"SPEAKER_00": None, "SPEAKER_01": None}
