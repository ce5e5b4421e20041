"""Where the calls of paid services go, with which key: from the environment and the files that are believed.

A key is used only with the URL of its own source, or with the provider's own: otherwise whoever can set one of them
could have the key sent to himself. Nothing is put into the process's environment, and no message shows a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from cli.errors import SettingsError
from cli.settings.files import Files, exposed, read_files
from cli.settings.names import is_provider
from eventlog.values import Value
from pipeline.calls.accounts import account_of, home_key
from pipeline.home import Home
from pipeline.providers.remote import Access
from pipeline.secret import Secret
from pipeline.wishes import shortened

PROVIDERS: Final = ("openai", "pyannoteai")
"""Those that are looked for in any case; others where a believed file has a table of their name."""

API_KEY, BASE_URL, CONCURRENCY, REQUESTS_PER_MINUTE = FIELDS = (
    *("api_key", "base_url", "concurrency", "requests_per_minute"),
)
_KEY_VARIABLES = {"pyannoteai": ("PYANNOTEAI_API_TOKEN", "PYANNOTEAI_API_KEY", "PYANNOTE_API_KEY")}
_KEY = re.compile(r"[!-~]+")
_URL = re.compile(r"https?://[!-~]+")


@frozen(eq=False, repr=False)
class Source(Value):
    """What one source, which is the environment or one file, says of one provider.

    Attributes:
        url, key: None where it names none.
        url_origin, key_origin: what people call the places, e.g. `$OPENAI_API_KEY`.
    """

    url: str | None = None
    key: Secret | None = None
    url_origin: str = ""
    key_origin: str = ""


@frozen(eq=False, repr=False)
class Found(Value):
    """An access, and where each part of it was found: origins by name of the field."""

    access: Access
    origins: Mapping[str, str] = field(factory=dict)


def load_access(
    home: Home, environment: Mapping[str, str], folder: Path, *, names: Iterable[str] = (), make: bool = False
) -> dict[str, Access]:
    """Return the access to each provider.

    Args:
        home: its config.toml is the last source.
        environment: the process's, the first source.
        folder: its `.env` and evt.toml come between them, if it is trusted.
        names: providers to look for besides PROVIDERS and those that have a table.
        make: make the key that names accounts, if need be; read-only commands leave accounts without a name.

    Raises:
        SettingsError: a settings file holds something that can't be used.
    """
    found = find_access(read_files(home, folder), environment, names)
    return name_accounts(home, {name: item.access for name, item in found.items()}, make=make)


def find_access(files: Files, environment: Mapping[str, str], names: Iterable[str] = ()) -> dict[str, Found]:
    """Return the access to each provider as `load_access` does, with origins and without names of accounts."""
    tables = [name for _, content in files.tables for name, value in content.items() if is_provider(name, value)]
    return {name: _found(name, files, environment) for name in dict.fromkeys([*PROVIDERS, *names, *tables])}


def name_accounts(home: Home, access: Mapping[str, Access], *, make: bool) -> dict[str, Access]:
    """Return the accesses with `account`, as far as the home has the key for that or it may be made."""
    key = home_key(home, make=make) if any(item.key for item in access.values()) else None
    return {
        name: evolve(item, account=account_of(key, name, item.key)) if key and item.key else item
        for name, item in access.items()
    }


def paired(sources: Sequence[Source]) -> Source:
    """Return what is used: the first URL with the key of the same source; without any URL, the first key."""
    chosen = next((source for source in sources if source.url), None)
    return chosen or next((source for source in sources if source.key), Source())


def checked_field(provider: str, name: str, value: Any, origin: str) -> Any:
    """Return a value of a provider's table.

    Raises:
        SettingsError: it can't have that value. What is given as a key or URL is never shown.
    """
    if name not in FIELDS:
        raise SettingsError(f"{origin}: {provider} has no setting of that name. There are: {', '.join(FIELDS)}.")
    if name in {API_KEY, BASE_URL}:
        if not isinstance(value, str):
            raise SettingsError(f"{origin}: {name} of {provider} must be text, in quotation marks.")
        return value
    whole = name == CONCURRENCY
    number = type(value) is int or (type(value) is float and not whole)
    if not number or not (1 <= value <= 1000 if whole else 0 < value <= 100_000):
        hint = "a whole number from 1 to 1000" if whole else "a number above 0 and up to 100000"
        raise SettingsError(f"{origin}: {name} of {provider} can't be {shortened(value)}; it is {hint}.")
    return value


def key_problem(key: str, origin: str) -> str | None:
    """Return why something can't be a key, without showing it; None: it can."""
    if _KEY.fullmatch(key):
        return None
    return (
        f"{origin} holds something that can't be a key: a key is printable ASCII without white space. Perhaps a "
        "line break or a space was copied along."
    )


