"""Where tests write: to memory, unless the disk itself is what they are about."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOM_BYTES = 1 << 30
"""Two processes of tests use two fifths of it at most."""


def _memory() -> Path | None:
    folder = Path("/dev/shm")
    return folder if folder.is_dir() and shutil.disk_usage(folder).free >= ROOM_BYTES else None


MEMORY = _memory()
"""A file system in memory with room enough, where there is one. A run syncs 90 times, for which a disk needs longer
than evt does for the rest of it. What a disk promises beyond memory shows when the power fails: proofs/simfs.py."""
