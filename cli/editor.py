"""The user's text editor: which it is, and letting it change a file."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cli.errors import SettingsError
from cli.render import printable

_USUAL = ("sensible-editor", "nano", "vim", "vi")
"""What is taken where the user named none."""


def editor_of(environment: Mapping[str, str], *, terminal: bool = True) -> list[str]:
    """Return the editor's command: `$VISUAL`, else `$EDITOR`, else a usual one that is there.

    Args:
        environment: the variables.
        terminal: there is one for the usual editors, which all need it.

    Raises:
        SettingsError: there is none, or it can't be understood.
    """
    for name in ("VISUAL", "EDITOR"):
        if environment.get(name, "").strip():
            return _split(name, environment[name])
    found = next((path for name in _USUAL if (path := shutil.which(name))), None)
    if not terminal:
        raise SettingsError(
            "There is no terminal for a text editor, and neither VISUAL nor EDITOR names one that needs none. "
            "Write the text into a file with --print, change it there, and give it back with --from FILE."
        )
    if found is None:
        raise SettingsError(
            "No text editor was found, and neither VISUAL nor EDITOR names one. Name it, for example EDITOR=nano; "
            "or write the text into a file with --print, change it there, and give it back with --from FILE."
        )
    return [found]


def let_edit(editor: list[str], path: Path) -> None:
    """Let the user change a file, and wait for the editor to end.

    Raises:
        SettingsError: the editor can't be started, or says that it failed.
    """
    shown = printable(" ".join(editor))
    try:
        process = subprocess.Popen([*editor, str(path)])
    except OSError as error:
        raise SettingsError(
            f"The editor {shown} can't be started: {error.strerror}. Name another one with VISUAL or EDITOR."
        ) from error
    # Ctrl-C in the editor is the editor's.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    if code:
        raise SettingsError(f"The editor {shown} ended with {code}, so nothing was changed.")


def written_down(text: str, stem: str) -> Path:
    """Write a text into a new file that only the user can read, and return where it is."""
    handle, name = tempfile.mkstemp(prefix=f"{stem}-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    return Path(name)


def _split(name: str, command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise SettingsError(f"{name} can't be understood as a command: {error}. Mend it.") from error
