"""Habits that a linter doesn't know: functions fit a screen, no emojis, and the wheel holds what it should."""

import ast
import re
import shutil
import statistics
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("cli", "eventlog", "pipeline", "projections")

LINES_MAX = 70
LINES_MEDIAN = 10
"""A ratchet: these may be lowered, never raised."""

EMOJI = re.compile("[\u2600-\u27bf\u2b00-\u2bff\ufe0f\U0001f000-\U0001faff]")
TEXT = {".md", ".py", ".svg", ".toml", ".yml", ""}
NOT_OURS = {"build", "dist", "samples", "tests"}
"""Folders that may hold anything: what was built, and data (names and words with emojis are test cases)."""


def function_lengths() -> dict[str, int]:
    """Return the number of lines of every function of the four packages, docstrings included."""
    lengths = {}
    for path in (path for name in PACKAGES for path in (ROOT / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                where = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
                lengths[where] = (node.end_lineno or node.lineno) - node.lineno + 1
    return lengths


def test_no_function_is_longer_than_a_screen():
    assert {where: lines for where, lines in function_lengths().items() if lines > LINES_MAX} == {}


def test_the_usual_function_is_short():
    assert statistics.median(function_lengths().values()) <= LINES_MEDIAN


def test_no_text_of_the_project_holds_an_emoji():
    texts = [path for path in ROOT.rglob("*") if path.suffix in TEXT and _is_ours(path)]
    assert {"README.md", "docs/format.md", "cli/main.py"} <= {str(path.relative_to(ROOT)) for path in texts}
    assert [str(path) for path in texts if EMOJI.search(path.read_text(errors="replace"))] == []


@pytest.mark.slow
def test_the_wheel_holds_the_four_packages_and_the_man_page_and_nothing_else(tmp_path):
    """A wheel with a package `tests` would shadow the tests of whoever installs it."""
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No matching distribution found for setuptools" in built.stderr:
        pytest.skip("NOT RUN: pip can't reach an index to get setuptools from")
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    (page,) = (name for name in held if name.endswith(".data/data/share/man/man1/evt.1"))
    held.remove(page)
    files = {path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()}
    assert held == {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}


def _is_ours(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return (
        path.is_file()
        and not any(part.startswith(".") and part != ".ci" for part in parts)
        and not (NOT_OURS & {parts[0]} or parts[0].endswith(".egg-info") or "__pycache__" in parts)
    )
