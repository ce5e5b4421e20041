"""A log that lost something, met through the real command line: nothing is paid again before the user says so."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time

import pytest

from eventlog.store import Store
from tests.support.cli import WORDS, Evt
from tests.support.shop import write_script


@pytest.fixture
def paid(evt: Evt) -> Evt:
    """A finished pipeline whose engines cost money."""
    write_script(evt.script, words=WORDS, chunk_s="[2.0, 3.0]", billable="true")
    evt.speech()
    evt.run("talk.wav")
    return evt


def damage(evt: Evt, event: str) -> bytes:
    """Change a byte in the first record of this type; return the transcript that there was."""
    content = evt.log().read_bytes()
    at = content.index(f'"type":"{event}"'.encode()) + len('"type":"')
    evt.log().write_bytes(content[:at] + b"x" + content[at + 1 :])
    return (evt.work / "talk.txt").read_bytes()


def counted(evt: Evt, event: str, **fields: object) -> int:
    return sum(
        record["type"] == event and all(record["data"].get(name) == value for name, value in fields.items())
        for record in evt.records()
    )


def test_after_a_salvage_paid_stages_ask_and_answers_that_are_on_disk_are_never_paid_again(paid: Evt) -> None:
    pipeline = paid.log().stem
    before = damage(paid, "call.started")
    damaged = paid.log().read_bytes()
    for command in ("run", "show", "replay", "validate"):
        said = paid(command, "talk.wav", code=4)
        assert f"evt salvage {pipeline}" in said.stdout + said.stderr or command in {"show", "validate"}
    assert paid.log().read_bytes() == damaged
    said = paid("salvage", pipeline).stdout
    assert "good records; " in said
    assert f"evt accept {pipeline}" in said
    (aside,) = paid.home.glob("logs/*/*.damaged-*")
    assert aside.read_bytes() == damaged
    assert "ask" in paid("plan", "talk.wav", code=5).stdout
    assert f"evt accept {pipeline}" in paid.run("talk.wav", code=5).stderr
    assert "lost?" in paid("show", pipeline).stdout
    assert "nothing was accepted" in paid("accept", pipeline, code=5).stderr
    assert counted(paid, "loss.accepted") == 0
    assert "Accepted" in paid("accept", pipeline, "--yes").stdout
    (paid.work / "talk.txt").unlink()
    paid.run("talk.wav")
    assert (paid.work / "talk.txt").read_bytes() == before
    calls, found = counted(paid, "call.started"), counted(paid, "call.succeeded", found=True)
    assert calls == found > 0
    assert paid.types()[-1] == "log.sealed"
    assert "nothing to do" in paid.run("talk.wav").stdout
    paid("validate", pipeline)


def test_accepting_ends_a_finished_log_with_a_seal_again(paid: Evt) -> None:
    log = paid.log()
    content = log.read_bytes()
    log.write_bytes(content + b'{"v":1\0\0')
    assert "uncertain" not in paid("show", "talk.wav").stdout
    log.write_bytes(content[: content.rindex(b"\n", 0, -1) + 1] + b'{"v":1\0\0')
    shutil.move(log.with_suffix(".head"), log.with_suffix(".kept"))
    paid.run("talk.wav")
    assert "log.recovered" in paid.types()
    assert paid.types()[-1] == "log.sealed"
    paid("accept", "talk.wav", "--yes")
    assert paid.types()[-2:] == ["loss.accepted", "log.sealed"]
    assert "nothing to accept" in paid("accept", "talk.wav", "--yes").stdout


def test_a_log_restored_from_an_older_backup_is_refused_and_goes_on_once_accepted(paid: Evt) -> None:
    log = paid.log()
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:9]))
    said = paid.run("talk.wav", code=4).stderr
    assert "seems to end too early at record 10" in said
    assert f"evt accept {log.stem}" in said
    assert paid("salvage", log.stem, code=3).stderr
    listed = paid("accept", log.stem, "--json", code=5)
    assert '"accepted": false' in listed.stdout
    assert log.read_bytes() == b"".join(lines[:9])
    paid("accept", log.stem, "--yes")
    assert paid.types()[9:] == ["log.restored", "loss.accepted"]
    paid.run("talk.wav")
    paid("validate", log.stem)


def test_a_head_kept_elsewhere_shows_a_cut_off_end_and_a_changed_record(paid: Evt) -> None:
    log = paid.log()
    printed = paid("head").stdout.split()
    assert printed[0] == log.stem
    assert paid("head", "talk.wav", "--json").stdout
    assert printed[1] in paid("show", "talk.wav").stdout
    paid("validate", log.stem, "--head", printed[1])
    lines = log.read_bytes().splitlines(keepends=True)
    log.with_suffix(".head").unlink()
    log.write_bytes(b"".join(lines[:-1]))
    paid("validate", log.stem)
    said = paid("validate", log.stem, "--head", printed[1], code=4).stdout
    assert f"the head names record {len(lines)}, and the log ends at {len(lines) - 1}" in said
    log.write_bytes(b"".join(lines))
    other = f"{len(lines)}:{'0' * 64}"
    assert "not the one that the head names" in paid("validate", log.stem, "--head", other, code=4).stdout
    paid("validate", "--head", "7:abc", code=2)
    paid("validate", log.stem, "--head", f"{len(lines) - 1}:{'0' * 64}", code=4)


def test_a_head_of_a_damaged_log_is_not_passed_on(paid: Evt) -> None:
    damage(paid, "stage.started")
    done = paid("head", code=4)
    assert done.stdout == ""
    assert "damaged at record" in done.stderr


def test_the_head_names_a_paid_call_before_it_is_made(evt: Evt) -> None:
    """Killed in the middle of its first paid call, a run has left a head that vouches for the announcement."""
    slow = '[[delays]]\noperation = "transcription"\nseconds = 60'
    write_script(evt.script, words=WORDS, chunk_s="[2.0, 3.0]", billable="true", extra=slow)
    evt.speech()
    process = evt.start("run", "talk.wav", *evt.engines, "-v")
    until = time.monotonic() + 60
    while not (logs := list(evt.home.glob("logs/*/*.jsonl"))) or b'"transcribe"' not in logs[0].read_bytes():
        assert time.monotonic() < until
        assert process.poll() is None
    heads = {}
    while not heads or heads["seq"] < heads["announced"]:
        assert time.monotonic() < until
        announced = [r["seq"] for r in evt.records() if r["type"] == "call.started" and "transcription" in str(r)]
        head = evt.log().with_suffix(".head")
        heads = {"announced": announced[0], "seq": json.loads(head.read_text())["seq"] if head.exists() else 0}
    process.kill()
    process.communicate()
    assert heads["seq"] >= heads["announced"]


def test_only_what_was_shown_is_accepted(paid: Evt) -> None:
    """A tail that is cut by the very opening that accepts was not shown, and stays open."""
    damage(paid, "call.started")
    pipeline = paid.log().stem
    paid("salvage", pipeline)
    paid.log().with_suffix(".head").unlink()
    with paid.log().open("ab") as file:
        file.write(b'{"v":1\0\0')
    said = paid("accept", pipeline, "--yes", code=5)
    assert "since then, not accepted" in said.stderr
    assert "ask" in paid("plan", pipeline, code=5).stdout
    paid("accept", pipeline, "--yes")
    assert "ask" not in paid("plan", pipeline).stdout


def test_damage_is_not_accepted_and_the_right_command_is_named(paid: Evt) -> None:
    damage(paid, "call.started")
    before = paid.log().read_bytes()
    said = paid("accept", "talk.wav", "--yes", code=4)
    assert "evt salvage" in said.stderr
    assert "nothing to accept" not in said.stdout
    assert paid.log().read_bytes() == before


def test_an_acceptance_that_was_cut_short_is_finished_by_the_same_words(paid: Evt) -> None:
    log = paid.log()
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:9]))
    head = log.with_suffix(".head")
    digest = hashlib.sha256(head.read_bytes()).hexdigest()[:16]
    head.rename(log.with_name(f"{log.stem}.head-{len(lines)}-{digest}"))
    assert "cut short" in paid("accept", log.stem, code=5).stdout
    paid("accept", log.stem, "--yes")
    assert paid.types()[9:] == ["log.restored", "loss.accepted"]
    assert "nothing to accept" in paid("accept", log.stem).stdout


def test_answers_of_a_lost_refresh_are_found_again_too(paid: Evt) -> None:
    first = len(paid.records())
    paid.run("talk.wav", "--refresh", "transcription")
    records = paid.records()
    started = next(r["seq"] for r in records[first:] if r["type"] == "call.started")
    lines = paid.log().read_bytes().splitlines(keepends=True)
    lines[started - 1] = lines[started - 1].replace(b"call.started", b"kall.started", 1)
    paid.log().write_bytes(b"".join(lines))
    paid("salvage", paid.log().stem)
    paid("accept", "talk.wav", "--yes")
    paid.run("talk.wav")
    after = paid.records()[started - 1 :]
    calls = [r["data"]["call"] for r in after if r["type"] == "call.started"]
    found = [r["data"]["call"] for r in after if r["type"] == "call.succeeded" and r["data"].get("found")]
    assert calls == found
    assert found


def test_of_a_log_that_is_being_written_the_head_that_was_kept_is_printed(paid: Evt) -> None:
    printed = paid("head").stdout
    opened = Store(str(paid.home / "logs")).open_writer(paid.log().stem, run="by-hand")
    try:
        opened.writer.append([("note.added", {})], run="by-hand")
        assert paid("head").stdout == printed
    finally:
        opened.writer.close()
    assert paid("head").stdout != printed


@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_one_head_that_is_no_file_hides_no_other_pipeline(paid: Evt, kind: str) -> None:
    paid.speech("other.wav", seed=1)
    head = paid.log().with_suffix(".head")
    paid.run("other.wav")
    head.unlink()
    {"fifo": os.mkfifo, "folder": os.mkdir, "link": lambda path: os.symlink("/etc/hosts", path)}[kind](head)
    reports = paid.json("validate", code=4)
    assert {report["pipeline"]: report["ok"] for report in reports}[head.stem] is False
    assert sum(report["ok"] for report in reports) == 1
