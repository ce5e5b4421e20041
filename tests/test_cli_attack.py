"""What a hostile or unlucky user meets: no file lost, no defect reported, work that goes on without a reader."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cli.batching.items import gather
from cli.errors import UnknownPipelineError
from cli.lookup import find_known, known_pipelines
from cli.render import json_line, shown_error
from eventlog.follow import Follower
from eventlog.store import Store
from pipeline import recordings
from pipeline.home import Home
from tests.support.cli import START, Evt

pytestmark = pytest.mark.slow


@pytest.fixture
def done(evt: Evt) -> Evt:
    """A home with one finished pipeline."""
    evt.speech()
    evt.run("talk.wav", "--format", "txt")
    return evt


def shell(evt: Evt, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which "$@" is evt."""
    command = ["bash", "-c", line, "bash", *START]
    return subprocess.run(
        command, cwd=evt.work, env=evt.environment(), capture_output=True, text=True, timeout=120, check=False
    )


def test_one_impossible_name_does_not_stop_the_others(evt: Evt) -> None:
    evt.speech("good.wav")
    refused = evt.run("n" * 300 + ".wav", "good.wav", "--format", "txt", code=3)
    assert "too long" in refused.stderr
    assert (evt.work / "good.txt").exists()
    assert "n" * 50 in evt("show", "n" * 300, code=3).stderr


@pytest.mark.parametrize("year_s", [-(10**9), 10**10])
def test_recordings_from_before_1970_and_after_2262_are_transcribed(evt: Evt, year_s: int) -> None:
    os.utime(evt.speech(), (year_s, year_s))
    evt.run("talk.wav", "--format", "txt")
    assert "nothing to do" in evt("run", "talk.wav").stdout


@pytest.mark.parametrize("name", ["ho#me", "ho?me", "ho%41me", os.fsdecode(b"ho\xffme")])
def test_any_path_of_the_home_remembers_digests(tmp_path: Path, name: str) -> None:
    index = tmp_path / name / "index.sqlite"
    recordings._remember(index, (1, 2, 3, 4, 5), "ab" * 32, now_s=60.0)
    assert recordings._remembered(index, (1, 2, 3, 4, 5)) == "ab" * 32


def test_times_that_the_index_cannot_hold_are_not_remembered(tmp_path: Path) -> None:
    signature = (1, 2, 3, -(2**64), 5)
    recordings._remember(tmp_path / "index.sqlite", signature, "ab" * 32, now_s=60.0)
    assert recordings._remembered(tmp_path / "index.sqlite", signature) is None


@pytest.mark.parametrize("closed", ["2>&-", "1>&-", "<&- 1>&- 2>&-", "1>/dev/full 2>/dev/full"])
def test_closed_and_full_streams_do_not_stop_the_work(evt: Evt, closed: str) -> None:
    evt.speech()
    engines = " ".join(evt.engines)
    shell(evt, f'"$@" run talk.wav --format txt {engines} {closed}')
    assert "SPEAKER_00" in (evt.work / "talk.txt").read_text()
    assert evt.types()[-1] == "log.sealed"
    assert evt("validate").stdout.endswith(": ok\n")


def test_a_reader_that_goes_away_does_not_stop_the_batch(evt: Evt) -> None:
    evt.speech("a.wav", seed=1)
    evt.speech("b.wav", seed=2)
    engines = " ".join(evt.engines)
    shell(evt, f'("$@" run missing.wav a.wav b.wav --format txt {engines} | true) 2>&1 | true')
    assert (evt.work / "a.txt").exists()
    assert (evt.work / "b.txt").exists()


def test_what_is_said_to_nobody_is_dropped() -> None:
    program = "import sys; from cli.output import say; say('x'); say('y'); print('end', file=sys.stderr)"
    line = f'{START[0]} -c "{program}" > /dev/full'
    ended = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "end\n")


def test_a_termination_says_how_to_leave_at_once_without_naming_a_key(evt: Evt) -> None:
    evt.script.write_text(evt.script.read_text() + '\n[[delays]]\noperation = "transcription"\nseconds = 30\n')
    evt.speech()
    process = evt.start("run", "talk.wav", *evt.engines)
    deadline = time.monotonic() + 60
    while not list(evt.home.glob("artifacts/*/*/diarization")) and time.monotonic() < deadline:
        time.sleep(0.02)
    listed = evt("list").stdout
    (summary,) = evt.json("list")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "(again: leave at once)" in said
    assert summary["live"] in {True, None}
    assert ("unfinished (live)" in listed) == bool(summary["live"])
    assert evt.json("list")[0]["live"] is False


@pytest.mark.parametrize(
    "options",
    [
        ["--transcriber", ""],
        ["--language", b"\xff"],
        ["--language", "e" * 1001],
        ["--speakers", "9" * 30],
        ["-o", ""],
    ],
)
def test_values_that_nothing_can_hold_are_refused(evt: Evt, options: list[str | bytes]) -> None:
    evt.speech()
    refused = evt("run", "talk.wav", *options, code=3)
    assert "can't be" in refused.stderr
    assert len(refused.stderr) < 400


