"""Whether somebody has a file open for writing, as far as the system tells.

Source: fcntl(2), "Leases": a read lease is refused with EAGAIN while the file is open for writing anywhere on this
machine, and with EACCES for files of other users.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys

_F_SETSIG = 10


def is_open_for_writing(path: str) -> bool | None:
    """Say whether a file on a local disk is open for writing; None where nobody can tell. Nothing is read.

    On network file systems the answer is about the server's leases, so it must not be asked there.

    Raises:
        OSError: the file can't be opened.
    """
    if not sys.platform.startswith("linux"):
        return None
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        # Whoever opens the file in this very moment makes the system send us a signal: one that is ignored, since
        # the usual one would end the process.
        fcntl.fcntl(descriptor, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        os.close(descriptor)
    return False
