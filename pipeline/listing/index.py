"""The one place that opens the index: a database beside the logs that may be lost, damaged or locked at any time.

Whoever keeps something here can have it again from elsewhere, and puts a check into each row, since a damaged
database may give back anything. Nothing here raises: what can't be read is not there, what can't be written isn't
remembered, and a database that is damaged is removed as a whole.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

WAIT_S = 0.3
"""How long somebody else's writing is waited for; it takes some milliseconds, unless that process was stopped."""

RACY_S = 2.0
"""A file changed this short a while ago may change again without a new time stamp, so it is not remembered.

Source: the coarsest time stamps in use are FAT's, two seconds.
"""

_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
    }
)
"""What says nothing against the database. Source: https://www.sqlite.org/rescode.html."""

Row = tuple[Any, ...]


def read(index: Path, query: str, parameters: Sequence[Row] = ((),), *, changes: bool = True) -> list[Row]:
    """Return what a query finds, for one set of parameters after the other; texts are bytes.

    Args:
        index: where it is.
        query: what is looked for.
        parameters: for the query.
        changes: a database that is damaged may be removed, and one of a killed process mended.

    Returns:
        Nothing where there is no database, no such table, or no way to read it just now.
    """
    if not _is_file(index):
        return []
    with _forgiving(index, removes=changes), closing(_connect(index, "rw" if changes else "ro")) as database:
        return [row for values in parameters for row in database.execute(query, values)]
    return []


def write(index: Path, schema: str, statements: Iterable[tuple[str, Sequence[Row]]]) -> None:
    """Carry out statements, each for its rows, all or nothing; makes the database, private to the user.

    Args:
        index: where it is, or shall be.
        schema: makes the table that the statements need, unless it is there.
        statements: each with its rows.
    """
    for _ in range(2):  # the second time without what was damaged
        with _forgiving(index):
            index.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_file(index):
                os.close(os.open(index, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            with closing(_connect(index)) as database, database:
                # The journal protects it from killed processes. A power cut may cost it, and syncs cost more.
                database.execute("PRAGMA synchronous = OFF")
                database.execute("PRAGMA secure_delete = ON")
                database.execute("BEGIN IMMEDIATE")
                database.execute(schema)
                for statement, rows in statements:
                    database.executemany(statement, rows)
            return
        if index.exists():
            return


def _connect(index: Path, mode: str = "rw") -> sqlite3.Connection:
    database = sqlite3.connect(
        f"{index.absolute().as_uri()}?mode={mode}", uri=True, timeout=WAIT_S, isolation_level=None
    )
    # No damage can then make a text that isn't one.
    database.text_factory = bytes
    return database


@contextmanager
def _forgiving(index: Path, *, removes: bool = True) -> Iterator[None]:
    """Pass over everything that a database or a disk may say; remove a damaged one.

    Its journal is left: SQLite removes one that has no database, and another process may be using it.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.ProgrammingError):
            raise  # a defect of ours
        kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # without what SQLite adds to it
        if removes and kind not in _PASSING and not str(error).startswith("no such table"):
            with suppress(OSError):
                index.unlink()
    except (OSError, OverflowError):
        pass  # read-only, full, or a number that no database holds


def _is_file(index: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(index).st_mode)
    except OSError:
        return False
