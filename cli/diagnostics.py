"""`--log-file`: what evt did, for whoever looks for a defect; without it nothing is written.

Loggers of ours are below `evt`. They get names, numbers and errors; no speech, no words of the user and no key.
What errors of others quote is scrubbed once more before it is written.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from cli.errors import SettingsError
from pipeline.scrub import scrubbed
from pipeline.secret import Secret

LOGGER = "evt"
_FORM = "%(asctime)s %(levelname)-7s %(process)d %(threadName)s %(name)s: %(message)s"


class _Scrubbing(logging.Formatter):
    """Writes a record without secrets, also where they stand in a traceback."""

    def __init__(self) -> None:
        super().__init__(_FORM)
        self.secrets: set[Secret] = set()

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        return scrubbed(super().format(record), self.secrets)


def begin(written: str, command: str) -> None:
    """Append to a file what evt's loggers are told, the command's name first; of what stands behind it nothing.

    Raises:
        SettingsError: the file can't be written.
    """
    write_to(Path(written))
    system = f"Python {platform.python_version()}, {platform.platform()}"
    logging.getLogger(f"{LOGGER}.cli").debug("evt %s: %s; %s", version("evt-transcribe"), command, system)


def write_to(path: Path) -> None:
    """Append everything that evt's loggers are told to a file, for the user alone.

    Raises:
        SettingsError: the file can't be written.
    """
    try:
        path.touch(mode=0o600)
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise SettingsError(f"--log-file {path} can't be written: {error.strerror}. Choose another.") from error
    handler.setFormatter(_Scrubbing())
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)


def written_to() -> Path | None:
    """Return the file to which evt's loggers write; None: to none."""
    handlers = logging.getLogger(LOGGER).handlers
    return next((Path(one.baseFilename) for one in handlers if isinstance(one, logging.FileHandler)), None)


def hide(secrets: Iterable[Secret]) -> None:
    """Let no file of diagnostics hold these, whatever quotes them."""
    found = tuple(secrets)
    for handler in logging.getLogger(LOGGER).handlers:
        if isinstance(handler.formatter, _Scrubbing):
            handler.formatter.secrets.update(found)