def test_settings_of_the_environment_and_files_are_checked_as_flags_are(evt: Evt) -> None:
    assert "EVT_SPEAKERS" in evt("config", code=3, EVT_SPEAKERS="9" * 5000).stderr
    rows = json.loads(evt("config", "--json", EVT_FORMATS="txt,txt").stdout)["settings"]
    assert next(row["value"] for row in rows if row["name"] == "formats") == "txt"
    evt.home.mkdir()
    (evt.home / "config.toml").write_text('output_dir = "written"')
    evt.speech()
    evt.run("talk.wav", "--format", "txt", "-o", "elsewhere")
    assert (evt.work / "elsewhere" / "talk.txt").exists()
    (evt.home / "config.toml").write_text("output_dir = 7")
    assert "output_dir" in evt("run", "talk.wav", code=3).stderr


def test_a_file_is_never_taken_for_the_pipeline_that_has_its_name(done: Evt) -> None:
    done.speech("other.wav", seed=9).rename(done.work / done.log().stem)
    assert "evt run" in done("show", done.log().stem, code=3).stderr
    (done.work / done.log().stem).unlink()
    assert "talk.wav" in done("show", done.log().stem).stdout


@pytest.mark.parametrize("left", ["head", "files"])
def test_a_log_that_is_gone_is_exit_4_wherever_it_is_named(done: Evt, left: str) -> None:
    pipeline = done.log().stem
    done.log().unlink()
    if left == "files":
        for head in done.home.glob("logs/*/*.head"):
            head.unlink()
    else:
        (done.home / "artifacts").rename(done.folder / "away")
    for command in ("show", "replay", "tail", "path", "run"):
        assert "gone" in done(command, pipeline[:6], code=4).stderr
    assert "gone" in done("validate", pipeline, code=4).stdout
    assert "gone" in done("validate", code=4).stdout
    assert done.json("list", code=4)[0]["status"] == "gone"


def test_a_log_that_cannot_be_read_hides_no_other_one(done: Evt) -> None:
    store, readable = Store(str(done.home / "logs")), done.log()
    (done.home / "logs" / "zz").mkdir()
    unreadable = done.home / "logs" / "zz" / "zz.jsonl"
    unreadable.mkdir()
    assert find_known("talk.wav", store, Home(done.home)) == readable.stem
    follower = Follower(store)
    assert {record.pipeline for record in follower.poll()} == {readable.stem}
    unreadable.rmdir()
    store.open_writer("zz", run="r1", create=True).writer.close()
    assert [record.pipeline for record in follower.poll()] == ["zz"]


def test_strange_names_beside_the_files_of_pipelines_are_no_pipelines(done: Evt) -> None:
    (done.home / "artifacts" / "Not A Name").mkdir()
    home = Home(done.home)
    assert known_pipelines(Store(str(home.logs)), home) == [done.log().stem]


@pytest.mark.parametrize(
    "time", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00", "9" * 5000, "9" * 19, "noon"]
)
def test_times_that_are_none_are_refused_in_words(done: Evt, time: str) -> None:
    refused = done("replay", "talk.wav", "--at", time, code=3).stderr
    assert "neither" in refused
    assert "defect" not in refused
    assert len(refused) < 400


def test_a_time_of_long_ago_shows_nothing(done: Evt) -> None:
    assert "after record 0," in done("replay", "talk.wav", "--at", "0999-01-01").stdout


def test_candidates_stand_on_lines_of_their_own_and_cannot_add_any() -> None:
    shown = shown_error(UnknownPipelineError("several:", "4f2a  talk\nfalse line", "4f2b  x"))
    assert shown.splitlines() == ["several:", r"  4f2a  talk\x0afalse line", "  4f2b  x"]


def test_json_holds_broken_characters_as_text() -> None:
    assert json.loads(json_line({"home": ["/h\udcff"]})) == {"home": ["/h\\udcff"]}


def test_a_home_of_any_bytes_can_be_shown(evt: Evt) -> None:
    home = os.fsencode(evt.folder) + b"/h\xff"
    for command in (["path", "--json"], ["config", "--json"], ["list", "--json"], ["config"], ["path"]):
        evt(b"--home", home, *command)


def test_a_folder_whose_name_has_a_line_break_is_not_trusted(evt: Evt) -> None:
    (evt.work / "a\n").mkdir()
    assert "line break" in evt("trust", "a\n", code=3).stderr
    assert evt.json("trust")["trusted"] == []


def test_input_goes_with_an_id_only(done: Evt) -> None:
    refused = done("run", "talk.wav", "--input", "talk.wav", code=3)
    assert "--input" in refused.stderr
    done("run", done.log().stem, "--input", "talk.wav")


def test_verify_reads_the_recording_of_an_id_again(done: Evt) -> None:
    """A digest that was remembered wrongly stands for a file that changed without a new time stamp."""
    home = Home(done.home)
    pipeline, store = done.log().stem, Store(str(home.logs))
    signature = recordings._signature(done.work / "talk.wav")
    recordings._remember(home.index, signature, "0" * 64, now_s=signature[4] / 1e9 + 60)
    for verify in (False, True):
        ((item,), _) = gather([pipeline], store, home, done.work, verify=verify)
        assert (item.recording is not None) == verify


def test_a_plan_as_json_names_what_it_refuses(evt: Evt) -> None:
    evt.speech()
    refused, planned = evt.json("plan", "missing.wav", "talk.wav", *evt.engines, code=3)
    assert refused["input"] == "missing.wav"
    assert refused["exit_code"] == 3
    assert "no file" in refused["error"]
    assert planned["input"] == "talk.wav"


def test_tail_as_json_is_the_record(done: Evt) -> None:
    (line,) = done("tail", "-n", "1", "--json").stdout.splitlines()
    record = done.records()[-1]
    del record["sum"]
    assert json.loads(line) == record
    assert list(json.loads(line)) == list(record)
