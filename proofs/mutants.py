"""Seeded bugs: each is put into a copy of the repository, and the suite must notice. A survivor fails the gate.

    python -m proofs.mutants

The bugs are in `proofs.mutations`. What is tried against each, in this order, is `KILLERS`; the first that fails
kills it and is printed. A bug that no longer applies to the code fails the gate too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from proofs.mutations import MUTATIONS, Mutation
from proofs.report import BrokenPromiseError, Tally, command

ROOT = Path(__file__).resolve().parents[1]
_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
_PYTEST = ["pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
_LOG_TESTS = ["record", "reader", "writer", "store", "salvage", "follow", "fast_path"]
KILLERS: tuple[tuple[str, ...], ...] = (
    ("proofs.crash", "--states", "4000", "--depth", "1"),
    ("proofs.damage", "--corruptions", "20000"),
    (*_PYTEST, *(f"tests/test_log_{name}.py" for name in _LOG_TESTS)),
    (*_PYTEST, "tests/test_cli_salvage.py"),
    ("proofs.interference", "--rounds", "2"),
    ("proofs.writers", "--rounds", "20"),
    ("proofs.kills", "--kills", "60"),
    ("proofs.crash", "--states", "20000", "--depth", "2"),
)
"""Modules and their arguments, cheapest first."""
_TIMEOUT_S = 120
"""A killer that takes longer hangs because of the bug: that kills it too."""


def prove(jobs: int, seed: int) -> Tally:
    """Try every killer on every seeded bug until one notices it; the unchanged copy has to pass them all."""
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="evt-mutants-") as folder, ThreadPoolExecutor(jobs) as pool:
        if (failing := killer_of(Path(folder) / "unchanged", None, seed)) is not None:
            raise BrokenPromiseError(f"without any bug this fails already: {failing}")
        trials = {pool.submit(killer_of, Path(folder) / m.name, m, seed): m for m in MUTATIONS}
        survivors = [
            trials[trial].name for trial in as_completed(trials) if not told(trials[trial], trial.result(), tally)
        ]
    if survivors:
        raise BrokenPromiseError(f"{len(survivors)} of {len(MUTATIONS)} bugs survived: {', '.join(survivors)}")
    return tally


def told(mutation: Mutation, killer: str | None, tally: Tally) -> bool:
    """Print what became of a bug; say whether it was killed."""
    print(f"mutants: {mutation.name:<32} {killer or 'SURVIVED'}", flush=True)
    tally.add("killed" if killer else "survived")
    return killer is not None


def killer_of(copy: Path, mutation: Mutation | None, seed: int) -> str | None:
    """Return what notices a bug, put into a fresh copy of the repository; None if nothing does."""
    shutil.copytree(ROOT, copy, ignore=_NOT_COPIED)
    try:
        if mutation is not None:
            mutation.apply(copy)
        for module, *arguments in KILLERS:
            given = ["--seed", str(seed)] if module.startswith("proofs.") else []
            if (reason := failure(copy, [module, *arguments, *given])) is not None:
                return reason
        return None
    finally:
        shutil.rmtree(copy)


def failure(copy: Path, words: list[str]) -> str | None:
    """Run a module in a copy; return which of it failed, None if nothing did."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "HYPOTHESIS_PROFILE": "quick"},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{words[0]} did not end"
    if done.returncode == 0:
        return None
    failed = re.search(r"^FAILED (\S+)", done.stdout, re.MULTILINE)
    broken = re.search(r"BROKEN: (.*)", done.stdout)
    detail = failed[1] if failed else broken[1][:70] if broken else done.stderr.strip().rpartition("\n")[2][:70]
    return f"{words[0]}: {detail}"


if __name__ == "__main__":
    command("mutants", prove, {"jobs": 2})
