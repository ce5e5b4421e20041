"""`evt doctor`: what works here, what is lacking, what is not in order in the home, and what to do."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from cli.checkup import Checkup, as_json, check_up
from cli.engines import Offer, endings, offer_as_json, offers
from cli.errors import SettingsError
from cli.exit_codes import OK, REFUSED, worst
from cli.render import json_line, printable
from cli.reports.doctor import lines
from cli.settings.settings import Settings, bare_settings, load_settings
from cli.syncing import synced_by
from cli.times import span_words
from cli.wiring import identity, make_providers, open_store
from eventlog.filesystem import FileSystem, file_system_of
from pipeline.providers.foreign import DIARIZER, TRANSCRIBER
from pipeline.providers.registry import best_local
from pipeline.upkeep.usage import Amount, Usage, usage
from projections.engine import Engine

MEASURE_S = 1.0
"""So long the files of pipelines are counted; of larger homes the rest is estimated."""
LITTLE_ROOM_BYTES = 2_000_000_000
"""An hour of audio takes some 100 MB while it is converted and cut; a batch several times that."""


@click.command("doctor", short_help="Say what works here, what is lacking, and what to do.")
@click.option("--full", is_flag=True, help="Count every file of a large home instead of estimating its size.")
@click.option("--json", "as_json_", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, full: bool, as_json_: bool) -> int:
    """Say what works on this machine, what is lacking, and what is not in order in the home.

    Versions, engines and what each lacks, keys (never shown), the room that the home takes, who holds a
    log, damaged logs and copies of logs, pipelines that wait for you. The last lines say what to do, the
    most urgent first. Nothing is changed.

    Exit code 0: evt can work here, and nothing waits for you; 3: it can't work here; 4: a log is damaged,
    gone or written by a newer evt; 5: a decision of yours is needed; 1: a log can't be read.

    \b
    Examples:
      evt doctor
      evt doctor --json | jq .findings
    """
    problem = ""
    try:
        settings = load_settings(obj["home"], offline=obj["offline"])
    except SettingsError as error:
        settings, problem = bare_settings(obj["home"]), f"The settings can't be used. {error}"
    report = _report(settings, problem, full=full, today=datetime.now(UTC).date())
    click.echo(json_line(report) if as_json_ else "\n".join(printable(line) for line in lines(report)))
    codes = [finding["exit_code"] for finding in report["findings"]]
    return worst([*codes, OK if report["usable"] else REFUSED])


def _report(settings: Settings, problem: str, *, full: bool, today: date) -> dict[str, Any]:
    home, access, who = settings.home, settings.access, identity()
    existing = next(folder for folder in [home.root, *home.root.parents] if folder.exists())
    system, writable = file_system_of(str(existing)), os.access(existing, os.W_OK | os.X_OK)
    found = offers(make_providers(home, access, settings.offline), access)
    transcribers = {offer.name: offer.engine for offer in found if offer.kind == TRANSCRIBER}
    best = best_local(transcribers)
    checkup = check_up(home, open_store(home), who)
    until_s = time.monotonic() + MEASURE_S
    used = usage(home, checkup.folders, goes_on=lambda: full or time.monotonic() < until_s)
    free = shutil.disk_usage(existing).free
    advice = [
        *([problem] if problem else []),
        *_of_home(existing, system, writable=writable, free_bytes=free),
        *_of_engines(transcribers, best),
        *_of_services(found, today),
    ]
    return {
        "versions": {**who.versions, "system": platform.platform()},
        "home": {
            "path": str(home.root),
            "origin": settings.home_origin,
            "file_system": system.kind,
            "safe": system.safe,
            "survives_power_loss": system.durability == "disk",
            "synced_by": synced_by(existing),
            "writable": writable,
            "free_bytes": free,
            "used_bytes": used.total.size_bytes,
            "usage": _usage(used),
            "retention": span_words(settings.retention) if settings.retention else "off",
        },
        "diarizers": [offer_as_json(offer) for offer in found if offer.kind == DIARIZER],
        "transcribers": [offer_as_json(offer) for offer in found if offer.kind == TRANSCRIBER],
        "keys": {
            name: {"set": item.key is not None, "origin": item.source or None, "note": item.note or None}
            for name, item in access.items()
        },
        "best_transcriber": best,
        "pipelines": _pipelines(checkup),
        "findings": [as_json(finding) for finding in checkup.findings],
        "usable": not problem and writable and system.safe and transcribers[best].lacking is None,
        "advice": advice or ([] if checkup.findings else ["Everything is ready."]),
    }


def _pipelines(checkup: Checkup) -> dict[str, Any]:
    return {
        "count": sum(checkup.statuses.values()),
        "statuses": checkup.statuses,
        "tells_locks": checkup.tells_locks,
        "held": [{"pipeline": held.pipeline, "name": held.name, "by": held.who} for held in checkup.held],
    }


def _usage(used: Usage) -> dict[str, Any]:
    def amount(found: Amount) -> dict[str, int]:
        return {"files": found.files, "size_bytes": found.size_bytes}

    return {
        "kinds": {kind: amount(found) for kind, found in used.kinds.items()},
        "total": amount(used.total),
        "is_estimate": used.is_estimate,
        "measured": used.measured,
        "pipelines": used.pipelines,
    }


def _of_home(folder: Path, system: FileSystem, *, writable: bool, free_bytes: int) -> list[str]:
    advice = []
    if not writable:
        advice.append("The home can't be written. Choose another with --home or $EVT_HOME.")
    if not system.safe:
        advice.append("The home is on a network file system. Choose a local one with --home or $EVT_HOME.")
    if free_bytes < LITTLE_ROOM_BYTES:
        advice.append("The disk is nearly full. `evt cleanup` says what can be made again, and removes it.")
    if (who := synced_by(folder)) is not None:
        advice.append(
            f"The home lies in a folder that {who} copies to other machines. Let evt run on one of them only, or "
            "move the home: two that write one log leave two histories."
        )
    return advice


def _of_services(found: Sequence[Offer], today: date) -> list[str]:
    """Say what the user should know of services that can be used: where a key is odd, and what ends soon."""
    notes = [offer.access.note for offer in found if offer.access and offer.access.note]
    return [*dict.fromkeys(notes), *endings(found, today)]


def _of_engines(transcribers: Mapping[str, Engine], best: str) -> list[str]:
    if transcribers[best].lacking:
        return [f"No transcriber is ready. {transcribers[best].lacking}"]
    if transcribers[best].draft:
        return [
            "Transcripts are drafts by the small built-in English engine; whisper makes better ones. "
            + str(transcribers["whisper"].lacking)
        ]
    return []
