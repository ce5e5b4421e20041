"""The settings files: where they are, whether they are believed, and what stands in them."""

from __future__ import annotations

import errno
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from cli.errors import SettingsError
from cli.settings.dotenv import parse_dotenv
from pipeline.home import Home

LOCAL_FILE = "evt.toml"
VARIABLES_FILE = ".env"
_READABLE_BY_OTHERS = 0o044


@frozen(eq=False, repr=False)
class Files:
    """The settings files of an invocation, as they stand; nothing in them is checked yet. Its `repr` shows no key.

    Attributes:
        own, own_path: config.toml of the home.
        local, local_path: evt.toml of the current folder.
        variables, variables_path: its `.env`; not even read unless the folder is trusted.
        believed: the current folder is trusted.
    """

    own_path: Path
    own: Mapping[str, Any]
    local_path: Path
    local: Mapping[str, Any]
    variables_path: Path
    variables: Mapping[str, str]
    believed: bool

    @property
    def tables(self) -> tuple[tuple[Path, Mapping[str, Any]], ...]:
        """The believed files in TOML, the one that wins first."""
        own = (self.own_path, self.own)
        return ((self.local_path, self.local), own) if self.believed else (own,)


def read_files(home: Home, folder: Path) -> Files:
    """Read the settings files of the home and of a folder.

    Raises:
        SettingsError: one of them can't be read.
    """
    believed = is_trusted(home, folder)
    local, variables = folder / LOCAL_FILE, folder / VARIABLES_FILE
    return Files(
        own_path=home.config,
        own=read_toml(home.config),
        local_path=local,
        local=read_toml(local),
        variables_path=variables,
        variables=_read_variables(variables) if believed else {},
        believed=believed,
    )


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a settings file; empty if it isn't there.

    Raises:
        SettingsError: it can't be read; the message never shows what stands in it.
    """
    import tomllib

    try:
        if not path.exists():
            return {}
        if not path.is_file():
            raise SettingsError(f"The settings file {path} is no regular file. Rename or remove it.")
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            return {}  # no file can have that name: it belongs to a recording whose own name is nearly too long
        raise SettingsError(f"The settings file {path} can't be read: {error}. Mend or remove it.") from error


def is_trusted(home: Home, folder: Path) -> bool:
    """Say whether the user trusts the settings files of a folder."""
    return str(folder.resolve()) in trusted_folders(home)


def trusted_folders(home: Home) -> list[str]:
    """Return the folders that the user trusts."""
    try:
        return home.trusted.read_text(errors="surrogateescape").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []


def exposed(path: Path) -> str | None:
    """Return a note with its remedy if others than the user may read a file with a key; None if not."""
    if not path.stat().st_mode & _READABLE_BY_OTHERS:
        return None
    return f"{path} holds a key, and others may read it: chmod 600 {shlex.quote(str(path))}"


def _read_variables(path: Path) -> dict[str, str]:
    try:
        # A folder of this name is usually a Python environment.
        return {} if path.is_dir() else parse_dotenv(path.read_text("utf-8", "surrogateescape"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"The file {path} can't be read: {error}. Mend or remove it.") from error
