"""Which attempt of each stage counts now, by what the last run's plan recorded. Pure.

The newest attempt need not be it: who tries another engine and goes back to the first has an earlier success
reused.
"""

from __future__ import annotations

from projections.decisions import REUSE, STALE
from projections.graph import STAGES
from projections.state import SUCCEEDED, Attempt, PipelineState


def standing(state: PipelineState) -> dict[str, Attempt]:
    """Return the success that stands for each stage that has one, in stage order."""
    again = reused(state)
    last = {
        stage: next((tried for tried in reversed(state.attempts.get(stage, ())) if tried.status == SUCCEEDED), None)
        for stage in STAGES
    }
    return {stage: found for stage in STAGES if (found := again.get(stage) or last[stage]) is not None}


def reused(state: PipelineState) -> dict[str, Attempt]:
    """Return the successes that the last run took over as they were, and under which it began no attempt."""
    run = state.last_run
    return (
        {}
        if run is None
        else {
            stage: attempts[number - 1]
            for stage in STAGES
            if (number := _reused_number(run.started.plan.get(stage)))
            and number <= len(attempts := state.attempts.get(stage, ()))
            and attempts[number - 1].status == SUCCEEDED
            and attempts[-1].run != run.id
        }
    )


def _reused_number(decision: object) -> int:
    """Return the number of the attempt that a recorded decision reuses; 0 where it reuses none."""
    if not isinstance(decision, dict) or decision.get("decision") not in {REUSE, STALE}:
        return 0
    number = decision.get("attempt")
    return number if isinstance(number, int) and number > 0 else 0
