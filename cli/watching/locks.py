"""One watcher for each folder and home: a lock that the system takes back however its process ends."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from cli.errors import WatchedError
from cli.render import printable
from pipeline.home import Home

_WAIT_S = 1.0
"""How long one that was just told to end is waited for."""
_LOOK_S = 0.05


def separate(folders: Iterable[str]) -> list[str]:
    """Return each folder once, without those that lie in another."""
    kept: dict[str, str] = {}
    for folder in folders:
        kept.setdefault(os.path.realpath(folder), folder)
    return [
        folder
        for place, folder in kept.items()
        if not any(place != other and place.startswith(os.path.join(other, "")) for other in kept)
    ]


def require_watchable(folders: Iterable[str], home: Home) -> None:
    """See that these are folders, and none is evt's own.

    Raises:
        WatchedError: one isn't.
    """
    own = os.path.realpath(home.root)
    for folder in folders:
        if not os.path.isdir(folder):
            raise WatchedError(
                f"There is no folder {printable(folder)}. Check the name; to transcribe files: evt run."
            )
        if os.path.join(os.path.realpath(folder), "").startswith(os.path.join(own, "")):
            raise WatchedError(
                f"{printable(folder)} is evt's home, or lies in it. Name the folder of your recordings."
            )


@contextmanager
def only_watcher(folders: Iterable[str], home: Home) -> Iterator[None]:
    """Be the only one who watches these folders for this home.

    Raises:
        WatchedError: another process does.
        OSError: the home can't be written.
    """
    home.watched.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as held:
        for folder in folders:
            name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]
            descriptor = os.open(home.watched / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            held.callback(os.close, descriptor)
            _lock(descriptor, folder)
        yield


def _lock(descriptor: int, folder: str) -> None:
    end_s = time.monotonic() + _WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < end_s:
                time.sleep(_LOOK_S)
                continue
            raise WatchedError(
                f"Another evt{_pid_in(descriptor)} watches {printable(folder)} for this home. End that one first, "
                "or use another --home."
            ) from None
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return


def _pid_in(descriptor: int) -> str:
    text = os.pread(descriptor, 32, 0).strip()
    return f" (pid {text.decode()})" if text.isdigit() else ""