def url_problem(url: str, origin: str) -> str | None:
    """Return why something can't be the URL of a service, without showing it; None: it can."""
    try:
        parts = urlsplit(url) if _URL.fullmatch(url) else None
        # Reading the port raises ValueError where it is none.
        good = parts and parts.hostname and parts.port != 0 and not parts.username and not parts.password
    except ValueError:
        parts, good = None, False
    if parts and good and not {"?", "#", "@"} & set(url):
        return None
    return (
        f"{origin} holds something that can't be the URL of a service: that is http:// or https://, a host and "
        "perhaps a port and a path, without a user's name, a query or a fragment."
    )


def _found(name: str, files: Files, environment: Mapping[str, str]) -> Found:
    sources = list(_sources(name, files, environment))
    chosen = paired(sources)
    origins = {BASE_URL: chosen.url_origin, API_KEY: chosen.key_origin}
    numbers: dict[str, Any] = {}
    for path, content in files.tables:
        for key in (CONCURRENCY, REQUESTS_PER_MINUTE):
            if key not in numbers and key in _table(name, path, content):
                numbers[key], origins[key] = content[name][key], str(path)
    problems = [
        chosen.url and url_problem(chosen.url, chosen.url_origin),
        chosen.key and key_problem(chosen.key.reveal(), chosen.key_origin),
    ]
    problem = next((text for text in problems if text), None)
    access = Access(
        url=None if problem else chosen.url,
        key=None if problem else chosen.key,
        source=chosen.key_origin or chosen.url_origin,
        problem=problem,
        note=" ".join([*_passed_over(chosen, sources), *_exposures(name, files)]) or None,
        **numbers,
    )
    return Found(access, {part: origin for part, origin in origins.items() if origin})


def _sources(name: str, files: Files, environment: Mapping[str, str]) -> Iterator[Source]:
    """Yield what each source says of a provider, the one that comes first first."""
    yield _of_variables(name, environment, "")
    yield _of_variables(name, files.variables, f" in {files.variables_path}")
    for path, content in files.tables:
        table = _table(name, path, content)
        url, key = table.get(BASE_URL) or None, table.get(API_KEY)
        origin = str(path)
        yield Source(url, Secret(key) if key else None, origin if url else "", origin if key else "")


def _table(name: str, path: Path, content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a file says of a provider, checked."""
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: {name} must be a table: [{name}].")
    return {part: checked_field(name, part, value, str(path)) for part, value in table.items()}


def _of_variables(name: str, variables: Mapping[str, str], where: str) -> Source:
    upper = name.upper().replace("-", "_")
    url = variables.get(f"{upper}_BASE_URL") or None
    key_names = _KEY_VARIABLES.get(name, (f"{upper}_API_KEY",))
    key_name = next((key_name for key_name in key_names if variables.get(key_name)), None)
    return Source(
        url=url,
        key=Secret(variables[key_name]) if key_name else None,
        url_origin=f"${upper}_BASE_URL{where}" if url else "",
        key_origin=f"${key_name}{where}" if key_name else "",
    )


def _passed_over(chosen: Source, sources: Sequence[Source]) -> Iterator[str]:
    """Say which key isn't used because the URL comes from elsewhere."""
    before = [source for source in sources[: sources.index(chosen)] if source.key] if chosen.url else []
    others = before or [source for source in sources if source.key and chosen.url and not chosen.key]
    if others:
        yield (
            f"The key of {others[0].key_origin} isn't used with the URL of {chosen.url_origin}: a key goes only to "
            "the URL that its own source names or, where none is named anywhere, to the provider's own."
        )


def _exposures(name: str, files: Files) -> Iterator[str]:
    paths = [path for path, content in files.tables if _table(name, path, content).get(API_KEY)]
    if _of_variables(name, files.variables, "").key:
        paths.append(files.variables_path)
    yield from (f"{note}." for path in paths if (note := exposed(path)))
