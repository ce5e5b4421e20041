"""Runs the benchmarks, each in a process of its own, and keeps what they measured.

    python -m benchmarks.bench [--only WORD] [--json FILE] [--folder DIR]

Without `--only` everything is measured, and docs/performance.json and the page are written anew. With it, only the
modules whose rows (or names) hold the word; what the file named by `--json` has of other modules stays.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.goals import GOALS, MODULES
from benchmarks.machine import machine
from benchmarks.turns import on_disk

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 300
ALONE = """
import json, sys
from importlib import import_module
from pathlib import Path
figures = import_module("benchmarks." + sys.argv[1]).measure(Path(sys.argv[2]), **json.loads(sys.argv[4]))
Path(sys.argv[3]).write_text(json.dumps(figures))
"""


def main() -> int:
    """Measure, keep and print; returns 1 if a benchmark could not run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="WORD", help="a word of a row, or the name of a module")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the results here")
    parser.add_argument("--folder", type=Path, help="on the disk that is to be measured; build/ otherwise")
    named = parser.parse_args()
    modules = chosen(named.only)
    if not modules:
        parser.error(f"no row and no module is called {named.only!r}; there are {', '.join(MODULES)}")
    folder = (named.folder or on_disk()).resolve()
    keep = named.json or (None if named.only else report.RESULTS)
    results = known(keep) if named.only else {"modules": {}}
    results["machine"] = machine(folder)
    for module in modules:
        results["modules"][module] = run(module, folder)
    if keep:
        results["modules"] = {name: results["modules"][name] for name in MODULES if name in results["modules"]}
        keep.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    if keep and keep.resolve() == report.RESULTS:
        report.main()
    print("\n".join(report.lines({**results, "modules": {name: results["modules"][name] for name in modules}})))
    return int(any("error" in results["modules"][name] for name in modules))


def chosen(word: str | None) -> list[str]:
    """Return the modules that a word means, in their order."""
    if word is None or word in MODULES:
        return [word] if word else list(MODULES)
    rows = {goal.module for goal in GOALS if word.lower() in goal.row.lower()}
    return [module for module in MODULES if module in rows]


def known(path: Path | None) -> dict[str, Any]:
    """Return the results that a file has."""
    if path is None or not path.exists():
        return {"modules": {}}
    return json.loads(path.read_text())


def run(module: str, folder: Path) -> dict[str, Any]:
    """Measure one module in a process and a folder of its own; what it says on stderr is shown."""
    print(f"{module} …", file=sys.stderr, flush=True)
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder, prefix=f"bench-{module}-") as scratch:
        own, answer = Path(scratch) / "own", Path(scratch) / "figures.json"
        own.mkdir()
        options = json.dumps(dict(MODULES[module].options))
        command = [sys.executable, "-c", ALONE, module, str(own), str(answer), options]
        try:
            done = subprocess.run(command, cwd=ROOT, timeout=TIMEOUT_S, stdout=sys.stderr, check=False)
            error = f"it ended with exit code {done.returncode}"
        except subprocess.TimeoutExpired:
            error = f"it took longer than {TIMEOUT_S} s"
        found = {"figures": json.loads(answer.read_text())} if answer.exists() else {"error": error}
    day = datetime.now(UTC).date().isoformat()
    return {"day": day, "seconds": round(time.monotonic() - begun_s, 1), **found}


if __name__ == "__main__":
    sys.exit(main())
