"""`evt edit`, as users meet it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cli.editor import editor_of
from cli.errors import SettingsError
from pipeline.annotations.annotations import Annotate
from pipeline.annotations.edits import correcting
from pipeline.annotations.speakers import newest, read_transcript
from pipeline.artifacts import Artifacts
from pipeline.speech.corrections.differences import corrections_of
from pipeline.speech.corrections.editable import paragraphs_of, text_of
from projections.events import Event
from projections.options import Named
from projections.state import PipelineState
from tests.support.cli import START
from tests.support.cli import Evt as Process
from tests.support.shop import Crash, DyingStorage, make_shop, run_once, scripted, write_script, write_speech
from tests.test_annotations import Home
from tests.test_cli_speakers import WORDS, Evt

CHANGED = [("eins", 0.2, 0.6), *WORDS[1:]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a recording that was run."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "work").mkdir()
    write_speech(folder / "work" / "talk.wav", 8.0)
    script = write_script(folder / "script.toml", words=WORDS)
    run_once(
        make_shop(folder / "home"), folder / "work" / "talk.wav", folder / "work", Named(options=scripted(script))
    )
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder beside which others are kept."""
    return tmp_path / "folder"


@pytest.fixture
def evt(
    finished: Path,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Evt]:
    """Return the command line in a copy of that folder; the engine's script is copied with it."""
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield Evt(folder, capsys, monkeypatch)
    write_script(finished / "script.toml", words=WORDS)


def edit(evt: Evt, *changes: tuple[str, str], code: int = 0, more: tuple[str, ...] = ()) -> str:
    """Change the text and give it back."""
    text = evt("edit", "talk.wav", "--print")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (evt.work / "talk.edit").write_text(text)
    return evt("edit", "talk.wav", "--from", "talk.edit", *more, code=code)


def transcribe_again(evt: Evt, finished: Path, words: list[tuple[str, float, float]]) -> None:
    write_script(finished / "script.toml", words=words)
    evt("run", "talk.wav", "--refresh", "transcription")


def test_the_text_explains_itself_and_unchanged_changes_nothing(evt: Evt) -> None:
    text = evt("edit", "talk.wav", "--print")
    assert [line[:1] for line in text.splitlines()[:5]] == ["#", "#", "#", "#", ""]
    assert "[00:00:00] SPEAKER_00: one" in text
    before = evt.records()
    assert edit(evt) == "Nothing changed.\n"
    assert evt.records() == before


def test_an_old_text_takes_nothing_back_that_was_corrected_since(evt: Evt) -> None:
    old = evt("edit", "talk.wav", "--print")
    edit(evt, ("one", "won"))
    (evt.work / "old.edit").write_text(old.replace("four", "for"))
    evt("edit", "talk.wav", "--from", "old.edit")
    assert "won" in evt.text
    assert " for" in evt.text
    (evt.work / "old.edit").write_text(old)
    assert evt("edit", "talk.wav", "--from", "old.edit") == "Nothing changed.\n"


def test_a_text_of_a_transcript_that_is_no_more_is_refused_and_its_mark_can_be_removed(
    evt: Evt, finished: Path
) -> None:
    old = evt("edit", "talk.wav", "--print")
    transcribe_again(evt, finished, [("un", 0.2, 0.6), ("deux", 4.4, 4.8)])
    (evt.work / "old.edit").write_text(old)
    before = evt.records()
    evt("edit", "talk.wav", "--from", "old.edit", code=3)
    assert "Print it again" in evt.err
    assert evt.records() == before
    (evt.work / "old.edit").write_text("".join(line for line in old.splitlines(True) if "As of" not in line))
    evt("edit", "talk.wav", "--from", "old.edit")
    assert "one" in evt.text


