"""Equality and representation for immutable values, written once.

attrs generates both for each class at import, which costs about 0.7 ms a class; a command that only lists or
replays logs would spend more time there than on the logs. Classes derive from Value and are declared with
`@frozen(eq=False, repr=False)`.
"""

from __future__ import annotations

from typing import Any

import attrs


class Value:
    """An immutable value: equal to another of its class with equal fields."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment] # fields may be mappings

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return _fields(self) == _fields(other)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in _fields(self))})"


def _fields(value: Any) -> list[tuple[str, Any]]:
    return [(field.name, getattr(value, field.name)) for field in attrs.fields(type(value))]
