"""Which folder is the home, and whether it can be used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from cli.errors import SettingsError
from pipeline.home import Home


def load_home(flag: str | None, environment: Mapping[str, str] | None = None) -> tuple[Home, str]:
    """Return the home and where its path comes from."""
    env = os.environ if environment is None else environment
    if flag:
        return Home(Path(flag).absolute()), "--home"
    if env.get("EVT_HOME"):
        return Home(Path(env["EVT_HOME"]).absolute()), "$EVT_HOME"
    import platformdirs

    return Home(Path(platformdirs.user_data_dir("evt", appauthor=False))), "default"


def require_usable(home: Home) -> None:
    """Make the home if need be, private to the user.

    Raises:
        SettingsError: it can't be made or written.
    """
    try:
        home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(home.root, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise SettingsError(
            f"The home {home.root} can't be written: {error.strerror}. Choose another with --home or $EVT_HOME."
        ) from error
