"""What a cleanup may remove of a pipeline, and why it leaves one alone. Pure; reasons: docs/adr/0019-cleanup.md.

What stays in any case: the log, what the user said, and the results of every stage but the conversion, so that a
transcript can be corrected, exported and compared without any engine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final

from attrs import frozen

from eventlog.values import Value
from projections.cost import Sums, cost_rows, totals
from projections.events import ArtifactRef
from projections.graph import AUDIO_CONVERSION, DIARIZATION, EXPORT, STAGES, TRANSCRIPTION, VOICEPRINT
from projections.state import STARTED, SUCCEEDED, Call, PipelineState

AUDIO: Final = "audio"
"""The converted audio: made again from the recording."""
ANSWERS: Final = "answers"
"""The answers of engines that cost nothing: what they hold is in the stage's result."""
EXPORTS: Final = "exports"
"""Rendered transcripts that later ones replaced: made again from the merged transcript."""
PAID: Final = "paid"
"""The answers of calls that were paid for, here or in another pipeline of the family."""

COMPLETED: Final = "completed"
STATUSES: Final = (COMPLETED, "failed", "interrupted", "needs_decision", "waiting", "unfinished", "new")
_PAYING: Final = (DIARIZATION, TRANSCRIPTION, VOICEPRINT)


@frozen(eq=False, repr=False)
class Rule(Value):
    """What the user wants to be removed.

    Attributes:
        before: only of pipelines last used before this time, as records write it; empty: of any.
        statuses: only of pipelines of these.
        paid: also what costs money to make again.
    """

    before: str = ""
    statuses: frozenset[str] = frozenset({COMPLETED})
    paid: bool = False


@frozen(eq=False, repr=False)
class Removable(Value):
    """A file that a cleanup may remove, and what it is: audio, answers, exports or paid."""

    path: str
    size_bytes: int
    kind: str


def untouchable(state: PipelineState) -> str | None:
    """Return why nothing of a pipeline may be removed, not even scratch; None if something may be."""
    if state.findings or state.foreign:
        return "its log holds what this evt doesn't understand"
    if state.handed_over is not None:
        return "it was handed over, and comes back only if its log stays as it is"
    if state.uncertain:
        return "records of its log may be lost"
    if any(_is_open(call) for call in state.calls.values()):
        return "a paid call has no outcome yet, or nobody knows its outcome"
    return None


def passed_over(state: PipelineState, rule: Rule) -> str | None:
    """Return why a pipeline isn't among those that are wanted; None if it is."""
    if state.status not in rule.statuses:
        wanted = f"; --status {state.status} takes such too" if state.status in STATUSES else ""
        return f"it is {state.status.replace('_', ' ')}{wanted}"
    if rule.before and last_used(state) >= rule.before:
        return "it was used since"
    return None


def purge_passed_over(state: PipelineState, rule: Rule) -> str | None:
    """Return why a pipeline isn't among those that are to be purged; one that was erased has no status."""
    if state.erasure is None:
        return passed_over(state, rule)
    return "it was used since" if rule.before and last_used(state) >= rule.before else None


def last_used(state: PipelineState) -> str:
    """Return when somebody last worked with a pipeline; what a cleanup itself recorded is no use."""
    runs = [time for run in state.runs for time in (run.started_at, run.finished_at) if time]
    tries = [attempt.ended_at or attempt.started_at for tried in state.attempts.values() for attempt in tried]
    said = [annotation.made_at for annotation in (*state.annotations, *state.undone)]
    return max([*runs, *tries, *said], default=state.last_updated or "")


def removable(state: PipelineState, *, paid: bool = False) -> tuple[Removable, ...]:
    """Return the files of a pipeline that may be removed and that the log doesn't say are gone.

    Args:
        state: of a pipeline that is not untouchable.
        paid: also what costs money to make again.
    """
    found: dict[str, Removable] = {}
    for ref, kind in _candidates(state, paid=paid):
        if is_own(ref.path) and ref.path not in state.erased:
            found[ref.path] = Removable(ref.path, ref.size_bytes, kind)
    return tuple(found.values())


def leftovers(state: PipelineState) -> tuple[str, ...]:
    """Return the paths that must be gone by what the log says."""
    return tuple(sorted(filter(is_own, state.erased)))


def price(state: PipelineState, paths: Collection[str]) -> tuple[Sums, ...]:
    """Return what these files cost, one for each currency; answers whose price is unknown here are counted."""
    calls = (call for call in state.calls.values() if call.response and call.response.path in paths)
    return totals(cost_rows(state.pipeline_id, calls, "pipeline"))


def is_own(path: str) -> bool:
    """Say whether a path is one that a stage gives its files; one that a stranger made up leads nowhere."""
    first, *rest = path.split("/")
    named = first in {*STAGES, VOICEPRINT} and len(rest) > 1 and rest[0].isdecimal()
    return named and not {"", ".", ".."} & set(rest) and "\0" not in path


def _candidates(state: PipelineState, *, paid: bool) -> Iterator[tuple[ArtifactRef, str]]:
    if paid or not _is_half_paid(state):
        yield from ((ref, AUDIO) for ref in _outputs(state, AUDIO_CONVERSION, lambda number: True))
    newest = max((attempt.number for attempt in state.attempts.get(EXPORT, ()) if attempt.outputs), default=0)
    yield from ((ref, EXPORTS) for ref in _outputs(state, EXPORT, lambda number: number < newest))
    for call in state.calls.values():
        if call.response is not None and (paid or not _costs(call)):
            yield call.response, PAID if _costs(call) else ANSWERS


def _outputs(state: PipelineState, stage: str, chosen: Callable[[int], bool]) -> Iterator[ArtifactRef]:
    for attempt in state.attempts.get(stage, ()):
        yield from attempt.outputs if chosen(attempt.number) else ()


def _costs(call: Call) -> bool:
    """Say whether an answer costs money to get again; of one that was taken over only its first pipeline knows."""
    return call.started.billable or call.provided_by is not None


def _is_open(call: Call) -> bool:
    return (call.started.billable and call.status == STARTED) or call.in_doubt or call.is_unusable


def _is_half_paid(state: PipelineState) -> bool:
    """Say whether answers that were paid for wait for the rest of their stage.

    They are found again by the digest of the audio that was sent, and a later version may decode to another one.
    """
    stages = {call.started.stage for call in state.calls.values() if _costs(call) and call.status == SUCCEEDED}
    return any(not _is_whole(state, stage) for stage in stages.intersection(_PAYING))


def _is_whole(state: PipelineState, stage: str) -> bool:
    attempts = state.attempts.get(stage, ())
    return bool(attempts) and attempts[-1].status == SUCCEEDED and not attempts[-1].metadata.get("gaps")
