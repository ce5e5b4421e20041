"""How a run looks while it works: live bars on a terminal, one plain line per stage elsewhere, nothing if quiet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from cli.output import say
from cli.render import clause, printable, seconds
from projections.plan import StagePlan
from projections.state import INTERRUPTED, SUCCEEDED, Attempt
from projections.summary import as_json

_FACTS = ("duration_s", "segments", "speakers", "words", "chunks", "gaps", "utterances", "formats")


class PlainReporter:
    """One line on stderr when a stage ends."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self._quiet = quiet
        self._verbose = verbose

    def begins(self, name: str, pipeline: str) -> None:
        """Say which recording is worked on."""
        self.line(f"{name} ({pipeline})")

    def traceback(self, text: str) -> None:
        """Show a traceback, as it is."""
        say(text, err=True)

    def stage_started(self, step: StagePlan, attempt: int) -> None:
        """Say it only if asked to be verbose."""
        if self._verbose:
            self.line(f"  {step.stage}: begins (attempt {attempt}: {step.reason})")

    def stage_progress(self, stage: str, done_s: float, total_s: float) -> None:
        """Nothing: a log file is no place for bars."""

    def stage_doing(self, stage: str, text: str) -> None:
        """Say it only if asked to be verbose."""
        if self._verbose:
            self.line(f"  {stage}: {text}")

    def stage_note(self, stage: str, text: str) -> None:
        """Say it: waits and new tries are what people wonder about."""
        self.line(f"  {stage}: {text}")

    def stage_ended(self, attempt: Attempt) -> None:
        """Say what came out."""
        self.line(f"  {attempt.stage}: {ending(attempt)}")

    def line(self, text: str) -> None:
        """Write a note for people."""
        if not self._quiet:
            say(printable(text), err=True)

    def close(self) -> None:
        """Nothing to put away."""


class LiveReporter(PlainReporter):
    """Bars on a terminal, one for each stage that is under way; a terminal that went away stops no work."""

    def __init__(self, *, verbose: bool = False) -> None:
        super().__init__(verbose=verbose)
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            # What others write to stdout is theirs, also while bars are shown on stderr.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._tasks: dict[str, Any] = {}

    def stage_started(self, step: StagePlan, attempt: int) -> None:
        """Show a bar."""
        with suppress(OSError):
            self._bars.start()
        super().stage_started(step, attempt)
        if step.stage in self._tasks:  # begun anew, since what it learned changed the plan
            self._bars.remove_task(self._tasks[step.stage])
        self._tasks[step.stage] = self._bars.add_task(step.stage, total=None)

    def stage_progress(self, stage: str, done_s: float, total_s: float) -> None:
        """Move the bar."""
        if stage in self._tasks:
            self._bars.update(self._tasks[stage], completed=done_s, total=total_s or None)

    def stage_ended(self, attempt: Attempt) -> None:
        """Replace the bar by its line."""
        if attempt.stage in self._tasks:
            self._bars.remove_task(self._tasks.pop(attempt.stage))
        super().stage_ended(attempt)

    def line(self, text: str) -> None:
        """Write above the bars."""
        with suppress(OSError):
            self._bars.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Give the terminal back; the next stage takes it again."""
        with suppress(OSError):
            self._bars.stop()


@contextmanager
def download_bar(name: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Show on stderr how far a download is; what is given is told of bytes, also of such that count no more."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("  {task.description}"), BarColumn(bar_width=30), DownloadColumn())
    with Progress(
        *(*columns, TextColumn("left"), TimeRemainingColumn()),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bars:
        task = bars.add_task(name, total=total_bytes)
        yield lambda number: bars.advance(task, number)


def make_reporter(*, quiet: bool, verbose: bool) -> PlainReporter:
    """Return what fits where stderr goes."""
    if quiet or not sys.stderr.isatty():
        return PlainReporter(quiet=quiet, verbose=verbose)
    return LiveReporter(verbose=verbose)


def ending(attempt: Attempt) -> str:
    """Return how an attempt ended, in words."""
    if attempt.provided_by is not None:
        return f"taken over from {attempt.provided_by.get('pipeline')}{_facts(attempt)}"
    if attempt.status == SUCCEEDED:
        return f"done in {seconds(attempt.duration_s)}{_facts(attempt)}"
    if attempt.status == INTERRUPTED:
        return "interrupted"
    return f"failed: {attempt.error.message if attempt.error else 'for an unknown reason'}"


def language_words(metadata: Mapping[str, Any]) -> str:
    """Return the language that was found out, and how sure the engine was: `de (detected, 98 %)`."""
    sure = metadata.get("language_probability")
    more = f", {sure:.0%}".replace("%", " %") if isinstance(sure, float | int) else ""
    return f"{metadata.get('language')} (detected{more})"


def _facts(attempt: Attempt) -> str:
    metadata = as_json(attempt.metadata)
    found = []
    for name in _FACTS:
        value = metadata.get(name)
        if name == "gaps" and not value:
            continue
        if name == "duration_s" and value is not None:
            found.append(f"{seconds(value)} of audio")
        elif isinstance(value, list):
            found.append(", ".join(value))
        elif isinstance(value, int):
            found.append(f"{value} {name if value != 1 else name.removesuffix('s')}")
    if metadata.get("language_detected"):
        found.append(f"language: {language_words(metadata)}")
    found += [clause(str(warning)) for warning in metadata.get("warnings", [])]
    return f": {', '.join(found)}" if found else ""
