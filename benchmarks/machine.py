"""The machine that something was measured on, in words that don't name it."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from eventlog.filesystem import file_system_of

PACKAGES = ("attrs", "click", "orjson")


def machine(folder: Path) -> dict[str, str]:
    """Return cores, processor, memory, kernel, file system, Python and packages."""
    return {
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "processor": _processor(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "file_system": file_system_of(str(folder)).kind,
        "python": f"{platform.python_version()} ({platform.python_compiler()})",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def _processor() -> str:
    """Return what the kernel calls the processor."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
