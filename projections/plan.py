"""What would happen next, and why: one decision for each stage. Pure, and the only place that decides.

`evt plan` prints a plan, `evt run` carries it out and plans again after each stage. The rules are
docs/adr/0003-what-runs-again.md; in one sentence: a success is replaced only by something that the user named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from attrs import evolve as changed
from attrs import frozen

from eventlog.values import Value
from projections.decisions import (
    ADOPT,
    ASK,
    BLOCKED,
    FIRST,
    NAMED,
    REFRESH,
    REMADE,
    REUSE,
    RUN,
    STALE,
    TRANSCRIBER,
    UPSTREAM,
    WAITING,
)
from projections.engine import Engine
from projections.events import ArtifactRef
from projections.graph import (
    AUDIO_CONVERSION,
    DIARIZATION,
    EXPORT,
    MERGE,
    READS,
    SELECTION,
    STAGES,
    TEXTS,
    TRANSCRIPTION,
    VERSIONS,
    flag_of,
)
from projections.limits import NO_LIMITS, Limits
from projections.money import NO_RATES, Rates
from projections.options import DEFAULT, FLAG, Option
from projections.paying import before_paying, money_notes
from projections.prices import StagePrice, Unit, plan_total
from projections.state import SUCCEEDED, Attempt, PipelineState

_EXCERPT = "excerpt"
"""Name, in the merge's key, of what no option says: from where to where the recording was converted, in seconds."""

_ANNOTATION = "annotation."
"""Begin of the names of the export's inputs that are words of the user, numbered in the order of the log."""


@frozen(eq=False, repr=False)
class Surroundings(Value):
    """What the plan must know besides the log and the wishes; gathered by whoever asks for the plan.

    Attributes:
        diarizers, transcribers: the engines by name.
        local_transcriber: the best local transcriber that is ready, for `auto`.
        missing: paths of artifacts that are gone or changed.
        delivered: digests of exports that lie where the user wants them; nothing else needs their artifacts.
        recording_at_hand: the recording can be read again.
        deliver: the user wants the exports in a folder; if not, nothing needs the export artifacts.
        versions: the semantic version of each stage.
        duration_s: of what is wanted of the recording, where its file says so before that is converted.
        units: the calls that a stage will make, where that is known.
        limits, rates: what may be spent, and what currencies are worth.
        today: as YYYY-MM-DD, for services that end; empty: unknown.
    """

    diarizers: Mapping[str, Engine]
    transcribers: Mapping[str, Engine]
    local_transcriber: str
    missing: frozenset[str] = frozenset()
    delivered: frozenset[str] = frozenset()
    recording_at_hand: bool = True
    deliver: bool = True
    versions: Mapping[str, int] = VERSIONS
    duration_s: float | None = None
    units: Mapping[str, tuple[Unit, ...]] = {}
    limits: Limits = NO_LIMITS
    rates: Rates = NO_RATES
    today: str = ""


@frozen(eq=False, repr=False)
class Change(Value):
    """One field of a stage's key that differs from the success that is there; `source` says who changed it."""

    field: str
    was: Any
    now: Any
    source: str


@frozen(eq=False, repr=False)
class StagePlan(Value):
    """The decision for one stage.

    Attributes:
        decision: reuse, stale, adopt, ask, run, waiting or blocked.
        reason: the decision in words.
        cause: why it runs: first, named, upstream, refresh or remade; empty unless it runs.
        changes: what differs from the success that is reused or replaced.
        key: what decides the result; None while an input has still to be made.
        options, inputs: what enters the key.
        version: the stage's semantic version, also part of the key.
        engine: the provider that would work, for the two stages that have one.
        engine_name: the name by which it was asked for.
        reused: the attempt whose outputs stand for the stage.
        remakes: the attempt whose lost files are to be made again.
        reads: the stages whose outputs it reads.
        gaps_allowed: speech without words may be marked as a gap; if not, the stage fails.
        price: what its calls will cost; None where none of them is billable.
    """

    stage: str
    decision: str
    reason: str
    cause: str = ""
    changes: tuple[Change, ...] = ()
    key: str | None = None
    options: Mapping[str, Any] = {}
    inputs: Mapping[str, str] = {}
    version: int = 1
    engine: Engine | None = None
    engine_name: str = ""
    reused: Attempt | None = None
    remakes: int | None = None
    reads: tuple[str, ...] = ()
    gaps_allowed: bool = False
    price: StagePrice | None = None


