"""What the commands share by which users say something of a finished transcript."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from cli.batching.roll import Item
from cli.errors import NotFinishedError
from cli.holder import naming_the_holder
from cli.options import named_from
from cli.outcomes import Outcome
from cli.progress import make_reporter
from cli.render import printable
from cli.settings.settings import Settings
from pipeline import runner
from pipeline.annotations.annotations import Annotate
from pipeline.annotations.speakers import newest, read_transcript
from pipeline.artifacts import Artifacts
from pipeline.delivery import deliver, delivered_to
from pipeline.look import Look, look
from pipeline.speech.transcript import Transcript
from pipeline.workshop import Workshop
from projections.decisions import REUSE, STALE
from projections.graph import AUDIO_CONVERSION, EXPORT, MERGE
from projections.state import Attempt, PipelineState

MAY_RUN = frozenset({MERGE, EXPORT})
"""What costs nothing and needs no recording."""


@frozen
class Subject:
    """The transcript that something is said of: its pipeline, and the attempts that made it."""

    shop: Workshop
    item: Item
    settings: Settings
    seen: Look
    merge: Attempt
    conversion: Attempt

    @property
    def artifacts(self) -> Artifacts:
        """The pipeline's files."""
        return Artifacts(self.shop.home.artifacts(self.item.pipeline))

    def read(
        self, state: PipelineState | None = None, *, until: int | None = None
    ) -> tuple[Transcript, tuple[str, ...]]:
        """Return the transcript with what was said of it, all or the first `until` of that, and notes."""
        return read_transcript(state or self.seen.state, self.merge, self.conversion, self.artifacts, until)


def subject_of(shop: Workshop, item: Item, settings: Settings, *, to_change: str = "") -> Subject:
    """Return the transcript of a pipeline.

    Args:
        shop: everything from outside.
        item: what the user named.
        settings: of this invocation.
        to_change: what the user wants to change; empty where it is only looked at.

    Raises:
        NotFinishedError: there is none, or it can't be changed yet.
    """
    named = item.wishes(named_from({}, settings), settings.home)
    delivered = delivered_to(item.target if to_change else None)
    seen = look(shop, item.pipeline, item.recording, named, delivered, refreshes=False)
    merged, converted = seen.plan[MERGE].reused, seen.plan[AUDIO_CONVERSION].reused
    found = (merged, converted) if merged and converted else newest(seen.state)
    if found is None:
        written = printable(item.written)
        raise NotFinishedError(f"There is no transcript of {written} yet. `evt run {written}` makes one.")
    undone = any(step.decision not in {REUSE, STALE} for step in seen.plan.stages if step.stage not in MAY_RUN)
    if to_change and undone:
        raise NotFinishedError(
            f"The transcript of {seen.pipeline} is not finished. `evt run {seen.pipeline}` goes on with it; then "
            f"{to_change}."
        )
    return Subject(shop, item, settings, seen, *found)


def record(subject: Subject, annotate: Annotate | None, obj: dict[str, Any]) -> tuple[Outcome, PipelineState]:
    """Record what the user says, then do what `evt run ID` would; only the export can be in it."""
    shop, item, seen = subject.shop, subject.item, subject.seen
    named = item.wishes(named_from({}, subject.settings), subject.settings.home)
    delivered = delivered_to(item.target)
    outcome = Outcome(item.written, pipeline=item.pipeline)
    plan, state = seen.plan, seen.state
    reporter = make_reporter(quiet=obj["quiet"], verbose=obj["verbose"])
    try:
        if annotate is not None or not seen.is_settled:
            with naming_the_holder(shop.store):
                result = runner.run(
                    shop,
                    seen,
                    item.recording,
                    named,
                    delivered,
                    reporter,
                    annotate=annotate,
                    only=MAY_RUN,
                    refreshes=False,
                )
            outcome.take_result(result)
            plan, state = result.plan, result.state
    finally:
        reporter.close()
        shop.providers.close()
    outcome.take_plan(plan)
    if plan.is_done:
        formats = seen.options["formats"].value
        outcome.take_deliveries(deliver(item.target, plan, state, subject.artifacts, formats))
    return outcome, state
