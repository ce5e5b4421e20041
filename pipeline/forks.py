"""Variants of a pipeline: found again by their wishes, begun, and given what their family has done already.

A variant is a pipeline with a log and files of its own. Beginning one only reads its base: neither its results nor
its wishes change. A crash at any point leaves a log that the same call goes on with.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve

from eventlog.errors import LogError
from eventlog.reader import Tail
from pipeline.artifacts import Artifacts
from pipeline.calls.aftermath import interruptions, settlements
from pipeline.errors import UnsettledError
from pipeline.look import Look, input_of, look, surroundings
from pipeline.recordings import Recording
from pipeline.runner import recording_into
from pipeline.texts import keep, take
from pipeline.workshop import Workshop
from projections.events import PipelineCreated, PipelineForked
from projections.family import (
    Relative,
    TakeOver,
    answers_to_take_over,
    base_of,
    number_of,
    stages_to_take_over,
    unsettled,
    variant_id,
)
from projections.fold import fold, foresee, initial_state
from projections.graph import DEFAULTS, DIARIZATION, TRANSCRIPTION
from projections.options import Named
from projections.plan import make_plan
from projections.state import PipelineState

NO_PART = frozenset({"formats", "allow_gaps"})
"""Options that tell no variant from another: they change what is written, not what is heard."""

ENGINES = ((DIARIZATION, "diarizer"), (TRANSCRIPTION, "transcriber"))


def variants(shop: Workshop, base: str) -> list[str]:
    """Return the ids of a pipeline's variants that have a log, in their order."""
    ids = [name for name in shop.store.pipelines(of=base) if base_of(name) == base and number_of(name) > 1]
    return sorted(ids, key=number_of)


def asked_of(shop: Workshop, base: str, recording: Recording | None, named: Named) -> Look:
    """Return what would happen to a pipeline with these wishes; another transcriber leaves its model out."""
    asked = look(shop, base, recording, named, _nowhere)
    if not has_begun(asked.state) or "transcriber" not in named.options or "model" in named.options:
        return asked
    now = look(shop, base, recording, evolve(named, options={}), _nowhere)
    if engines_of(now)["transcriber"] == engines_of(asked)["transcriber"]:
        return asked
    return look(shop, base, recording, evolve(named, options={**named.options, "model": None}), _nowhere)


def find(shop: Workshop, asked: Look, recording: Recording | None, named: Named) -> str | None:
    """Return the pipeline of a family that has these wishes: the base, also if it has yet to begin, or a variant.

    Args:
        shop: everything from outside.
        asked: the base with the wishes, see `asked_of`.
        recording: the file, if it is at hand.
        named: the wishes of this invocation.
    """
    if not has_begun(asked.state):
        return asked.pipeline
    as_it_is = evolve(named, options={})
    for member in (asked.pipeline, *variants(shop, asked.pipeline)):
        seen = look(shop, member, recording, as_it_is, _nowhere)
        is_one = member == asked.pipeline or seen.state.forked is not None
        if is_one and described(seen) == described(asked):
            return member
    return None


def begin(shop: Workshop, asked: Look, recording: Recording | None, named: Named) -> str:
    """Begin the log of a new variant and return its id; nothing is done yet.

    Args:
        shop: everything from outside.
        asked: the base, which has begun, with the variant's wishes.
        recording: the file, if it is at hand.
        named: those wishes, as they were said.

    Raises:
        LogGoneError: of an earlier variant only files are left, and nobody knows what it was.
        LogError: no log can be begun.
    """
    assert asked.verdict is not None, "only a pipeline that has begun has variants"
    assert asked.verdict.head is not None, "and then its log has records"
    head = {"seq": asked.verdict.head.seq, "sha256": asked.verdict.head.sha256}
    source = dict(asked.state.input) or (input_of(recording) if recording else {})
    created = PipelineCreated(source, shop.identity.versions.get("evt", ""))
    forked = PipelineForked(asked.pipeline, head, _wishes(asked))
    for pipeline in _free(shop, asked.pipeline):
        with recording_into(shop, pipeline) as recorder:
            if recorder.state.forked is None:  # else another process was faster
                here, there = (Artifacts(shop.home.artifacts(name)) for name in (pipeline, asked.pipeline))
                here.take_salt(there)
                keep(named, here)
                take(forked.options, here, there)
                recorder.record(forked, created, *asked.state.probed)
                recorder.finish()
                return pipeline
    raise AssertionError("numbers don't end")


