"""Settings: flags, environment, and the files that are believed. The only reader of the process's environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from cli.errors import SettingsError
from cli.home import load_home
from pipeline.home import Home
from projections.graph import DEFAULTS, FORMATS

ENVIRONMENT_PREFIX = "EVT_"
LOCAL_FILE = "evt.toml"
FREE_OPTIONS = frozenset({"speakers", "min_speakers", "max_speakers", "language", "formats"})
"""What a settings file that merely lies in the current folder may set: nothing that chooses who gets the audio."""

_SPEAKERS_MAX = 999_999
_TEXT_CHARS_MAX = 1000
_TEXT_HINT = f"text of 1 to {_TEXT_CHARS_MAX} characters, in UTF-8"


@frozen
class Settings:
    """What was found, by source.

    Attributes:
        environment, files: options by name.
        origins: where each of them was found, for people.
        ignored: settings of files that are not trusted, with what to do.
    """

    home: Home
    home_origin: str
    environment: Mapping[str, Any]
    files: Mapping[str, Any]
    origins: Mapping[str, str]
    ignored: tuple[str, ...]
    output_dir: Path


def load_settings(
    home_flag: str | None, output_dir: str | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Read the environment and the settings files.

    Raises:
        SettingsError: one of them holds something that can't be used.
    """
    env = os.environ if environment is None else environment
    home, home_origin = load_home(home_flag, env)
    from_env = {name: env[key] for name in DEFAULTS if (key := ENVIRONMENT_PREFIX + name.upper()) in env}
    from_env = {
        name: checked(name, _parsed(name, text), f"${ENVIRONMENT_PREFIX}{name.upper()}")
        for name, text in from_env.items()
    }
    own = _read(home.config)
    local_path = Path.cwd() / LOCAL_FILE
    local = _read(local_path)
    believed = is_trusted(home, local_path.parent)
    usable = {name: value for name, value in local.items() if believed or name in FREE_OPTIONS}
    origins = (
        dict.fromkeys(own, str(home.config))
        | dict.fromkeys(usable, str(local_path))
        | {name: f"${ENVIRONMENT_PREFIX}{name.upper()}" for name in from_env}
    )
    files = {**own, **usable}
    chosen_dir = _output_dir(output_dir, files.pop("output_dir", "."), origins.get("output_dir", ""))
    for name in local.keys() - files.keys() - {"output_dir"}:
        checked(name, local[name], str(local_path))
    return Settings(
        home=home,
        home_origin=home_origin,
        environment=from_env,
        files={name: checked(name, value, origins[name]) for name, value in files.items()},
        origins=origins,
        ignored=tuple(
            f"{local_path} sets {name!r}, which is taken only from a trusted folder: evt trust {local_path.parent}"
            for name in local
            if name not in usable
        ),
        output_dir=chosen_dir,
    )


def checked(name: str, value: Any, origin: str) -> Any:
    """Return an option's value, or raise SettingsError if it can't have that value."""
    if name not in DEFAULTS:
        raise SettingsError(
            f"{origin} sets {name!r}, which is no setting. There are: {', '.join([*DEFAULTS, 'output_dir'])}."
        )
    if name in {"speakers", "min_speakers", "max_speakers"}:
        good = value is None or (type(value) is int and 1 <= value <= _SPEAKERS_MAX)
    elif name == "formats":
        good = isinstance(value, list) and bool(value) and all(item in FORMATS for item in value)
        value = list(dict.fromkeys(value)) if good else value
    else:
        if name in {"diarizer", "transcriber"} and isinstance(value, str) and value.startswith("script:"):
            value = f"script:{Path(value.removeprefix('script:')).absolute()}"
        good = _is_text(value) or (name == "model" and value is None)
    if not good:
        hint = f"a whole number from 1 to {_SPEAKERS_MAX}" if "speakers" in name else _TEXT_HINT
        hint = f"a list of {', '.join(FORMATS)}" if name == "formats" else hint
        raise SettingsError(f"{origin}: {name} can't be {_shortened(value)}; it is {hint}.")
    return value


def is_trusted(home: Home, folder: Path) -> bool:
    """Say whether the user trusts the settings files of a folder."""
    return str(folder.resolve()) in trusted_folders(home)


def trusted_folders(home: Home) -> list[str]:
    """Return the folders that the user trusts."""
    try:
        return home.trusted.read_text(errors="surrogateescape").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []


def _parsed(name: str, text: str) -> Any:
    if name in {"speakers", "min_speakers", "max_speakers"}:
        return int(text) if text.isdecimal() and len(text) < 10 else text
    return text.split(",") if name == "formats" else text


def _output_dir(flag: str | None, from_file: Any, origin: str) -> Path:
    """Return the output folder; a flag is what the system knows, and so may be of any bytes."""
    if not isinstance(from_file, str) or not from_file or "\0" in from_file:
        raise SettingsError(f"{origin}: output_dir can't be {_shortened(from_file)}; it is the path of a folder.")
    if flag == "":
        raise SettingsError("--output-dir can't be empty; it is the path of a folder.")
    return Path(from_file if flag is None else flag)


def _is_text(value: Any) -> bool:
    """Say whether a value is text that the log and the system can hold."""
    if not isinstance(value, str) or not 0 < len(value) <= _TEXT_CHARS_MAX or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        content = tomllib.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"The settings file {path} can't be read: {error}. Mend or remove it.") from error
    return content
