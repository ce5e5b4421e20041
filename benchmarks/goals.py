"""What is to be reached: one table, and what each module of the benchmarks measures.

A goal is a ratio of two figures of one module, which it measured in turns; or one figure by itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

MODULES = {
    "durable": "µs an event",
    "many": "events a second",
    "growth": "ms",
}
"""The modules in the order in which they run, each with the unit of its figures that name no other."""


@frozen
class Goal:
    """What one figure, or the ratio of two, is to be.

    Attributes:
        row: what is done, as in the table of the page; the first word of a row names it for `--only`.
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

GOALS = (
    at_least(APPEND, "durable", "write + fdatasync", "append", 0.9, "speed, bare `write` + `fdatasync` = 1"),
    at_least(APPEND, "durable", "DBOS step", "append", 12, "times as fast as a DBOS step"),
    at_least(APPEND, "durable", "LangGraph step", "append", 5, "times as fast as a LangGraph step"),
    at_least(APPEND, "durable", "eventsourcing save", "append", 2, "times as fast as a save of `eventsourcing`"),
    at_least(
        *(MANY, "many", "append, 32 threads", "write + fdatasync, 32 threads", 0.8),
        "speed, 32 threads that write and fdatasync files of their own = 1",
    ),
)


def rows() -> list[str]:
    """Return the rows of the table, in its order."""
    return list(dict.fromkeys(goal.row for goal in GOALS))
