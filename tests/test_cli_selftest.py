"""`evt selftest`, the real command on the real disk: it holds here and leaves nothing behind."""

from __future__ import annotations

import os
import pty
import signal
from pathlib import Path

import pytest

from cli.exit_codes import FAILED, INTERRUPTED, REFUSED, TERMINATED
from eventlog.selftest.suite import NOT_COVERED, TRIALS
from tests.support.cli import Evt

pytestmark = pytest.mark.slow

NAMES = [trial.name for trial in TRIALS]


def everything(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def test_everything_holds_here_and_nothing_is_left(evt: Evt) -> None:
    report = evt.json("selftest", "--seconds", "2", "--seed", "7")
    assert {test["name"]: test["outcome"] for test in report["tests"]} == dict.fromkeys(NAMES, "ok")
    counts = {test["name"]: test["counts"] for test in report["tests"]}
    assert all(counts[name][what] > 0 for name, what in (("kill", "kills"), ("kill", "acknowledged")))
    assert all(counts[name][what] > 0 for name, what in (("lock", "refused"), ("lock", "taken_over")))
    assert all(counts[name][what] > 0 for name, what in (("size limit", "limits"), ("flips", "flips")))
    assert counts["chain"]["records"] == 14
    assert set(report["versions"]) == {"evt", "python", "system"}
    assert (report["folder"], report["seed"]) == (str(evt.home), 7)
    assert report["not_covered"] == list(NOT_COVERED)
    assert everything(evt.home) == []


def test_a_report_for_people_goes_to_stdout_and_nothing_else_is_said(evt: Evt) -> None:
    """The folder need not be the home, and its pipelines are not touched."""
    (evt.work / "mine").write_text("mine")
    said = evt("selftest", "--seconds", "1", "--dir", ".", "--seed", "11")
    assert said.stderr == ""
    assert "\r" not in said.stdout
    lines = said.stdout.splitlines()
    assert "(seed 11)" in lines[0]
    assert str(evt.work) in lines[1]
    assert [line.split("  ")[1] for line in lines if line.startswith("  ok")] == ["ok"] * len(NAMES)
    assert {"Tests", "Skipped", "Not covered", "Advice"} <= set(lines)
    assert everything(evt.work) == [str(evt.work / "mine")]
    assert not evt.home.exists()


def test_what_fails_gives_exit_code_1_and_is_all_that_quiet_says(evt: Evt) -> None:
    """A program that gives wrong hashes stands for a log that it can't check."""
    liar = evt.folder / "bin" / "sha256sum"
    liar.parent.mkdir()
    liar.write_text("#!/bin/sh\necho 23ce815f2e4726e72d117ab86625bbc262a8df1d10c6a56da984bbac7f01ac07\n")
    liar.chmod(0o700)
    path = f"{liar.parent}:{os.environ['PATH']}"
    said = evt("selftest", "--seconds", "1", "--seed", "5", "-q", code=FAILED, PATH=path)
    failed, advice = said.stdout.splitlines()
    assert failed.startswith("  FAILED   chain ")
    assert "can't be checked with other programs" in failed
    assert "don't use" in advice
    assert "--json --seed 5" in advice
    assert said.stderr == ""


def test_a_folder_that_cannot_be_used_is_refused(evt: Evt) -> None:
    (evt.work / "file").write_text("")
    for arguments in (["--dir", "file"], ["--dir", "/proc"]):
        said = evt("selftest", *arguments, code=REFUSED)
        assert said.stderr.startswith("evt: ")
        assert said.stdout == ""
    assert "can't be written" in evt("--home", "file/home", "selftest", code=REFUSED).stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)])
def test_a_signal_ends_it_and_leaves_nothing(evt: Evt, number: int, code: int) -> None:
    """Sent while a terminal shows that writers are being killed."""
    terminal, theirs = pty.openpty()
    with evt.start("selftest", "--seconds", "10", stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while b"  kill: " not in shown:
            shown += os.read(terminal, 1000)
        assert b"\r\x1b[K" in shown
        process.send_signal(number)
        said, _ = process.communicate(timeout=30)
    os.close(terminal)
    assert process.returncode == code
    assert "Advice" not in said
    assert everything(evt.home) == []
    assert processes_about(evt.home) == []


def processes_about(folder: Path) -> list[bytes]:
    """Return the commands that name a folder, where the system lists them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return [command for command in found if os.fsencode(folder) in command]
