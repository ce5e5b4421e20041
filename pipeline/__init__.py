"""The effects: audio, providers, artifacts, and the one loop that runs a plan.

`from pipeline import transcribe` is evt for other programs, see docs/library.md; it is imported at its first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.library import Result, transcribe

__all__ = ["Result", "transcribe"]


def __getattr__(name: str) -> Any:
    """Import the library at its first use, since most that import this package need other parts of it."""
    if name in __all__:
        from pipeline import library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
