"""Settings: flags, environment, and the files that are believed. The only reader of the process's environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from cli.errors import SettingsError
from cli.home import load_home
from cli.settings.access import find_access, name_accounts
from cli.settings.files import Files, read_files
from cli.settings.layers import Layer, ignored_names, load_layers, merged, origins_of, profiles
from cli.settings.limits import LIMITS, checked_limit, limits_from, require_rates
from cli.settings.names import OFFLINE, OUTPUT_DIR, PLAIN, PROFILE, PROFILES, RETENTION, SETTINGS, is_provider
from cli.times import SPAN_HINT, span_of
from pipeline.home import Home
from pipeline.providers.remote import Access
from pipeline.wishes import checked, is_text, no_setting, shortened
from projections.graph import DEFAULTS
from projections.limits import NO_LIMITS, Limits
from projections.options import ENVIRONMENT, FILE, FLAG

OFF = "off"
"""The value of `retention` with which nothing is removed by itself."""


@frozen
class Settings:
    """What was found, by source.

    Attributes:
        named: options of the profile that a flag chose; they count as named in this invocation.
        environment, files: options by name, with those of a profile that the environment or a file chose.
        origins: where each setting was found, for people; parts of an access are called `openai.base_url`, ….
        ignored: settings of files that are not trusted, with what to do.
        profile: the profile that counts; None: none was chosen.
        limits: what may be spent, repeated and waited for.
        retention: how long what can be made again is kept after its last use; None: until somebody removes it.
        offline: what says that nothing may leave this machine, for people; empty: nothing does.
        access: by provider, where its calls go and with which key; being here is no choice of that provider.
    """

    home: Home
    home_origin: str
    named: Mapping[str, Any]
    environment: Mapping[str, Any]
    files: Mapping[str, Any]
    origins: Mapping[str, str]
    ignored: tuple[str, ...]
    output_dir: Path
    profile: str | None
    limits: Limits
    access: Mapping[str, Access]
    retention: timedelta | None = None
    offline: str = ""

    def with_accounts(self) -> Settings:
        """Return these settings with names of accounts; the key for them is made in the home, which must exist."""
        return evolve(self, access=name_accounts(self.home, self.access, make=True))


def load_settings(
    home_flag: str | None,
    output_dir: str | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    *,
    offline: bool = False,
) -> Settings:
    """Read the environment and the settings files. Nothing is written.

    Args:
        home_flag: `--home`.
        output_dir: `--output-dir`.
        environment: the process's, unless it is given.
        flags: flags by parameter name; those of `cli.options.limit_options` are taken.
        offline: `--offline`.

    Raises:
        SettingsError: one of them holds something that can't be used.
    """
    env = os.environ if environment is None else environment
    home, home_origin = load_home(home_flag, env)
    files = read_files(home, Path.cwd())
    taken = {name: value for name, value in (flags or {}).items() if name in {*LIMITS, PROFILE}}
    taken |= {OFFLINE: True} if offline else {}
    layers = [_checked_layer(layer, SETTINGS) for layer in load_layers(files, env, taken, parsed)]
    for profile in (layer for found in profiles(files).values() for layer in found):
        _checked_layer(profile, PLAIN)
    values, origins = merged(layers, FLAG, ENVIRONMENT, FILE), origins_of(layers)
    limits = limits_from(values)
    require_rates(limits, home)
    found = find_access(files, env)
    parts = {f"{name}.{part}": origin for name, item in found.items() for part, origin in item.origins.items()}
    return Settings(
        home=home,
        home_origin=home_origin,
        named=_options(layers, FLAG),
        environment=_options(layers, ENVIRONMENT),
        files=_options(layers, FILE),
        origins={**origins, **parts},
        ignored=tuple(_ignored(files)),
        output_dir=_output_dir(output_dir, values.get(OUTPUT_DIR, ".")),
        profile=values.get(PROFILE),
        limits=limits,
        access=name_accounts(home, {name: item.access for name, item in found.items()}, make=False),
        retention=span_of(values.get(RETENTION, OFF)),
        offline=_forbids(layers),
    )


def bare_settings(home_flag: str | None) -> Settings:
    """Return what holds where nobody set anything, for whoever reports on a home whose settings can't be used."""
    home, origin = load_home(home_flag)
    return Settings(home, origin, {}, {}, {}, {}, (), Path(), None, NO_LIMITS, {})


def checked_setting(name: str, value: Any, origin: str) -> Any:
    """Return the value of any setting with a single value, or raise SettingsError if it can't have that value."""
    if name in LIMITS:
        return checked_limit(name, value, origin)
    if name == OUTPUT_DIR:
        if not isinstance(value, str) or not value or "\0" in value:
            raise SettingsError(f"{origin}: output_dir can't be {shortened(value)}; it is the path of a folder.")
        return value
    if name == PROFILE:
        if not is_text(value):
            raise SettingsError(f"{origin}: profile can't be {shortened(value)}; it is the name of a profile.")
        return value
    if name == OFFLINE:
        if not isinstance(value, bool):
            raise SettingsError(f"{origin}: offline can't be {shortened(value)}; it is true or false.")
        return value
    if name == RETENTION:
        if not isinstance(value, str) or (value != OFF and span_of(value) is None):
            raise SettingsError(f"{origin}: retention can't be {shortened(value)}; it is {SPAN_HINT}, or {OFF}.")
        return value
    return checked(name, value, origin, SETTINGS)


def parsed(name: str, text: str) -> Any:
    """Return what a settings file would hold for a text; that it can be used is still to be checked."""
    if name in {"speakers", "min_speakers", "max_speakers", "track"}:
        return int(text) if text.isdecimal() and len(text) < 10 else text
    if name in {"allow_gaps", OFFLINE}:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    if name in {"formats", "identify", "keywords"}:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return [part.lower() for part in parts] if name == "formats" else parts
    return text


def _checked_layer(layer: Layer, names: tuple[str, ...]) -> Layer:
    """Return a layer whose values can be used; `names` are the settings that it may hold."""
    for name in layer.values.keys() - {*names}:
        raise no_setting(name, layer.origins[name], names)
    values = {name: checked_setting(name, value, layer.origins[name]) for name, value in layer.values.items()}
    return evolve(layer, values=values)


def _forbids(layers: list[Layer]) -> str:
    """Return the first that says that nothing may leave the machine: no other source takes that back."""
    return next((layer.origins[OFFLINE] for layer in layers if layer.values.get(OFFLINE)), "")


def _options(layers: list[Layer], source: str) -> dict[str, Any]:
    """Return the options that can change a result, of the layers of a source."""
    return {name: value for name, value in merged(layers, source).items() if name in DEFAULTS}


def _ignored(files: Files) -> list[str]:
    notes = []
    for name in ignored_names(files):
        is_known = name in {*SETTINGS, PROFILES} or is_provider(name, files.local[name])
        why = (
            f"is taken only from a trusted folder: evt trust {files.local_path.parent}"
            if is_known
            else f"is no setting. There are: {', '.join(SETTINGS)}"
        )
        notes.append(f"{files.local_path} sets {shortened(name)}, which {why}")
    return notes


def _output_dir(flag: str | None, from_files: str) -> Path:
    """Return the output folder; a flag is what the system knows, and so may be of any bytes."""
    if flag == "":
        raise SettingsError("--output-dir can't be empty; it is the path of a folder.")
    return Path(from_files if flag is None else flag)
