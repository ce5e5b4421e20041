"""How a batch looks while it works: on a terminal one live view of all, elsewhere a line for each that ends.

Threads that work say what they do through a `Row`; only the main thread writes, so that no two lines mix. The view
is drawn by hand, since a terminal that is made narrower wraps what stands there, and its rows must be counted anew.
"""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from attrs import define

from cli.outcomes import Outcome
from cli.output import say
from cli.progress import PlainReporter
from cli.render import printable, seconds
from projections.plan import StagePlan
from projections.state import Attempt

SHOWN_MAX = 8
"""So many recordings are shown at once; more would push what was said off the screen."""

_DRAWN_EVERY_S = 0.1


class Row(PlainReporter):
    """What one recording is doing; told by the threads that work on it.

    Args:
        post: lets the main thread write a text; also where all is quiet, if its second argument says so.
        name: the recording's.
    """

    def __init__(self, post: Callable[[str, bool], None], name: str, *, verbose: bool = False) -> None:
        super().__init__(verbose=verbose)
        self.post = post
        self.verbose = verbose
        self.name = printable(name)
        self.stages: dict[str, str] = {}

    def begins(self, name: str, pipeline: str) -> None:
        """Say it only if asked to be verbose."""
        if self.verbose:
            self.line(f"begins ({pipeline})")

    def line(self, text: str) -> None:
        """Let the main thread write a note, with the recording's name."""
        self.post(printable(f"{self.name}: {text.strip()}"), False)

    def traceback(self, text: str) -> None:
        """Let the main thread show a traceback."""
        self.post(text, True)

    def changed(self) -> None:
        """Nothing: whoever shows it looks by itself."""

    def stage_started(self, step: StagePlan, attempt: int) -> None:
        """Show the stage."""
        self.stages[step.stage] = step.stage
        self.changed()
        super().stage_started(step, attempt)

    def stage_progress(self, stage: str, done_s: float, total_s: float) -> None:
        """Show how far it is."""
        if stage in self.stages and total_s:
            self.stages[stage] = f"{stage} {min(done_s / total_s, 1):.0%}".replace("%", " %")
            self.changed()

    def stage_ended(self, attempt: Attempt) -> None:
        """Show it no more; what came out is told with the outcome."""
        self.stages.pop(attempt.stage, None)
        self.changed()
        if self.verbose:
            super().stage_ended(attempt)

    def shown(self, width: int) -> str:
        """Return what it does just now; where both don't fit, the name is shortened."""
        does = ", ".join(list(self.stages.values())) or "begins"
        return f"{cut(self.name, max(width - cells(does) - 2, width // 3))}  {does}"


