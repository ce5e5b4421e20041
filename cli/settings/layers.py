"""Which source wins: flags, the environment, the current folder's file, the home's; and the profile among them.

A profile is a named table of settings. One is chosen at most, and its settings have the rank of what chose it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from attrs import frozen

from cli.errors import SettingsError
from cli.settings.files import Files
from cli.settings.names import FREE_SETTINGS, IN_ENVIRONMENT, PROFILE, PROFILES, is_provider, variable_of
from eventlog.values import Value
from pipeline.wishes import shortened
from projections.options import ENVIRONMENT, FILE, FLAG


@frozen(eq=False, repr=False)
class Layer(Value):
    """What one source sets.

    Attributes:
        source: FLAG, ENVIRONMENT or FILE.
        origins: where each value was found, for people.
    """

    source: str
    values: Mapping[str, Any]
    origins: Mapping[str, str]


def load_layers(
    files: Files, environment: Mapping[str, str], flags: Mapping[str, Any], parse: Callable[[str, str], Any]
) -> list[Layer]:
    """Return what is set, the layer that wins first; no value is checked yet.

    Args:
        files: the settings files.
        environment: the process's.
        flags: those of this invocation that are no stage options, by the name of the setting; None: not given.
        parse: makes of a setting's name and its text what a settings file would hold.

    Raises:
        SettingsError: a profile was chosen that isn't there.
    """
    layers: list[Layer] = []
    is_chosen = False
    for layer in _sources(files, environment, flags, parse):
        layers.append(layer)
        if PROFILE in layer.values and not is_chosen:
            is_chosen = True
            profile = _profile(files, layer)
            # Beside a flag or a variable the profile is what holds elsewhere; in a file, choosing it is the wish.
            layers.insert(len(layers) - (layer.source == FILE), profile)
    return layers


def profiles(files: Files) -> dict[str, tuple[Layer, ...]]:
    """Return the profiles of the believed files by name, each as layers of which the first wins.

    Raises:
        SettingsError: something that should be a profile is none.
    """
    found: dict[str, tuple[Layer, ...]] = {}
    for path, content in files.tables:
        tables = content.get(PROFILES, {})
        if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
            raise SettingsError(f"{path}: each profile must be a table: [{PROFILES}.NAME].")
        for name, table in tables.items():
            layer = Layer(FILE, table, dict.fromkeys(table, f"{path} [{PROFILES}.{name}]"))
            found[name] = (*found.get(name, ()), layer)
    return found


def ignored_names(files: Files) -> list[str]:
    """Return what the current folder's file sets although the folder isn't trusted."""
    return [] if files.believed else [name for name in files.local if name not in FREE_SETTINGS]


def merged(layers: Iterable[Layer], *sources: str) -> dict[str, Any]:
    """Return the values that win among the layers of these sources."""
    values: dict[str, Any] = {}
    for layer in layers:
        values = {**layer.values, **values} if layer.source in sources else values
    return values


def origins_of(layers: Iterable[Layer]) -> dict[str, str]:
    """Return where each value that wins was found."""
    origins: dict[str, str] = {}
    for layer in layers:
        origins = {**layer.origins, **origins}
    return origins


def _sources(
    files: Files, environment: Mapping[str, str], flags: Mapping[str, Any], parse: Callable[[str, str], Any]
) -> Iterator[Layer]:
    given = {name: value for name, value in flags.items() if value is not None}
    yield Layer(FLAG, given, {name: _flag(name) for name in given})
    texts = {name: environment[variable_of(name)] for name in IN_ENVIRONMENT if variable_of(name) in environment}
    from_env = {name: parse(name, text) for name, text in texts.items()}
    yield Layer(ENVIRONMENT, from_env, {name: f"${variable_of(name)}" for name in from_env})
    free = {name: files.local[name] for name in files.local.keys() - {*ignored_names(files)}}
    for path, content in ((files.local_path, free), (files.own_path, files.own)):
        plain = {
            name: content[name] for name in content if name != PROFILES and not is_provider(name, content[name])
        }
        yield Layer(FILE, plain, dict.fromkeys(plain, str(path)))


def _flag(name: str) -> str:
    return f"--{name.removesuffix('_s').replace('_', '-')}"


def _profile(files: Files, chooser: Layer) -> Layer:
    name, found = chooser.values[PROFILE], profiles(files)
    if not isinstance(name, str) or name not in found:
        there = f"There are: {', '.join(found)}." if found else "There are none."
        name = "of that form" if isinstance(name, dict) else shortened(name)
        hint = f"[{PROFILES}.NAME] in {files.own_path}, or `evt config set KEY VALUE --profile NAME`, makes one."
        raise SettingsError(f"{chooser.origins[PROFILE]}: there is no profile {name}. {there} {hint}")
    return Layer(chooser.source, merged(found[name], FILE), origins_of(found[name]))
