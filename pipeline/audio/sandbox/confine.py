"""Takes from a process what reading one recording doesn't need, in layers: each where the system has it."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.audio.sandbox import landlock, seccomp
from pipeline.audio.sandbox.limits import MIB, Limits
from pipeline.audio.sandbox.system import SET_PDEATHSIG, prctl

LIBRARIES_BYTES = 2048 * MIB
"""Of address space: code, and memory that threads reserve and don't use."""

NOTICE_S = 5
"""CPU seconds between SIGXCPU, which says what was wrong, and the SIGKILL of the last limit."""


def confine(
    limits: Limits, sources: Sequence[Path], folder: Path | None, code: Sequence[Path] = ()
) -> tuple[str, ...]:
    """Limit this process for good: `sources` may be read, files made in `folder`, and nothing else be opened.

    No thread may run but this one.

    Args:
        limits: what it may use.
        sources: the files of the recording.
        folder: for what becomes of it; None: nothing.
        code: folders of libraries that may be read, since some load their parts when they are first used.

    Returns:
        Which layers hold here: limits, landlock, seccomp.
    """
    _limit(limits)
    layers = ["limits"]
    if sys.platform == "linux":
        rights = dict.fromkeys(sources, landlock.READ) | ({folder: landlock.WRITE} if folder else {})
        rights |= dict.fromkeys(code, landlock.READ_ALL)
        layers += ["landlock"] if landlock.allow_only(rights) else []
        layers += ["seccomp"] if seccomp.forbid() else []
    return tuple(layers)


def die_with(parent: int) -> None:
    """End this process when its parent does, where the system can see to that; at once if that has happened."""
    if sys.platform == "linux":
        prctl(SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def allow_cpu(seconds: int) -> None:
    """Set the CPU seconds at which this process is ended, at most those of the longest recording."""
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, most))


def _limit(limits: Limits) -> None:
    _set(resource.RLIMIT_CORE, 0, 0)
    _set(resource.RLIMIT_CPU, limits.cpu_s(0), limits.cpu_s(limits.sound_s) + NOTICE_S)
    _set(resource.RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes)
    _set(resource.RLIMIT_NOFILE, limits.files, limits.files)
    _set(resource.RLIMIT_DATA, limits.memory_bytes, limits.memory_bytes)
    space = limits.memory_bytes + LIBRARIES_BYTES
    _set(resource.RLIMIT_AS, space, space)


def _set(what: int, soft: int, hard: int) -> None:
    """Set a limit, or leave the lower one that was there."""
    most = resource.getrlimit(what)[1]
    hard = hard if most == resource.RLIM_INFINITY else min(hard, most)
    with suppress(ValueError, OSError):  # macOS has names for limits that it doesn't know how to set
        resource.setrlimit(what, (min(soft, hard), hard))