def test_a_paragraph_that_was_divided_is_two_in_every_text_for_people(evt: Evt) -> None:
    before = evt.text.count("SPEAKER_00:")
    edit(evt, ("one two", "one\n\ntwo"))
    assert evt.text.count("SPEAKER_00:") == before + 1
    evt("export", "talk.wav", "--format", "md")
    assert ": one\n\n" in (evt.work / "talk.md").read_text()
    edit(evt, ("one\n\n[00:00:01] SPEAKER_00: two", "one two"))
    assert evt.text.count("SPEAKER_00:") == before


def test_corrections_are_in_what_is_delivered_and_only_the_export_ran(evt: Evt) -> None:
    said = edit(evt, ("one two", "won too"), more=("--because", "heard it again"))
    assert "1 at 00:00:00: “one two” became “won too” (heard it again)" in said
    assert "SPEAKER_00: won too" in evt.text
    assert "won" in (evt.work / "talk.srt").read_text()
    started = [record["data"]["stage"] for record in evt.records() if record["type"] == "stage.started"]
    assert started[5:] == ["export"]
    assert evt("run", "talk.wav").endswith("nothing to do\n")
    assert "No correction is left." in evt("edit", "talk.wav", "--undo")
    assert "one two" in evt.text


def test_no_word_that_was_corrected_and_no_reason_gets_into_the_log(evt: Evt) -> None:
    edit(evt, ("three", "Zwiebelfisch"), more=("--because", "Quarktasche"))
    logs = b"".join(path.read_bytes() for path in evt.folder.glob("home/logs/*/*"))
    assert b"Zwiebelfisch" not in logs
    assert b"Quarktasche" not in logs
    (said,) = [record for record in evt.records() if record["type"] == "transcript.corrected"]
    assert said["data"]["user"]
    content = (next(evt.folder.glob("home/artifacts/*/*")) / said["data"]["content"]["path"]).read_text()
    assert content.startswith('{"salt":"')
    assert "Quarktasche" in content


def test_names_stand_in_the_text_and_corrections_go_with_the_labels(evt: Evt) -> None:
    evt("speakers", "talk.wav", "--name", "SPEAKER_00=Anna", "--name", "SPEAKER_01=Ben")
    edit(evt, ("Ben: three", "Anna: three"), ("five", "five Euro"))
    assert "Anna: one two three four" in evt.text
    evt("speakers", "talk.wav", "--name", "Anna=Anne")
    assert "Anne: one two three four" in evt.text
    assert "Ben: five Euro" in evt.text


def test_corrections_are_applied_to_another_transcription(evt: Evt, finished: Path) -> None:
    edit(evt, ("one", "won"), ("five", "Five."))
    transcribe_again(evt, finished, [*WORDS[:2], ("tree", 3.25, 3.6), *WORDS[3:]])
    assert "won two" in evt.text
    assert "tree four" in evt.text
    assert "Five." in evt.text
    assert [one["status"] for one in evt.json("edit", "talk.wav", "--list")["corrections"]] == [
        "applied",
        "applied",
    ]


def test_a_conflict_is_told_everywhere_and_kept_or_dropped(evt: Evt, finished: Path) -> None:
    edit(evt, ("one", "won"), ("four", "for"))
    transcribe_again(evt, finished, [("eins", 0.2, 0.6), *WORDS[1:3], ("vier", 4.4, 4.8), WORDS[4]])
    assert "eins two" in evt.text
    assert "correction 1 at 00:00:00 was not applied: “one” became “won”, but “eins” stands there now" in evt.err
    assert "correction 1 at 00:00:00 was not applied" in evt("show", "talk.wav")
    listed = evt("edit", "talk.wav", "--list")
    assert listed.count("conflict") == 2
    assert "there stands “vier”" in listed
    evt("edit", "talk.wav", "--resolve", "1", "keep")
    assert "won two" in evt.text
    assert "three vier" in evt.text
    evt("edit", "talk.wav", "--resolve", "2", "drop")
    (left,) = evt.json("edit", "talk.wav", "--list")["corrections"]
    assert (left["number"], left["status"], left["was"], left["now"]) == (3, "applied", ["eins"], ["won"])
    assert "not applied" not in evt("show", "talk.wav")
    transcribe_again(evt, finished, WORDS)
    assert "one two" in evt.text


