"""What was measured and what is to be reached belong together, and the page says what the results say."""

import json
from importlib.util import find_spec

import pytest

from benchmarks import report
from benchmarks.goals import GOALS, MODULES, Goal, at_least, at_most

RESULTS = json.loads(report.RESULTS.read_text())
RATIO = at_least("row", "module", "ours", "limit", 0.9, "")


def test_every_module_of_a_goal_is_run():
    assert {goal.module for goal in GOALS} <= set(MODULES)


@pytest.mark.parametrize("module", RESULTS["modules"])
def test_results_are_those_of_a_module_that_is_run(module):
    assert module in MODULES
    assert find_spec(f"benchmarks.{module}") is not None
    found = RESULTS["modules"][module]
    assert all(isinstance(figure, float | int) for figure in found["figures"].values())
    assert found["seconds"] > 0


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: f"{goal.row}: {goal.says}")
def test_a_goal_has_its_figures_once_its_module_was_run(goal):
    if goal.module in RESULTS["modules"]:
        assert goal.value(report.figures_of(RESULTS, goal.module)) is not None


def test_all_benchmarks_together_take_less_than_ten_minutes():
    assert sum(found["seconds"] for found in RESULTS["modules"].values()) < 600


def test_the_page_says_what_was_measured():
    """If this fails, call `python -m benchmarks.report`."""
    assert report.page(report.PAGE.read_text(), RESULTS) == report.PAGE.read_text()


def test_the_pictures_show_what_was_measured():
    """If this fails, call `python -m benchmarks.report`."""
    drawn = {path.name: path.read_text() for path in report.PICTURES.glob("*.svg")}
    assert drawn == report.pictures(RESULTS)


@pytest.mark.parametrize(
    ("goal", "figures", "verdict"),
    [
        (RATIO, {"ours": 90.0, "limit": 100.0}, "yes"),
        (RATIO, {"ours": 80.0, "limit": 100.0}, "no, by 11%"),
        (at_most("row", "module", "ours", "limit", 2, ""), {"ours": 200.0, "limit": 100.0}, "yes"),
        (at_most("row", "module", "ours", None, 64, ""), {"ours": 80.0}, "no, by 25%"),
        (RATIO, {"limit": 100.0}, ""),
    ],
)
def test_a_goal_says_by_how_much_it_is_missed(goal: Goal, figures: dict[str, float], verdict: str):
    assert report.verdict(goal, goal.value(figures)) == verdict
