"""`evt export`: a finished transcript in other formats or places."""

from __future__ import annotations

from typing import Any

import click

from cli.batching.items import gather, tell_error
from cli.batching.roll import Item
from cli.errors import NotFinishedError
from cli.exit_codes import FAILED, OK, worst
from cli.home import require_usable
from cli.progress import PlainReporter
from cli.render import json_line, printable
from cli.settings.settings import load_settings
from cli.to_stdout import Output, output_of
from cli.wiring import workshop_of
from eventlog.errors import EvtError
from pipeline import runner
from pipeline.artifacts import Artifacts
from pipeline.delivery import Delivery, deliver, delivered_to, require_writable
from pipeline.look import Look, look
from pipeline.wishes import checked
from pipeline.workshop import Workshop
from projections.decisions import RUN, WAITING
from projections.graph import EXPORT, FORMATS
from projections.options import Named


@click.command("export", short_help="Write a finished transcript in other formats or places.")
@click.argument("pipelines", nargs=-1, required=True, metavar="ID|NAME|FILE...")
@click.option("--format", "formats", multiple=True, help=f"Formats: {', '.join(FORMATS)} (comma or repeat).")
@click.option(
    "-o",
    "--output-dir",
    type=click.Path(),
    help="Folder for the transcripts (default: this folder); -: stdout, for one of them and one --format.",
)
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, pipelines: tuple[str, ...], as_json: bool, **flags: Any) -> int:
    """Write finished transcripts again, in other formats or into another folder.

    Nothing is transcribed again; a format that was not made before is made now.

    \b
    Examples:
      evt export 4f2a --format vtt -o subtitles
      evt export 4f2a --format srt -o - | grep -c -- "-->"
    """
    with output_of(flags["output_dir"], flags["formats"], as_json=as_json) as output:
        output.require_one(len(pipelines))
        return _export_all(obj, pipelines, output, flags, as_json=as_json)


def _export_all(
    obj: dict[str, Any], pipelines: tuple[str, ...], output: Output, flags: dict[str, Any], *, as_json: bool
) -> int:
    settings = load_settings(obj["home"], output.folder, offline=obj["offline"])
    wanted = sorted({part.strip().lower() for item in flags["formats"] for part in item.split(",") if part.strip()})
    if wanted:
        checked("formats", wanted, "--format")
    require_usable(settings.home)
    require_writable(settings.output_dir)
    shop = workshop_of(settings, unsafe_fs=obj["unsafe_fs"])
    items, refusals = gather(pipelines, shop.store, settings.home, settings.output_dir)
    codes, reports = [tell_error(refusal.written, refusal.error) for refusal in refusals], []
    for item in items:
        try:
            deliveries = _export(shop, item, wanted, PlainReporter(quiet=obj["quiet"]))
        except EvtError as error:
            codes.append(tell_error(item.written, error))
            continue
        codes.append(OK)
        reports.append(_as_json(item, deliveries))
        if not as_json and not output.is_stdout:
            for delivery in deliveries:
                click.echo(f"{printable(str(delivery.path))} ({delivery.outcome})")
    output.write()
    if as_json:
        click.echo(json_line(reports))
    return worst(codes or [FAILED])


def _export(shop: Workshop, item: Item, wanted: list[str], reporter: PlainReporter) -> list[Delivery]:
    """Deliver the wanted formats; render those that no export holds, beside the ones that it does."""
    named = Named()
    seen = look(
        shop, item.pipeline, item.recording, named, delivered_to(item.target, wanted or None), refreshes=False
    )
    export = seen.plan[EXPORT].reused
    made = list(export.metadata["formats"]) if export else seen.options["formats"].value
    formats = wanted or made
    if not set(formats) <= set(made):
        named = Named(once={"formats": sorted({*made, *formats})})
        seen = look(shop, item.pipeline, item.recording, named, delivered_to(item.target, formats), refreshes=False)
    plan, state = seen.plan, seen.state
    if not plan.is_done:
        _require_only_export(seen)
        delivered = delivered_to(item.target, formats)
        result = runner.run(shop, seen, item.recording, named, delivered, reporter, refreshes=False)
        plan, state = result.plan, result.state
        if not plan.is_done:
            raise NotFinishedError(f"The export failed; `evt show {item.pipeline}` says why.")
    return deliver(item.target, plan, state, Artifacts(shop.home.artifacts(item.pipeline)), formats)


def _require_only_export(seen: Look) -> None:
    """See that rendering is all that is missing: an export never transcribes."""
    if (
        any(step.decision in {RUN, WAITING} for step in seen.plan.stages if step.stage != EXPORT)
        or seen.plan.blocked
    ):
        if not seen.state.runs:
            raise NotFinishedError(
                "It was not transcribed yet, so there is nothing to export. `evt run` transcribes it."
            )
        raise NotFinishedError(
            f"The transcript of {seen.pipeline} is not finished. `evt run {seen.pipeline}` goes on with it."
        )


def _as_json(item: Item, deliveries: list[Delivery]) -> dict[str, Any]:
    return {
        "input": printable(item.written),
        "pipeline": item.pipeline,
        "deliveries": [
            {"path": printable(str(d.path)), "format": d.format, "outcome": d.outcome, "beside": d.beside}
            for d in deliveries
        ],
    }
