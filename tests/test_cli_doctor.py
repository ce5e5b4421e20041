"""`evt doctor`: what is not in order in a home is told apart, explained, and has a command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from cli.checkup import SHOWN_MAX
from cli.syncing import synced_by
from eventlog.record import compose, decode
from eventlog.scan import folders
from pipeline.home import Home
from pipeline.upkeep.copies import copies
from pipeline.upkeep.usage import usage
from projections import events as ev
from tests.support.cli import Evt
from tests.support.homes import head_of, lines_of, place
from tests.support.runs import History

ID = "4f2a0123456789ab"
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a table of locks")


def finished() -> list[ev.Event]:
    made = History()
    made.run()
    return made.events


def begun(**changes: Any) -> list[ev.Event]:
    """A run that says no end."""
    made = History()
    made.name()
    made.events[-1] = evolve(made.events[-1], **changes)  # type: ignore[misc] # the run that begins
    return made.events


def put(evt: Evt, events: list[ev.Event], pipeline: str = ID, *, head: bool = True, files: bool = True) -> Path:
    lines = lines_of(pipeline, events)
    if files:
        (evt.home / "artifacts" / pipeline[:2] / pipeline).mkdir(parents=True, exist_ok=True)
    path = place(evt.home / "logs", f"{pipeline}.jsonl", b"".join(lines))
    if head:
        place(evt.home / "logs", f"{pipeline}.head", head_of(lines[-1]))
    return path


def findings(evt: Evt, code: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = evt.json("doctor", code=code)["findings"]
    return found


def only(evt: Evt, code: int) -> dict[str, Any]:
    (found,) = findings(evt, code)
    return found


def foreign(path: Path, type_: str = "stage.dreamt") -> None:
    """Append a record of a type that this evt doesn't know."""
    last = decode(path.read_bytes().splitlines(keepends=True)[-1])
    _, line = compose(
        seq=last.seq + 1,
        time="2026-11-24T00:00:00.000000Z",
        type=type_,
        pipeline=last.pipeline,
        run=last.run,
        data={},
        dur=last.seq,
        prev=last.line_sha256,
    )
    path.write_bytes(path.read_bytes() + line)


def test_a_home_that_is_in_order_has_no_finding_and_its_room_is_told_by_kind(evt: Evt) -> None:
    put(evt, finished())
    report = evt.json("doctor")
    assert report["findings"] == []
    assert report["pipelines"]["statuses"] == {"completed": 1}
    assert report["home"]["usage"]["kinds"]["logs"]["files"] == 1
    assert report["home"]["usage"]["kinds"]["heads"]["files"] == 1


def test_damage_gone_and_cut_off_logs_are_told_apart(evt: Evt) -> None:
    put(evt, finished())
    damaged = put(evt, finished(), "5f2a0123456789ab")
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    gone = put(evt, finished(), "6f2a0123456789ab")
    gone.unlink()
    short = put(evt, finished(), "7f2a0123456789ab")
    short.write_bytes(b"".join(short.read_bytes().splitlines(keepends=True)[:-2]))
    found = {item["kind"]: item for item in findings(evt, 4)}
    assert list(found) == ["gone", "damaged", "short"]
    assert "evt salvage 5f2a0123456789ab" in found["damaged"]["remedy"]
    assert "evt accept 7f2a0123456789ab" in found["short"]["remedy"]
    assert "older copy was put back" in found["short"]["what"]
    assert str(gone) in found["gone"]["remedy"]


def test_a_log_with_events_of_a_newer_evt_says_which_evt_wrote_it(evt: Evt) -> None:
    path = put(evt, begun(versions={"evt": "9.8.7"}), head=False)
    foreign(path)
    found = next(item for item in findings(evt, 4) if item["kind"] == "newer")
    assert "evt 9.8.7" in found["what"]
    assert "evt 9.8.7" in evt("plan", ID, code=3).stdout
    assert "evt 9.8.7 wrote it" in evt("validate", ID, code=1).stdout


