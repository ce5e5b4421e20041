"""`-o -`: one transcript in one format on stdout, and everything that is said on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from attrs import frozen

STDOUT = "-"


@frozen
class Output:
    """Where transcripts go.

    Attributes:
        folder: as the user wrote it; for stdout, one that lasts as long as the command.
        is_stdout: the one transcript is printed instead of kept there.
    """

    folder: str | None
    is_stdout: bool = False

    def require_one(self, recordings: int) -> None:
        """See that stdout gets one transcript.

        Raises:
            UsageError: there are several recordings.
        """
        if self.is_stdout and recordings > 1:
            raise click.UsageError(f"-o - writes one transcript to stdout, and here are {recordings}. Name one.")

    def write(self) -> None:
        """Print what was delivered, byte for byte; nothing where nothing was."""
        for path in Path(self.folder or "").iterdir() if self.is_stdout else ():
            sys.stdout.flush()
            try:
                sys.stdout.buffer.write(path.read_bytes())
                sys.stdout.buffer.flush()
            except BrokenPipeError:
                return


@contextmanager
def output_of(written: str | None, formats: Sequence[str], *, as_json: bool) -> Iterator[Output]:
    """Yield where transcripts go; for stdout, see first that only one format was asked for.

    Args:
        written: `--output-dir`.
        formats: `--format`, as it was given.
        as_json: a report is to be on stdout.

    Raises:
        UsageError: stdout can't hold what is asked for.
    """
    if written != STDOUT:
        yield Output(written)
        return
    wanted = {part.strip().lower() for item in formats for part in item.split(",") if part.strip()}
    if len(wanted) != 1:
        raise click.UsageError("-o - writes one format to stdout; name it, as in: --format txt -o -")
    if as_json:
        raise click.UsageError("-o - and --json both want stdout. Leave one of them out.")
    with TemporaryDirectory(prefix="evt-") as folder:
        yield Output(folder, is_stdout=True)
