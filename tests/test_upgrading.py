"""docs/upgrading.md: half-done work of an older version goes on; a downgrade refuses what it does not know."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from eventlog.reader import scan
from eventlog.record import GENESIS_PREV, compose, decode
from tests.support.cli import ROOT, Evt

NEWER = "9.8.7"


@pytest.fixture
def done(evt: Evt) -> Evt:
    evt.speech()
    evt.run("talk.wav")
    return evt


def append(log: Path, *events: tuple[str, Mapping[str, Any]]) -> None:
    """Write what a newer version would append in a run of its own."""
    for type_, data in events:
        last = decode(log.read_bytes().splitlines(keepends=True)[-1])
        envelope = {"pipeline": last.pipeline, "run": "later", "dur": last.seq, "prev": last.line_sha256}
        _, line = compose(seq=last.seq + 1, time="2027-01-01T00:00:00.000000Z", type=type_, data=data, **envelope)
        log.write_bytes(log.read_bytes() + line)


def rewritten(log: Path, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a log anew, with other data in events of these types."""
    prev, content = GENESIS_PREV, b""
    for record in scan([log.read_bytes()], log.stem)[0]:
        data = {**record.data, **changes.get(record.type, {})}
        fields = {name: getattr(record, name) for name in ("seq", "time", "type", "pipeline", "run", "dur")}
        made, line = compose(**fields, data=data, prev=prev)
        prev, content = made.line_sha256, content + line
    log.write_bytes(content)
    log.with_suffix(".head").unlink(missing_ok=True)


def begun(evt: Evt, **more: Any) -> tuple[str, dict[str, Any]]:
    """Return the begin of a run of the newer version, with a field that this one doesn't know."""
    data = next(record["data"] for record in evt.records() if record["type"] == "run.started")
    return "run.started", {**data, "versions": {"evt": NEWER}, "mood": "hopeful", **more}


def test_events_of_a_newer_version_are_shown_and_not_built_upon(done: Evt) -> None:
    append(done.log(), begun(done), ("stage.dreamt", {"of": "sheep"}))
    seq, before = len(done.records()), done.log().read_bytes()
    for command in (["run", "talk.wav"], ["plan", "talk.wav"], ["run", "talk.wav", "--refresh", "merge"]):
        said = done(*command, *(done.engines if command[0] == "run" else []), code=3)
        assert f"'stage.dreamt' (record {seq})" in said.stdout + said.stderr
        assert NEWER in said.stdout + said.stderr
        assert "install that version" in said.stdout + said.stderr
    assert "stage.dreamt" in done("tail", "talk.wav").stdout
    assert "stage.dreamt" in done("validate", "talk.wav", code=1).stdout
    done("show", "talk.wav")
    done("list")
    assert NEWER in done("doctor", code=4).stdout
    assert done.log().read_bytes() == before


def test_fields_of_a_newer_version_and_its_notes_are_passed_over(done: Evt) -> None:
    append(done.log(), begun(done), ("note.weather", {"text": "rain"}), ("run.finished", finished(done)))
    assert done.json("show", "talk.wav")["status"] == "completed"
    assert done.json("plan", "talk.wav")
    done.run("talk.wav")
    assert done.types()[-1] == "log.sealed"


def finished(evt: Evt) -> dict[str, Any]:
    return next(record["data"] for record in evt.records() if record["type"] == "run.finished")


def test_a_log_in_a_later_format_names_both_formats_and_stays_as_it_is(done: Evt) -> None:
    head = re.sub(rb'\{"v":1,', b'{"v":2,', done.log().read_bytes().splitlines()[-1].rpartition(b',"sum"')[0])
    line = head + b',"sum":"%b"}\n' % hashlib.sha256(head).hexdigest()[:16].encode()
    done.log().write_bytes(done.log().read_bytes() + line)
    before = done.log().read_bytes()
    said = done.run("talk.wav", code=4).stderr
    assert "written by a newer evt" in said
    assert "format version 2; this evt reads 1" in said
    done("show", "talk.wav", code=None)
    done("salvage", done.log().stem, code=4)
    assert done.log().read_bytes() == before


def test_half_done_work_of_an_older_version_goes_on(evt: Evt) -> None:
    """It keeps the options of its runs, what it had finished, and what its log says of itself."""
    whole = evt.script.read_text()
    evt.script.write_text(
        whole + '\n[[failures]]\noperation = "transcription"\ncode = "odd"\nmessage = "no"\nretryable = false\n'
    )
    evt.speech()
    evt.run("talk.wav", "--language", "de", code=1)
    rewritten(
        evt.log(), {"run.started": {"versions": {"evt": "0.0.1"}}, "pipeline.created": {"evt_version": "0.0.1"}}
    )
    evt.script.write_text(whole)
    (report,) = json.loads(evt("run", "talk.wav", "--json").stdout)
    assert {"audio_conversion", "diarization"} <= set(report["reused"])
    assert {"transcription", "merge", "export"} <= set(report["ran"])
    assert evt.json("plan", "talk.wav")
    starts = [record["data"]["versions"] for record in evt.records() if record["type"] == "run.started"]
    assert starts[0] == {"evt": "0.0.1"}
    assert starts[-1]["evt"] != "0.0.1"


def test_a_setting_of_a_newer_version_is_refused_with_its_name_and_place(done: Evt) -> None:
    config = done.home / "config.toml"
    config.write_text('mood = "hopeful"\n')
    said = done("run", "talk.wav", code=3).stderr
    assert f"{config} sets 'mood', which is no setting" in said


AS_ON_WINDOWS = """
import os, signal, sys
import click  # works there; what it loads there isn't here


class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name in {"fcntl", "resource", "termios", "pwd", "grp", "pty", "tty", "syslog", "_posixsubprocess"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Lacking())
for module, names in {
    os: "fork getuid geteuid register_at_fork uname statvfs O_NOFOLLOW O_CLOEXEC O_DIRECTORY major minor",
    signal: "SIGHUP SIGKILL SIGSTOP SIGCONT SIGUSR1 SIGXFSZ SIGPIPE pthread_sigmask setitimer",
}.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
sys.platform, os.name = "win32", "nt"
from cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("arguments", [["run", "talk.wav"], ["--version"], ["--log-file", "x", "doctor"], []])
def test_nothing_that_windows_lacks_is_needed_to_say_that_it_is_refused(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_ON_WINDOWS, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "evt: Windows itself is not supported; run it in WSL (the Windows Subsystem for Linux).\n"
    )


@pytest.mark.parametrize("program", ["cli.main", "install"])
def test_windows_itself_is_refused_with_the_advice_to_use_wsl(program: str) -> None:
    code = f"import sys, {program} as program; sys.platform = 'win32'; sys.exit(program.main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "list"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == ((3, "") if program == "cli.main" else (1, done.stdout))
    assert "WSL" in done.stdout + done.stderr
