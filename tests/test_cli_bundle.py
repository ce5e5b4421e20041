"""`evt bundle` and `evt import`: what goes out, what comes in, and that nobody goes on with a pipeline twice."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eventlog.storage import LogFile, PosixStorage
from eventlog.store import Store
from pipeline.bundles.bundling import Bundling
from pipeline.errors import BundleError
from pipeline.home import Home
from projections.fold import fold, initial_state
from projections.state import PipelineState
from tests.support.bundles import files_of, packed, taken_apart
from tests.support.cli import START, WORDS, Evt
from tests.support.shop import write_script

FAILING = '[[failures]]\noperation = "transcription"\ncalls = [2]\ncode = "broken"'


@pytest.fixture
def evt(tmp_path: Path) -> Evt:
    return Evt(tmp_path)


@pytest.fixture(scope="module")
def finished_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Evt(tmp_path_factory.mktemp("finished"))
    made.speech()
    made.run("talk.wav")
    made("speakers", "talk.wav", "--name", "SPEAKER_00=Anna")
    return made.folder


@pytest.fixture(scope="module")
def unfinished_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Evt(tmp_path_factory.mktemp("unfinished"))
    made.speech()
    made.script = write_script(made.folder / "bad.toml", words=WORDS, chunk_s="[2.0, 3.0]", extra=FAILING)
    made.run("talk.wav", code=1)
    return made.folder


def taken(home: Path, folder: Path) -> Evt:
    made = Evt.copied(home, folder)
    if (home / "bad.toml").exists():
        made.script = folder / "script.toml"  # one that doesn't fail
    return made


@pytest.fixture
def finished(finished_home: Path, tmp_path: Path) -> Evt:
    return taken(finished_home, tmp_path)


@pytest.fixture
def unfinished(unfinished_home: Path, tmp_path: Path) -> Evt:
    return taken(unfinished_home, tmp_path)


def other(evt: Evt, name: str = "other") -> list[str]:
    """Return how another home is named."""
    return ["--home", str(evt.folder / name)]


def content(home: Path) -> dict[str, bytes]:
    """Return every file of the logs and artifacts of a home."""
    found = [path for folder in ("logs", "artifacts") for path in (home / folder).rglob("*") if path.is_file()]
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in found}


def state_of(home: Path) -> PipelineState:
    store = Store(str(home / "logs"))
    (pipeline,) = store.pipelines()
    return fold(initial_state(pipeline), store.stream(pipeline))


# Finished pipelines


def test_a_finished_pipeline_comes_into_another_home_byte_for_byte(finished: Evt) -> None:
    report = finished.json("bundle", "talk.wav", "-o", "b")
    assert report["pipelines"][0]["kind"] == "finished"
    before = content(finished.home)
    assert finished.json(*other(finished), "import", "b")[0]["outcome"] == "new"
    assert content(finished.folder / "other") == before == content(finished.home)
    assert "ok" in finished(*other(finished), "validate").stdout
    assert "nothing to do" in finished(*other(finished), "run", "talk.wav", *finished.engines).stdout
    assert "Anna" in (finished.work / "talk.txt").read_text()


def test_what_was_imported_before_is_not_imported_again(finished: Evt) -> None:
    finished("bundle", "talk.wav", "-o", "b")
    before = content(finished.home)
    assert finished.json("import", "b")[0]["outcome"] == "nothing"
    assert content(finished.home) == before
    assert not (finished.home / "importing").exists()


def test_an_archived_log_is_in_a_bundle_as_the_log_that_it_was(finished: Evt) -> None:
    log = finished.log().read_bytes()
    finished("archive", "talk.wav")
    finished("bundle", "talk.wav", "-o", "b")
    ((_, files),) = files_of(finished.work / "b").items()
    assert dict(files)["log"] == log
    assert list(finished.home.glob("logs/*/*.zst"))


def test_a_bundle_that_holds_more_brings_a_pipeline_up_to_it(finished: Evt) -> None:
    finished("bundle", "talk.wav", "-o", "old")
    finished(*other(finished), "import", "old")
    finished("speakers", "talk.wav", "--name", "SPEAKER_01=Ben")
    finished("bundle", "talk.wav", "-o", "new")
    finished(*other(finished), "archive", "talk.wav")
    assert finished.json(*other(finished), "import", "new")[0]["outcome"] == "extended"
    assert finished.json(*other(finished), "import", "old")[0]["outcome"] == "nothing"
    assert "ok" in finished(*other(finished), "validate").stdout
    assert "Ben" in finished(*other(finished), "speakers", "talk.wav").stdout
    logs = [(home / "logs").glob("*/*.jsonl") for home in (finished.home, finished.folder / "other")]
    assert len({path.read_bytes() for found in logs for path in found}) == 1


def test_logs_that_parted_are_refused_naming_the_record(finished: Evt) -> None:
    finished("bundle", "talk.wav", "-o", "b")
    finished(*other(finished), "import", "b")
    seq = state_of(finished.home).seq
    finished("speakers", "talk.wav", "--name", "SPEAKER_01=Ben")
    finished("bundle", "talk.wav", "-o", "new")
    finished(*other(finished), "speakers", "talk.wav", "--name", "SPEAKER_01=Cleo")
    before = content(finished.folder / "other")
    assert f"from record {seq + 1} on" in finished(*other(finished), "import", "new", code=3).stderr
    assert content(finished.folder / "other") == before


def test_an_artifact_that_is_not_what_the_log_says_is_left_out_and_told(finished: Evt) -> None:
    (merged,) = finished.home.glob("artifacts/*/*/merge/1/transcript.json")
    merged.write_bytes(merged.read_bytes() + b" ")
    report = finished.json("bundle", "talk.wav", "-o", "b")
    assert report["pipelines"][0]["left_out"] == ["artifacts/merge/1/transcript.json"]
    finished(*other(finished), "import", "b")


def test_nothing_of_anybody_is_overwritten(finished: Evt) -> None:
    (finished.work / "b").write_text("mine")
    assert "something of that name" in finished("bundle", "talk.wav", "-o", "b", code=3).stderr
    assert (finished.work / "b").read_text() == "mine"
    assert "No such file" in finished("bundle", "talk.wav", "-o", "nowhere/b", code=3).stderr
    assert sorted(path.name for path in finished.work.iterdir() if "evt-tmp" in path.name) == []


@pytest.mark.parametrize("target", [".", "/", "..", "", "folder", "no/such/b", "talk.wav/b"])
def test_what_can_be_no_new_file_is_refused(finished: Evt, target: str) -> None:
    (finished.work / "folder").mkdir()
    before = sorted(finished.work.rglob("*"))
    assert "can't be made" in finished("bundle", "talk.wav", "-o", target, code=3).stderr
    assert "isn't written to stdout" in finished("bundle", "talk.wav", "-o", "-", code=2).stderr
    assert sorted(finished.work.rglob("*")) == before


def test_a_lost_log_comes_back_from_a_bundle(finished: Evt) -> None:
    before = content(finished.home)
    finished("bundle", "talk.wav", "-o", "b")
    finished.log().unlink()
    assert finished.json("import", "b")[0]["outcome"] == "new"
    assert content(finished.home) == before


def test_a_lost_log_does_not_come_back_shorter_than_its_head_says(finished: Evt) -> None:
    finished("bundle", "talk.wav", "-o", "b")
    finished("speakers", "talk.wav", "--name", "SPEAKER_01=Ben")
    finished.log().unlink()
    before = content(finished.home)
    assert "is gone from this home" in finished("import", "b", code=3).stderr
    assert content(finished.home) == before


# Handing over


def test_an_unfinished_pipeline_goes_on_where_it_was_handed_to_and_nowhere_else(unfinished: Evt) -> None:
    assert unfinished.json("bundle", "talk.wav", "-o", "b")["pipelines"][0]["kind"] == "handed_over"
    told = unfinished("run", "talk.wav", *unfinished.engines, code=3).stderr
    assert "handed over" in told
    assert "bundle b" in told
    assert "blocked" in unfinished("plan", "talk.wav", code=3).stdout
    report = unfinished.json(*other(unfinished), "import", "b")[0]
    assert (report["outcome"], report["received"]) == ("new", True)
    done = unfinished.json(*other(unfinished), "run", "talk.wav", *unfinished.engines)[0]
    assert done["outcome"] == "completed"
    assert "audio_conversion" not in done["ran"]


def test_a_finished_pipeline_comes_back_to_the_home_that_handed_it_over(unfinished: Evt) -> None:
    unfinished("bundle", "talk.wav", "-o", "there")
    unfinished(*other(unfinished), "import", "there")
    unfinished(*other(unfinished), "run", "talk.wav", *unfinished.engines)
    unfinished(*other(unfinished), "bundle", "talk.wav", "-o", "back")
    assert unfinished.json("import", "back")[0]["outcome"] == "extended"
    assert "nothing to do" in unfinished.run("talk.wav").stdout
    assert "ok" in unfinished("validate").stdout


def test_importing_it_back_undoes_a_handing_over(unfinished: Evt) -> None:
    unfinished("bundle", "talk.wav", "-o", "b")
    assert unfinished.json("list")[0]["status"] == "handed_over"
    report = unfinished.json("import", "b")[0]
    assert (report["outcome"], report["received"]) == ("nothing", True)
    assert unfinished.json("run", "talk.wav", *unfinished.engines)[0]["outcome"] == "completed"
    assert unfinished.json("import", "b")[0]["received"] is False


def test_what_was_handed_over_and_then_erased_is_not_said_to_go_on(unfinished: Evt) -> None:
    unfinished("bundle", "talk.wav", "-o", "b")
    unfinished("erase", "talk.wav", "--yes")
    before = content(unfinished.home)
    assert "goes on here" not in unfinished("import", "b").stdout
    assert content(unfinished.home) == before
    assert unfinished.json("list")[0]["status"] == "erased"


def test_two_homes_that_took_one_bundle_never_become_one(unfinished: Evt) -> None:
    unfinished("bundle", "talk.wav", "-o", "b")
    for home in ("one", "two"):
        unfinished(*other(unfinished, home), "import", "b")
        unfinished(*other(unfinished, home), "run", "talk.wav", *unfinished.engines)
    unfinished(*other(unfinished, "one"), "bundle", "talk.wav", "-o", "c")
    assert "differ from record" in unfinished(*other(unfinished, "two"), "import", "c", code=3).stderr


def test_nothing_is_written_into_a_log_that_was_handed_over(unfinished: Evt) -> None:
    unfinished("bundle", "talk.wav", "-o", "b")
    before = content(unfinished.home)
    unfinished("cleanup", "talk.wav", "--status", "failed", "--yes", code=3)
    unfinished("speakers", "talk.wav", "--name", "SPEAKER_00=Anna", code=None)
    unfinished("export", "talk.wav", code=None)
    unfinished("run", "talk.wav", *unfinished.engines, "--refresh", "diarization", code=3)
    assert content(unfinished.home) == before
    unfinished("bundle", "talk.wav", "-o", "again")
    assert content(unfinished.home) == before
    assert files_of(unfinished.work / "again") == files_of(unfinished.work / "b")


def test_a_bundle_that_cannot_be_written_hands_nothing_over(unfinished: Evt) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    done = subprocess.run(
        [sys.executable, "-c", f"{limit}; {START[-1]}", "bundle", "talk.wav", "-o", "b"],
        cwd=unfinished.work,
        env=unfinished.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "can't be made: File too large" in done.stderr
    assert state_of(unfinished.home).handed_over is None
    assert "pipeline.handed_over" in unfinished.types()
    assert list(unfinished.work.glob("*b")) == []
    unfinished("bundle", "talk.wav", "-o", "b")


class SmallDisk(PosixStorage):
    """A disk on which a log has no room left as long as a file that is being made takes it."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def open_log(self, path: str, *, create: bool) -> LogFile:
        file = super().open_log(path, create=create)
        append = file.append

        def short(data: bytes) -> int:
            if self.made.stat().st_size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return append(data)

        file.append = short  # type: ignore[method-assign] # the wrapped file is this one's own
        return file


