"""The words of a plan: what is decided about a stage, and why it runs. Stored in the log; stable for ever."""

from __future__ import annotations

from typing import Final

REUSE: Final = "reuse"
STALE: Final = "stale"
ADOPT: Final = "adopt"
ASK: Final = "ask"
RUN: Final = "run"
WAITING: Final = "waiting"
BLOCKED: Final = "blocked"

FIRST: Final = "first"
NAMED: Final = "named"
UPSTREAM: Final = "upstream"
REFRESH: Final = "refresh"
REMADE: Final = "remade"

TAKEN_OVER: Final = "taken_over"
"""It didn't run here: another pipeline of the same recording provided it."""

TRANSCRIBER: Final = "transcriber"
"""The diarizer that asks nobody: the transcriber says who speaks."""
