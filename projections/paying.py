"""What the plan says of stages that cost money: the price, jobs to adopt, what has to be asked first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from attrs import evolve as changed

from projections.cost import committed
from projections.decisions import ADOPT, ASK, REFRESH, RUN, WAITING
from projections.doubt import at_stake, may_repeat
from projections.failures import REPEATED
from projections.graph import AUDIO_CONVERSION, TRANSCRIPTION
from projections.limits import STOP
from projections.money import Money
from projections.prices import StagePrice, begun_with, stage_price
from projections.state import SUCCEEDED, Call, PipelineState

if TYPE_CHECKING:
    from projections.plan import StagePlan, Surroundings

SHUTDOWN_NOTICE_DAYS = 180
"""How long before a service ends a model the plan says so."""

IN_DOUBT_REMEDY = "--in-doubt repeat"
"""What a user says who lets calls be sent again that may be paid already."""

_VERSION_FIELDS = frozenset({"provider_version"})


def before_paying(step: StagePlan, state: PipelineState, around: Surroundings) -> StagePlan:
    """Return the step with its price, and with another decision where something must be fetched or asked first."""
    engine = step.engine
    if engine is None or not engine.billable:
        return step
    calls = believed_calls(step, state)
    lost = _lost(calls, around)
    units = around.units.get(step.stage)
    there = [call for call in calls if call.id not in lost]
    whole = begun_with(state, step.stage)
    price = stage_price(
        engine,
        units,
        _duration_s(state, around),
        there,
        around.limits,
        around.rates,
        whole=whole,
        again=step.stage == TRANSCRIPTION and engine.keeps_voices and engine.accounts_for_speech,
    )
    step = changed(step, price=price)
    if step.decision != RUN:
        return step
    if state.uncertain:
        return changed(step, decision=ASK, reason=f"{step.reason}; {_loss(state)}")
    wanted = {unit.request for unit in units} if units and all(unit.request for unit in units) else None
    concerned = _of_this_step(step, state, wanted)
    doubtful = [call for call in concerned if call.in_doubt or call.id in lost or _asks_again(call, step)]
    if (
        doubtful
        and not engine.reconciles
        and (question := _question(doubtful, whole or price.expected, state, around))
    ):
        return changed(step, decision=ASK, reason=question)
    accepted = [call for call in concerned if call.is_accepted]
    if accepted:
        jobs = ", ".join(str(call.job_id) for call in accepted)
        return changed(step, decision=ADOPT, reason=f"job {jobs} was accepted; its result is fetched")
    return step


def _asks_again(call: Call, step: StagePlan) -> bool:
    """Say whether a call whose answer can't be used is made again; the second such answer may stay a gap."""
    return call.is_unusable and not (step.gaps_allowed and call.started.repeats is not None)


def believed_calls(step: StagePlan, state: PipelineState) -> list[Call]:
    """Return the calls whose answers count: all, or for a refresh those since the stage last succeeded."""
    calls = list(state.calls.values())
    if step.cause != REFRESH:
        return calls
    since = refreshed_since(step, state)
    return [call for call in calls if call.started.stage == step.stage and call.started.attempt > since]


def refreshed_since(step: StagePlan, state: PipelineState) -> int:
    """Return the attempt up to which answers don't count: for a refresh the last that succeeded, else none."""
    attempts = state.attempts.get(step.stage, ()) if step.cause == REFRESH else ()
    return max((attempt.number for attempt in attempts if attempt.status == SUCCEEDED), default=0)


def _lost(calls: Iterable[Call], around: Surroundings) -> set[str]:
    """Return the ids of calls whose answers were stored and are gone: what these cost has to be paid again."""
    answered = [(call, call.response.path) for call in calls if call.status == SUCCEEDED and call.response]
    whole = {call.request for call, path in answered if path not in around.missing}
    return {call.id for call, path in answered if path in around.missing and call.request not in whole}


def money_notes(
    steps: Iterable[StagePlan], total: StagePrice | None, state: PipelineState, around: Surroundings
) -> Iterator[str]:
    """Yield notes about money and services that end."""
    limit = around.limits.max_cost
    if total is not None and total.expected is not None and limit is not None:
        spent = around.rates.total([*committed(state.calls.values()), total.expected], limit.currency)
        if spent is not None and spent.amount > limit.amount:
            yield f"the run will stop at --max-cost {limit}: it is expected to come to {spent} in all"
    for step in steps:
        if step.engine is not None and step.decision in {RUN, WAITING, ADOPT, ASK}:
            notice = shutdown_notice(step.engine.model, step.engine.shutdown_date, around.today)
            if notice:
                yield notice


def shutdown_notice(model: str | None, shutdown_date: str | None, today: str) -> str | None:
    """Return a sentence where a service ends a model within half a year, or has ended it."""
    if not shutdown_date or not today:
        return None
    days = (date.fromisoformat(shutdown_date) - date.fromisoformat(today)).days
    if days > SHUTDOWN_NOTICE_DAYS:
        return None
    when = f"in {days} days" if days > 0 else "and has passed"
    return f"the service ends the model {model} on {shutdown_date}, {when}"


def _duration_s(state: PipelineState, around: Surroundings) -> float | None:
    point = state.checkpoints.get(AUDIO_CONVERSION)
    if point is None or not point.success:
        return around.duration_s
    channels = max(1, len(point.metadata.get("pcm", {})) - 1)
    # Where another part of the recording is wanted than was converted, its length is the one that counts.
    found: Any = point.metadata.get("duration_s") if around.duration_s is None else around.duration_s
    return float(found) * channels if found is not None else None


def _loss(state: PipelineState) -> str:
    first = state.open_losses[0]
    return (
        f"calls that were paid may be missing from the log ({first.type}, record {first.seq}); "
        f"look at it, then `evt accept {state.pipeline_id}`"
    )


def _of_this_step(step: StagePlan, state: PipelineState, wanted: set[str | None] | None) -> list[Call]:
    """Return the billable calls whose requests this step will need, as far as that can be told."""
    calls = [call for call in believed_calls(step, state) if call.started.stage == step.stage]
    paid = [call for call in calls if call.started.billable]
    if wanted is not None:
        return [call for call in paid if call.request in wanted]
    attempts = state.attempts.get(step.stage, ())
    return [
        call for call in paid if _asks_the_same(attempts[call.started.attempt - 1].started.options, step.options)
    ]


def _asks_the_same(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return {k: v for k, v in was.items() if k not in _VERSION_FIELDS} == {
        k: v for k, v in now.items() if k not in _VERSION_FIELDS
    }


def _question(
    doubtful: list[Call], expected: Money | None, state: PipelineState, around: Surroundings
) -> str | None:
    """Return what must be asked before these calls are sent again; None where the policy covers them."""
    calls = dict(state.calls)
    for call in doubtful:
        verdict = may_repeat(call, calls.values(), around.limits, around.rates, expected)
        if not verdict.may_repeat:
            break
        calls[call.id] = changed(call, resolution=REPEATED)
    else:
        return None
    currency = around.limits.in_doubt_amount.currency
    stake = around.rates.total((at_stake(call) for call in doubtful), currency)
    cost = f"up to {stake}" if stake else "an unknown amount"
    number = "a call" if len(doubtful) == 1 else f"{len(doubtful)} calls"
    if around.limits.in_doubt == STOP:
        return f"{number} may have been paid without an answer ({cost}) and is left as it is (--in-doubt stop)"
    return (
        f"{number} may have been paid without an answer ({cost}); "
        f"`evt run {state.pipeline_id} {IN_DOUBT_REMEDY}` sends what is missing once more"
    )
