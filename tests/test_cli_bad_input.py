"""Bad input: a clear message, the documented exit code, no traceback, nothing lost, nothing half written."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import pytest

from tests.support.cli import START, Evt

pytestmark = pytest.mark.slow

HEADER_ONLY = (
    b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"
    b"\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00data\x00\x00\x00\x00"
)
NAMES = [
    b"with space.wav",
    b'it\'s "quoted".wav',
    "интервью.wav".encode(),
    "面接 記録.wav".encode(),
    b"new\nline.wav",
    b"not-utf8-\xff\xfe.wav",
    b"-leading-dash.wav",
    b"semi;colon$(x)`y`.wav",
    "direction\u202eabc.wav".encode(),
    b"\x1b[31mred.wav",
    b"no_suffix",
    b".hidden",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_file_name_works_and_no_output_drives_the_terminal(evt: Evt, name: bytes) -> None:
    os.rename(evt.speech("plain.wav"), os.fsencode(evt.work) + b"/" + name)
    done = evt("run", "--format", "txt,json,rttm", *evt.engines, "--", name)
    outputs = done.stdout + done.stderr + evt("list", "--detailed").stdout + evt("show", evt.log().stem).stdout
    assert "\x1b" not in outputs
    assert "\u202e" not in outputs
    stem = name[: -len(b".wav")] if name.endswith(b".wav") else name
    assert os.path.exists(os.fsencode(evt.work) + b"/" + stem + b".txt")
    assert "nothing to do" in evt("run", "--", name).stdout
    line = next(line for line in evt.log().read_bytes().splitlines() if b"pipeline.created" in line)
    assert b"\x1b" not in line


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.wav", b"", "empty"),
        ("page.wav", b"<!DOCTYPE html><html><body>Not found</body></html>", "page.wav"),
        ("header.wav", HEADER_ONLY, "no sound"),
    ],
)
def test_what_is_no_recording_is_refused_in_words(evt: Evt, name: str, content: bytes, says: str) -> None:
    (evt.work / name).write_bytes(content)
    done = evt.run(name, code=3)
    assert says in done.stderr
    assert "goes on from there" not in done.stderr
    assert not list(evt.work.glob("*.txt"))
    evt.run(name, code=3)


def test_a_missing_file_a_folder_and_a_fifo_are_refused(evt: Evt) -> None:
    assert "no file" in evt.run("missing.wav", code=3).stderr
    (evt.work / "folder").mkdir()
    assert "folder" in evt.run("folder", code=3).stderr
    os.mkfifo(evt.work / "pipe.wav")
    assert "regular" in evt.run("pipe.wav", code=3).stderr
    (evt.work / "link.wav").symlink_to("nowhere.wav")
    evt.run("link.wav", code=3)


def test_audio_that_was_cut_short_is_transcribed_with_a_warning(evt: Evt) -> None:
    whole = evt.speech(seconds=8.0).read_bytes()
    (evt.work / "cut.wav").write_bytes(whole[: len(whole) // 2])
    told = evt.run("cut.wav", "--format", "txt").stderr
    assert "Note: cut.wav: the file is cut short: its header promises more sound than there is\n" in told
    shown = evt("show", "cut.wav").stdout
    assert "cut" in shown.lower() or "missing" in shown.lower() or "truncated" in shown.lower()
    assert "one two" in (evt.work / "cut.txt").read_text()


def test_an_output_folder_that_is_a_file_is_refused_before_anything_runs(evt: Evt) -> None:
    evt.speech()
    (evt.work / "occupied").write_text("x")
    assert "--output-dir" in evt.run("talk.wav", "-o", "occupied", code=3).stderr
    assert not evt.home.exists() or not list(evt.home.glob("logs/*/*"))


def test_a_home_that_is_a_file_is_refused(evt: Evt) -> None:
    evt.speech()
    evt.home.write_text("x")
    assert "--home" in evt.run("talk.wav", code=3).stderr


def test_a_full_disk_loses_nothing_and_the_next_run_goes_on(evt: Evt) -> None:
    """A limit on file sizes stands in for the full disk: the write fails in the middle in the same way."""
    evt.speech(seconds=20.0)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    failed = subprocess.run(
        [*START, "run", "talk.wav", *evt.engines],
        cwd=evt.work,
        env=evt.environment(),
        capture_output=True,
        text=True,
        preexec_fn=limited,
        check=False,
    )
    assert failed.returncode == 1, failed.stderr
    assert "Traceback" not in failed.stderr
    assert evt.json("list")[0]["status"] == "failed"
    evt("run", "talk.wav")
    assert (evt.work / "talk.txt").exists()


def test_a_recording_that_changes_while_it_is_read_is_refused(evt: Evt) -> None:
    """The digest was taken of other bytes than those that the conversion would read."""
    import time

    from pipeline.errors import SourceRejectedError
    from pipeline.recordings import identify

    recording = evt.speech()
    found = identify(recording, evt.home / "index.sqlite")
    with recording.open("ab") as file:
        file.write(b"more")
    os.utime(recording, ns=(time.time_ns() + 10**9, time.time_ns() + 10**9))
    with pytest.raises(SourceRejectedError, match="changed while it was being read"):
        found.require_unchanged()


@pytest.mark.parametrize("index", [b"", b"not a database", None])
def test_a_damaged_or_lost_index_costs_a_reading_and_nothing_else(evt: Evt, index: bytes | None) -> None:
    evt.speech()
    evt.run("talk.wav")
    database = evt.home / "index.sqlite"
    database.unlink(missing_ok=True)
    if index is not None:
        database.write_bytes(index)
    assert "nothing to do" in evt("run", "talk.wav").stdout


def test_read_only_media_are_no_obstacle(evt: Evt, tmp_path: Path) -> None:
    recording = evt.speech()
    recording.chmod(0o400)
    evt.run("talk.wav", "-o", tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "talk.txt").exists()


def test_settings_files_that_cannot_be_read_are_named(evt: Evt) -> None:
    evt.speech()
    (evt.work / "evt.toml").write_text("language = ")
    assert "evt.toml" in evt.run("talk.wav", code=3).stderr
    (evt.work / "evt.toml").write_text('formats = ["pdf"]')
    assert "pdf" in evt.run("talk.wav", code=3).stderr
    (evt.work / "evt.toml").unlink()
    assert "shoes" in evt("run", "talk.wav", "--diarizer", "shoes", code=3).stderr
    assert "pages" in evt("run", "talk.wav", "--format", "pages", code=3).stderr


def test_a_log_cut_at_any_byte_is_completed_by_the_next_run(evt: Evt) -> None:
    """Each cut is what a crash can leave; without the head nothing but the lost lines is missing."""
    evt.speech(seconds=2.0)
    evt.run("talk.wav", "--format", "txt")
    content = evt.log().read_bytes()
    expected = (evt.work / "talk.txt").read_bytes()
    log = evt.log()
    for head in evt.home.glob("logs/*/*.head"):
        head.unlink()
    for cut in range(0, len(content), len(content) // 6 + 1):
        log.write_bytes(content[:cut])
        for left in evt.home.glob("logs/*/*.torn-*"):
            left.unlink()
        for left in evt.home.glob("logs/*/*.head"):
            left.unlink()
        done = evt.run("talk.wav", "--format", "txt", code=None)
        # Where nothing is left of the log, its files tell that there was one: it is not begun anew.
        assert done.returncode == (0 if log.read_bytes() else 4), done.stderr
        assert (evt.work / "talk.txt").read_bytes() == expected
