"""Linux' Landlock: a process takes from itself, for good, all files but some, and the network.

Source: https://docs.kernel.org/userspace-api/landlock.html; the numbers are those of linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Mapping
from pathlib import Path

from pipeline.audio.sandbox.system import call, forbid_new_privileges

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION_ONLY = 1
PATH_BENEATH = 1

WRITE_FILE, READ_FILE, READ_DIR = 1 << 1, 1 << 2, 1 << 3
MAKE_REG = 1 << 8
TRUNCATE = 1 << 14
ALL_RIGHTS: Mapping[int, int] = {1: 2**13 - 1, 2: 2**14 - 1, 3: 2**15 - 1, 5: 2**16 - 1}
"""Everything that can be forbidden to do with files, by the first version that knows it."""

TCP_SINCE, TCP = 4, 0b11
"""To bind and to connect; sockets of other kinds are left to seccomp."""
SCOPES_SINCE, SCOPES = 6, 0b11
"""Signals and abstract sockets of processes outside."""

READ, READ_ALL = READ_FILE, READ_FILE | READ_DIR
WRITE = WRITE_FILE | READ_FILE | MAKE_REG | TRUNCATE


def version() -> int:
    """Return the version of Landlock here; 0 where there is none."""
    try:
        return call(CREATE_RULESET, None, 0, VERSION_ONLY)
    except OSError:
        return 0


def allow_only(rights: Mapping[Path, int]) -> bool:
    """Forbid this thread, and all that it starts, every file but these, and the network.

    Args:
        rights: `READ` for a file, `READ_ALL` or `WRITE` for a folder, by path.

    Returns:
        Whether that holds; False where the kernel has no Landlock.

    Raises:
        OSError: the kernel has it and refused, or a path is gone.
    """
    found = version()
    if not found:
        return False
    known = max(mask for since, mask in ALL_RIGHTS.items() if since <= found)
    tcp = TCP if found >= TCP_SINCE else 0
    scopes = SCOPES if found >= SCOPES_SINCE else 0
    fields = struct.pack("=QQQ", known, tcp, scopes)[: 8 if not tcp else 16 if not scopes else 24]
    ruleset = call(CREATE_RULESET, ctypes.create_string_buffer(fields, len(fields)), len(fields), 0)
    for path, allowed in rights.items():
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("=Qi", allowed & known, descriptor)
        call(ADD_RULE, ruleset, PATH_BENEATH, ctypes.create_string_buffer(rule, len(rule)), 0)
        os.close(descriptor)
    forbid_new_privileges()
    call(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return True
