"""What a `.env` file says: NAME=VALUE, quotes, `export`, comments. Nothing in it is expanded or carried out.

A few lines of our own rather than a library: the usual one also expands variables, searches parent folders and
writes into the process's environment, none of which may happen to keys here.
"""

from __future__ import annotations

import re

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=[ \t]*(.*)", re.ASCII | re.DOTALL)
_QUOTED = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)\"""", re.DOTALL)
_COMMENT = re.compile(r"(?:^|\s+)#.*", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


def parse_dotenv(text: str) -> dict[str, str]:
    """Return the variables by name; of several with one name the last counts, and other lines are passed over."""
    found = {}
    for line in text.removeprefix("\ufeff").split("\n"):
        if match := _LINE.fullmatch(line.rstrip("\r")):
            found[match[1]] = _value(match[2])
    return found


def _value(text: str) -> str:
    if not text.startswith(("'", '"')):
        return _COMMENT.sub("", text).rstrip()
    quoted = _QUOTED.match(text)
    if quoted is None:
        # It goes on behind the line break; we need no such value, and the break says that this is not all of it.
        return f"{text[1:]}\n"
    single, double = quoted.groups()
    return single if single is not None else _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[1]), double)
