"""Each system call that a writer makes on a log's files fails, in every way, or is the last one before a death.

    python -m proofs.syscalls --injections 500 --seed 1

strace does it. A first run of each scenario counts the calls; then each occurrence of each is hit by each fault, in
a process of its own. That it was hit is read from strace's report: a filter that matches nothing proves nothing.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from proofs.account import Account, case, content, require
from proofs.processes import HANG_S, ROOT, Nursery, Word, nursery, require_named_end, scratch, words
from proofs.report import BrokenPromiseError, Tally, command
from proofs.starts import WORK, Start, starts

ALL = 1_000_000
ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EINTR", "EMFILE", "EACCES", "ENOMEM")
FAULTS = ("signal=KILL", *(f"error={name}" for name in ERRORS))
EXPECTED = frozenset({"openat", "flock", "fadvise64", "pread64", "write", "fdatasync", "fsync", "close"})
"""What a first run must have shown, at the least."""
NEVER_IN_VAIN = frozenset({"write", "fdatasync", "ftruncate", "rename", "pread64", "fsync"})
"""Calls whose failure somebody must be told of; that of others is made up for by later ones, or does not matter."""
NOT_TOLD = frozenset({("fsync", "error=EACCES")})
"""A folder that may not be read is somebody else's, and so is its sync."""


@frozen
class Scenario:
    """What is on the disk, and what a writer then does."""

    start: Start
    root: str
    steps: list[list[Any]]

    def paths(self) -> list[str]:
        """Return every path on which a call counts."""
        log = Account(self.root).path
        folder = os.path.dirname(log)
        files = [
            os.path.join(folder, name + end)
            for name in (Account.NAME + ".head", self.start.quarantine)
            for end in ("", ".tmp")
        ]
        return [log, *files, folder, *map(str, Path(folder).parents), "/proc/self/mountinfo"]


@frozen
class Injection:
    """One fault at one occurrence of one call."""

    scenario: Scenario
    call: str
    occurrence: int
    fault: str

    def __str__(self) -> str:
        return f"{self.scenario.start.name}: {self.call}:{self.fault}:when={self.occurrence}"


def prove(*, injections: int, seed: int) -> Tally:
    """Hit each system call on a log's files by each fault; nothing acknowledged is lost, and the log goes on."""
    tally = Tally()
    if (reason := why_not()) is not None:
        tally.skipped.append(reason)
        return tally
    with scratch() as folders, nursery() as nest:
        scenarios = list(_scenarios(nest, folders[-1]))
        for injection in _drawn(scenarios, injections, random.Random(seed)):
            with case(str(injection)):
                _inject(injection, nest)
            tally.add("injections, each seen to have struck")
            tally.add(f"injections into {injection.call}")
            tally.add(f"injections of {injection.fault}")
    return tally


def why_not() -> str | None:
    """Return why nothing can be injected here; None if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed; `apt install strace` or the like brings it"
    tried = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    return f"strace may not trace here: {tried.stderr.strip()}" if tried.returncode else None


def _scenarios(nest: Nursery, folder: str) -> Iterator[Scenario]:
    """Yield a log that is begun, one with a torn tail, and one that lacks its last newline."""
    steps: dict[str, list[list[Any]]] = {
        name: [["open"], ["append", 2, 10], ["close"]] for name in ("short tail", "unterminated")
    }
    steps["fresh"] = [["open"], *WORK, ["seal"], ["close"], ["read"]]
    for start in starts(nest, folder):
        if start.name in steps:
            yield Scenario(start, os.path.join(folder, "log"), steps[start.name])


def _drawn(scenarios: list[Scenario], injections: int, chance: random.Random) -> list[Injection]:
    """Return so many injections, all if need be; each call comes before any is hit a second time."""
    everything = [
        Injection(scenario, call, occurrence, fault)
        for scenario in scenarios
        for call, times in _count(scenario).items()
        for occurrence in range(1, times + 1)
        for fault in FAULTS
    ]
    chance.shuffle(everything)
    rank: Counter[str] = Counter()
    ranked = []
    for injection in everything:
        rank[injection.call] += 1
        ranked.append((rank[injection.call], injection))
    ranked.sort(key=lambda pair: pair[0])
    return [injection for _, injection in ranked[:injections]]


def _count(scenario: Scenario) -> Counter[str]:
    """Run a scenario undisturbed; return how often it makes each call on the log's files."""
    account = scenario.start.begin(scenario.root)
    code, said, report = _run(account, scenario, [])
    require_named_end(code, said)
    refused = account.after_death(said)
    require(not refused, "strace", f"an undisturbed writer was refused: {refused}")
    calls = Counter(re.findall(r"^\d+ +(\w+)\(", report, re.MULTILINE))
    require(calls.keys() >= EXPECTED, "strace", f"it saw only {dict(calls)} on {scenario.paths()}")
    return calls


def _run(account: Account, scenario: Scenario, options: list[str]) -> tuple[int, list[Word], str]:
    """Let a writer live under strace; return its exit code, what it said, and strace's report."""
    report = scenario.root + ".strace"
    filters = [option for path in scenario.paths() for option in ("-P", path)]
    order = json.dumps(account.order(scenario.steps))
    life = [sys.executable, "-m", "proofs.writer_process", order]
    try:
        done = subprocess.run(
            ["strace", "-f", "--quiet=attach,exit,path-resolution", "-o", report, *filters, *options, *life],
            cwd=ROOT, capture_output=True, check=False, timeout=HANG_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired as hung:
        raise BrokenPromiseError(f"I10: a writer hung for {HANG_S:.0f} s") from hung
    require(not done.stderr, "I10", done.stderr.decode(errors="replace"))
    return done.returncode, list(words(bytearray(done.stdout))), content(report).decode(errors="replace")


def _inject(injection: Injection, nest: Nursery) -> None:
    """Let one fault strike, then check, open again, and go on."""
    account = injection.scenario.start.begin(injection.scenario.root)
    expression = f"inject={injection.call}:{injection.fault}:when={injection.occurrence}"
    is_kill = injection.fault == "signal=KILL"
    # Faster, since other calls are not stopped at; but with it strace 6.1 sends no signals.
    quick = [] if is_kill else ["--seccomp-bpf"]
    code, said, report = _run(
        account, injection.scenario, [*quick, "-e", f"trace={injection.call}", "-e", expression]
    )
    struck = report.count("+++ killed by SIGKILL +++") if is_kill else report.count("(INJECTED)")
    require(struck == 1, "strace", f"the fault struck {struck} times: {report[-300:]}")
    require_named_end(code, said)
    _require_told(injection, account.after_death(said))
    account.settle(nest)
    refused = account.live(nest, [["open"], *WORK, ["close"]])
    require(not refused, "I10", f"the same command does not go on: {refused}")


def _require_told(injection: Injection, refusals: list[str]) -> None:
    """Fail if a fault was swallowed, or told as anything but the disk's."""
    if injection.call in NEVER_IN_VAIN and injection.fault not in ("signal=KILL", "error=EINTR"):
        told = bool(refusals) or (injection.call, injection.fault) in NOT_TOLD
        require(told, "I5", "the fault was swallowed: every step succeeded")
    first = refusals[0].split(": ")[1] if refusals else "LogStorageError"
    require(first == "LogStorageError", "I10", f"a fault of the disk was told as {first}")


def main() -> None:
    """See `prove`."""
    command("syscalls", prove, {"injections": ALL})


if __name__ == "__main__":
    main()
