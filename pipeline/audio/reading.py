"""Files as one recording, and what of its time is wanted.

A recorder that splits files gives parts, which follow one another without a gap. An excerpt is cut out of the
recording's clock, on which the parts stand one after another.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from pipeline.audio import containers, soundfiles
from pipeline.audio.conversion import EVERYTHING, Selection, checked_size
from pipeline.audio.source import Findings, require_track
from pipeline.audio.window import Window, regular
from pipeline.errors import SourceRejectedError
from pipeline.speech.times import clock

if TYPE_CHECKING:
    from pipeline.audio.source import Block, Facts, Source

SLOWEST_HZ = 2000
"""No recording has a lower rate; a damaged header may, and would blow up to gigabytes."""

SLACK_S = 1.0
"""An end that lies no further behind that of the recording is meant to be that."""


@contextmanager
def open_recording(path: Path, track: int | None = None) -> Iterator[Source]:
    """Open a file with the fast decoder, else with the one for everything.

    Raises:
        SourceRejectedError: it is no recording, or hasn't this track.
        OSError: it can't be opened.
    """
    with ExitStack() as stack:
        try:
            source: Source | None = stack.enter_context(soundfiles.open_lossless(path))
            if source is not None:
                require_track(path, track, 1)
            source = source or stack.enter_context(containers.open_container(path, track))
        except PermissionError as error:
            raise SourceRejectedError(f"{path.name!r} may not be read. Change its permissions.") from error
        if source.facts.rate_hz < SLOWEST_HZ or not source.facts.channels:
            raise SourceRejectedError(f"{path.name!r} is damaged: its header makes no sense. Choose another file.")
        yield source


def stated_s(source: Path, then: Sequence[Path] = (), selection: Selection = EVERYTHING) -> float | None:
    """Return how long what is wanted of a recording will be, in seconds, by what its files say of themselves.

    None where they don't say, or aren't audio.
    """
    total_s = 0.0
    try:
        for path in (source, *then):
            checked_size(path)
            with open_recording(path, selection.track) as opened:
                if opened.facts.total_s is None:
                    return None
                total_s += opened.facts.total_s
    except (SourceRejectedError, OSError):
        return None
    return selection.seconds_of(total_s)


@define
class Chain:
    """Files of one form as one source, cut by a window.

    Attributes:
        first: the number of the first of them in the recording, from 0; `parts`: how many that has.
    """

    paths: Sequence[Path]
    track: int | None
    window: Window
    facts: Facts
    begins: Callable[[int], None]
    first: int
    parts: int
    findings: Findings = field(factory=Findings)

    def skip(self, samples: int) -> int:
        """Pass over nothing; the window does that."""
        return 0

    def blocks(self) -> Generator[Block, None, None]:
        """Yield what the window cuts out, and empty blocks where it passes over something."""
        yield from regular(self._cut(), self.facts.block_samples)

    def _cut(self) -> Iterator[Block]:
        for number, path in enumerate(self.paths, self.first):
            if self.window.is_over:
                return
            self.begins(number)
            with _opened_part(path, self.track, number, self.parts) as source:
                yield from self.window.cut(source)
                if number == 0:
                    self.findings.start_offset_s = source.findings.start_offset_s
                    source.findings.start_offset_s = 0.0
                self.findings.take(source.findings, f"Part {number + 1}: " if self.parts > 1 else "")


@contextmanager
def _opened_part(path: Path, track: int | None, number: int, parts: int) -> Iterator[Source]:
    """Open a file of a recording; what is wrong with it names the part."""
    try:
        with open_recording(path, track) as source:
            yield source
    except SourceRejectedError as error:
        if parts == 1:
            raise
        raise SourceRejectedError(f"Part {number + 1} of {parts}: {error}") from error


class Files:
    """The files of a recording, and what is wanted of it.

    Attributes:
        paths: in their order.
        selection: what is wanted.
    """

    def __init__(self, paths: Sequence[Path], selection: Selection, begins: Callable[[int], None]) -> None:
        """Look into the files where there are several; SourceRejectedError names the part that can't be read."""
        self.paths, self.selection = tuple(paths), selection
        self._begins = begins
        self._parts: list[Facts] = []
        self._window: Window | None = None
        if len(paths) == 1 and not selection.is_excerpt:
            return
        for number, path in enumerate(paths):
            begins(number)
            with _opened_part(path, selection.track, number, len(paths)) as source:
                self._parts.append(source.facts)

    @property
    def are_alike(self) -> bool:
        """They can be read as one source."""
        return len({(facts.rate_hz, facts.channels) for facts in self._parts}) < 2

    @property
    def facts(self) -> Facts:
        """What is known of the first, with the length of all."""
        return evolve(self._parts[0], total_s=self.total_s)

    @property
    def total_s(self) -> float | None:
        """Return where on the recording's clock reading ends, as far as the files say."""
        stated = self._stated_s()
        end_s = self.selection.end_s
        return stated if stated is None or end_s is None else min(stated, end_s)

    def _stated_s(self) -> float | None:
        lengths = [facts.total_s for facts in self._parts]
        return None if None in lengths else sum(length for length in lengths if length)

    def window(self) -> Window:
        """Return what a reading of the files is cut with."""
        self._window = Window(self.selection.start_s, self.selection.end_s)
        return self._window

    def chain(self, window: Window, number: int) -> Chain:
        """Return one of the files as a source."""
        facts = evolve(self._parts[number], total_s=self.total_s)
        return Chain(
            self.paths[number : number + 1],
            self.selection.track,
            window,
            facts,
            self._begins,
            number,
            len(self.paths),
        )

    @contextmanager
    def opened(self) -> Iterator[Source]:
        """Open all as one source; a single file of which everything is wanted is that itself."""
        if self._parts:
            window, parts = self.window(), len(self.paths)
            yield Chain(self.paths, self.selection.track, window, self.facts, self._begins, 0, parts)
        else:
            with open_recording(self.paths[0], self.selection.track) as source:
                yield source

    def require_sound(self, seconds: float) -> None:
        """Raise SourceRejectedError if a reading gave nothing."""
        name, window = self.paths[0].name, self._window
        if not seconds and window is not None and window.at_s and window.at_s <= window.start_s:
            raise SourceRejectedError(
                f"{name!r} ends at {clock(window.at_s)}, before the start that was named, "
                f"{clock(window.start_s)}. Name an earlier one, or --start 0."
            )
        if not seconds:
            raise SourceRejectedError(f"{name!r} holds no sound at all. Choose another file.")

    def times(self) -> dict[str, Any]:
        """Return, after reading, what the metadata tell of the recording's clock."""
        found: dict[str, Any] = {}
        if self._window is None:
            return found
        if self._window.start_s or not self._window.is_whole:
            length_s = self._window.at_s if self._window.is_whole else self._stated_s()
            found["start_s"] = self.selection.start_s
            found |= {} if length_s is None else {"recording_s": round(length_s, 3)}
        if len(self.paths) > 1:
            found["part_starts_s"] = [round(start_s, 3) for start_s in self._window.starts_s]
        return found

    def late_end(self) -> list[str]:
        """Return, after reading, a sentence where the excerpt was to end after the recording does."""
        window = self._window
        if window is None or window.end_s is None or window.at_s >= window.end_s - SLACK_S:
            return []
        asked = f"before the end at {clock(window.end_s)} that was asked for"
        return [f"The recording ends at {clock(window.at_s)}, {asked}."]