def test_all_conflicts_can_be_resolved_at_once_and_that_can_be_taken_back(evt: Evt, finished: Path) -> None:
    edit(evt, ("one", "won"), ("four", "for"))
    transcribe_again(evt, finished, [("eins", 0.2, 0.6), *WORDS[1:3], ("vier", 4.4, 4.8), WORDS[4]])
    evt("edit", "talk.wav", "--resolve", "all", "keep")
    assert "won two" in evt.text
    assert "for" in evt.text
    evt("edit", "talk.wav", "--resolve", "all", "keep", code=3)
    evt("edit", "talk.wav", "--undo")
    assert [one["status"] for one in evt.json("edit", "talk.wav", "--list")["corrections"]] == ["conflict"] * 2


def test_corrected_speakers_go_with_the_voices_when_speakers_are_found_again(evt: Evt, finished: Path) -> None:
    edit(evt, ("SPEAKER_00: one", "SPEAKER_01: one"))
    script = (finished / "script.toml").read_text()
    swapped = script.replace("SPEAKER_00", "X").replace("SPEAKER_01", "SPEAKER_00").replace("X", "SPEAKER_01")
    (finished / "script.toml").write_text(swapped)
    evt("run", "talk.wav", "--refresh", "diarization")
    assert "SPEAKER_00: one two" in evt.text
    assert "SPEAKER_01" not in evt.text


def test_single_corrections_and_the_last_are_taken_back(evt: Evt) -> None:
    untouched = evt.text
    edit(evt, ("one", "won"), ("four", "for"))
    edit(evt, ("three", "tree"))
    evt("edit", "talk.wav", "--undo", "1", "--because", "it was one")
    assert "one two" in evt.text
    assert "for" in evt.text
    evt("edit", "talk.wav", "--undo", "1", code=3)
    evt("edit", "talk.wav", "--undo")
    assert "won two" in evt.text
    evt("edit", "talk.wav", "--undo")
    evt("edit", "talk.wav", "--undo")
    assert evt.text == untouched
    evt("edit", "talk.wav", "--undo", code=3)
    edit(evt, ("one", "won"))
    assert [one["number"] for one in evt.json("edit", "talk.wav", "--list")["corrections"]] == [4]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--undo", "x"], 2),
        (["--undo", "7"], 3),
        (["--resolve", "1", "maybe"], 2),
        (["--resolve", "x", "keep"], 2),
        (["--resolve", "1", "keep"], 3),
        (["--list", "--print"], 2),
        (["--list", "--because", "so"], 2),
        (["--from", "nowhere.txt"], 3),
        (["--from", "talk.wav"], 3),
    ],
)
def test_what_makes_no_sense_changes_nothing(evt: Evt, arguments: list[str], code: int) -> None:
    before = evt.records()
    evt("edit", "talk.wav", *arguments, code=code)
    assert evt.err
    assert evt.records() == before


