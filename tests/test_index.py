"""The index: whatever happens to logs and to itself, a list with it shows what a list without it shows."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pipeline.listing import listing
from pipeline.listing.listing import Listing
from tests.support.homes import LATER_S, head_of, lines_of, listed, place, truth
from tests.support.runs import History

IDS = ("aa11", "aa11.2", "ab22", "cd33")


def history() -> History:
    """Return a pipeline that failed, went on with another engine, and was finished."""
    made = History()
    made.run(until="transcription")
    made.fail("transcription")
    made.run(transcriber="whisper")
    return made


EVENTS = history().events
LINES = {pipeline: lines_of(pipeline, EVENTS) for pipeline in IDS}


def fill(logs: Path) -> None:
    for pipeline, lines in LINES.items():
        place(logs, f"{pipeline}.jsonl", b"".join(lines))
        place(logs, f"{pipeline}.head", head_of(lines[-1]))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Logs and heads of four pipelines, all in the index."""
    fill(tmp_path / "logs")
    assert listed(tmp_path / "logs", tmp_path / "index.sqlite") == truth(tmp_path / "logs")
    return tmp_path / "logs"


class Home(RuleBasedStateMachine):
    """Logs grow, vanish, are replaced, torn and damaged, and so is the index."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
        self.logs, self.index = self.folder / "logs", self.folder / "index.sqlite"

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(pipeline=st.sampled_from(IDS), records=st.integers(0, len(EVENTS)), torn=st.integers(0, 300))
    def write(self, pipeline: str, records: int, torn: int) -> None:
        lines = LINES[pipeline]
        self.put(f"{pipeline}.jsonl", b"".join(lines[:records]) + b"".join(lines[records:])[:torn])

    @rule(pipeline=st.sampled_from(IDS), at=st.floats(0, 1, exclude_max=True))
    def damage(self, pipeline: str, at: float) -> None:
        content = bytearray(b"".join(LINES[pipeline]))
        content[int(at * len(content))] ^= 1
        self.put(f"{pipeline}.jsonl", bytes(content))

    @rule(pipeline=st.sampled_from(IDS), record=st.integers(0, len(EVENTS) - 1), other=st.sampled_from(IDS))
    def head(self, pipeline: str, record: int, other: str) -> None:
        self.put(f"{pipeline}.head", head_of(LINES[other][record]))

    @rule(name=st.sampled_from([f"{pipeline}.{end}" for pipeline in IDS for end in ("jsonl", "head")]))
    def remove(self, name: str) -> None:
        self.put(name, None)

    @rule(pipeline=st.sampled_from(IDS))
    def put_a_folder_in_its_place(self, pipeline: str) -> None:
        self.put(f"{pipeline}.jsonl", None)
        (self.logs / pipeline[:2] / f"{pipeline}.jsonl").mkdir(parents=True)

    @rule(folder=st.sampled_from(sorted({pipeline[:2] for pipeline in IDS})))
    def remove_folder(self, folder: str) -> None:
        shutil.rmtree(self.logs / folder, ignore_errors=True)

    @rule(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), length=st.integers(1, 600))
    def damage_index(self, at: float, bit: int, length: int) -> None:
        if self.index.exists():
            content = bytearray(self.index.read_bytes())
            place_ = int(at * len(content))
            for byte in range(place_, min(place_ + length, len(content))):
                content[byte] ^= 1 << bit
            self.index.write_bytes(content)

    @rule(to=st.floats(0, 1))
    def cut_index(self, to: float) -> None:
        if self.index.exists():
            os.truncate(self.index, int(to * self.index.stat().st_size))

    @rule()
    def list_at_once(self) -> None:
        """Nothing is settled yet, so nothing of what just changed may be remembered."""
        assert listed(self.logs, self.index, later_s=0.0) == truth(self.logs)

    @invariant()
    def the_index_changes_nothing(self) -> None:
        assert listed(self.logs, self.index) == truth(self.logs)

    def put(self, name: str, content: bytes | None) -> None:
        path = self.logs / name[:2] / name
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        if content is not None:
            place(self.logs, name, content)


# A step costs two lists and two folds of everything.
Home.TestCase.settings = settings(stateful_step_count=15, max_examples=max(5, settings.default.max_examples // 4))
TestHome = pytest.mark.slow(Home.TestCase)


def test_a_log_that_nobody_touched_is_not_read_again(logs: Path, tmp_path: Path) -> None:
    """Shown by a log whose bytes are others under the same signature: no real change of a file looks like that."""
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as database:
        rows = database.execute("SELECT name, seen, columns FROM folders WHERE name = x'6364'").fetchall()
        ((name, seen, columns),) = rows
        columns = columns.replace(b"completed", b"compIeted")
        values = (columns, listing.sum_of(seen, columns), name)
        database.execute("UPDATE folders SET columns = ?, columns_sum = ? WHERE name = ?", values)
        database.commit()
    assert listed(logs, tmp_path / "index.sqlite")["cd33"][0].status == "compIeted"


def test_what_other_code_folded_is_not_believed(logs: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as database:
        query = "SELECT name, seen, columns, details FROM folders"
        for name, seen, columns, details in database.execute(query).fetchall():
            other = listing.seen_by("other code", orjson.loads(seen)[1])
            wrong = columns.replace(b"completed", b"compIeted")
            values = (other, wrong, listing.sum_of(other, wrong), listing.sum_of(other, details), name)
            database.execute(
                "UPDATE folders SET seen = ?, columns = ?, columns_sum = ?, details_sum = ? WHERE name = ?", values
            )
        database.commit()
    assert listed(logs, tmp_path / "index.sqlite") == truth(logs)


def test_a_log_that_changed_just_now_is_not_remembered(logs: Path, tmp_path: Path) -> None:
    """Two changes within one tick of the file system's clock can leave the same size and time."""
    index = tmp_path / "other.sqlite"
    assert listed(logs, index, later_s=0.0) == truth(logs)
    assert _remembered(index) == set()
    assert listed(logs, index) == truth(logs)
    assert _remembered(index) == set(LINES)


