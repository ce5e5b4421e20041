"""`evt selftest`: what the log promises, tried on this machine's own disk and Python."""

from __future__ import annotations

import platform
import random
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cli.errors import SettingsError
from cli.exit_codes import FAILED, OK, TERMINATED
from cli.home import load_home, require_usable
from cli.output import say
from cli.render import json_line, printable, size
from cli.wiring import identity
from eventlog.errors import LogStorageError
from eventlog.selftest import suite
from eventlog.selftest.bench import Bench, unsafe_store
from eventlog.store import Store

FREE_BYTES_MIN = 50_000_000
"""What the tests write at a time is a tenth of that."""
_SHOW_EVERY_S = 0.1
_WORDS = {suite.OK: "ok", suite.FAILED: "FAILED", suite.SKIPPED: "skipped"}


@click.command("selftest", short_help="Try on this disk and Python what the log promises.")
@click.option(
    "--dir", "folder", type=click.Path(), metavar="FOLDER", help="Try this folder's disk, not the home's."
)
@click.option(
    "--seconds",
    type=click.IntRange(1, 60),
    default=40,
    show_default=True,
    help="About how long it may take; the longer, the more kills.",
)
@click.option("--seed", type=click.IntRange(0), help="Choose by chance what the test with this seed chose.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Only what failed, and the outcome.")
@click.pass_obj
def command(obj: dict[str, Any], /, folder: str | None, seconds: int, seed: int | None, **flags: Any) -> int:
    """Try on this machine's own disk and Python what the log promises, and say what could not be tried.

    Writers are killed while they write, a lock is contested, a disk is made to seem full, and every bit of small
    logs is flipped. It happens in a new folder inside the home, which is removed again; recordings and their logs
    are not touched. A folder selftest-… that a power cut left there may be removed.

    Exit code 1: something failed, and recordings should not be kept there; 3: the folder can't be used.
    """
    place = _place(folder, obj["home"])
    seed = random.randrange(2**32) if seed is None else seed
    screen = _Screen(quiet=obj["quiet"] or flags["quiet"], as_json=flags["as_json"])
    with _signals_noted(screen.received), _new_folder(place) as new:
        open_store = unsafe_store if obj["unsafe_fs"] else Store
        bench = Bench(str(new), seed, open_store, step=screen.step)
        try:
            report = _report(bench, place, seconds, screen)
        except KeyboardInterrupt:
            if signal.SIGINT in screen.received:
                raise
            return TERMINATED
    screen.close(report)
    return FAILED if any(test["outcome"] == suite.FAILED for test in report["tests"]) else OK


class _Screen:
    """What is shown while the tests run, and the safe points at which a signal ends them."""

    def __init__(self, *, quiet: bool, as_json: bool) -> None:
        self.received: list[int] = []
        self._quiet = quiet
        self._as_json = as_json
        self._is_live = sys.stderr.isatty() and not quiet
        self._shown_at_s = 0.0

    def begin(self, report: dict[str, Any], seconds: int) -> None:
        """Say where, with what, and how long."""
        if not (self._quiet or self._as_json):
            say(f"Promises of the log, tried for about {seconds} s (seed {report['seed']})")
            say(printable(f"  {report['folder']} ({report['file_system']}), Python {report['versions']['python']}"))
            say("Tests")

    def step(self, text: str) -> None:
        """Show how far a test is; end it if a signal has come."""
        if self.received:
            self._show("")
            raise KeyboardInterrupt
        if time.monotonic() > self._shown_at_s + _SHOW_EVERY_S:
            self._shown_at_s = time.monotonic()
            self._show(f"  {text}")

    def result(self, result: suite.Result) -> None:
        """Show what a test came to."""
        self._show("")
        if self._as_json or (self._quiet and result.outcome != suite.FAILED):
            return
        say(printable(f"  {_WORDS[result.outcome]:<8} {result.name:<11} {result.detail}"))
        for sentence in () if self._quiet else result.hints:
            say(printable(f"           hint        {sentence}"))

    def close(self, report: dict[str, Any]) -> None:
        """Show what it all came to."""
        if self._as_json:
            click.echo(json_line(report))
        elif self._quiet:
            say(printable(report["advice"]))
        else:
            for title, sentences in (
                ("Skipped", report["skipped"] or ["Nothing."]),
                ("Not covered", report["not_covered"]),
                ("Advice", [report["advice"]]),
            ):
                say("\n".join([title, *(f"  {printable(sentence)}" for sentence in sentences)]))

    def _show(self, text: str) -> None:
        """Replace the line that tells how far it is; a terminal that went away stops no test."""
        if self._is_live:
            try:
                click.echo(f"\r\x1b[K{text}", nl=False, err=True)
            except OSError:
                self._is_live = False


def _place(flag: str | None, home_flag: str | None) -> Path:
    """Return the folder that is to be tried.

    Raises:
        SettingsError: it can't be used.
    """
    if flag is None:
        home, _ = load_home(home_flag)
        require_usable(home)
        place = home.root
    else:
        place = Path(flag).absolute()
        if not place.is_dir():
            raise SettingsError(f"{place} is no folder. Make it, or choose another with --dir.")
    free = shutil.disk_usage(place).free
    if free < FREE_BYTES_MIN:
        raise SettingsError(f"{place} has {size(free)} free; {size(FREE_BYTES_MIN)} are needed. Make room there.")
    return place


@contextmanager
def _new_folder(place: Path) -> Iterator[Path]:
    """Make a folder and remove it whatever happens."""
    new = place / f"selftest-{secrets.token_hex(4)}"
    try:
        try:
            new.mkdir(mode=0o700)
        except OSError as error:
            raise SettingsError(
                f"{place} can't be written: {error.strerror}. Choose another with --dir or --home."
            ) from error
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextmanager
def _signals_noted(received: list[int]) -> Iterator[None]:
    """Note what would end us, for the next safe point; the second time, end at once."""

    def on_signal(number: int, frame: object) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    numbers = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if _is_heeded(number)]
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_heeded(number: int) -> bool:
    """Say whether whoever started us wants this signal to do anything."""
    return signal.getsignal(number) is not signal.SIG_IGN


def _report(bench: Bench, place: Path, seconds: int, screen: _Screen) -> dict[str, Any]:
    report: dict[str, Any] = {
        "versions": {
            "evt": identity().versions["evt"],
            "python": platform.python_version(),
            "system": platform.platform(),
        },
        "folder": str(place),
        "file_system": bench.file_system(str(place)).kind,
        "seed": bench.seed,
        "tests": [],
        "skipped": [],
        "not_covered": list(suite.NOT_COVERED),
    }
    try:
        suite.require_usable(bench)
    except LogStorageError as error:
        raise SettingsError(f"{place} can't be used. {error}") from error
    screen.begin(report, seconds)
    for result in suite.selftest(bench, seconds):
        screen.result(result)
        report["tests"].append(result.as_json())
        report["skipped"] += [f"{result.name}: {sentence}" for sentence in result.skipped]
    report["advice"] = _advice(report)
    return report


def _advice(report: dict[str, Any]) -> str:
    failed = [test["name"] for test in report["tests"] if test["outcome"] == suite.FAILED]
    if not failed:
        return "What could be tried held."
    return (
        f"{', '.join(failed)} failed: don't use {report['folder']} as evt's home; choose another with --home or "
        f"$EVT_HOME. Please report it with what `evt selftest --json --seed {report['seed']}` prints."
    )