@define
class Totals:
    """What has become of a batch so far.

    Attributes:
        total: how many recordings there are.
        reused: of those that are done, how many had nothing to do.
        audio_s: seconds of the recordings that were finished now.
    """

    total: int
    begun_s: float
    done: int = 0
    reused: int = 0
    failed: int = 0
    waiting: int = 0
    audio_s: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count a recording in."""
        if outcome.outcome == "completed":
            self.done += 1
            self.reused += not outcome.ran
            self.audio_s += outcome.audio_s if outcome.ran else 0.0
        elif outcome.outcome == "needs_decision" or outcome.is_waiting:
            self.waiting += 1
        elif outcome.outcome != "interrupted":
            self.failed += 1

    def left_s(self, now_s: float) -> float | None:
        """Return for how long this goes on, if what is left is like what was done; None: nobody knows."""
        ended = self.done + self.failed + self.waiting
        worked = ended - self.reused
        return (now_s - self.begun_s) / worked * (self.total - ended) if worked else None

    def speed(self, now_s: float) -> float:
        """Return how many hours of audio are done in an hour."""
        return self.audio_s / max(now_s - self.begun_s, 0.001)

    def words(self, now_s: float) -> list[str]:
        """Return how far the batch is, what matters most first, since a narrow terminal cuts the end off."""
        parts = [f"{self.done} of {self.total} done", *self.troubles()]
        left_s = self.left_s(now_s)
        parts += [f"{seconds(left_s)} left"] if left_s is not None else []
        parts += [f"{self.speed(now_s):.1f} h of audio per hour"] if self.audio_s else []
        return parts

    def troubles(self) -> list[str]:
        """Return what isn't done and won't be by itself."""
        parts = [f"{self.failed} failed"] if self.failed else []
        return parts + ([f"{self.waiting} waiting for you"] if self.waiting else [])


class BatchView:
    """Where there is no terminal: notes as they come; the outcomes are told by others.

    Args:
        totals: what the view shows of the whole.
        clock_s: a monotonic clock.
        cost: returns what was paid so far, in words; empty: nothing costs.
    """

    def __init__(
        self,
        totals: Totals,
        clock_s: Callable[[], float],
        cost: Callable[[], str],
        *,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        self.totals = totals
        self.clock_s = clock_s
        self.cost = cost
        self.quiet = quiet
        self.verbose = verbose
        self.rows: dict[int, Row] = {}
        self._posted: SimpleQueue[str] = SimpleQueue()

    def begin(self, name: str) -> Row:
        """Show that a recording is worked on."""
        row = Row(self.post, name, verbose=self.verbose)
        self.rows[id(row)] = row
        return row

    def end(self, row: Row) -> None:
        """Show it no more."""
        self.rows.pop(id(row), None)

    def post(self, text: str, always: bool = False) -> None:  # also called from afar
        """Keep a text, safe to print, until the main thread writes it; where all is quiet only if `always`."""
        if always or not self.quiet:
            self._posted.put(text)

    def show(self, outcome: Callable[[], None] | None = None) -> None:
        """Write what was posted, and what `outcome` writes; to be called often, by the main thread."""
        lines = []
        with suppress(Empty):
            while True:
                lines.append(self._posted.get_nowait())
        if lines or outcome:
            self.clear()
        for line in lines:
            say(line, err=True)
        if outcome:
            outcome()
        self.draw()

    def clear(self) -> None:
        """Nothing is drawn."""

    def draw(self) -> None:
        """Nothing is drawn."""

    def forget(self) -> None:
        """Nothing is drawn."""


class LiveBatchView(BatchView):
    """On a terminal: the totals, and what is worked on, below everything else."""

    _drawn: Sequence[str] = ()
    _drawn_s = float("-inf")

    def clear(self) -> None:
        """Take the view off the terminal, however wide that is now."""
        drawn, self._drawn, self._drawn_s = self._drawn, (), float("-inf")
        if drawn:
            width = _width()
            rows = sum(max(1, -(-cells(line) // width)) for line in drawn)
            up = f"\x1b[{rows - 1}A" if rows > 1 else ""
            _write(f"\r{up}\x1b[J")

    def draw(self) -> None:
        """Draw the view anew, not too often."""
        now_s = self.clock_s()
        if now_s - self._drawn_s < _DRAWN_EVERY_S:
            return
        width = _width()
        # The last column stays free: a line that fills it is wrapped by some terminals.
        lines = [cut(line, width - 1) for line in self._lines(now_s, width - 1)]
        if lines != self._drawn:
            self.clear()
            self._drawn = lines
            _write("\n".join(lines))
        self._drawn_s = now_s

    def forget(self) -> None:
        """Leave what is drawn where it is: something else was written below it."""
        self._drawn = ()

    def _lines(self, now_s: float, width: int) -> list[str]:
        rows = list(self.rows.values())
        more = [f"  and {len(rows) - SHOWN_MAX} more"] if len(rows) > SHOWN_MAX else []
        shown = [f"  {row.shown(width - 2)}" for row in rows[:SHOWN_MAX]]
        return [totals_line(self.totals, now_s, self.cost()), *shown, *more]


def make_view(
    totals: Totals, clock_s: Callable[[], float], cost: Callable[[], str], *, quiet: bool, verbose: bool
) -> BatchView:
    """Return what fits where stderr goes."""
    live = not quiet and sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}
    return (LiveBatchView if live else BatchView)(totals, clock_s, cost, quiet=quiet, verbose=verbose)


def totals_line(totals: Totals, now_s: float, cost: str) -> str:
    """Return how far all is, and what was paid."""
    return " · ".join([*totals.words(now_s), *([cost] if cost else [])])


def cells(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(map(_cells, text))


def cut(text: str, width: int) -> str:
    """Return a text that takes at most so many columns."""
    if cells(text) <= width:
        return text
    while text and cells(text) > width - 1:
        text = text[:-1]
    return f"{text}…" if width > 0 else ""


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _width() -> int:
    return max(1, shutil.get_terminal_size().columns if not sys.stderr.isatty() else _columns())


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _write(text: str) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()
