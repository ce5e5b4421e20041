"""One file per format in which a reference, or what is judged by it, can be given: text in, accounts out. Pure."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from pipeline.references.text import ReferenceFileError, decoded
from pipeline.references.values import Accounts

READERS: Final = ("stm", "rttm", "ctm", "srt", "vtt", "txt", "json", "jsonl")
"""The formats that can be read, each by the suffix of its files."""


def read(content: bytes, suffix: str) -> Accounts:
    """Return what a file says.

    Args:
        content: the file's.
        suffix: of its name, one of READERS in any case, with or without a dot.

    Raises:
        ReferenceFileError: there is no reader for it, or the content is not in that format.
    """
    name = suffix.lower().removeprefix(".")
    if name not in READERS:
        raise ReferenceFileError(
            f"there is no reader for {suffix or 'a name without suffix'}: {', '.join(READERS)}."
        )
    found: Accounts = import_module(f"pipeline.references.{name}").read(decoded(content))
    return found
