"""A pipeline in a paragraph, for `evt list --detailed`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.render import moment, printable, seconds, shown_name
from cli.reports.costs import cost_words
from projections.cost import sums_from


def paragraph(summary: Mapping[str, Any], status: str) -> str:
    """Return a pipeline's `Summary`, given as JSON values, in lines."""
    engines = ", ".join(f"{stage} by {engine}" for stage, engine in summary["engines"].items())
    facts = [
        ("id", summary["pipeline_id"]),
        ("joined of", ", ".join(map(shown_name, summary["parts"])) or None),
        ("status", status),
        ("completed", ", ".join(summary["completed_stages"]) or "nothing yet"),
        ("failed", summary["failed_stage"]),
        ("error", summary["error"]),
        ("audio", None if summary["duration_s"] is None else seconds(summary["duration_s"])),
        ("engines", engines or None),
        ("speakers", summary["speakers"]),
        ("words", summary["words"]),
        ("runs", summary["runs"]),
        ("cost", cost_words(map(sums_from, summary["cost"])) or None),
        ("created", moment(summary["created_at"])),
        ("updated", moment(summary["last_updated"])),
    ]
    lines = [f"  {name:<10} {printable(str(value))}" for name, value in facts if value is not None]
    return "\n".join([shown_name(summary["name"]), *lines])