def test_a_note_of_a_newer_evt_is_no_finding(evt: Evt) -> None:
    foreign(put(evt, finished(), head=False), "note.seen")
    assert findings(evt, 0) == []


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        (f"{ID} (Anna's conflicted copy 2026-11-27).jsonl", "Dropbox"),
        (f"{ID} (conflicted copy 2026-11-27 101010).jsonl", "Nextcloud"),
        (f"{ID}.sync-conflict-20261127-101010-ABCDEFG.jsonl", "Syncthing"),
        (f"{ID}-LAPTOP-7.jsonl", "OneDrive"),
        (f"{ID}-laptop.jsonl", "OneDrive"),
        (f"{ID} 2.jsonl", "iCloud"),
        (f"{ID} (1).jsonl", "Google Drive"),
    ],
)
def test_a_copy_of_a_program_that_syncs_is_no_pipeline_and_is_explained(evt: Evt, name: str, maker: str) -> None:
    log = put(evt, finished())
    log.with_name(name).write_bytes(log.read_bytes())
    found = only(evt, 0)
    assert found["kind"] == "copy"
    assert maker in found["what"]
    assert f"{log.with_name(name)} can be removed." in found["remedy"]


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (slice(None, -1), "The log holds all of it, and 1 record more"),
        (None, "Both go on after record"),
    ],
)
def test_what_a_copy_holds_is_compared_record_by_record(evt: Evt, kept: slice | None, words: str) -> None:
    log = put(evt, finished())
    lines = log.read_bytes().splitlines(keepends=True)
    other = lines_of(ID, [*finished()[:-1], ev.RunFinished("failed", 2.0)])
    log.with_name(f"{ID} 2.jsonl").write_bytes(b"".join(other if kept is None else lines[kept]))
    assert words in only(evt, 0)["what"]


def test_a_copy_that_holds_more_than_the_log_says_where_it_belongs(evt: Evt) -> None:
    log = put(evt, finished(), head=False)
    whole = log.read_bytes()
    log.with_name(f"{ID} 2.jsonl").write_bytes(whole)
    log.write_bytes(b"".join(whole.splitlines(keepends=True)[:-2]))
    found = next(item for item in findings(evt, 0) if item["kind"] == "copy")
    assert "2 records more: it is the newer one" in found["what"]
    assert str(log) in found["remedy"]


def test_no_file_of_ours_is_taken_for_a_copy(tmp_path: Path) -> None:
    for name in (
        f"{ID}.jsonl",
        f"{ID}.2.jsonl",
        f"{ID}.jsonl.zst",
        f"{ID}.head",
        f"{ID}.torn-812-0123456789abcdef",
    ):
        place(tmp_path, name, b"")
    assert list(copies(str(tmp_path), folders(str(tmp_path)))) == []


def test_a_finished_pipeline_without_any_file_is_told_as_half_of_a_backup(evt: Evt) -> None:
    put(evt, finished(), files=False)
    found = only(evt, 0)
    assert found["kind"] == "files"
    assert str(evt.home / "artifacts" / ID[:2] / ID) in found["remedy"]


def test_a_run_whose_process_is_dead_is_explained_by_what_its_log_says(evt: Evt) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id")
    here = {"host": os.uname().nodename, "boot_id": boot.read_text().strip() if boot.exists() else ""}
    put(evt, begun(pid=2**22 - 1, **here))
    put(evt, begun(pid=7, host="elsewhere"), "5f2a0123456789ab")
    put(evt, begun(pid=7, host=here["host"], boot_id="another"), "6f2a0123456789ab")
    whys = [item["what"] for item in findings(evt, 0)]
    assert ["killed, or crashed" in whys[0], "another machine" in whys[1], "started again" in whys[2]] == [True] * 3
    assert f"evt run {ID}" in evt("doctor").stdout


