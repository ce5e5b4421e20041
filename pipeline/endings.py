"""How a run ended and why nothing can begin, in words; whoever shows them makes them safe to print."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.errors import BlockedError, DecisionNeededError
from pipeline.look import Look
from pipeline.runner import RunResult
from projections.decisions import RUN
from projections.paying import IN_DOUBT_REMEDY
from projections.plan import StagePlan


def reasons(steps: Iterable[StagePlan]) -> str:
    """Return why stages can't go on, each reason once, without a full stop."""
    by_reason: dict[str, list[str]] = {}
    for step in steps:
        by_reason.setdefault(step.reason.rstrip("."), []).append(step.stage)
    return "; ".join(f"{' and '.join(stages)}: {reason}" for reason, stages in by_reason.items())


def require_unblocked(seen: Look) -> None:
    """Refuse a plan of which nothing can begin, saying why.

    Raises:
        BlockedError, DecisionNeededError: nothing can.
    """
    if seen.plan.blocked:
        raise BlockedError(f"Nothing was begun, because the plan is blocked. {reasons(seen.plan.blocked)}.")
    if seen.plan.asks and not seen.plan.resume_point:
        raise DecisionNeededError(
            f"Nothing was begun, because a decision of yours is needed. {reasons(seen.plan.asks)}."
        )


def is_in_doubt(steps: Iterable[StagePlan]) -> bool:
    """Say whether stages wait for a word about a call that may have been paid already."""
    return any(IN_DOUBT_REMEDY in step.reason for step in steps)


def causes(result: RunResult) -> str:
    """Return why a run failed: what stages said, else why one that has run in it would have to run again."""
    found = "; ".join(f"{stage}: {error.message.rstrip('.')}" for stage, error in result.failures.items())
    return f"{found or reasons(step for step in result.plan.stages if step.decision == RUN)}."


def is_of_the_recording(result: RunResult) -> bool:
    """Say whether a run failed because the recording can't be used, so that repeating it is of no use."""
    errors = result.failures.values()
    return bool(errors) and all(error.code == "source_rejected" for error in errors)


def what_is_kept(result: RunResult) -> str:
    """Say that a failed run's work is kept, and what goes on with it."""
    named = any(result.pipeline in error.message for error in result.failures.values())
    return "What is done is kept" + ("." if named else f"; `evt run {result.pipeline}` goes on from there.")


def decisions(result: RunResult) -> str:
    """Return what a run waits for that needs a decision, or money."""
    waits = (*result.plan.blocked, *result.plan.asks)
    told = {step.stage for step in waits}
    said = [error.message for stage, error in result.failures.items() if stage not in told]
    return " ".join([*said, *([f"{reasons(waits)}."] if waits else [])])