def test_a_log_that_could_not_be_read_is_not_remembered(logs: Path, tmp_path: Path) -> None:
    """What hindered that may be gone without a trace in the file."""
    (logs / "cd" / "cd33.jsonl").unlink()
    (logs / "cd" / "cd33.jsonl").mkdir()
    (logs / "ab" / "ab22.jsonl").unlink()
    assert listed(logs, tmp_path / "index.sqlite") == truth(logs)
    assert _remembered(tmp_path / "index.sqlite") == {"aa11", "aa11.2"}


def test_deleted_logs_leave_nothing_in_the_index(logs: Path, tmp_path: Path) -> None:
    index = tmp_path / "index.sqlite"
    assert b"talk.wav" in index.read_bytes()
    for path in logs.glob("*/*"):
        path.unlink()
    (logs / "cd").rmdir()
    assert listed(logs, index) == {}
    assert b"talk.wav" not in index.read_bytes()


@pytest.mark.parametrize("made", ["folder", "fifo", "text", "foreign", "empty", "link"])
def test_whatever_stands_in_place_of_the_index_a_list_is_right(logs: Path, tmp_path: Path, made: str) -> None:
    index = tmp_path / "index.sqlite"
    index.unlink()
    if made == "folder":
        index.mkdir()
    elif made == "fifo":
        os.mkfifo(index)
    elif made == "link":
        index.symlink_to("/dev/zero")
    elif made == "foreign":
        with closing(sqlite3.connect(index)) as database:
            database.execute("CREATE TABLE folders (name TEXT)")
    else:
        index.write_text("no database" * 100 if made == "text" else "")
    for _ in range(2):
        assert listed(logs, index) == truth(logs)
    if made in {"text", "foreign", "empty"}:
        assert {name for (name,) in _query(index, "SELECT name FROM folders")} == {b"aa", b"ab", b"cd"}


def test_an_index_that_somebody_locks_delays_a_list_by_a_second_at_most(logs: Path, tmp_path: Path) -> None:
    index = tmp_path / "index.sqlite"
    with closing(sqlite3.connect(index, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        begun_s = time.monotonic()
        found = Listing(logs, index, now_s=lambda: time.time() + LATER_S)
        assert time.monotonic() - begun_s < 1.5
        assert {row.pipeline: row for row in found.rows} == {name: row for name, (row, _) in truth(logs).items()}


def test_the_index_is_private_to_the_user(logs: Path, tmp_path: Path) -> None:
    assert (tmp_path / "index.sqlite").stat().st_mode & 0o777 == 0o600


def _remembered(index: Path) -> set[str]:
    return {pipeline for (columns,) in _query(index, "SELECT columns FROM folders") for pipeline in _ids(columns)}


def _ids(columns: bytes) -> list[str]:
    return next(iter(orjson.loads(columns)), [])


def _query(index: Path, query: str) -> list[tuple[bytes]]:
    with closing(sqlite3.connect(index)) as database:
        return database.execute(query).fetchall()


INDEXER = """
import sys, time, random
from pathlib import Path
from tests.support.homes import listed, truth
logs, index = Path(sys.argv[1]), Path(sys.argv[2])
right = truth(logs)
print("ready", flush=True)
for _ in range(int(sys.argv[3])):
    if random.random() < 0.3:
        index.unlink(missing_ok=True)
    assert listed(logs, index, random.choice([0.0, 60.0])) == right
"""


def _indexer(logs: Path, index: Path, rounds: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", INDEXER, str(logs), str(index), str(rounds)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_commands_that_list_at_once_and_lose_the_index_are_all_right(logs: Path, tmp_path: Path) -> None:
    processes = [_indexer(logs, tmp_path / "index.sqlite", 30) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    for process in processes:
        process.communicate()


@pytest.mark.slow
def test_after_an_indexer_was_killed_a_list_is_right(logs: Path, tmp_path: Path) -> None:
    index = tmp_path / "index.sqlite"
    for kill in range(3):
        process = _indexer(logs, index, 10**9)
        time.sleep(0.005 * kill)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert listed(logs, index) == truth(logs)
    assert listed(logs, index) == truth(logs)


def test_a_list_of_logs_that_nobody_touched_imports_no_fold_and_no_store(logs: Path, tmp_path: Path) -> None:
    """Their classes cost more time than the list."""
    program = (
        "import sys, time; from pathlib import Path; import cli.commands.list; "
        "from pipeline.listing.listing import Listing; "
        "Listing(Path(sys.argv[1]), Path(sys.argv[2]), now_s=lambda: time.time() + 60); print(*sys.modules)"
    )
    arguments = [sys.executable, "-c", program, str(logs), str(tmp_path / "index.sqlite")]
    loaded = set(subprocess.check_output(arguments, text=True, cwd=Path(__file__).parents[1]).split())
    assert {"pipeline.listing.listing", "cli.commands.list"} <= loaded
    assert not {"projections.fold", "projections.summary", "eventlog.store", "eventlog.record"} & loaded
