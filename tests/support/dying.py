"""Processes that die in the middle of what they do to a disk."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

CHANGES = ("rename", "unlink", "fsync", "fdatasync", "mkdir", "rmdir", "link", "ftruncate")
"""Calls that change a disk, or see to it that a change lasts."""


def is_killed(step: int, act: Callable[[], object]) -> bool:
    """Act in a fork that is killed at its n-th change of the disk; False: it did not come so far."""
    pid = os.fork()
    if pid == 0:
        left = step

        def dying(name: str) -> None:
            real = getattr(os, name)

            def call(*arguments: object, **more: object) -> object:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **more)

            setattr(os, name, call)

        try:
            for name in CHANGES:
                dying(name)
            act()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])
