"""When a file that comes into a folder counts as whole, and what is seen of folders that change."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import define, field

from cli.batching.sources import SUFFIXES
from cli.watching.arrivals import Arrivals
from cli.watching.folders import FolderWatch, is_unfinished
from cli.watching.names import WatchNames
from eventlog.leases import is_open_for_writing
from eventlog.store import Store
from projections.graph import FORMATS
from projections.graph import SUFFIXES as OF_FORMATS

SETTLE_S = 2.0
LOOKING = [False, True]


@define
class Inbox:
    """A folder whose arrivals are looked at with clocks that only the test moves."""

    folder: Path
    now_s: float = 100.0
    wall_s: float = field(factory=time.time)
    open: set[str] = field(factory=set)
    arrivals: Arrivals = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.arrivals = Arrivals(
            SETTLE_S, lambda: self.now_s, lambda: self.wall_s, lambda path: os.path.basename(path) in self.open
        )

    def write(self, name: str, content: str) -> str:
        path = self.folder / name
        with path.open("a") as file:
            file.write(content)
        self.arrivals.look(str(path))
        return str(path)

    def after(self, seconds: float) -> str | None:
        """Return what is whole after a while."""
        self.now_s += seconds
        return self.arrivals.next()


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path)


def test_a_file_is_whole_when_it_has_been_the_same_for_the_settling_time(inbox: Inbox) -> None:
    path = inbox.write("a.wav", "x")
    assert inbox.after(SETTLE_S * 0.9) is None
    inbox.write("a.wav", "y")
    assert inbox.after(SETTLE_S * 0.9) is None
    assert inbox.after(SETTLE_S * 0.2) == path
    assert inbox.after(SETTLE_S * 9) is None


def test_a_change_of_which_nobody_told_is_seen_before_a_file_is_handed_out(inbox: Inbox) -> None:
    path = inbox.write("a.wav", "x")
    Path(path).write_text("xy")
    assert inbox.after(SETTLE_S) is None
    assert inbox.after(SETTLE_S) == path


def test_a_file_that_wasnt_changed_for_long_is_whole_at_once_where_the_clock_is_ours(inbox: Inbox) -> None:
    inbox.wall_s += 3600
    path = inbox.write("a.wav", "x")
    assert inbox.after(0) == path
    other = inbox.folder / "b.wav"
    other.write_text("x")
    inbox.arrivals.look(str(other), is_local=False)
    assert inbox.after(0) is None
    assert inbox.after(SETTLE_S) == str(other)


def test_an_empty_file_is_waited_for_however_long(inbox: Inbox) -> None:
    path = inbox.write("a.wav", "")
    assert inbox.after(3600) is None
    inbox.write("a.wav", "x")
    assert inbox.after(SETTLE_S) == path


def test_a_file_that_somebody_has_open_for_writing_is_waited_for(inbox: Inbox) -> None:
    inbox.open = {"a.wav"}
    path = inbox.write("a.wav", "x")
    assert [inbox.after(SETTLE_S * 5) for _ in range(3)] == [None] * 3
    inbox.open.clear()
    inbox.arrivals.look(path)
    assert inbox.after(0) == path


def test_a_changed_file_is_handed_out_again_but_not_while_somebody_works_on_it(inbox: Inbox) -> None:
    path = inbox.write("a.wav", "x")
    assert inbox.after(SETTLE_S) == path
    inbox.write("a.wav", "y")
    assert inbox.arrivals.has_changed(path)
    assert inbox.after(SETTLE_S * 5) is None
    inbox.arrivals.ended(path)
    assert inbox.after(0) == path
    inbox.arrivals.ended(path)
    inbox.arrivals.look(path)
    assert inbox.after(SETTLE_S * 5) is None


def test_what_failed_is_handed_out_again_only_after_the_time_that_was_said(inbox: Inbox) -> None:
    path = inbox.write("a.wav", "x")
    assert inbox.after(SETTLE_S) == path
    inbox.arrivals.ended(path, again_s=600.0)
    inbox.arrivals.look(path)
    assert inbox.after(599.0) is None
    assert inbox.after(1.0) == path


@pytest.mark.parametrize(
    ("name", "unfinished"),
    [
        ("talk.wav", False), ("v1.2.part one.wav", False), ("talk.temp.mp4", True), ("talk.part.wav", True),
        ("talk.wav.part", True), ("talk.wav.crdownload", True), (".talk.wav.Ab12Cd", True), ("~talk.wav", True),
        ("part.wav", False), ("talk.wav.filepart", True),
    ],
)  # fmt: skip
def test_a_name_says_whether_a_file_is_unfinished(name: str, unfinished: bool) -> None:
    assert is_unfinished(name) == unfinished


def test_the_system_tells_whether_a_file_is_open_for_writing(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with path.open("w"):
        if is_open_for_writing(str(path)) is None:
            pytest.skip("NOT RUN: nobody can tell here")
        assert is_open_for_writing(str(path))
    with path.open():
        assert is_open_for_writing(str(path)) is False
    with pytest.raises(FileNotFoundError):
        is_open_for_writing(str(tmp_path / "gone.wav"))


# Folders, really watched


@define
class Watched:
    folder: Path
    watch: FolderWatch
    notes: list[str] = field(factory=list)

    def paths(self, within_s: float = 20.0) -> Iterator[str]:
        end_s = time.monotonic() + within_s
        self.watch.is_over = lambda: time.monotonic() > end_s
        for path in self.watch.paths():
            yield os.path.relpath(path, self.folder)


def watched(
    folder: Path, *, poll: bool, once: bool = False, then: Callable[[str], None] = lambda _: None
) -> Watched:
    folder.mkdir(exist_ok=True)
    arrivals = Arrivals(0.05, time.monotonic, time.time, is_open_for_writing)
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        then(text)

    watch = FolderWatch([str(folder)], folder / "home", arrivals, 0.03, note, lambda: False, poll=poll, once=once)
    return Watched(folder, watch, notes)


@pytest.mark.parametrize("poll", LOOKING)
def test_folders_below_are_watched_too_also_new_ones_and_those_that_move_in(tmp_path: Path, poll: bool) -> None:
    inbox = watched(tmp_path / "in", poll=poll)
    (inbox.folder / "a").mkdir()
    (inbox.folder / "a" / "1.wav").write_text("x")
    paths = inbox.paths()
    assert next(paths) == "a/1.wav"
    (inbox.folder / "b" / "c").mkdir(parents=True)
    (inbox.folder / "b" / "c" / "2.wav").write_text("x")
    assert next(paths) == "b/c/2.wav"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "3.wav").write_text("x")
    (tmp_path / "other").rename(inbox.folder / "b" / "other")
    assert next(paths) == "b/other/3.wav"
    (inbox.folder / "b" / "other" / "4.wav").write_text("x")
    assert next(paths) == "b/other/4.wav"


@pytest.mark.parametrize("poll", LOOKING)
def test_a_folder_that_goes_is_waited_for_with_one_message_and_nothing_is_taken_twice(
    tmp_path: Path, poll: bool
) -> None:
    folder, away = tmp_path / "in", tmp_path / "away"

    def then(text: str) -> None:
        if "is gone" in text:
            (away / "2.wav").write_text("x")
            away.rename(folder)

    inbox = watched(folder, poll=poll, then=then)
    (folder / "1.wav").write_text("x")
    paths = inbox.paths()
    assert next(paths) == "1.wav"
    inbox.watch.arrivals.ended(str(folder / "1.wav"))
    folder.rename(away)
    assert next(paths) == "2.wav"
    assert [("is gone" in note, "there again" in note) for note in inbox.notes] == [(True, False), (False, True)]


@pytest.mark.parametrize("poll", LOOKING)
def test_a_folder_that_another_takes_the_place_of_is_watched(tmp_path: Path, poll: bool) -> None:
    inbox = watched(tmp_path / "in", poll=poll)
    (inbox.folder / "1.wav").write_text("x")
    paths = inbox.paths()
    assert next(paths) == "1.wav"
    inbox.folder.rename(tmp_path / "away")
    (inbox.folder / "below").mkdir(parents=True)
    (inbox.folder / "2.wav").write_text("x")
    assert next(paths) == "2.wav"
    (inbox.folder / "below" / "3.wav").write_text("x")
    assert next(paths) == "below/3.wav"


def test_once_ends_and_links_into_loops_hidden_files_and_the_home_are_passed_over(tmp_path: Path) -> None:
    inbox = watched(tmp_path / "in", poll=False, once=True)
    for name in (
        "a.wav",
        ".b.wav",
        "c.wav.part",
        "d.txt",
        "home/e.wav",
        ".hidden/f.wav",
        "g.mp3.download/g.mp3",
        "h.tmp.wav",
    ):
        (inbox.folder / name).parent.mkdir(exist_ok=True)
        (inbox.folder / name).write_text("x")
    (inbox.folder / "loop").symlink_to(inbox.folder)
    assert list(inbox.paths()) == ["a.wav"]
    assert ["home" in inbox.notes[0], "h.tmp.wav" in inbox.notes[1]] == [True, True]


def test_a_file_that_is_being_written_is_left_out_by_once_and_counted(tmp_path: Path) -> None:
    inbox = watched(tmp_path / "in", poll=False, once=True)
    (inbox.folder / "a.wav").write_text("x")
    with (inbox.folder / "b.wav").open("w") as file:
        file.write("x")
        file.flush()
        if not is_open_for_writing(file.name):
            pytest.skip("NOT RUN: nobody can tell here who writes")
        assert list(inbox.paths()) == ["a.wav"]
        assert inbox.watch.arrivals.coming() == [file.name]


def test_nothing_that_evt_delivers_is_ever_taken_for_a_recording() -> None:
    assert not {OF_FORMATS.get(name, name).lower() for name in FORMATS} & SUFFIXES


# Names


def test_no_transcript_takes_the_place_of_another_recordings(inbox: Inbox) -> None:
    names = WatchNames(inbox.arrivals, inbox.folder, Store(str(inbox.folder / "logs")))
    one, two, three = (digit * 16 for digit in "123")
    inbox.write("a.wav", "x")
    assert names.stem("a.wav", one) == "a"
    inbox.write("A.mp3", "x")
    assert names.stem("A.mp3", two) == "A.mp3"
    assert names.stem("a.wav", three) == "a.wav"
    assert names.stem("a.wav", two) == "a.wav.22222222"
    (inbox.folder / "b.txt").write_text("somebody's")
    assert names.stem("b.wav", one) == "b.wav"