def test_what_a_bundle_took_of_a_full_disk_is_given_back_before_the_log_says_that_it_goes_on(
    unfinished: Evt,
) -> None:
    storage = SmallDisk(unfinished.work / ".b.evt-tmp")
    store = Store(str(unfinished.home / "logs"), storage=storage)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(BundleError, match="Nothing was handed over"):
            Bundling(Home(unfinished.home), store, "anna", "0.1.0", lambda: "run9").bundle(
                store.pipelines(), unfinished.work / "b", copy=False
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "pipeline.handed_over" in unfinished.types()
    assert state_of(unfinished.home).handed_over is None


def test_a_copy_of_an_unfinished_pipeline_is_only_read(unfinished: Evt) -> None:
    before = content(unfinished.home)
    assert unfinished.json("bundle", "talk.wav", "-o", "b", "--copy")["pipelines"][0]["kind"] == "copy"
    assert content(unfinished.home) == before
    assert unfinished.json(*other(unfinished), "import", "b")[0]["copy"] is True
    there = content(unfinished.folder / "other")
    assert "copy" in unfinished(*other(unfinished), "run", "talk.wav", *unfinished.engines, code=3).stderr
    assert "copy" in unfinished(*other(unfinished), "salvage", "talk.wav", code=3).stderr
    assert "copy" in unfinished(*other(unfinished), "bundle", "talk.wav", "-o", "c", code=3).stderr
    spared = unfinished(*other(unfinished), "cleanup", "talk.wav", "--status", "failed", "--yes", code=3)
    assert "because it is a copy" in spared.stdout
    assert content(unfinished.folder / "other") == there
    assert "failed" in unfinished(*other(unfinished), "show", "talk.wav").stdout
    assert "ok" in unfinished(*other(unfinished), "validate").stdout


def test_a_copy_is_brought_up_to_what_became_of_the_pipeline(unfinished: Evt) -> None:
    unfinished("bundle", "talk.wav", "-o", "b", "--copy")
    unfinished(*other(unfinished), "import", "b")
    unfinished.run("talk.wav")
    unfinished("bundle", "talk.wav", "-o", "c")
    report = unfinished.json(*other(unfinished), "import", "c")[0]
    assert (report["outcome"], report["copy"]) == ("extended", False)
    assert "nothing to do" in unfinished(*other(unfinished), "run", "talk.wav", *unfinished.engines).stdout


def test_a_copy_goes_on_once_it_is_handed_over(unfinished: Evt) -> None:
    unfinished("bundle", "talk.wav", "-o", "b")
    unfinished("bundle", "talk.wav", "-o", "copy", "--copy")
    unfinished(*other(unfinished), "import", "copy")
    report = unfinished.json(*other(unfinished), "import", "b")[0]
    assert (report["received"], report["copy"]) == (True, False)
    unfinished(*other(unfinished), "run", "talk.wav", *unfinished.engines)


def test_a_log_that_says_less_than_finished_is_only_read_whatever_its_bundle_says(unfinished: Evt) -> None:
    unfinished("bundle", "talk.wav", "-o", "b", "--copy")
    manifest, rest = taken_apart(unfinished.work / "b")
    manifest["pipelines"][0]["copy"] = False
    (unfinished.work / "c").write_bytes(packed(manifest, rest))
    assert unfinished.json(*other(unfinished), "import", "c")[0]["copy"] is True


def test_a_pipeline_that_is_being_worked_on_is_refused_on_both_sides(finished: Evt) -> None:
    finished("bundle", "talk.wav", "-o", "b")
    finished("speakers", "talk.wav", "--name", "SPEAKER_01=Ben")
    with finished.log().open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for arguments in (["bundle", "talk.wav", "-o", "c"], ["import", "b"]):
            assert f"pid {os.getpid()}" in finished(*arguments, code=3).stderr
    assert not (finished.work / "c").exists()
    assert not (finished.home / "importing").exists()


def test_a_family_goes_together_and_a_variant_alone(finished: Evt) -> None:
    pipeline = state_of(finished.home).pipeline_id
    script = write_script(finished.folder / "second.toml", words=WORDS[:3])
    finished(
        "compare", "talk.wav", "--transcriber", f"script:{script}", "--transcriber", f"script:{finished.script}"
    )
    known = Store(str(finished.home / "logs")).pipelines()
    assert known == [pipeline, f"{pipeline}.2"]
    finished("bundle", pipeline, "-o", "all")
    assert sorted(files_of(finished.work / "all")) == known
    finished("bundle", f"{pipeline}.2", "-o", "one")
    assert sorted(files_of(finished.work / "one")) == [f"{pipeline}.2"]


# Kills


KILLED = """
import os, sys
from pathlib import Path
left = int(sys.argv.pop(1))
def dying(name):
    real = getattr(os, name)
    def call(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)
        return real(*args, **kwargs)
    setattr(os, name, call)
for name in ("rename", "unlink", "fsync", "mkdir", "link", "rmdir"):
    dying(name)
from cli.main import main
main()
"""


def killed_at(evt: Evt, step: int, *arguments: str) -> bool:
    """Run a command that dies at its n-th change of the disk; False: it didn't get there."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(step), *arguments],
        cwd=evt.work,
        env=evt.environment(),
        capture_output=True,
        check=False,
    )
    return done.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("step", [20, 36, 44])
def test_a_killed_import_is_finished_or_undone_by_the_next_command(finished: Evt, step: int) -> None:
    """Every step is tried by tests/test_import_kills.py."""
    finished("bundle", "talk.wav", "-o", "b")
    home = other(finished)
    assert killed_at(finished, step, *home, "import", "b")
    finished(*home, "cleanup", "--older-than", "1d", "--yes")
    assert not (Path(home[1]) / "importing").exists()
    assert finished(*home, "validate").stdout.endswith(("ok\n", "No pipelines.\n"))
    finished(*home, "import", "b")
    assert content(Path(home[1])) == content(finished.home)


@pytest.mark.slow
def test_a_killed_handing_over_is_finished_by_the_next(unfinished: Evt) -> None:
    before = unfinished.folder / "before"
    shutil.copytree(unfinished.home, before)
    for step in range(1, 12, 2):
        shutil.rmtree(unfinished.home)
        shutil.copytree(before, unfinished.home)
        name = f"b{step}"
        was_killed = killed_at(unfinished, step, "bundle", "talk.wav", "-o", name)
        if not (unfinished.work / name).exists():
            unfinished("bundle", "talk.wav", "-o", name)
        home = other(unfinished, f"h{step}")
        assert unfinished.json(*home, "import", name)[0]["received"] is True
        assert state_of(unfinished.home).handed_over is not None
        if not was_killed:
            break
    else:
        raise AssertionError("it was killed each time")


def test_json_names_every_pipeline(finished: Evt) -> None:
    report = json.loads(finished("bundle", "talk.wav", "-o", "b", "--json").stdout)
    assert report["bundle"] == "b"
    assert (
        report["pipelines"][0]["files"]
        == len(files_of(finished.work / "b")[report["pipelines"][0]["pipeline"]]) - 1
    )
