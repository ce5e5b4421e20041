"""System calls that Python has no names for. Linux only, but for importing it."""

from __future__ import annotations

import ctypes
import os
from typing import Any

SET_PDEATHSIG, SET_SECCOMP, SET_NO_NEW_PRIVS = 1, 22, 38
"""Source: linux/prctl.h."""


def call(number: int, *arguments: Any) -> int:
    """Make a system call; raises OSError where it fails."""
    return _checked(_libc().syscall(number, *arguments))


def prctl(option: int, *arguments: Any) -> None:
    """Change a property of this process; raises OSError where that fails."""
    padded = (*arguments, *(0,) * (4 - len(arguments)))
    _checked(_libc().prctl(option, *(ctypes.c_ulong(each) if isinstance(each, int) else each for each in padded)))


def forbid_new_privileges() -> None:
    """Let no program that this process starts have more rights than it; landlock and seccomp ask for that."""
    prctl(SET_NO_NEW_PRIVS, 1)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(answer: int) -> int:
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return answer
