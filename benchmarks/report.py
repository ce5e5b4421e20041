"""Writes what was measured into docs/performance.md: the table of the goals, and every figure.

    python -m benchmarks.report

The parts between `<!-- NAME -->` and `<!-- end -->` are made from docs/performance.json; the rest of the page is
written by hand. A test fails when they are stale.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.goals import GOALS, MODULES, Goal
from benchmarks.plots import PLOTS

DOCS = Path(__file__).resolve().parent.parent / "docs"
RESULTS, PAGE, PICTURES = DOCS / "performance.json", DOCS / "performance.md", DOCS / "plots"
Results = dict[str, Any]
PART = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> int:
    """Write the page and its pictures."""
    results = json.loads(RESULTS.read_text())
    PAGE.write_text(page(PAGE.read_text(), results))
    PICTURES.mkdir(exist_ok=True)
    for name, text in pictures(results).items():
        (PICTURES / name).write_text(text)
    return 0


def page(text: str, results: Results) -> str:
    """Return the page with its generated parts made anew."""
    return PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]](results)}\n\n{found[3]}", text)


def pictures(results: Results) -> dict[str, str]:
    """Return the plots by file name."""
    figures = results["modules"].get("growth", {}).get("figures", {})
    return {f"{plot.name}.svg": plot.draw(figures) for plot in PLOTS}


def figures_of(results: Results, module: str) -> dict[str, float]:
    """Return a module's figures; none if it wasn't run."""
    return results["modules"].get(module, {}).get("figures", {})


def goals(results: Results) -> str:
    """Return the table of the goals."""
    cells, row = [("what", "measured as", "goal", "measured", "reached")], None
    for goal in GOALS:
        value = goal.value(figures_of(results, goal.module))
        measured = "not measured" if value is None else number(value)
        what, row = ("" if goal.row == row else goal.row), goal.row
        cells.append(
            (what, goal.says, f"{'≥' if goal.least else '≤'} {goal.goal:g}", measured, verdict(goal, value))
        )
    return table(cells)


def verdict(goal: Goal, value: float | None) -> str:
    """Say whether a goal is reached, or by how much it isn't."""
    if value is None:
        return ""
    if goal.is_reached(value):
        return "yes"
    return f"no, by {abs(value / goal.goal - 1):.0%}"


def figures(results: Results) -> str:
    """Return a table for each module: every figure."""
    parts = []
    for module, about in MODULES.items():
        if module == "growth" or not (found := figures_of(results, module)):
            continue
        rows = [(name, number(value)) for name, value in found.items()]
        parts.append(f"### `python -m benchmarks.{module}`\n\n{table([('variant', about.unit), *rows])}")
    return "\n\n".join(parts)


def where(results: Results) -> str:
    """Say in a paragraph what machine it was."""
    facts = results["machine"]
    days = sorted({found["day"] for found in results["modules"].values()})
    minutes = sum(found["seconds"] for found in results["modules"].values()) / 60
    return (
        f"{facts['cores']} cores of {facts['processor']}, {facts['memory']}; {facts['kernel']}, "
        f"{facts['file_system']}; Python {facts['python']}, {facts['packages']}. "
        f"Measured {' to '.join(dict.fromkeys((days[0], days[-1])))}, in {minutes:.0f} minutes."
    )


def number(value: float) -> str:
    """Return a figure with three digits, or all that stand before the point."""
    if value >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 1:
        return f"{value:.2g}"
    return f"{value:.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"


def table(cells: list[tuple[str, ...]]) -> str:
    """Return a table of a page; the first row is its heading."""
    return "\n".join(_rows(cells))


def _rows(cells: list[tuple[str, ...]]) -> Iterator[str]:
    for place, row in enumerate(cells):
        yield f"| {' | '.join(row)} |".replace("|  |", "| |")
        if not place:
            yield "|---" * len(row) + "|"


def lines(results: Results) -> Iterator[str]:
    """Yield what a terminal shows: every goal, then every figure of those that have no goal."""
    for module, found in results["modules"].items():
        yield f"{module}: {found['seconds']:.0f} s{': ' + found['error'] if 'error' in found else ''}"
        for name, value in found.get("figures", {}).items():
            yield f"  {number(value):>12}  {name}"
    for goal in GOALS:
        value = goal.value(figures_of(results, goal.module))
        if value is not None:
            bound = f"{'≥' if goal.least else '≤'} {goal.goal:g}"
            yield f"{number(value):>8}  {bound:<8} {verdict(goal, value):<14} {goal.row}: {goal.says}"


PARTS: dict[str, Callable[[Results], str]] = {"goals": goals, "figures": figures, "machine": where}

if __name__ == "__main__":
    sys.exit(main())