@frozen(eq=False, repr=False)
class Plan(Value):
    """The decisions in stage order, notes for people, and what the whole will cost (None: nothing)."""

    stages: tuple[StagePlan, ...]
    notes: tuple[str, ...] = ()
    price: StagePrice | None = None

    def __getitem__(self, stage: str) -> StagePlan:
        return self.stages[STAGES.index(stage)]

    @property
    def resume_point(self) -> tuple[str, ...]:
        """The stages that would start next; empty when nothing can or need be done."""
        return tuple(step.stage for step in self.stages if step.decision in {RUN, ADOPT})

    @property
    def is_done(self) -> bool:
        """Every stage has an output that counts."""
        return all(step.decision in {REUSE, STALE} for step in self.stages)

    @property
    def asks(self) -> tuple[StagePlan, ...]:
        """The stages that may cost money twice and wait for the user's word."""
        return tuple(step for step in self.stages if step.decision == ASK)

    @property
    def blocked(self) -> tuple[StagePlan, ...]:
        """The stages that lack something that the user must supply."""
        return tuple(step for step in self.stages if step.decision == BLOCKED)


def make_plan(
    state: PipelineState,
    options: Mapping[str, Option],
    around: Surroundings,
    refresh: frozenset[str] = frozenset(),
) -> Plan:
    """Return what each stage would do next.

    First every stage is held against its successes, in stage order; then, from the wanted deliveries back, a
    success whose files are gone is made again, but only if something that must run, or be delivered, reads it.
    """
    if (trouble := _trouble(state)) is not None:
        return blocked_plan(trouble)
    steps: dict[str, StagePlan] = {}
    for stage in _order(options, around):
        steps[stage] = _forward(stage, state, options, around, steps, refresh)
    _remake_what_is_needed(steps, around)
    for stage, step in steps.items():
        if step.decision in {RUN, WAITING}:
            steps[stage] = before_paying(step, state, around)
    prices = [step.price for step in steps.values() if step.price is not None]
    currencies = {price.expected.currency for price in prices if price.expected}
    currency = currencies.pop() if len(currencies) == 1 else "USD"
    total = plan_total(prices, around.limits, around.rates, currency) if prices else None
    notes = [*_idle_wishes(steps, options), *money_notes(steps.values(), total, state, around)]
    return Plan(tuple(steps[stage] for stage in STAGES), tuple(notes), total)


def blocked_plan(reason: str) -> Plan:
    """Return the plan of a pipeline on which nothing can be done, for this reason."""
    return Plan(tuple(StagePlan(stage, BLOCKED, reason) for stage in STAGES))


def _order(options: Mapping[str, Option], around: Surroundings) -> Sequence[str]:
    """Return the stages in the order in which they can be decided: turns may come with the words."""
    if not _turns_come_with_words(options, around):
        return STAGES
    return (AUDIO_CONVERSION, TRANSCRIPTION, DIARIZATION, *STAGES[3:])


def _turns_come_with_words(options: Mapping[str, Option], around: Surroundings) -> bool:
    transcriber = options["transcriber"].value
    engine = around.transcribers.get(around.local_transcriber if transcriber == "auto" else transcriber)
    diarizer = options["diarizer"].value
    if diarizer == TRANSCRIBER:
        return True
    return engine is not None and engine.speakers and diarizer in {"auto", transcriber}


