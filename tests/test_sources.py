"""What may be named as recordings: folders, patterns, lists; and what their transcripts are then called."""

from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.batching.items import gather
from cli.batching.roll import Roll, enroll
from cli.batching.sources import SUFFIXES, expanded, listed
from eventlog.store import Store
from pipeline.delivery import stems_of
from pipeline.errors import SourceRejectedError
from pipeline.home import Home
from pipeline.recordings import _remember
from projections.graph import FORMATS
from projections.graph import SUFFIXES as OF_FORMATS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    there = tmp_path / "work"
    there.mkdir()
    monkeypatch.chdir(there)
    return there


def write(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def names(*written: str, home: Path = Path("nowhere")) -> list[str]:
    return [item if isinstance(item, str) else str(item.error) for item in expanded(written, home)]


def roll_of(folder: Path, *written: str) -> Roll:
    home = Home(folder / "home")
    return enroll(written, Store(str(home.logs)), home, folder / "out")


def stems(folder: Path, *written: str) -> list[str]:
    roll = roll_of(folder, *written)
    assert not roll.refusals
    return [roll.item(entry).target.stem for entry in roll.entries]


def test_of_a_folder_everything_that_looks_like_a_recording_is_taken(folder: Path) -> None:
    for name in ("b.wav", "a.MP3", "sub/deep/c.mp4", ".hidden.wav", ".trash/d.wav", "a.txt", "a.evt.toml", "wav"):
        write(folder / "in" / name)
    assert names("in") == ["in/a.MP3", "in/b.wav", "in/sub/deep/c.mp4"]


def test_nothing_that_evt_delivers_looks_like_a_recording() -> None:
    assert not SUFFIXES & {OF_FORMATS.get(name, name).rpartition(".")[2] for name in FORMATS}


def test_the_home_in_a_folder_is_passed_over_with_its_copies_of_the_audio(folder: Path) -> None:
    write(folder / "home" / "artifacts" / "4f2a" / "audio.flac")
    write(folder / "talk.wav")
    assert names(".", home=folder / "home") == ["./talk.wav"]
    assert "evt's home" in names("home", home=folder / "home")[0]


def test_a_folder_without_recordings_is_one_refusal_and_the_others_go_on(folder: Path) -> None:
    write(folder / "empty" / "notes.txt")
    write(folder / "talk.wav")
    refusal, talk = names("empty", "talk.wav")
    assert "holds no recordings" in refusal
    assert talk == "talk.wav"


def test_a_pattern_is_expanded_unless_a_file_of_that_name_is_there(folder: Path) -> None:
    for name in ("a.wav", "b.wav", "[ab].wav", "a.evt.toml"):
        write(folder / name)
    assert names("?.wav") == ["a.wav", "b.wav"]
    assert names("[ab].wav") == ["[ab].wav"]
    assert names("a.*") == ["a.wav"]
    write(folder / "sub" / "c.wav")
    assert names("**/c.wav") == ["sub/c.wav"]


def test_transcripts_among_names_that_the_shell_made_of_a_pattern_are_passed_over(folder: Path) -> None:
    for name in ("a.wav", "a.txt", "a.json", "a.evt.toml"):
        write(folder / name)
    assert [entry.name for entry in roll_of(folder, "a.evt.toml", "a.json", "a.txt", "a.wav").entries] == ["a.wav"]
    assert [entry.name for entry in roll_of(folder, "a.txt").entries] == ["a.txt"]


def test_a_pattern_passes_over_the_transcripts_that_lie_beside_the_recordings(folder: Path) -> None:
    made = folder / "made"
    made.mkdir()
    for end in ("wav", "pcm", "evt.toml", *FORMATS, *OF_FORMATS.values()):
        (made / f"talk.{end}").write_bytes(b"x")
    assert [*expanded(["made/*"], folder)] == ["made/talk.pcm", "made/talk.wav"]


def test_a_pattern_that_matches_nothing_is_refused(folder: Path) -> None:
    (refusal,) = roll_of(folder, "*.wav").refusals
    assert "no file matches it" in str(refusal.error)


def test_a_list_holds_a_name_a_line_and_comments(folder: Path) -> None:
    write(folder / "list", "# of May\na b.wav\r\n\n  c.wav\n")
    assert list(listed(["z"], ["list"])) == ["z", "a b.wav", "  c.wav"]


def test_a_list_with_nuls_holds_any_name(folder: Path) -> None:
    (folder / "list").write_bytes(b"#a\0b\nc\0\xff\0")
    assert [os.fsencode(name) for name in listed([], ["list"])] == [b"#a", b"b\nc", b"\xff"]


def test_names_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a.wav\nb.wav\n")))
    assert list(listed(["-", "c.wav"], [])) == ["a.wav", "b.wav", "c.wav"]


def test_a_list_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(SourceRejectedError, match="list gone can't be read"):
        list(listed([], ["gone"]))


def test_a_recording_that_is_named_twice_is_one(folder: Path) -> None:
    write(folder / "in" / "a.wav")
    assert len(roll_of(folder, "in/a.wav", "./in/a.wav", "in", "in/*.wav").entries) == 1


def test_nothing_is_read_before_its_turn_unless_names_collide(folder: Path) -> None:
    """A recording that can't be read tells: it is in the roll, and refused at its turn."""
    for name in ("a.wav", "b.wav"):
        write(folder / "in" / name, "")
    assert len(roll_of(folder, "in").entries) == 2
    home = Home(folder / "home")
    items, refusals = gather(["in"], Store(str(home.logs)), home, folder)
    assert (items, len(refusals)) == ([], 2)


def test_transcripts_of_one_stem_keep_their_suffix_and_those_of_one_name_get_digits(folder: Path) -> None:
    for name, content in {"talk.wav": "1", "talk.mp3": "2", "x/same.wav": "3", "y/same.wav": "4"}.items():
        write(folder / name, content)
    first, second, *same = stems(folder, "talk.wav", "talk.mp3", "x", "y")
    assert (first, second) == ("talk.wav", "talk.mp3")
    assert len(set(same)) == 2
    assert all(stem.startswith("same.wav.") for stem in same)


def test_one_recording_in_two_folders_has_one_transcript(folder: Path) -> None:
    write(folder / "x" / "same.wav", "3")
    write(folder / "y" / "same.wav", "3")
    assert stems(folder, "x", "y") == ["same", "same"]


_NAMES = st.sampled_from(["talk.wav", "talk.mp3", "Talk.wav", "talk.wav.mp3", "other.wav", "talk"])


@given(st.lists(st.tuples(_NAMES, st.sampled_from(["1", "2", "33", "44"])), max_size=6))
def test_names_without_digests_settle_the_same_stems_as_with_them(
    tmp_path_factory: pytest.TempPathFactory, named: list[tuple[str, str]]
) -> None:
    """What is known of names and sizes is enough: no two deliveries share a name, as if all had been read."""
    folder = tmp_path_factory.mktemp("stems")
    paths = [str(write(folder / str(at) / name, text)) for at, (name, text) in enumerate(named)]
    roll = roll_of(folder, *paths)
    items = [roll.item(entry) for entry in roll.entries]
    expected = stems_of([(item.pipeline, item.name) for item in items])
    assert [item.target.stem for item in items] == [expected[item.pipeline, item.name] for item in items]


def test_what_the_home_has_a_log_of_goes_first(folder: Path) -> None:
    """The digest of a file that was just written isn't remembered, so the memory is written here."""
    for name in ("a.wav", "b.wav"):
        write(folder / name, name)
    roll = roll_of(folder, "a.wav", "b.wav")
    item = roll.item(roll.entries[1])
    assert item.recording is not None
    roll.home.root.mkdir()
    _remember(roll.home.index, item.recording.signature, item.recording.sha256, time.time() + 60)
    assert [entry.name for entry in roll.in_order()] == ["a.wav", "b.wav"]
    write(Path(roll.store.path(item.pipeline)))
    assert [entry.name for entry in roll.in_order()] == ["b.wav", "a.wav"]
