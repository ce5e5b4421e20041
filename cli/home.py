"""Which folder is the home, and whether it can be used."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import SettingsError
from pipeline.home import Home, default_root

if TYPE_CHECKING:
    from eventlog.filesystem import FileSystem


def load_home(flag: str | None, environment: Mapping[str, str] | None = None) -> tuple[Home, str]:
    """Return the home and where its path comes from."""
    env = os.environ if environment is None else environment
    if flag:
        return Home(Path(flag).absolute()), "--home"
    if env.get("EVT_HOME"):
        return Home(Path(env["EVT_HOME"]).absolute()), "$EVT_HOME"
    return Home(default_root()), "default"


def require_usable(
    home: Home,
    *,
    unsafe_fs: bool = False,
    file_system: Callable[[str], FileSystem] | None = None,
    arguments: Sequence[str] | None = None,
) -> None:
    """Make the home if need be, private to the user.

    Args:
        home: the folder.
        unsafe_fs: it may lie where a log's promises don't hold.
        file_system: tells what a folder's file system can promise.
        arguments: the command line, for the advice.

    Raises:
        UnsafeFileSystemError: it lies where they don't; nothing was made.
        SettingsError: it can't be made or written.
    """
    if not unsafe_fs:
        _require_local(home, file_system, sys.argv[1:] if arguments is None else arguments)
    try:
        home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(home.root, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise SettingsError(
            f"The home {home.root} can't be written: {error.strerror}. Choose another with --home or $EVT_HOME."
        ) from error


def _require_local(home: Home, file_system: Callable[[str], FileSystem] | None, arguments: Sequence[str]) -> None:
    import getpass
    import tempfile

    from eventlog.errors import UnsafeFileSystemError
    from eventlog.filesystem import file_system_of

    look = file_system or file_system_of
    system = look(str(home.root))
    if system.safe:
        return
    candidates = (default_root(), Path(tempfile.gettempdir()) / f"evt-{getpass.getuser()}")
    local = next((folder for folder in candidates if look(str(folder)).safe), "FOLDER")
    raise UnsafeFileSystemError(
        f"The home {home.root} lies on a {system.kind} file system, where a log can't keep its promises: appends "
        f"race, locks are emulated, errors come late. Use a folder on a local disk, for example: "
        f"{shlex.join(['evt', '--home', str(local), *_without_home(arguments)])}. "
        "(`evt --unsafe-fs …` goes on in spite of that.)",
        kind=system.kind,
        path=str(home.root),
    )


def _without_home(arguments: Sequence[str]) -> list[str]:
    kept = list(arguments)
    for at, argument in enumerate(arguments):
        if argument == "--home":
            del kept[at : at + 2]
            break
        if argument.startswith("--home="):
            del kept[at]
            break
    return kept
