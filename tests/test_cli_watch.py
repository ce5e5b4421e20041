"""Folders that are watched, as a user meets it: the real program, killed, ended, and files that come in pieces."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eventlog.leases import is_open_for_writing
from tests.support.batches import records_of, slow_down, successes, transcripts, wait_until
from tests.support.cli import Evt

pytestmark = pytest.mark.slow

SETTLE = ["--settle", "0.3"]


@pytest.fixture
def inbox(evt: Evt) -> Path:
    folder = evt.work / "in"
    folder.mkdir()
    return folder


@contextmanager
def watching(evt: Evt, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = evt.start("watch", "in", *SETTLE, *arguments, *evt.engines)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str], number: int = signal.SIGINT) -> tuple[str, str]:
    """End a watcher in order; return what it said."""
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert process.returncode == (130 if number == signal.SIGINT else 143)
    return out, err


def once(evt: Evt, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return evt("watch", "in", "--once", *SETTLE, *arguments, *evt.engines, code=code)


def test_a_file_that_is_written_in_pieces_is_taken_once_when_it_is_whole(evt: Evt, inbox: Path) -> None:
    content = evt.speech("whole.wav", 2.0, seed=1).read_bytes()
    with watching(evt) as process, (inbox / "a.wav").open("wb") as file:
        file.write(content[:30000])
        file.flush()
        if not is_open_for_writing(file.name):
            pytest.skip("NOT RUN: nobody can tell here who writes")
        # One that comes later is done meanwhile, so the first one had more than its settling time.
        evt.speech("in/b.wav", 2.0, seed=2)
        wait_until(lambda: "b.txt" in transcripts(evt))
        file.write(content[30000:])
        file.close()
        wait_until(lambda: "a.txt" in transcripts(evt))
        end(process)
    assert len(records_of(evt)) == 2
    assert set(successes(evt).values()) == {1}


def test_what_is_renamed_copied_or_broken_stops_nothing_and_is_worked_on_once(evt: Evt, inbox: Path) -> None:
    evt.speech("in/a.wav", 2.0, seed=1)
    with watching(evt, "-j2", "--poll") as process:
        wait_until(lambda: "a.txt" in transcripts(evt))
        (inbox / "broken.wav").write_bytes(b"RIFF, but no sound")
        evt.speech("in/b.wav.part", 2.0, seed=2)
        (inbox / "b.wav.part").rename(inbox / "b.wav")
        (inbox / "new").mkdir()
        (inbox / "new" / "copy.wav").write_bytes((inbox / "a.wav").read_bytes())
        (inbox / "a.wav").rename(inbox / "renamed.wav")
        wait_until(lambda: {"a.txt", "b.txt", "copy.txt", "renamed.txt"} <= transcripts(evt))
        wait_until(lambda: len(records_of(evt)) == 3)
        out, err = end(process)
    assert set(successes(evt).values()) == {1}
    assert sorted(line.partition(":")[0] for line in out.splitlines()) == [
        "in/a.wav", "in/b.wav", "in/new/copy.wav", "in/renamed.wav",
    ]  # fmt: skip
    assert err.count("in/broken.wav: audio_conversion") == 1
    assert "1 failed" in err


def test_a_changed_file_is_a_new_recording_and_no_transcript_is_replaced(evt: Evt, inbox: Path) -> None:
    evt.speech("in/a.wav", 2.0, seed=1)
    once(evt)
    before = (evt.work / "a.json").read_bytes()
    evt.speech("in/a.wav", 2.0, seed=2)
    once(evt)
    assert len(records_of(evt)) == 2
    assert transcripts(evt) == {"a.txt", "a.wav.txt"}
    assert (evt.work / "a.json").read_bytes() == before


def test_what_is_done_is_passed_over_without_a_word_after_a_restart_and_keeps_its_name(
    evt: Evt, inbox: Path
) -> None:
    evt.speech("in/a.wav", 2.0, seed=1)
    (line,) = once(evt, "--json").stdout.splitlines()
    report = json.loads(line)
    assert (report["input"], report["outcome"], report["exit_code"]) == ("in/a.wav", "completed", 0)
    evt.speech("in/a.wave", 2.0, seed=2)
    assert json.loads(once(evt, "--json").stdout)["input"] == "in/a.wave"
    before = records_of(evt)
    again = once(evt)
    assert (again.stdout, again.stderr) == ("", "")
    assert transcripts(evt) == {"a.txt", "a.wave.txt"}
    assert records_of(evt) == before


def test_a_watcher_that_was_killed_goes_on_and_does_nothing_twice(evt: Evt, inbox: Path) -> None:
    for number in range(4):
        evt.speech(f"in/r{number}.wav", 2.0, seed=number + 1)
    slow_down(evt, 0.4)
    with watching(evt, "-j2") as process:
        wait_until(lambda: len(transcripts(evt)) >= 2)
        process.kill()
    finished = successes(evt)
    assert len(transcripts(evt)) < 4
    once(evt)
    assert transcripts(evt) == {f"r{number}.txt" for number in range(4)}
    assert set(successes(evt).values()) == {1}
    assert finished.items() <= successes(evt).items()


def test_sigterm_ends_in_order_and_a_second_watcher_is_refused_until_then(evt: Evt, inbox: Path) -> None:
    slow_down(evt, 20.0)
    evt.speech("in/a.wav", 2.0, seed=1)
    with watching(evt) as process:
        wait_until(lambda: any(records[-1]["type"] == "call.started" for records in records_of(evt).values()))
        assert f"(pid {process.pid}) watches in" in once(evt, code=3).stderr
        _, err = end(process, signal.SIGTERM)
    assert "stopping" in err
    (records,) = records_of(evt).values()
    assert records[-1]["type"] == "run.finished"


def test_what_changes_while_it_is_worked_on_is_taken_again_when_it_is_whole(evt: Evt, inbox: Path) -> None:
    slow_down(evt, 1.0)
    failure = '[[failures]]\noperation = "transcription"\ncode = "broken"\nmessage = "no words today"\n'
    evt.script.write_text(evt.script.read_text() + failure)
    evt.speech("in/a.wav", 2.0, seed=1)
    with watching(evt) as process:
        wait_until(lambda: any(records[-1]["type"] == "call.started" for records in records_of(evt).values()))
        evt.speech("in/a.wav", 2.0, seed=2)
        wait_until(lambda: [r[-1]["type"] for r in records_of(evt).values()] == ["run.finished"] * 2)
        _, err = end(process)
    assert err.count("changed while it was worked on") == 1
    assert err.count("evt: in/a.wav: ") == 1


def test_the_limit_of_all_together_ends_the_watch_with_the_code_of_a_decision(evt: Evt, inbox: Path) -> None:
    evt.script.write_text(f"billable = true\nprice_per_min = 6.0\n{evt.script.read_text()}")
    for number in range(3):
        evt.speech(f"in/r{number}.wav", 2.0, seed=number + 1)
    process = evt.start("watch", "in", *SETTLE, "-j1", "--max-batch-cost", "0.50", *evt.engines)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 5, err
    assert "--max-batch-cost is reached" in err
    assert transcripts(evt) == {"r0.txt"}


def test_only_folders_outside_of_the_home_are_watched(evt: Evt, inbox: Path) -> None:
    assert "needs a folder" in evt("watch", "in", "-o", "-", code=3).stderr
    assert "There is no folder gone" in evt("watch", "gone", code=3).stderr
    assert "is evt's home" in evt("watch", "in", code=3, EVT_HOME=str(evt.work)).stderr
    evt.speech("in/a.wav", 2.0, seed=1)
    done = evt("watch", "in", "--once", *SETTLE, *evt.engines, EVT_HOME=str(inbox / "home"))
    assert "in/home is evt's home; it is passed over." in done.stderr
    assert transcripts(evt) == {"a.txt"}


def test_offline_holds_for_what_comes(evt: Evt, inbox: Path) -> None:
    evt.speech("in/a.wav", 2.0, seed=1)
    arguments = ("--offline", "watch", "in", "--once", *SETTLE, "--transcriber", "openai")
    done = evt(*arguments, code=3, OPENAI_API_KEY="sk-none", OPENAI_BASE_URL="https://service.invalid/v1")
    assert "--offline" in done.stderr
    assert transcripts(evt) == set()