@contextmanager
def lock(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Hold a log's lock in another process."""
    program = f"import fcntl, sys; f = open({str(path)!r}); fcntl.flock(f, 2); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


@linux
def test_who_holds_a_log_is_named_and_a_stopped_process_is_told_from_one_that_works(evt: Evt) -> None:
    with lock(put(evt, begun())) as process:
        report = evt.json("doctor")
        assert report["findings"] == []
        assert f"pid {process.pid}" in report["pipelines"]["held"][0]["by"]
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        assert f"kill -CONT {process.pid}" in only(evt, 0)["remedy"]


@pytest.mark.parametrize("outcome", [None, "interrupted", "failed", "needs_decision"])
def test_a_copy_of_a_pipeline_that_goes_on_elsewhere_wants_nothing_here(evt: Evt, outcome: str | None) -> None:
    put(evt, [*begun(), *([ev.RunFinished(outcome, 1.0)] if outcome else [])])
    place(evt.home / "logs", f"{ID}.copy", b"")
    assert findings(evt, 0) == []


def test_a_pipeline_that_waits_for_a_decision_gives_5_and_the_command(evt: Evt) -> None:
    put(evt, [*begun(), ev.RunFinished("needs_decision", 1.0)])
    assert f"evt plan {ID}" in only(evt, 5)["remedy"]


def test_damage_goes_before_decisions_and_those_before_failures(evt: Evt) -> None:
    put(evt, [*begun(), ev.RunFinished("failed", 1.0)])
    put(evt, [*begun(), ev.RunFinished("needs_decision", 1.0)], "5f2a0123456789ab")
    put(evt, finished(), "6f2a0123456789ab").unlink()
    assert [item["kind"] for item in findings(evt, 4)] == ["gone", "decision", "failed"]
    to_do = evt("doctor", code=4).stdout.partition("What to do\n")[2].splitlines()
    assert "6f2a0123456789ab" in to_do[0]
    assert "5f2a0123456789ab" in to_do[1]


def test_a_head_that_is_older_than_its_finished_log_is_told_to_be_harmless(evt: Evt) -> None:
    lines = lines_of(ID, finished())
    place(evt.home / "logs", f"{ID}.head", head_of(lines[-3]))
    place(evt.home / "logs", f"{ID}.jsonl", b"".join(lines))
    (evt.home / "artifacts" / ID[:2] / ID).mkdir(parents=True)
    assert "Nothing is lost" in only(evt, 0)["remedy"]


def test_of_many_alike_some_are_named_and_the_others_counted(evt: Evt) -> None:
    for number in range(SHOWN_MAX + 3):
        put(evt, begun(), f"{number:02x}2a0123456789ab")
    found = findings(evt, 0)
    assert len(found) == SHOWN_MAX + 1
    assert "3 more pipelines" in found[-1]["what"]


def test_a_large_home_is_estimated_from_a_part_of_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for number in range(10):
        file = home.artifacts(f"{number:02x}2a0123456789ab") / "transcription" / "1" / "words.json"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x" * 100)
    answers = iter([True, False])
    part, whole = usage(home, [], goes_on=lambda: next(answers)), usage(home, [])
    assert part.is_estimate
    assert not whole.is_estimate
    assert part.kinds == whole.kinds
    assert whole.kinds["transcription"].size_bytes == 1000


def test_files_in_the_making_are_a_kind_of_their_own(tmp_path: Path) -> None:
    home = Home(tmp_path)
    scratch = home.artifacts(ID) / "transcription" / "1" / ".scratch" / "words.json"
    scratch.parent.mkdir(parents=True)
    scratch.write_bytes(b"half")
    assert usage(home, []).kinds["scratch"].size_bytes == 4


@pytest.mark.parametrize(
    ("path", "who"),
    [("Dropbox/evt", "Dropbox"), ("OneDrive - Firm/evt", "OneDrive"), ("Documents/evt", None)],
)
def test_a_folder_that_is_copied_elsewhere_is_known_by_its_name(path: str, who: str | None, tmp_path: Path) -> None:
    assert synced_by(tmp_path / path) == who


def test_a_folder_of_syncthing_is_known_by_what_lies_in_it(tmp_path: Path) -> None:
    (tmp_path / ".stfolder").mkdir()
    assert synced_by(tmp_path / "evt") == "Syncthing"


@pytest.mark.parametrize("index", [None, b"", b"no database" * 1000, "fifo", "folder"])
def test_nothing_is_written_whatever_state_the_home_is_in(evt: Evt, index: bytes | str | None) -> None:
    put(evt, finished())
    put(evt, begun(), "5f2a0123456789ab").unlink()
    put(evt, finished(), "6f2a0123456789ab").write_bytes(b"{}\n")
    (evt.home / "importing").mkdir()
    path = evt.home / "index.sqlite"
    if isinstance(index, bytes):
        path.write_bytes(index)
    elif index is not None:
        os.mkfifo(path) if index == "fifo" else path.mkdir()

    def everything() -> list[tuple[str, Any]]:
        return sorted((str(path), os.lstat(path)[:9]) for path in [evt.home, *evt.home.rglob("*")])

    before = everything()
    evt("doctor", code=4)
    evt("doctor", "--json", "--full", code=4)
    # Access times aside: reading may change those.
    assert [(name, (*found[:7], found[8])) for name, found in everything()] == [
        (name, (*found[:7], found[8])) for name, found in before
    ]


def test_settings_that_cannot_be_used_are_what_to_do_first_and_the_rest_is_reported(evt: Evt) -> None:
    put(evt, begun())
    (evt.home / "config.toml").write_text("nonsense = 1")
    report = evt.json("doctor", code=3)
    assert not report["usable"]
    assert "sets 'nonsense', which is no setting" in report["advice"][0]
    assert [item["pipeline"] for item in report["findings"]] == [ID]
    assert "1. The settings can't be used." in evt("doctor", code=3, EVT_MAX_COST="much").stdout


def test_keys_are_said_to_be_there_and_never_shown_not_even_in_part(evt: Evt) -> None:
    key = "sk-canary-0123456789"
    for form in ((), ("--json",)):
        said = evt("doctor", *form, OPENAI_API_KEY=key).stdout
        assert "$OPENAI_API_KEY" in said
        assert not any(key[at : at + 5] in said for at in range(len(key) - 5))
