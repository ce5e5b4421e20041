"""`evt plan`: what `run` would do, and why; nothing is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from attrs import evolve

from cli.batching.items import gather, sidecar_note, tell_error
from cli.batching.roll import Item
from cli.exit_codes import DECISION, OK, REFUSED, worst
from cli.options import limit_options, named_from, stage_options
from cli.render import json_line, printable, shown_error
from cli.reports.costs import price_words
from cli.settings.settings import load_settings
from cli.system import is_locked
from cli.wiring import workshop_of
from eventlog.errors import EvtError
from pipeline.delivery import delivered_to
from pipeline.look import Look, look
from projections.decisions import RUN
from projections.plan import StagePlan
from projections.prices import StagePrice, plan_total
from projections.summary import as_json


@click.command("plan", short_help="Say what `run` would do, and why, without doing it.")
@click.argument("recordings", nargs=-1, required=True, metavar="FILE|ID|NAME...")
@click.option(
    "--join", is_flag=True, help="The files are parts of one recording, in the order in which they are named."
)
@stage_options
@limit_options
@click.option("-o", "--output-dir", type=click.Path(), help="Folder where the transcripts would go.")
@click.option(
    "--input",
    "moved_to",
    multiple=True,
    type=click.Path(),
    help="Where the recording of a pipeline named by ID is now; of a joined one repeat it for parts that moved.",
)
@click.option("--json", "as_json_", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, recordings: tuple[str, ...], as_json_: bool, **flags: Any) -> int:
    """Say for each stage what `evt run` with the same words would do next, why, and what it will cost.

    \b
    Examples:
      evt plan talk.wav --language de
      evt plan talk.wav --end 10:00 --transcriber openai
      evt plan --join REC_001.WAV REC_002.WAV
      evt plan *.mp3 --transcriber openai --diarizer pyannoteai
    """
    settings = load_settings(obj["home"], flags["output_dir"], flags=flags, offline=obj["offline"])
    named = named_from(flags, settings)
    shop = workshop_of(settings, unsafe_fs=obj["unsafe_fs"])
    moved_to = [Path(path) for path in flags["moved_to"]]
    items, refusals = gather(
        recordings, shop.store, settings.home, settings.output_dir, moved_to=moved_to, join=flags["join"]
    )
    codes: list[int] = []
    reports: list[dict[str, Any]] = []
    prices: list[StagePrice] = []

    def refuse(written: str, error: EvtError) -> None:
        codes.append(tell_error(written, error))
        reports.append({"input": printable(written), "error": shown_error(error), "exit_code": codes[-1]})

    for refusal in refusals:
        refuse(refusal.written, refusal.error)
    for item in items:
        try:
            wishes = item.wishes(named, settings.home)
            target = delivered_to(item.target)
            nobody_runs = is_locked(shop.store.path(item.pipeline)) is False
            seen = look(shop, item.pipeline, item.recording, wishes, target, nobody_runs=nobody_runs)
        except EvtError as error:
            refuse(item.written, error)
            continue
        seen = _with_notes(seen, item)
        codes.append(REFUSED if seen.plan.blocked else DECISION if seen.plan.asks else OK)
        reports.append(_as_json(item.written, seen))
        prices += [seen.plan.price] if seen.plan.price else []
        if not as_json_:
            click.echo(f"{printable(item.name)} ({item.pipeline})\n{in_words(seen)}")
    if as_json_:
        click.echo(json_line(reports))
    elif len(prices) > 1:
        total = plan_total(prices, settings.limits, shop.ledger.rates, "USD")
        click.echo(f"All together: {price_words(total)}.")
    return worst(codes)


def _with_notes(seen: Look, item: Item) -> Look:
    """Return a look whose plan says what the file beside the recording decides, and what was passed over in it."""
    ignored = item.sidecar.ignored if item.sidecar else ()
    lacking = item.lacking if seen.plan.blocked else ""
    notes = [note for note in (sidecar_note(item, seen.options), *ignored, lacking) if note]
    return evolve(seen, plan=evolve(seen.plan, notes=(*seen.plan.notes, *notes)))


def in_words(seen: Look) -> str:
    """Return a plan for people, a line for each stage."""
    lines = [f"  {step.stage:<17} {step.decision:<8} {_why(step)}" for step in seen.plan.stages]
    if seen.plan.price is not None:
        lines.append(f"  Cost: {price_words(seen.plan.price)}.")
    lines += [f"  Note: {note}" for note in seen.plan.notes]
    if seen.is_settled:
        lines.append("  Nothing to do.")
    elif seen.plan.is_done:
        lines.append("  Nothing to run; the log takes a note of this run.")
    return printable_lines(lines)


def printable_lines(lines: list[str]) -> str:
    """Join lines, each safe to print."""
    return "\n".join(printable(line) for line in lines)


def _why(step: StagePlan) -> str:
    by = f"{step.engine_name}: " if step.decision == RUN and step.engine_name else ""
    return f"{by}{step.reason}{_price(step)}"


def _price(step: StagePlan) -> str:
    """Return what a stage will cost, in words."""
    if step.price is None:
        return ""
    calls = "" if step.price.calls is None else f"{step.price.calls} call{'s' * (step.price.calls != 1)}, "
    return f"; {calls}{price_words(step.price)}"


def _priced(price: StagePrice | None) -> dict[str, Any] | None:
    return None if price is None else {**price.as_data(), "calls": price.calls}


def _as_json(written: str, seen: Look) -> dict[str, Any]:
    stages = [
        {
            "stage": step.stage,
            "decision": step.decision,
            "reason": step.reason,
            "cause": step.cause or None,
            "changes": as_json(step.changes),
            "engine": step.engine_name or None,
            "key": step.key,
            "attempt": step.reused.number if step.reused else None,
            "price": _priced(step.price),
        }
        for step in seen.plan.stages
    ]
    return {
        "input": printable(written),
        "pipeline": seen.pipeline,
        "status": seen.state.status,
        "nothing_to_do": seen.is_settled,
        "resume_point": list(seen.plan.resume_point),
        "stages": stages,
        "price": _priced(seen.plan.price),
        "notes": list(seen.plan.notes),
    }