def editing(evt: Evt, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Let a small program be the editor; it gets the path of the text."""
    path = evt.folder / "editor.py"
    path.write_text(f"import sys, pathlib\npath = pathlib.Path(sys.argv[1])\n{program}\n")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{sys.executable} -S '{path}'")


def kept_texts(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.glob("evt-edit-*.txt")]


def test_the_editor_of_the_environment_is_used_and_leaves_nothing_behind(
    evt: Evt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    editing(evt, monkeypatch, "path.write_text(path.read_text().replace('one', 'won'))")
    evt("edit", "talk.wav")
    assert "won two" in evt.text
    editing(evt, monkeypatch, "")
    assert evt("edit", "talk.wav") == "Nothing changed.\n"
    assert kept_texts(tmp_path) == []


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("path.write_text(path.read_text().replace('[00:00:03]', '[0:x3]'))", "Line 8 of the text"),
        ("path.write_bytes(path.read_bytes().replace(b': one', b': \\xff'))", "line 6: this is no UTF-8"),
        ("path.write_text(''); sys.exit(3)", "ended with 3"),
    ],
)
def test_a_text_that_can_not_be_taken_is_kept_and_its_place_told(
    evt: Evt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, said: str
) -> None:
    editing(evt, monkeypatch, program)
    before = evt.records()
    evt("edit", "talk.wav", code=3)
    assert said in evt.err
    (kept,) = tmp_path.glob("evt-edit-*.txt")
    assert f"--from {kept}" in evt.err
    assert evt.records() == before


def test_without_an_editor_the_ways_out_are_told(evt: Evt, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    evt("edit", "talk.wav", code=3)
    assert "no terminal" in evt.err
    assert "--from FILE" in evt.err
    monkeypatch.setenv("PATH", str(evt.folder))
    with pytest.raises(SettingsError, match="EDITOR=nano"):
        editor_of({})
    monkeypatch.setenv("VISUAL", "no-such-editor")
    evt("edit", "talk.wav", code=3)
    assert "no-such-editor can't be started" in evt.err


def test_the_real_program_with_an_editor_from_the_environment(evt: Evt) -> None:
    script = evt.folder / "editor.sh"
    script.write_text("#!/bin/sh\nsed -i.old 's/one/won/' \"$1\"\n")
    script.chmod(0o755)
    process = Process.__new__(Process)
    process.folder, process.home, process.work = evt.folder, evt.folder / "home", evt.work
    assert START
    done = process("edit", "talk.wav", "--json", EDITOR=str(script), VISUAL="")
    assert '"made": [\n    1\n  ]' in done.stdout
    assert "won two" in evt.text


def test_a_file_that_is_lost_can_be_taken_back(evt: Evt) -> None:
    untouched = evt.text
    edit(evt, ("one", "won"))
    next(evt.folder.glob("home/artifacts/*/*/annotation/1/*")).unlink()
    evt("edit", "talk.wav", "--list", code=1)
    assert "--undo" in evt.err
    evt("edit", "talk.wav", "--undo")
    assert evt.text == untouched


@pytest.mark.parametrize(
    "mode", ["torn", pytest.param("before", marks=pytest.mark.slow), pytest.param("after", marks=pytest.mark.slow)]
)
def test_a_crash_at_any_append_leaves_all_corrections_of_an_edit_or_none(
    finished: Path, folder: Path, mode: str
) -> None:
    """Whatever the log then says holds, `evt run` renders it, and the same edit ends in the same transcript."""
    for at in range(1, 12):
        home = home_of(finished, folder / str(at))
        try:
            home.say(both_corrected(home), DyingStorage(at, mode))
        except Crash:
            home.run()
            assert home.state.findings == ()
            text = home.text
            assert ("won two" in text, "for" in text) == (bool(home.state.annotations),) * 2
            home.say(both_corrected(home))
            assert "won two" in home.text
            assert home.state.findings == ()
        else:
            assert at > 3
            return
    pytest.fail("the storage never stopped dying")


def home_of(finished: Path, folder: Path) -> Home:
    home = Home.__new__(Home)
    shutil.copytree(finished / "home", folder / "home")
    shutil.copytree(finished / "work", folder / "out")
    home.root, home.out = folder / "home", folder / "out"
    home.pipeline = next(home.root.glob("logs/*/*.jsonl")).stem
    return home


def both_corrected(home: Home) -> Annotate:
    def annotate(state: PipelineState, artifacts: Artifacts) -> Sequence[Event]:
        made = newest(state)
        assert made is not None
        transcript, _ = read_transcript(state, *made, artifacts)
        text = text_of(transcript).replace(": one", ": won").replace("four", "for")
        found = corrections_of(transcript.utterances, paragraphs_of(text, transcript))
        return correcting(transcript, found, None, "anna")(state, artifacts) if found else ()

    return annotate
