"""What is to be reached: one table, and what each module of the benchmarks measures.

A goal is a ratio of two figures of one module, which it measured in turns; or one figure by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen


@frozen
class Module:
    """A module of the benchmarks.

    Attributes:
        unit: of its figures that name no other.
        options: for its `measure`, where what is usual for it by hand is not what a goal asks for.
    """

    unit: str
    options: Mapping[str, Any] = {}


MODULES = {
    "durable": Module("µs an event"),
    "many": Module("events a second"),
    "replay": Module("µs of processor time an event", {"count": 1_000_000, "rounds": 1}),
    "listing": Module("ms"),
    "listing_dbos": Module("ms"),
    "start": Module("s of processor time"),
    "tail": Module("µs"),
    "convert": Module("s"),
    "whole_run": Module("s a recording"),
    "batch": Module("s", {"count": 120}),
    "archive": Module("times smaller; MB a second"),
    "growth": Module("ms"),
}
"""In the order in which they run."""


@frozen
class Goal:
    """What one figure, or the ratio of two, is to be.

    Attributes:
        row: what is done, as in the table of the page.
        module: who measures it.
        of: the figure above the line.
        by: the figure below it; None where `of` counts by itself.
        goal: what is to be reached.
        least: whether more is better.
        says: what the ratio means, in words.
    """

    row: str
    module: str
    of: str
    by: str | None
    goal: float
    least: bool
    says: str

    def value(self, figures: Mapping[str, float]) -> float | None:
        """Return what was measured; None where one of the figures is missing."""
        if self.of not in figures or (self.by is not None and self.by not in figures):
            return None
        return figures[self.of] / (1 if self.by is None else figures[self.by])

    def is_reached(self, value: float) -> bool:
        """Say whether a value is as good as the goal, as exact as the table shows it."""
        return round(value, 2) >= self.goal if self.least else round(value, 2) <= self.goal


def at_least(row: str, module: str, of: str, by: str | None, goal: float, says: str) -> Goal:
    """Return a goal of which more is better."""
    return Goal(row, module, of, by, goal, True, says)


def at_most(row: str, module: str, of: str, by: str | None, goal: float, says: str) -> Goal:
    """Return a goal of which less is better."""
    return Goal(row, module, of, by, goal, False, says)


APPEND = "durable append"
MANY = "32 pipelines at once, each event durable"
REPLAY = "replay 1,000,000 events"
LIST = "list 10,000 pipelines"
START = "start, processor time"
TAIL = "append until `tail -f` sees it"
CONVERT = "convert 48 kHz to 16 kHz FLAC"
RUN = "whole run, stages that do nothing"
BATCH = "batch of ten-second files, an engine that does nothing"
ARCHIVE = "archive"

GOALS = (
    at_least(APPEND, "durable", "write + fdatasync", "append", 0.9, "speed, bare `write` + `fdatasync` = 1"),
    at_least(APPEND, "durable", "DBOS step", "append", 12, "times as fast as a DBOS step"),
    at_least(APPEND, "durable", "LangGraph step", "append", 5, "times as fast as a LangGraph step"),
    at_least(APPEND, "durable", "eventsourcing save", "append", 2, "times as fast as a save of `eventsourcing`"),
    at_least(
        *(MANY, "many", "append, 32 threads", "write + fdatasync, 32 threads", 0.8),
        "speed, 32 threads that write and fdatasync files of their own = 1",
    ),
    at_least(
        *(REPLAY, "replay", "orjson_per_line", "fold_unchecked", 0.7),
        "speed of the typed fold, `orjson.loads` of each line = 1",
    ),
    at_least(
        *(REPLAY, "replay", "orjson_per_line", "stream_and_fold", 0.5),
        "speed with the chain verified, as `evt replay` does it",
    ),
    at_most(REPLAY, "replay", "stream_and_fold_mb", None, 64, "MB at most"),
    at_most(LIST, "listing", "listing", "scandir+stat", 2, "time, `scandir` + `stat` of each log = 1"),
    at_least(LIST, "listing_dbos", "DBOS list_workflows", "listing", 4.5, "times as fast as DBOS `list_workflows`"),
    at_most(LIST, "listing", "rebuild", "bare fold", 1.2, "time of making the index, the bare fold = 1"),
    at_most(START, "start", "evt --help", "import click, orjson, attrs", 1.0, "`--help`, `import …` = 1"),
    at_most(START, "start", "evt list", "import click, orjson, attrs", 1.2, "`list`"),
    at_most(START, "start", "evt replay", "import click, orjson, attrs", 1.3, "`replay`"),
    at_most(TAIL, "tail", "ours_p50", "fifo_p50", 2, "median time, the wake-up of a FIFO's reader = 1"),
    at_most(TAIL, "tail", "idle_cpu", None, 100, "µs of processor time for each second of waiting"),
    at_most(CONVERT, "convert", "mono_ours_s", "mono_ffmpeg_s", 0.8, "time, mono WAV, ffmpeg = 1"),
    at_most(CONVERT, "convert", "room_ours_s", "room_ffmpeg_s", 0.8, "time, stereo WAV"),
    at_most(CONVERT, "convert", "mp3_ours_s", "mp3_ffmpeg_s", 1.0, "time, MP3"),
    at_most(CONVERT, "convert", "m4a_ours_s", "m4a_ffmpeg_s", 1.0, "time, AAC"),
    at_most(CONVERT, "convert", "opus_ours_s", "opus_ffmpeg_s", 1.0, "time, Opus"),
    at_most(CONVERT, "convert", "mono_memory_mib", None, 64, "MiB above the imports"),
    at_most(CONVERT, "convert", "alias_ours_db", None, -80, "dB left of a tone of 11 kHz"),
    at_least(RUN, "whole_run", "bare", "ours", 0.6, "speed, the bare syncs that it needs = 1"),
    at_least(BATCH, "batch", "wall_s_1", "wall_s_2", 1.7, "times as fast with two cores as with one"),
    at_most(BATCH, "batch", "peak_mb_end_2", "peak_mb_begin_2", 1.1, "peak memory at the end, after a tenth = 1"),
    at_least(ARCHIVE, "archive", "evt, 20 records", None, 4, "times smaller, 20 records"),
    at_least(ARCHIVE, "archive", "evt, 200 records", None, 5, "times smaller, 200 records"),
    at_least(ARCHIVE, "archive", "evt speed, 200 records", None, 100, "MB a second, 200 records"),
)


def rows() -> list[str]:
    """Return the rows of the table, in its order."""
    return list(dict.fromkeys(goal.row for goal in GOALS))
