"""The file beside a recording, `talk.evt.toml` beside `talk.wav`: options that hold for this recording alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from cli.errors import SettingsError
from cli.settings.files import LOCAL_FILE, is_trusted, read_toml
from cli.settings.names import FREE_OPTIONS
from cli.settings.settings import Settings
from eventlog.values import Value
from pipeline.home import Home
from pipeline.recordable import recordable
from pipeline.wishes import checked, contradiction, shortened
from projections.graph import DEFAULTS
from projections.options import Named

SUFFIX = f".{LOCAL_FILE}"


@frozen(eq=False, repr=False)
class Sidecar(Value):
    """What the file beside a recording says.

    Attributes:
        path: where it is, or would be.
        options: checked values by name; empty where there is no file.
        ignored: what it sets although its folder isn't trusted, with what to do.
    """

    path: Path
    options: Mapping[str, Any] = {}
    ignored: tuple[str, ...] = ()


def sidecar_of(recording: Path, home: Home) -> Sidecar:
    """Read the file beside a recording.

    Raises:
        SettingsError: it can't be read, or sets something that it can't; the message names file and key.
    """
    path = recording.with_name(f"{recording.stem}{SUFFIX}")
    content = read_toml(path)
    if unknown := next((name for name in content if name not in DEFAULTS), None):
        raise SettingsError(
            f"{path} sets {shortened(unknown)}, which is nothing that a file beside a recording can set. "
            f"There are: {', '.join(DEFAULTS)}."
        )
    taken = DEFAULTS.keys() if is_trusted(home, path.parent) else FREE_OPTIONS
    options = {name: checked(name, value, str(path)) for name, value in content.items() if name in taken}
    if (wrong := contradiction(options)) is not None:
        raise SettingsError(f"{path}: {wrong}")
    passed_over = [name for name in content if name not in taken]
    notes = (
        f"{path} sets {name}, which is taken only from a trusted folder: evt trust {path.parent}"
        for name in passed_over
    )
    return Sidecar(path, options, tuple(notes))


def is_settings_file(path: Path) -> bool:
    """Say whether a name is that of a settings file: in `evt run *` it stands for no recording."""
    return path.name == LOCAL_FILE or path.name.endswith(SUFFIX)


def with_sidecar(named: Named, sidecar: Sidecar | None, home: Home) -> Named:
    """Return the wishes for one recording: its own file wins over all other settings files.

    Raises:
        SettingsError: there is no voiceprint of a name.
    """
    if sidecar is None or not sidecar.options:
        return named
    return recordable(evolve(named, files={**named.files, **sidecar.options}), home)


def settings_with(settings: Settings, sidecar: Sidecar) -> Settings:
    """Return settings as they are for one recording, with where each comes from."""
    origins = {name: str(sidecar.path) for name in sidecar.options if name not in settings.environment}
    return evolve(
        settings,
        files={**settings.files, **sidecar.options},
        origins={**settings.origins, **origins},
        ignored=(*settings.ignored, *sidecar.ignored),
    )