def stage_key(stage: str, version: int, options: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Return the digest of everything that decides a stage's result.

    A stored form: changing it makes every success of every pipeline stale.
    """
    content = {"stage": stage, "version": version, "options": dict(options), "inputs": dict(inputs)}
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _trouble(state: PipelineState) -> str | None:
    if state.findings:
        return f"the log makes no sense to this evt: {state.findings[0].text}"
    if state.foreign:
        (seq, name), *_ = state.foreign
        by = f"evt {state.written_by}, a newer evt" if state.written_by else "a newer evt"
        return f"the log holds {name!r} (record {seq}), written by {by}; install that version"
    return closed(state)


def closed(state: PipelineState) -> str | None:
    """Return why nothing more is done on a pipeline in this home, as a clause; None where it goes on."""
    if (erased := state.erasure) is not None:
        again = f"`evt erase {state.pipeline_id} --unerase` lets it be transcribed anew"
        return f"it was erased on {erased.time[:10]}; {again}"
    if (gone := state.handed_over) is not None:
        return (
            f"it was handed over on {gone.time[:10]}, in the bundle {_file_name(gone.bundle)}, and goes on where "
            "that is imported; `evt import` of it takes it back here, if nobody else has imported it"
        )
    return None


def _file_name(recorded: Any) -> str:
    """Return a recorded file name; one that is no text is not shown."""
    return recorded if isinstance(recorded, str) else "that was made then"


def _forward(
    stage: str,
    state: PipelineState,
    options: Mapping[str, Option],
    around: Surroundings,
    steps: Mapping[str, StagePlan],
    refresh: frozenset[str],
) -> StagePlan:
    name = _engine_name(stage, options, around, steps)
    engine, lacking = _engine(stage, name, options, around)
    pending = [name for name in _reads(stage, engine) if steps[name].reused is None or steps[name].decision == RUN]
    gaps_allowed = stage == TRANSCRIPTION and bool(options["allow_gaps"].value)
    done = [attempt for attempt in state.attempts.get(stage, ()) if attempt.status == SUCCEEDED]
    # A conversion has gaps too: silence where a recording is damaged. No attempt would fill those.
    gapless = stage == TRANSCRIPTION and not gaps_allowed
    successes = [attempt for attempt in done if not (gapless and attempt.metadata.get("gaps"))]
    if pending:
        blocked = lacking is not None and not successes
        reason = str(lacking) if blocked else f"waits for {' and '.join(pending)}"
        decision = BLOCKED if blocked else WAITING
        return StagePlan(stage, decision, reason, engine=engine, engine_name=name, reads=_reads(stage, engine))
    version = around.versions[stage]
    chosen = {**_key_options(stage, options, engine), **_excerpt(stage, steps)}
    inputs = _inputs(stage, state, steps, engine)
    step = StagePlan(
        stage,
        RUN,
        "done with gaps, which are not allowed now" if done else "not done yet",
        cause=NAMED if done else FIRST,
        key=stage_key(stage, version, chosen, inputs),
        options=chosen,
        inputs=inputs,
        version=version,
        engine=engine,
        engine_name=name,
        reads=_reads(stage, engine),
        gaps_allowed=gaps_allowed,
    )
    if successes:
        step = _against_successes(step, successes, options, around, steps, state)
    if stage in refresh:
        step = changed(step, decision=RUN, cause=REFRESH, reason="to be refreshed", reused=None)
    foreign = _foreign_language(engine, options["language"]) if engine else None
    if foreign is not None and options["language"].source == FLAG:
        return changed(step, decision=BLOCKED, reason=foreign, cause="", reused=None)
    if stage == AUDIO_CONVERSION and not around.recording_at_hand and state.input.get("parts"):
        lacking = (
            "the recording itself is needed; name all its parts with --join, or --input FILE for each that moved"
        )
    return _blocked_if(step, lacking, around)


def _blocked_if(step: StagePlan, lacking: str | None, around: Surroundings) -> StagePlan:
    if step.decision != RUN:
        return step
    if lacking is not None:
        return changed(step, decision=BLOCKED, reason=lacking)
    if step.stage == AUDIO_CONVERSION and _is_empty(step.options):
        return changed(step, decision=BLOCKED, reason="--start is not before --end; name both, or --end end")
    if step.stage == AUDIO_CONVERSION and not around.recording_at_hand:
        return changed(
            step, decision=BLOCKED, reason="the recording itself is needed; name its file, or --input FILE"
        )
    return step


def _is_empty(options: Mapping[str, Any]) -> bool:
    """Say whether nothing of a recording is selected, since one time was named now and the other before."""
    start_s, end_s = options.get("start_s"), options.get("end_s")
    return start_s is not None and end_s is not None and bool(start_s >= end_s)


def _reads(stage: str, engine: Engine | None) -> tuple[str, ...]:
    if stage == TRANSCRIPTION and engine is not None and not (engine.word_times or engine.speakers):
        return (AUDIO_CONVERSION, DIARIZATION)
    if stage == DIARIZATION and engine is not None and engine.name == TRANSCRIBER:
        return (TRANSCRIPTION,)
    return READS[stage]


def _engine_name(
    stage: str, options: Mapping[str, Option], around: Surroundings, steps: Mapping[str, StagePlan]
) -> str:
    if stage == DIARIZATION:
        wanted: str = options["diarizer"].value
        if _turns_come_with_words(options, around):
            return TRANSCRIBER
        return _automatic_diarizer(options, steps) if wanted == "auto" else wanted
    if stage == TRANSCRIPTION:
        wanted = options["transcriber"].value
        return around.local_transcriber if wanted == "auto" else wanted
    return ""


def _engine(
    stage: str, name: str, options: Mapping[str, Option], around: Surroundings
) -> tuple[Engine | None, str | None]:
    """Return the engine of a stage and what it lacks, in words."""
    if not name:
        return None, None
    if name == TRANSCRIBER and stage == DIARIZATION:
        return Engine(TRANSCRIBER, 1), _silent_about_speakers(options, around)
    table = around.diarizers if stage == DIARIZATION else around.transcribers
    engine = table.get(name)
    if engine is None:
        return Engine(name, 0), f"there is no {stage} engine {name!r}; there are: {', '.join(sorted(table))}"
    return engine, engine.lacking or _foreign_language(engine, options["language"])


def _silent_about_speakers(options: Mapping[str, Option], around: Surroundings) -> str | None:
    name = options["transcriber"].value
    engine = around.transcribers.get(around.local_transcriber if name == "auto" else name)
    if engine is None or engine.speakers:
        return None
    return f"the transcriber {engine.name} doesn't say who speaks; choose another --diarizer"


def _automatic_diarizer(options: Mapping[str, Option], steps: Mapping[str, StagePlan]) -> str:
    """Take `channels` where channels carry different speech, unless another number of speakers is asked for."""
    converted = steps[AUDIO_CONVERSION].reused
    channels = len(converted.metadata.get("pcm", {})) - 1 if converted else 0
    return "channels" if channels > 1 and options["speakers"].value in {None, channels} else "builtin"


def _foreign_language(engine: Engine, language: Option) -> str | None:
    if engine.languages is None or language.value in {"auto", *engine.languages}:
        return None
    spoken = ", ".join(engine.languages)
    return f"{engine.name} transcribes {spoken} only, not {language.value}; choose another --transcriber"


def _key_options(stage: str, options: Mapping[str, Option], engine: Engine | None) -> dict[str, Any]:
    if engine is not None:
        chosen = {name: options[name].value for name in engine.key_options}
        chosen = {name: value for name, value in chosen.items() if value is not None or name not in TEXTS}
        if engine.network:
            # A release may change what is taken by default, and a server what stands behind a name.
            chosen["origin"] = engine.origin
            chosen |= {"model": engine.model} if "model" in chosen else {}
        return {"provider": engine.name, "provider_version": engine.version, **chosen}
    if stage == AUDIO_CONVERSION:
        return {name: options[name].value for name in SELECTION if options[name].value is not None}
    return {"formats": sorted(options["formats"].value)} if stage == EXPORT else {}


def _inputs(
    stage: str, state: PipelineState, steps: Mapping[str, StagePlan], engine: Engine | None
) -> dict[str, str]:
    """Return the digests of what a stage reads: of PCM for audio, of the file for everything else."""
    if stage == AUDIO_CONVERSION:
        return {"recording": state.input.get("sha256", "")}
    inputs: dict[str, str] = {}
    for name in _reads(stage, engine):
        attempt = steps[name].reused
        assert attempt is not None
        if name == AUDIO_CONVERSION:
            inputs |= _audio_inputs(stage, attempt, engine)
        else:
            inputs[name] = attempt.outputs[0].sha256
    if stage == EXPORT:
        said = enumerate(state.annotations, start=1)
        inputs |= {f"{_ANNOTATION}{number}": annotation.content.sha256 for number, annotation in said}
    return inputs


def _excerpt(stage: str, steps: Mapping[str, StagePlan]) -> dict[str, str]:
    """Return what the merge's key says of an excerpt: times of equal turns and words differ by it.

    It is what was converted that counts, not what is wanted. Nothing where that was the whole recording.
    """
    converted = steps[AUDIO_CONVERSION].reused if stage == MERGE else None
    options = converted.started.options if converted else {}
    start_s, end_s = options.get("start_s"), options.get("end_s")
    if start_s is None and end_s is None:
        return {}
    return {_EXCERPT: f"{start_s or 0.0}-{'end' if end_s is None else end_s}"}


def _audio_inputs(stage: str, converted: Attempt, engine: Engine | None) -> dict[str, str]:
    pcm: dict[str, str] = dict(converted.metadata.get("pcm", {}))
    speakers = engine is not None and engine.speakers
    by_channel = (stage == TRANSCRIPTION and not speakers) or (engine is not None and engine.name == "channels")
    mix = pcm.pop("audio", "")
    return pcm if by_channel and pcm else {"audio": mix}


def _against_successes(
    step: StagePlan,
    successes: Sequence[Attempt],
    options: Mapping[str, Option],
    around: Surroundings,
    steps: Mapping[str, StagePlan],
    state: PipelineState,
) -> StagePlan:
    """Choose among the successes: one of this key, else the newest that no named wish speaks against."""
    newest_first = sorted(successes, key=lambda attempt: (not _is_whole(attempt, around), -attempt.number))
    for attempt in newest_first:
        if attempt.started.key == step.key:
            return changed(step, decision=REUSE, cause="", reason="done", reused=attempt)
    compared = [(attempt, _changes(step, attempt, options, steps, state)) for attempt in newest_first]
    for attempt, changes in compared:
        if not changes:
            return changed(step, decision=REUSE, cause="", reason="done", reused=attempt)
        if not any(change.source in {"named", "upstream"} for change in changes):
            reason = f"done before {_in_words(changes)}; --refresh {step.stage} makes it again"
            return changed(step, decision=STALE, cause="", reason=reason, changes=changes, reused=attempt)
    changes = compared[0][1]
    cause = NAMED if any(change.source == "named" for change in changes) else UPSTREAM
    return changed(step, cause=cause, reason=_in_words(changes), changes=changes)


def _changes(
    step: StagePlan,
    attempt: Attempt,
    options: Mapping[str, Option],
    steps: Mapping[str, StagePlan],
    state: PipelineState,
) -> tuple[Change, ...]:
    was = {**attempt.started.options, **_prefixed(attempt.started.inputs), "version": attempt.started.version}
    now = {**step.options, **_prefixed(step.inputs), "version": step.version}
    found = []
    for field in sorted({*was, *now}):
        before, after = was.get(field), now.get(field)
        if field.startswith("input.") and before != after:
            found.append(Change(field, before, after, _input_source(field, before, steps, state)))
        elif before != after and not _holds_all(field, before, after):
            found.append(Change(field, before, after, _option_source(step.stage, field, options)))
    return tuple(found)


def _holds_all(field: str, was: Any, now: Any) -> bool:
    """Say whether an export holds every format that is wanted now; the others do no harm."""
    return field == "formats" and isinstance(was, list) and set(now) <= set(was)


def _prefixed(inputs: Mapping[str, str]) -> dict[str, str]:
    return {f"input.{name}": digest for name, digest in inputs.items()}


def _input_source(field: str, was: str | None, steps: Mapping[str, StagePlan], state: PipelineState) -> str:
    """Say whether an input only differs because its lost file was made again, or because somebody wished so.

    An attempt that makes lost files again names the attempt that it stands in for; that one, or the one that it
    stood in for, is what the success read, if nothing else has changed.
    """
    if field.startswith(f"input.{_ANNOTATION}"):
        return "named"
    stage = field.removeprefix("input.")
    stage = stage if stage in steps else AUDIO_CONVERSION
    made = steps[stage].reused
    while made is not None and made.started.cause == REMADE and made.started.remakes is not None:
        made = state.attempts[stage][made.started.remakes - 1]
        if was in {*made.metadata.get("pcm", {}).values(), *(ref.sha256 for ref in made.outputs[:1])}:
            return "remade"
    return "upstream"


def _option_source(stage: str, field: str, options: Mapping[str, Option]) -> str:
    """Say who changed an option: named, or something that nobody asked for."""
    if field == _EXCERPT:
        return "upstream"
    if field == "provider":
        option = options["diarizer" if stage == DIARIZATION else "transcriber"]
        # What `auto` means may change by itself; it is a wish only until a run has fulfilled it.
        return "named" if option.is_named and (option.value != "auto" or option.is_open) else option.source
    if field == "formats":
        # Rendering costs nothing: only a changed default is no reason to do it.
        return option_source if (option_source := options[field].source) == DEFAULT else "named"
    if field in options:
        return "named" if options[field].is_named else options[field].source
    return "address" if field == "origin" else "evt"


def _in_words(changes: Iterable[Change]) -> str:
    shown = {change.field: change for change in changes}
    if "provider" in shown:
        for field in ("provider_version", "origin"):
            shown.pop(field, None)  # those of another provider say nothing
    return "; ".join(dict.fromkeys(_change_in_words(change) for change in shown.values()))


def _change_in_words(change: Change) -> str:
    was, now = _shown(change.was), _shown(change.now)
    if change.field in TEXTS:
        was, now = ("not set" if value is None else "set" for value in (change.was, change.now))
        now = "another" if was == now else now
    if change.field.startswith(f"input.{_ANNOTATION}"):
        return "you named speakers or corrected words, or took that back"
    if change.field == _EXCERPT:
        return "another part of the recording is wanted"
    if change.field.startswith("input."):
        return f"{change.field.removeprefix('input.')} was made again"
    origin = {
        "named": "named by you",
        "evt": "another version",
        "default": "the default",
        "file": "from a configuration file",
        "environment": "from the environment",
        "begun": "as it was begun",
        "address": "set with its URL",
    }
    return f"{change.field}: {was} → {now}, {origin.get(change.source, change.source)}"


def _shown(value: Any) -> str:
    return "not set" if value is None else ", ".join(value) if isinstance(value, list) else str(value)


def _is_whole(attempt: Attempt, around: Surroundings) -> bool:
    return not any(ref.path in around.missing for ref in attempt.outputs)


def _remake_what_is_needed(steps: dict[str, StagePlan], around: Surroundings) -> None:
    """Walk back from the deliveries: a success whose files are gone runs again only if somebody reads them."""
    needed: set[str] = set()
    for stage in reversed(tuple(steps)):
        step = steps[stage]
        if step.reused is not None:
            wanted = [ref for ref in step.reused.outputs if _is_needed(ref, stage, needed, around)]
            if any(ref.path in around.missing for ref in wanted):
                gone = ", ".join(ref.path for ref in wanted if ref.path in around.missing)
                reason = f"{gone} is gone and needed"
                lost = step.reused.number
                remade = changed(step, decision=RUN, cause=REMADE, reason=reason, reused=None, remakes=lost)
                steps[stage] = step = _blocked_if(remade, step.engine.lacking if step.engine else None, around)
        if step.decision in {RUN, WAITING}:
            needed |= set(_reads(stage, step.engine))
    for stage in tuple(steps):
        _wait_for_inputs(steps, stage)


def _is_needed(ref: ArtifactRef, stage: str, needed: set[str], around: Surroundings) -> bool:
    if stage == EXPORT:
        return around.deliver and ref.sha256 not in around.delivered
    return stage in needed


def _wait_for_inputs(steps: dict[str, StagePlan], stage: str) -> None:
    step = steps[stage]
    pending = [name for name in _reads(stage, step.engine) if steps[name].reused is None]
    if step.decision == RUN and pending:
        reason = f"{step.reason}; waits for {' and '.join(pending)}"
        steps[stage] = changed(step, decision=WAITING, reason=reason)


def _idle_wishes(steps: Mapping[str, StagePlan], options: Mapping[str, Option]) -> Iterable[str]:
    """Yield a note for each option that the user named and that nothing uses."""
    engines = [step.engine for step in steps.values() if step.engine is not None]
    used = {name for engine in engines for name in engine.key_options} | {
        "diarizer",
        "transcriber",
        "formats",
        "allow_gaps",
        *SELECTION,
    }
    speaks = any(engine.languages for engine in engines)
    for name, option in options.items():
        is_idle = option.source == "flag" and option.value is not None and name not in used
        if is_idle and not (name == "language" and speaks):
            names = " and ".join(f"{stage} by {step.engine_name}" for stage, step in steps.items() if step.engine)
            value = "" if name in TEXTS else f" {_shown(option.value)}"
            yield f"{flag_of(name)}{value} has no effect on {names}"
