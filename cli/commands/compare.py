"""`evt compare`: variants of one pipeline, carried out as far as they aren't, and shown side by side."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import click
from attrs import evolve

from cli.batching.items import gather, tell_error
from cli.batching.roll import Item
from cli.comparing import Comparing, wanted_engines
from cli.exit_codes import INTERRUPTED, TERMINATED, worst
from cli.home import require_usable
from cli.options import ENGINE_OPTIONS, limit_options, named_from, variant_options
from cli.outcomes import tell
from cli.output import say
from cli.progress import make_reporter
from cli.render import json_line, printable
from cli.reports.comparison import difference_lines, report, sides_of, summary_table, taken_over_lines
from cli.reports.comparison_page import render_page, require_ours, write_page
from cli.settings.settings import Settings, load_settings
from cli.signals import stop_on_signals
from cli.wiring import workshop_of
from eventlog.errors import EvtError
from pipeline.delivery import require_writable
from projections.family import base_of
from projections.limits import ASK, AUTO

NO_ENGINES = dict.fromkeys(ENGINE_OPTIONS)
"""What a variant leaves open is as it is in the base."""


@click.command("compare", short_help="Try other engines on a recording; see the transcripts side by side.")
@click.argument("recording", metavar="FILE|ID|NAME")
@variant_options
@limit_options
@click.option("-o", "--output-dir", type=click.Path(), help="Folder for the page (default: this folder).")
@click.option("--html", "html", type=click.Path(), help="Where the page goes (default: NAME.compare.html).")
@click.option("--no-html", is_flag=True, help="Write no page.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done and what it costs; do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Only results and errors.")
@click.option("-v", "--verbose", is_flag=True, help="More about what happens.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_obj
def command(obj: dict[str, Any], /, recording: str, as_json: bool, **flags: Any) -> int:
    """Transcribe one recording with several engines and show what they make of it side by side.

    Each combination of transcribers and diarizers is a variant, a pipeline of its own beside the
    first. Nothing that is there is changed, and nothing that one of them has done or paid for is
    done or paid for again. One engine is compared with the transcript that is there; without any,
    the variants that there are.

    \b
    Examples:
      evt compare talk.wav --transcriber builtin --transcriber whisper
      evt compare talk.wav --transcriber openai:whisper-1 --transcriber openai:gpt-transcribe --plan
      evt compare 4f2a --diarizer builtin --diarizer pyannoteai --max-batch-cost 1.00
    """
    obj |= {name: obj[name] or flags[name] for name in ("quiet", "verbose", "debug")}
    settings = load_settings(obj["home"], flags["output_dir"], flags=flags, offline=obj["offline"])
    wished = [named_from({**flags, **NO_ENGINES, **engines}, settings) for engines in wanted_engines(flags) or [{}]]
    if not flags["only_plan"]:
        require_usable(settings.home, unsafe_fs=obj["unsafe_fs"])
        settings = settings.with_accounts()
        require_writable(settings.output_dir if flags["html"] is None else Path(flags["html"]).parent)
    shop = workshop_of(settings, unsafe_fs=obj["unsafe_fs"])
    items, refusals = gather([recording], shop.store, settings.home, settings.output_dir)
    if refusals:
        return tell_error(recording, refusals[0].error)
    base = evolve(items[0], pipeline=base_of(items[0].pipeline))
    reporter = make_reporter(quiet=obj["quiet"], verbose=obj["verbose"])
    as_it_is = base.wishes(named_from({}, evolve(settings, named={})), settings.home)
    wanted = [base.wishes(named, settings.home) for named in wished if named.options]
    comparing = Comparing(shop, base, as_it_is, reporter, obj["debug"])
    comparing.seat(wanted)
    if flags["only_plan"]:
        say("\n".join(comparing.plan_lines()))
        return worst([seat.code for seat in comparing.seats])
    if (page := _page_path(flags, settings, base)) is not None:
        require_ours(page)
    return _carry_out(comparing, settings, page, as_json=as_json, quiet=obj["quiet"])


def _carry_out(comparing: Comparing, settings: Settings, page: Path | None, *, as_json: bool, quiet: bool) -> int:
    """Say what will be done, do it, and show what came of it."""
    shop = comparing.shop
    if not all(seat.seen.plan.is_done for seat in comparing.seats):
        for line in comparing.plan_lines():
            comparing.reporter.line(line)
    received = stop_on_signals(shop)
    try:
        comparing.carry_out()
        asks = settings.limits.in_doubt in {AUTO, ASK} and not as_json
        if asks and sys.stdin.isatty() and sys.stderr.isatty():
            comparing.ask()
    finally:
        comparing.reporter.close()
        shop.providers.close()
    for outcome in comparing.outcomes:
        tell(outcome, as_json=as_json, quiet=quiet)
    codes = [outcome.code for outcome in comparing.outcomes]
    try:
        _show(comparing, page, as_json=as_json)
    except EvtError as error:
        codes.append(tell_error(comparing.base.written, error))
    if received:
        return TERMINATED if received[0] == signal.SIGTERM else INTERRUPTED
    return worst(codes)


def _show(comparing: Comparing, page: Path | None, *, as_json: bool) -> None:
    """Print the comparison, and write its page."""
    sides = sides_of(comparing.shop, comparing.done())
    written = page if page is not None and len(sides) > 1 else None
    if written is not None:
        write_page(written, render_page(comparing.base.name, sides))
    shown = str(written) if written else None
    if as_json:
        say(json_line(report(sides, comparing.outcomes, shown)))
    elif sides:
        say("\n".join([summary_table(sides), *taken_over_lines(sides), "", *difference_lines(sides, shown)]))
        say(f"Side by side: {printable(shown)}" if shown else "No page was written.")


def _page_path(flags: dict[str, Any], settings: Settings, base: Item) -> Path | None:
    if flags["no_html"]:
        return None
    return Path(flags["html"]) if flags["html"] else settings.output_dir / f"{Path(base.name).stem}.compare.html"
