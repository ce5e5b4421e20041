"""Draws what grows: SVG, both axes logarithmic, every point a measured one; legible on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape

from attrs import frozen

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 40, 50
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px }
.grid { stroke: #8c959f; stroke-opacity: .35 }
.line { fill: none; stroke-width: 2 }
.c0 { stroke: #0969da; fill: #0969da } .c1 { stroke: #bc4c00; fill: #bc4c00 } .c2 { stroke: #1a7f37; fill: #1a7f37 }
.c3 { stroke: #8250df; fill: #8250df } .line.c0, .line.c1, .line.c2, .line.c3 { fill: none }
text.c0, text.c1, text.c2, text.c3 { stroke: none }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.c0 { stroke: #58a6ff; fill: #58a6ff } .c1 { stroke: #f0883e; fill: #f0883e } .c2 { stroke: #3fb950; fill: #3fb950 }
.c3 { stroke: #bc8cff; fill: #bc8cff } .line.c0, .line.c1, .line.c2, .line.c3 { fill: none }
}
""".strip()
LABEL_PX = 17
"""Two labels at the ends of lines stand at least so far apart."""


@frozen
class Plot:
    """One picture.

    Attributes:
        name: of its file, without the suffix.
        title: what it shows, above it.
        unit: what the vertical axis counts.
        across: what the horizontal axis counts.
        lines: the figures of benchmarks.growth, by the start of their names.
    """

    name: str
    title: str
    unit: str
    across: str
    lines: tuple[str, ...]

    def draw(self, figures: Mapping[str, float]) -> str:
        """Return the picture; without figures, one without lines."""
        series = {line: list(points(figures, line)) for line in self.lines}
        return "\n".join([*self._frame(series), "</svg>", ""])

    def _frame(self, series: Mapping[str, list[tuple[float, float]]]) -> Iterator[str]:
        every = [point for found in series.values() for point in found] or [(1.0, 1.0), (10.0, 10.0)]
        xs, ys = [x for x, _ in every], [y for _, y in every]
        across, up = Axis.over(xs, LEFT, WIDTH - RIGHT), Axis.over(ys, HEIGHT - BOTTOM, TOP)
        yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        yield f"<title>{escape(self.title)}</title>\n<style>\n{STYLE}\n</style>"
        yield f'<text class="title" x="{LEFT}" y="20">{escape(self.title)}: {self.unit}</text>'
        for decade in across.decades():
            x = across.at(decade)
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{decade:,.0f}</text>'
        for decade in up.decades():
            y = up.at(decade)
            yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{decade:,g}</text>'
        yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{self.across}</text>'
        yield from self._lines(series, across, up)

    def _lines(self, series: Mapping[str, list[tuple[float, float]]], across: Axis, up: Axis) -> Iterator[str]:
        ends = {}
        for number, (name, found) in enumerate(series.items()):
            drawn = [(across.at(x), up.at(y)) for x, y in found]
            if not drawn:
                continue
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
            yield f'<polyline class="line c{number}" points="{path}"/>'
            yield from (f'<circle class="c{number}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in drawn)
            ends[number, name] = drawn[-1][1]
        below = -math.inf
        for (number, name), y in sorted(ends.items(), key=lambda item: item[1]):
            below = max(y + 4, below + LABEL_PX)
            yield f'<text class="c{number}" x="{WIDTH - RIGHT + 10}" y="{below:.1f}">{escape(name)}</text>'


@frozen
class Axis:
    """A logarithmic axis: values from low to high lie on pixels from start to end."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: list[float], start: float, end: float) -> Axis:
        """Return an axis of whole powers of ten around these values."""
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return cls(low, max(high, low + 1), start, end)

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        return self.start + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.start)

    def decades(self) -> list[float]:
        """Return the powers of ten on it."""
        return [10.0**power for power in range(round(self.low), round(self.high) + 1)]


def points(figures: Mapping[str, float], line: str) -> Iterator[tuple[float, float]]:
    """Yield (number, figure) of a line, in the order in which they were measured."""
    for name, value in figures.items():
        start, _, number = name.rpartition(", ")
        if start == line:
            yield float(number), value


PLOTS = (
    Plot(
        "pipelines",
        "Commands in a home that grows",
        "milliseconds",
        "pipelines",
        ("list, index gone", "list", "look up first digits", "look up an id"),
    ),
    Plot(
        "records",
        "Commands on a log that grows",
        "milliseconds",
        "records in the log",
        ("replay", "show", "open for writing", "append"),
    ),
)