def take_over(shop: Workshop, pipeline: str, recording: Recording | None, named: Named) -> None:
    """Let a pipeline have what its family has done and its own plan would do; one without a family stays as it is.

    Raises:
        UnsettledError: another one waits for paid calls of the same engine, or is in doubt about them.
        LogError: the log can't be read or written.
    """
    if not _has_family(shop, pipeline):
        return
    seen = look(shop, pipeline, recording, named, _nowhere)
    is_of_it = seen.state.forked is not None if number_of(pipeline) > 1 else has_begun(seen.state)
    if not is_of_it or seen.plan.is_done or seen.plan.blocked:
        return
    relatives = _relatives(shop, base_of(pipeline), pipeline)
    if not _missing_here(shop, foresee(seen.state, interruptions(seen.state)), seen, recording, relatives):
        return
    with recording_into(shop, pipeline) as recorder:
        recorder.record(*interruptions(recorder.state))
        here = Artifacts(shop.home.artifacts(pipeline))
        here.clear_scratch()
        recorder.record(*settlements(recorder.state, here))
        found = _whole(shop, recorder.state, seen, recording, relatives)
        for takeover in found:
            there = Artifacts(shop.home.artifacts(takeover.pipeline))
            for ref, path in takeover.files:
                here.take(ref, there, path)
        recorder.record(*(takeover.event for takeover in found))
        recorder.finish()


def _has_family(shop: Workshop, pipeline: str) -> bool:
    return number_of(pipeline) > 1 or (number_of(pipeline) == 1 and bool(variants(shop, pipeline)))


def has_begun(state: PipelineState) -> bool:
    """Say whether a transcript of this pipeline was ever wanted."""
    return bool(state.runs)


def engines_of(seen: Look) -> dict[str, str]:
    """Return who finds speakers and words; where that was left to evt, whoever did."""
    found = {}
    for stage, option in ENGINES:
        step, wanted = seen.plan[stage], seen.options[option].value
        made = step.reused.started.options.get("provider") if step.reused else None
        found[option] = str(made or step.engine_name) if wanted == "auto" else wanted
    return found


def described(seen: Look) -> dict[str, Any]:
    """Return what tells variants apart: what was named, and the engines."""
    return {**_named(seen), **engines_of(seen), "model": seen.options["model"].value}


def _nowhere(*_: Any) -> None:
    """Nothing of a variant is delivered."""


def _wishes(asked: Look) -> dict[str, Any]:
    """Return what a new variant is to hold to: what was named, and the engines, whatever defaults become."""
    options = {name: asked.options[name].value for name in ("diarizer", "model")}
    kept = {name: value for name, value in options.items() if value not in {None, "auto"}}
    return {**_named(asked), **kept, "transcriber": engines_of(asked)["transcriber"]}


def _named(seen: Look) -> dict[str, Any]:
    return {
        name: option.value
        for name, option in seen.options.items()
        if option.is_named and option.value != DEFAULTS[name] and name not in NO_PART
    }


def _free(shop: Workshop, base: str) -> Iterator[str]:
    """Yield ids that no variant has, those first whose log was begun by a call that was cut short."""
    for number in itertools.count(2):
        pipeline = variant_id(base, number)
        if os.path.lexists(shop.store.path(pipeline)):
            reading = shop.store.stream(pipeline)
            begun = any(not record.type.startswith("log.") for record in reading)
            if begun or reading.verdict.tail not in {Tail.CLEAN, Tail.TORN}:
                continue
        yield pipeline


def _relatives(shop: Workshop, base: str, pipeline: str) -> list[Relative]:
    """Return the other pipelines of the family that can be built upon, the base first."""
    found = []
    for name in (base, *variants(shop, base)):
        try:
            reading = shop.store.stream(name)
            state = fold(initial_state(name), reading)
            usable = shop.store.unusable(name, reading.verdict) is None
        except LogError:
            continue
        if name != pipeline and usable and not (state.findings or state.unknown):
            artifacts = Artifacts(shop.home.artifacts(name))
            missing = {ref.path for ref in state.artifacts if not artifacts.looks_whole(ref)}
            found.append(Relative(state, frozenset(missing)))
    return found


def _missing_here(
    shop: Workshop, state: PipelineState, seen: Look, recording: Recording | None, relatives: list[Relative]
) -> list[TakeOver]:
    """Return what is to be taken over; see `projections.family`."""
    around = surroundings(shop, state, seen.options, recording, None)
    stages = stages_to_take_over(state, seen.options, around, relatives)
    after = foresee(state, [takeover.event for takeover in stages])
    steps = make_plan(after, seen.options, around).stages
    if (other := unsettled(after, steps, relatives)) is not None:
        raise UnsettledError(
            f"Calls of {other} may have paid already, or are about to pay, for what {seen.pipeline} is to ask. "
            f"`evt run {other}` settles them; then repeat this command."
        )
    return [*stages, *answers_to_take_over(after, steps, around.missing, relatives)]


def _whole(
    shop: Workshop, state: PipelineState, seen: Look, recording: Recording | None, relatives: list[Relative]
) -> list[TakeOver]:
    """Return what is to be taken over and has the content that was recorded."""
    folders: Mapping[str, Artifacts] = {
        relative.state.pipeline_id: Artifacts(shop.home.artifacts(relative.state.pipeline_id))
        for relative in relatives
    }
    while True:
        found = _missing_here(shop, state, seen, recording, relatives)
        damaged = {
            (takeover.pipeline, ref.path)
            for takeover in found
            for ref, _ in takeover.files
            if not folders[takeover.pipeline].is_whole(ref)
        }
        if not damaged:
            return found
        relatives = [
            evolve(item, missing=item.missing | {path for name, path in damaged if name == item.state.pipeline_id})
            for item in relatives
        ]
