"""`evt watch`: transcribe recordings as they come into folders."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import Any

import click

from cli.batching.roll import Roll
from cli.errors import SettingsError
from cli.exit_codes import INTERRUPTED, TERMINATED
from cli.home import require_usable
from cli.options import batch_options, lasting_options, limit_options, named_from
from cli.render import printable
from cli.retention import keep_retention
from cli.settings.settings import Settings, load_settings
from cli.times import SPAN_HINT, span_of
from cli.watching.arrivals import Arrivals
from cli.watching.folders import FolderWatch
from cli.watching.locks import only_watcher, require_watchable, separate
from cli.watching.names import WatchNames
from cli.watching.work import WatchWork
from cli.wiring import open_store, settle_home, workshop_of
from eventlog.filesystem import file_system_of
from eventlog.leases import is_open_for_writing
from pipeline.annotations.speakers import order_from
from pipeline.delivery import require_writable

_SETTLE_S = 2.0
_SETTLE_BY_LOOKING_S = 10.0
"""A network drive may show changes of other machines only after some seconds. Source: nfs(5), `acregmin`, 3 s."""
_LOOK_MIN_S, _LOOK_MAX_S = 0.05, 5.0


@click.command("watch", short_help="Transcribe recordings as they come into folders.")
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER...")
@lasting_options
@limit_options
@batch_options
@click.option("-o", "--output-dir", type=click.Path(), help="Folder for the transcripts (default: this folder).")
@click.option(
    "--settle",
    "settle_s",
    type=click.FloatRange(min=0, max=86_400),
    metavar="SECONDS",
    help="A recording is whole when it hasn't changed for so long (default: 2; on network drives 10).",
)
@click.option("--retry", metavar="SPAN", help="Try again after so long what failed, e.g. 10min (default: don't).")
@click.option("--poll", is_flag=True, help="Look again and again, where the system tells of no changes.")
@click.option("--once", is_flag=True, help="End when all that is there and whole is done.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout: a JSON object a line for each recording.")
@click.option("-q", "--quiet", is_flag=True, help="Only results and errors.")
@click.option("-v", "--verbose", is_flag=True, help="More about what happens.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_obj
def command(
    obj: dict[str, Any], /, folders: tuple[str, ...], retry: str | None, as_json: bool, **flags: Any
) -> int:
    """Transcribe recordings as they come into folders, and those that are there.

    Each recording is transcribed once, when it is whole: not while something writes to it, and not while
    its name says that it is unfinished. What is done is known after a restart. Folders below the ones that
    you name are watched too. Transcripts go into the current folder, or where -o says. Ctrl-C ends it.
    --max-batch-cost holds for as long as it runs; when that is reached, it ends with exit code 5.

    \b
    Examples:
      evt watch inbox -o transcripts
      evt watch calls interviews --language de --transcriber whisper
      evt watch inbox --transcriber openai --max-batch-cost 20
      evt watch inbox --once
    """
    if flags["output_dir"] == "-":
        raise SettingsError("-o - is for one recording; what comes needs a folder: -o FOLDER.")
    obj |= {name: obj[name] or flags[name] for name in ("quiet", "verbose", "debug")}
    settings = load_settings(obj["home"], flags["output_dir"], flags=flags, offline=obj["offline"])
    wishes = named_from(flags, settings), order_from(flags["names"])
    retry_s = _seconds(retry)
    require_usable(settings.home, unsafe_fs=obj["unsafe_fs"])
    require_watchable(folders, settings.home)
    settle_home(settings.home, open_store(settings.home, unsafe_fs=obj["unsafe_fs"]))
    settings = settings.with_accounts()
    require_writable(settings.output_dir)
    shop = workshop_of(settings, unsafe_fs=obj["unsafe_fs"])
    watch = _watch(separate(folders), settings, flags)
    names = WatchNames(watch.arrivals, settings.output_dir, shop.store)
    roll = Roll(shop.store, settings.home, settings.output_dir, stems=names)
    work = WatchWork(
        shop, roll, *wishes, debug=obj["debug"], quiet=obj["quiet"], as_json=as_json, watch=watch, retry_s=retry_s
    )
    watch.is_over = lambda: shop.stop.is_set() or work.has_ended
    work.sweep = partial(keep_retention, settings, shop, quiet=obj["quiet"])
    with only_watcher(watch.folders, settings.home):
        received = work.carry_on(verbose=obj["verbose"], notes=settings.ignored)
    work.sweep()
    if received:
        return TERMINATED if received[0] == signal.SIGTERM else INTERRUPTED
    return work.exit_code()


def _watch(folders: list[str], settings: Settings, flags: dict[str, Any]) -> FolderWatch:
    looks = flags["poll"] or not all(file_system_of(folder).safe for folder in folders)
    settle_s = flags["settle_s"]
    if settle_s is None:
        settle_s = _SETTLE_BY_LOOKING_S if looks else _SETTLE_S
    arrivals = Arrivals(settle_s, time.monotonic, time.time, _is_open)
    return FolderWatch(
        folders=folders,
        home=settings.home.root,
        arrivals=arrivals,
        look_s=min(max(settle_s / 2, _LOOK_MIN_S), _LOOK_MAX_S),
        note=lambda text: None,
        is_over=lambda: False,
        poll=flags["poll"],
        once=flags["once"],
    )


def _is_open(path: str) -> bool | None:
    return is_open_for_writing(path) if file_system_of(os.path.dirname(path) or ".").safe else None


def _seconds(retry: str | None) -> float | None:
    if retry is None:
        return None
    span = span_of(retry)
    if span is None:
        raise SettingsError(f"--retry {printable(retry[:40])} is no time; it is {SPAN_HINT}.")
    return max(span.total_seconds(), 1.0)
