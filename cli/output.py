"""What is said to people, and how that goes on where nobody listens any more."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import TextIO

import click


def prepare_streams() -> None:
    """Make the standard streams usable, whatever we were started with.

    A descriptor that is closed is occupied by the null device, lest a file of ours gets its number and then
    the messages meant for it; characters that the terminal's encoding lacks are shown by their escapes.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str, *, err: bool = False) -> None:
    """Print a line beside work that matters more: if its reader is gone, this and all later ones are dropped."""
    stream = sys.stderr if err else sys.stdout
    try:
        click.echo(text, file=stream)
    except OSError:
        _silence(stream)


def _silence(stream: TextIO) -> None:
    """Let a stream write to the null device; what it still holds goes there too."""
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, stream.fileno())
    os.close(null)
