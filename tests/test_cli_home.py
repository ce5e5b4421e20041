"""Where evt keeps its home: never, unasked, where a log can't keep its promises."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from cli.home import require_usable
from eventlog.errors import UnsafeFileSystemError
from eventlog.filesystem import FileSystem, file_system_of, printed_mounts
from pipeline.home import Home


def shared(root: Path):
    """Return a look at file systems where everything below a folder is on NFS."""
    return lambda path: FileSystem("nfs4", "disk", safe=not path.startswith(str(root)))


@pytest.mark.parametrize("written", [["--home", "{}", "run", "my talk.wav"], ["--home={}", "run", "my talk.wav"]])
def test_a_home_on_a_network_file_system_is_refused_with_a_command_that_works(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, written: list[str]
):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("local")))
    home = Home(tmp_path / "home")
    arguments = [part.format(home.root) for part in written]
    with pytest.raises(UnsafeFileSystemError, match="nfs4") as caught:
        require_usable(home, file_system=shared(tmp_path), arguments=arguments)
    assert not home.root.exists()
    command = str(caught.value).partition("for example: ")[2].partition(". (")[0]
    program, flag, root, *rest = shlex.split(command)
    assert (program, flag, rest) == ("evt", "--home", ["run", "my talk.wav"])
    require_usable(Home(Path(root)), file_system=shared(tmp_path), arguments=rest)


def test_a_home_on_a_network_file_system_is_used_where_that_is_asked_for(tmp_path: Path):
    home = Home(tmp_path / "home")
    require_usable(home, unsafe_fs=True, file_system=shared(tmp_path), arguments=[])
    assert home.root.is_dir()


def test_the_mounts_that_macos_prints_are_understood():
    printed = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
//anna@nas._smb._tcp.local/audio%20files on /Volumes/audio files (smbfs, nodev, nosuid, mounted by anna)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)"""
    assert printed_mounts(printed.splitlines()) == [
        ("/", "apfs"),
        ("/dev", "devfs"),
        ("/Volumes/audio files", "smbfs"),
        ("/System/Volumes/Data/home", "autofs"),
    ]


def test_the_file_system_under_a_folder_that_is_not_there_yet_is_known(tmp_path: Path):
    assert file_system_of(str(tmp_path / "not" / "yet")) == file_system_of(str(tmp_path))
