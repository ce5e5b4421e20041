"""The commands that only read: list, show, replay, tail, validate, plan, path, doctor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from cli.main import COMMANDS
from tests.support.cli import START, Evt, run_alone

pytestmark = pytest.mark.slow


@pytest.fixture
def done(evt: Evt) -> Evt:
    """A home with one finished pipeline."""
    evt.speech()
    evt.run("talk.wav")
    return evt


def test_an_empty_home_is_no_error(evt: Evt) -> None:
    assert evt("list").stdout == "No pipelines.\n"
    assert evt("validate").stdout == "No pipelines.\n"
    assert evt("tail").stdout == ""
    assert evt.json("list") == []
    evt("doctor")
    evt("config")
    evt("path")


def test_reading_changes_nothing(done: Evt) -> None:
    def everything() -> dict[str, tuple[int, bytes]]:
        files = [path for path in done.home.rglob("*") if path.is_file() and path.name != "index.sqlite"]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = everything()
    for command in (
        "list",
        "show talk.wav",
        "replay talk.wav",
        "validate",
        "tail",
        "plan talk.wav",
        "path talk.wav",
    ):
        done(*command.split())
    assert everything() == before


def test_replay_needs_the_log_alone_and_gives_the_same_bytes_each_time(done: Evt) -> None:
    first = done("replay", "talk.wav", "--json").stdout
    log = done.log()
    for path in list(done.home.rglob("*")):
        if path.is_file() and path != log:
            path.unlink()
    os.chmod(log, 0o400)
    assert done("replay", log.stem, "--json").stdout == first
    state = json.loads(first)
    assert state["status"] == "completed"
    assert state["pipeline_id"] == log.stem


def test_replay_at_a_record_and_at_a_time_gives_what_was_known_then(done: Evt) -> None:
    records = done.records()
    at_seq = json.loads(done("replay", "talk.wav", "--at", "5", "--json").stdout)
    assert at_seq["seq"] == 5
    at_time = json.loads(done("replay", "talk.wav", "--at", records[6]["time"], "--json").stdout)
    first_later = next(record["seq"] for record in records if record["time"] > records[6]["time"])
    assert at_time["seq"] == first_later - 1
    assert "neither" in done("replay", "talk.wav", "--at", "noon", code=3).stderr


def test_show_and_list_name_the_recording_and_its_stages(done: Evt) -> None:
    shown = done("show", done.log().stem[:4]).stdout
    assert "talk.wav" in shown
    assert "completed" in shown
    assert "talk.wav" in done("list", "--detailed").stdout
    assert done("list", "--status", "failed").stdout == "No such pipelines.\n"


def test_an_unknown_and_an_ambiguous_id_are_refused_with_candidates(done: Evt) -> None:
    assert "evt list" in done("show", "nothing", code=3).stderr
    for seed in range(1, 17):
        done.speech(f"n{seed}.wav", 2.0, seed)
    names = [f"n{seed}.wav" for seed in range(1, 17)]
    done.run(*names, "--format", "txt")
    ids = [summary["pipeline_id"] for summary in done.json("list")]
    shared = next(digit for digit in "0123456789abcdef" if sum(i.startswith(digit) for i in ids) > 1)
    refused = done("show", shared, code=3).stderr
    assert all(i in refused for i in ids if i.startswith(shared))


def test_validate_names_missing_and_changed_files(done: Evt) -> None:
    assert "ok" in done("validate").stdout
    words = next(done.home.glob("artifacts/*/*/transcription/1/words.json"))
    words.write_bytes(words.read_bytes().replace(b"one", b"two"))
    next(done.home.glob("artifacts/*/*/diarization/1/turns.json")).unlink()
    report = done.json("validate", code=1)[0]
    assert {problem["kind"] for problem in report["problems"]} == {"changed", "missing"}


def test_a_damaged_log_is_exit_4_and_the_good_prefix_is_still_shown(done: Evt) -> None:
    log = done.log()
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    before = log.read_bytes()
    assert "byte" in done("validate", code=4).stdout
    shown = done("show", log.stem, code=4).stdout
    assert "audio_conversion" in shown
    assert "status     damaged; its good records say " in shown
    assert f"what to do `evt run {log.stem}`" in shown
    assert done("run", "talk.wav", code=4).stderr
    assert done("list", code=4).stdout
    done("replay", log.stem, code=4)
    assert log.read_bytes() == before


def test_a_log_deleted_under_its_files_is_never_begun_anew(done: Evt) -> None:
    done.log().unlink()
    assert "gone" in done("run", "talk.wav", code=4).stderr
    assert "gone" in done("validate", code=4).stdout
    assert not list(done.home.glob("logs/*/*.jsonl"))
    for head in done.home.glob("logs/*/*.head"):
        head.unlink()
    assert "gone" in done("run", "talk.wav", code=4).stderr


def test_a_line_that_is_being_written_is_in_progress_and_not_damage(done: Evt) -> None:
    for head in done.home.glob("logs/*/*.head"):
        head.unlink()
    log = done.log()
    log.write_bytes(log.read_bytes()[:-100])
    assert "in progress" in done("validate").stdout
    done("run", "talk.wav")
    assert "log.recovered" in done.types()
    assert done.types()[-1] == "log.sealed"


def test_tail_shows_one_readable_line_for_each_event(done: Evt) -> None:
    lines = done("tail", "-n", "3").stdout.splitlines()
    assert len(lines) == 3
    assert "log.sealed" in lines[-1]
    assert [json.loads(line)["type"] for line in done("tail", "-n", "2", "--json").stdout.splitlines()] == [
        "run.finished",
        "log.sealed",
    ]


def test_tail_follows_pipelines_that_begin_later(done: Evt) -> None:
    earlier = done.log()
    process = done.start("tail", "-f", "-n", "1", "--json")
    try:
        assert process.stdout is not None
        assert "log.sealed" in process.stdout.readline()
        done.speech("later.wav", seed=1)
        done.run("later.wav")
        (later,) = set(done.home.glob("logs/*/*.jsonl")) - {earlier}
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "log.sealed" in line:
                break
        assert [json.loads(line)["seq"] for line in lines] == list(
            range(1, len(later.read_bytes().splitlines()) + 1)
        )
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
        process.communicate()


def test_tail_into_a_closed_pipe_ends_quietly(done: Evt) -> None:
    process = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$@" tail -n 100 | head -1', "bash", *START],
        env=done.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.stderr == ""
    assert len(process.stdout.splitlines()) == 1


def test_plan_says_before_what_run_does_after(evt: Evt) -> None:
    evt.speech()
    plan = evt.json("plan", "talk.wav", *evt.engines)[0]
    assert plan["resume_point"] == ["audio_conversion"]
    assert not list(evt.home.glob("logs/*/*"))
    evt.run("talk.wav")
    assert evt.json("plan", "talk.wav")[0]["nothing_to_do"]


def test_path_leads_to_the_log_and_the_files(done: Evt) -> None:
    assert done("path", "talk.wav").stdout.strip() == str(done.log())
    assert done("path").stdout.strip() == str(done.home)
    pipeline = done.log().stem
    files = done("path", "talk.wav", "--artifacts").stdout.strip()
    assert files == str(done.home / "artifacts" / pipeline[:2] / pipeline)


def test_doctor_says_what_is_ready_and_what_to_do(evt: Evt) -> None:
    report = evt.json("doctor")
    assert {"builtin", "channels", "none", "pyannote"} <= {engine["name"] for engine in report["diarizers"]}
    assert report["advice"]


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "list",
        *(pytest.param(name, marks=pytest.mark.heavy) for name in COMMANDS if name not in {"run", "list"}),
    ],
)
def test_each_command_starts_where_nothing_else_has_been_imported(evt: Evt, command: str) -> None:
    """Other tests run commands in forks of a process that has imported them all."""
    done = run_alone([command, "--help"], evt.work, evt.environment())
    assert (done.returncode, "Usage" in done.stdout, done.stderr) == (0, True, "")


def test_help_and_version_work_everywhere(evt: Evt) -> None:
    assert "run" in evt("--help").stdout
    assert "evt" in evt("--version").stdout
    for command in COMMANDS:
        assert "Usage" in evt(command, "--help").stdout
    evt("run", code=2)
    evt("nonsense", code=2)
    evt("run", "x.wav", "--speakers", "0", code=2)


def test_a_stopped_run_is_resumed_and_a_second_run_says_who_holds_the_log(evt: Evt) -> None:
    """SIGINT in the middle: exit 130, everything finished is kept; a run beside it is refused at once."""
    evt.script.write_text(evt.script.read_text() + '\n[[delays]]\noperation = "transcription"\nseconds = 30\n')
    evt.speech()
    process = evt.start("run", "talk.wav", *evt.engines)
    deadline = time.monotonic() + 60
    while "call.started" not in _content(evt) and time.monotonic() < deadline:
        time.sleep(0.02)
    while "diarization" not in _content(evt).partition("stage.succeeded")[2] and time.monotonic() < deadline:
        time.sleep(0.02)
    refused = evt.run("talk.wav", code=3)
    assert f"pid {process.pid}" in refused.stderr
    assert evt.json("show", "talk.wav")["live"] in {True, None}
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    process.communicate()
    assert evt.types()[-1] == "run.finished"
    assert evt.records()[-1]["data"]["outcome"] == "interrupted"
    evt.script.write_text(evt.script.read_text().partition("[[delays]]")[0])
    (report,) = evt.json("run", "talk.wav")
    assert "diarization" in report["reused"]


def _content(evt: Evt) -> str:
    return "".join(path.read_text() for path in evt.home.glob("logs/*/*.jsonl"))
