"""Changes the home's config.toml by single values; its comments and its order stay. The one door to tomlkit."""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import SettingsError
from cli.settings.files import read_toml
from eventlog.storage import PosixStorage, replace_durably

if TYPE_CHECKING:
    import tomlkit


def set_value(path: Path, keys: Sequence[str], value: Any) -> None:
    """Set the value at these keys, making the tables on the way; the file is then there whole, or as before.

    Raises:
        SettingsError: the file can't be read or changed.
    """

    def change(document: Any) -> None:
        for key in keys[:-1]:
            if key not in document:
                document[key] = _table(is_outer=key == keys[0] and len(keys) > 2)
            document = document[key]
        document[keys[-1]] = value

    _rewrite(path, change, _with(read_toml(path), keys, value))


def unset_value(path: Path, keys: Sequence[str]) -> bool:
    """Remove the value at these keys; say whether there was one. Tables stay.

    Raises:
        SettingsError: the file can't be read or changed, or a table stands there.
    """
    content = found = read_toml(path)
    for key in keys:
        if not isinstance(found, dict) or key not in found:
            return False
        found = found[key]
    if isinstance(found, dict):
        raise SettingsError(f"{'.'.join(keys)} is a table of {path}. Name one of its settings, or edit the file.")

    def change(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        document.remove(keys[-1])

    _rewrite(path, change, _without(content, keys))
    return True


def _rewrite(path: Path, change: Callable[[Any], None], expected: dict[str, Any]) -> None:
    import tomlkit

    try:
        text = path.read_text("utf-8") if path.exists() else ""
        document: tomlkit.TOMLDocument = tomlkit.parse(text)
        change(document)
        changed = tomlkit.dumps(document)
        is_right = tomllib.loads(changed) == expected
    except (ValueError, TypeError, KeyError) as error:
        raise SettingsError(f"{path} can't be changed by evt; edit it by hand.") from error
    if not is_right:
        raise SettingsError(f"{path} is written in a way that evt can't change; edit it by hand.")
    # Where the file is a link, what it leads to is changed, not the link.
    target = os.path.realpath(path)
    with contextlib.suppress(FileNotFoundError):
        # One that a crash left may have been readable by others.
        os.unlink(f"{target}.tmp")
    replace_durably(PosixStorage(), target, changed.encode())


def _table(*, is_outer: bool) -> Any:
    import tomlkit

    return tomlkit.table(is_super_table=is_outer)


def _with(content: dict[str, Any], keys: Sequence[str], value: Any) -> dict[str, Any]:
    key, *inner = keys
    if not inner:
        return {**content, key: value}
    table = content.get(key, {})
    if not isinstance(table, dict):
        raise SettingsError(f"{key} must be a table, but the file holds something else there. Edit it by hand.")
    return {**content, key: _with(table, inner, value)}


def _without(content: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    key, *inner = keys
    if inner:
        return {**content, key: _without(content[key], inner)}
    return {name: value for name, value in content.items() if name != key}
