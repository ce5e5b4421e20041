"""What `evt config set` and `unset` may change, and the checks before they do: the same as when reading."""

from __future__ import annotations

import re
from typing import Any

from cli.errors import SettingsError
from cli.settings.access import API_KEY, BASE_URL, FIELDS, checked_field, key_problem, url_problem
from cli.settings.files import read_toml
from cli.settings.limits import LIMITS, limits_from, require_rates, stored_limit
from cli.settings.names import PLAIN, PROFILE, PROFILES, SETTINGS, is_provider_name
from cli.settings.settings import checked_setting, parsed
from pipeline.home import Home

_PROFILE_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
_ORIGIN = "What was given"


def place_of(key: str, profile: str | None, *, any_name: bool = False) -> tuple[str, ...]:
    """Return the keys of config.toml under which a setting stands.

    Args:
        key: its name, e.g. `language` or `openai.base_url`.
        profile: the profile that holds it.
        any_name: also what is no setting, so that it can be removed.

    Raises:
        SettingsError: there is no such setting. Behind a `=` somebody may have written a key: it isn't shown.
    """
    if profile is not None and not _PROFILE_NAME.fullmatch(profile):
        raise SettingsError("The name of a profile is made of letters, digits, _ and -, 40 at most.")
    inner = (PROFILES, profile) if profile is not None else ()
    provider, dot, part = key.partition(".")
    if any_name:
        return (*inner, *key.split("."))
    if dot and profile is None and is_provider_name(provider) and part in FIELDS:
        return (provider, part)
    if key in (SETTINGS if profile is None else PLAIN):
        return (*inner, key)
    there = [*PLAIN] if profile is not None else [*SETTINGS, *(f"PROVIDER.{field}" for field in FIELDS)]
    where = "" if profile is None else " of a profile"
    raise SettingsError(f"{key.partition('=')[0]} is no setting{where}. There are: {', '.join(there)}.")


def is_secret(place: tuple[str, ...]) -> bool:
    """Say whether a key of a service stands there."""
    return place[0] != PROFILES and place[-1] == API_KEY


def checked_text(home: Home, place: tuple[str, ...], text: str) -> Any:
    """Return what the file holds for a text that the user gave.

    Raises:
        SettingsError: the setting can't have that value.
    """
    name = place[-1]
    if name in FIELDS and place[0] != PROFILES:
        return _field(place[0], name, text)
    if name == PROFILE and text not in read_toml(home.config).get(PROFILES, {}):
        raise SettingsError(
            f"{home.config} holds no profile of this name. `evt config set KEY VALUE --profile NAME` makes one."
        )
    value = checked_setting(name, parsed(name, text), _ORIGIN)
    if value is None:
        raise SettingsError(f"{'.'.join(place)} can't be empty. `evt config unset {'.'.join(place)}` removes it.")
    if name not in LIMITS:
        return value
    require_rates(limits_from({name: value}), home)
    return stored_limit(value)


def _field(provider: str, name: str, text: str) -> Any:
    problem = {API_KEY: key_problem, BASE_URL: url_problem}.get(name)
    if problem is None:
        return checked_field(provider, name, _number(text), _ORIGIN)
    if not text:
        raise SettingsError(f"{provider}.{name} can't be empty. `evt config unset {provider}.{name}` removes it.")
    if said := problem(text, f"{_ORIGIN} for {provider}.{name}"):
        raise SettingsError(said)
    return text


def _number(text: str) -> Any:
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        return text
