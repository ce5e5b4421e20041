"""What tests of many recordings ask of a home and a folder of transcripts."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support.cli import Evt


def wait_until(happened: Callable[[], Any], within_s: float = 60.0) -> None:
    end_s = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < end_s, "it didn't happen"
        time.sleep(0.02)


def transcripts(evt: Evt) -> set[str]:
    return {path.name for path in evt.work.glob("*.txt")}


def records_of(evt: Evt) -> dict[str, list[dict[str, Any]]]:
    """Return what the logs hold, by pipeline; one that was only just made is not among them."""
    found = {path.stem: path.read_bytes().splitlines() for path in evt.home.glob("logs/*/*.jsonl")}
    return {pipeline: [*map(json.loads, lines)] for pipeline, lines in found.items() if lines}


def successes(evt: Evt) -> Counter[tuple[str, str]]:
    """Return how often each stage of each pipeline succeeded."""
    return Counter(
        (pipeline, record["data"]["stage"])
        for pipeline, records in records_of(evt).items()
        for record in records
        if record["type"] == "stage.succeeded"
    )


def slow_down(evt: Evt, seconds: float) -> None:
    delay = f'\n[[delays]]\noperation = "transcription"\nseconds = {seconds}\n'
    evt.script.write_text(evt.script.read_text() + delay)
