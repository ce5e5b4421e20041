"""One class per event of a pipeline, its stable type name, and the way to and from a record (`event_of`).

A type name, once released, is stable for ever, and so is the meaning of its fields; a class may gain optional
fields. docs/events.md lists them all. The store's own `log.*` types are not here: they are facts about the
log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import attrs
from attrs import frozen

from eventlog import decoding
from eventlog.record import Record
from eventlog.values import Value

Json = dict[str, Any]


class EventDataError(ValueError):
    """The data of a record are not those of its type; the message names the field."""


@frozen(eq=False, repr=False, slots=False)
class ArtifactRef(Value):
    """A file that a stage made: where it is below the pipeline's artifact folder, its digest and its size."""

    path: str
    sha256: str
    size_bytes: int


@frozen(eq=False, repr=False, slots=False)
class StageError(Value):
    """Why a stage or a call failed, in our own words; what a provider said is the artifact `details`."""

    code: str
    message: str
    retryable: bool = False
    provider: str | None = None
    http_status: int | None = None
    request_id: str | None = None
    retry_after_s: float | None = None
    details: ArtifactRef | None = None


@frozen(eq=False, repr=False, slots=False)
class Event(Value):
    """Base of all events; `type` is the record's type name."""

    type: ClassVar[str]


@frozen(eq=False, repr=False, slots=False)
class PipelineCreated(Event):
    """The first event of a pipeline: which bytes it is about.

    Attributes:
        input: {name, size_bytes, sha256}. Of a recording that is joined of several files also parts, such an
            object for each in their order; then name is the first one's, size_bytes that of all, and sha256 is
            made of their digests, see recordings.md.
        evt_version: the evt that began it.
    """

    type: ClassVar[str] = "pipeline.created"
    input: Json
    evt_version: str


@frozen(eq=False, repr=False, slots=False)
class PipelineForked(Event):
    """The first event of a variant: the pipeline of the same recording that it varies, and how it differs.

    Attributes:
        of: the id of that pipeline.
        head: the last record of its log at that time: {seq, sha256}.
        options: the wishes with which the variant begins, those of that pipeline included.
    """

    type: ClassVar[str] = "pipeline.forked"
    of: str
    head: Json
    options: Json


@frozen(eq=False, repr=False, slots=False)
class InputSeen(Event):
    """The same bytes were met under another name."""

    type: ClassVar[str] = "input.seen"
    name: str | Json


@frozen(eq=False, repr=False, slots=False)
class RunStarted(Event):
    """An invocation begins to append.

    Attributes:
        named: options that the user named in this invocation.
        options: all options as resolved, with the source of each: {name: {value, source}}.
        plan: what is about to happen, per stage: {stage: {decision, cause?, attempt?}}.
        reset: the options recorded before were forgotten.
        refresh: the stages that the user wants to run again in any case.
        input_path: where the recording is; left out where it isn't at hand.
        input_paths: where each part of a joined recording is, in their order.
    """

    type: ClassVar[str] = "run.started"
    user: str
    pid: int
    host: str
    boot_id: str
    versions: Json
    named: Json
    options: Json
    plan: Json
    reset: bool = False
    refresh: tuple[str, ...] = ()
    input_path: str | Json | None = None
    input_paths: tuple[str | Json, ...] | None = None


@frozen(eq=False, repr=False, slots=False)
class RunFinished(Event):
    """An invocation ends; `outcome` is completed, failed, interrupted, waiting or needs_decision."""

    type: ClassVar[str] = "run.finished"
    outcome: str
    duration_s: float


@frozen(eq=False, repr=False, slots=False)
class StageStarted(Event):
    """An attempt begins.

    Attributes:
        key: what decides the result; equal keys, equal results.
        version: the stage's semantic version, part of the key.
        cause: why it runs: first, named, upstream, refresh or remade.
        changes: what differs from the last success: [{field, was, now, source}].
        options: the options that enter the key.
        inputs: the digests that enter the key, by name.
        remakes: the attempt whose lost files this one makes again.
        price: what its calls will cost: {expected, at_most}, each {amount, currency} or null where unknown. No call
            starts that would pass `at_most`.
    """

    type: ClassVar[str] = "stage.started"
    stage: str
    attempt: int
    key: str
    version: int
    cause: str
    changes: tuple[Json, ...]
    options: Json
    inputs: Json
    remakes: int | None = None
    price: Json | None = None


@frozen(eq=False, repr=False, slots=False)
class StageSucceeded(Event):
    """An attempt ends with its outputs on stable storage."""

    type: ClassVar[str] = "stage.succeeded"
    stage: str
    attempt: int
    outputs: tuple[ArtifactRef, ...]
    metadata: Json
    duration_s: float


@frozen(eq=False, repr=False, slots=False)
class StageTakenOver(Event):
    """An attempt that succeeded in another pipeline of the same recording counts here too; its files were copied.

    Attributes:
        attempt: the number that it has here.
        key, version, options, inputs: as it was started there.
        provided_by: where it was made: {pipeline, attempt}.
        duration_s: how long it took there, in seconds.
    """

    type: ClassVar[str] = "stage.taken_over"
    stage: str
    attempt: int
    key: str
    version: int
    options: Json
    inputs: Json
    outputs: tuple[ArtifactRef, ...]
    metadata: Json
    duration_s: float
    provided_by: Json


@frozen(eq=False, repr=False, slots=False)
class StageFailed(Event):
    """An attempt ends without a result."""

    type: ClassVar[str] = "stage.failed"
    stage: str
    attempt: int
    error: StageError
    duration_s: float


@frozen(eq=False, repr=False, slots=False)
class StageInterrupted(Event):
    """An attempt was stopped, or its process died: written by the run itself or by the next one."""

    type: ClassVar[str] = "stage.interrupted"
    stage: str
    attempt: int


@frozen(eq=False, repr=False, slots=False)
class CallStarted(Event):
    """A unit of an attempt that is worth keeping by itself is about to be asked for.

    Attributes:
        call: its id, unique in the pipeline.
        unit: which part of the recording, for people, e.g. `0.00-45.30`.
        request: digest of everything that decides the answer.
        origin: where it goes, e.g. `https://api.openai.com`.
        account: 8 hex digits that tell accounts apart, and nothing else about them.
        model: the model that is asked.
        expected, at_most: what it will cost: {amount, currency}; left out where that is unknown.
        provider_time: the provider's clock just before.
        repeats: the call in doubt that this one sends once more.
    """

    type: ClassVar[str] = "call.started"
    call: str
    stage: str
    attempt: int
    provider: str
    operation: str
    unit: str
    request: str
    billable: bool
    origin: str | None = None
    account: str | None = None
    model: str | None = None
    expected: Json | None = None
    at_most: Json | None = None
    provider_time: str | None = None
    repeats: str | None = None


@frozen(eq=False, repr=False, slots=False)
class CallAccepted(Event):
    """A service took a job; it is fetched from now on, never submitted again. `expires_at`: its result goes."""

    type: ClassVar[str] = "call.accepted"
    call: str
    job_id: str
    expires_at: str | None = None


@frozen(eq=False, repr=False, slots=False)
class CallSucceeded(Event):
    """The answer of a call is stored; `found`: it was already there when the next run looked.

    Attributes:
        usage: what the service says it counted.
        cost: {amount, currency, basis, price_date}; `basis` is billed, where the service counted, or estimated.
        request_id: the service's name for the request.
    """

    type: ClassVar[str] = "call.succeeded"
    call: str
    response: ArtifactRef
    latency_s: float
    found: bool = False
    usage: Json | None = None
    cost: Json | None = None
    request_id: str | None = None


@frozen(eq=False, repr=False, slots=False)
class CallReused(Event):
    """An equal request was answered before; `of` is that call."""

    type: ClassVar[str] = "call.reused"
    stage: str
    attempt: int
    unit: str
    request: str
    of: str


@frozen(eq=False, repr=False, slots=False)
class CallTakenOver(Event):
    """An answer that another pipeline of the same recording has counts here too; it costs nothing here.

    Attributes:
        call: its id here, unique in the pipeline.
        unit, request: as it was asked there.
        origin: where it went.
        model: the model that was asked.
        provided_by: whose call it is: {pipeline, call}.
    """

    type: ClassVar[str] = "call.taken_over"
    call: str
    stage: str
    provider: str
    operation: str
    unit: str
    request: str
    response: ArtifactRef
    provided_by: Json
    origin: str | None = None
    model: str | None = None


@frozen(eq=False, repr=False, slots=False)
class CallFailed(Event):
    """A call ended without a usable answer.

    Attributes:
        kind: the class of failure: not_sent, throttled, needs_money, rejected, ambiguous, paid_unusable or local.
        billable: it costs money, or may.
        cost, usage: of an answer that came and can't be used.
        provider_time: the provider's clock just after.
    """

    type: ClassVar[str] = "call.failed"
    call: str
    kind: str
    error: StageError
    billable: bool
    cost: Json | None = None
    usage: Json | None = None
    provider_time: str | None = None


@frozen(eq=False, repr=False, slots=False)
class CallResolved(Event):
    """What became of a call in doubt, of one whose answer is unusable, or of a job whose result is gone.

    Attributes:
        resolution: adopted, absent, repeated, expired or given_up.
        by: who decided: `policy`, `reconciler`, or the user's account.
        evidence: what was seen, or reckoned.
    """

    type: ClassVar[str] = "call.resolved"
    call: str
    resolution: str
    by: str
    evidence: Json


@frozen(eq=False, repr=False, slots=False)
class EngineProbed(Event):
    """What a model of a server can do was found out; later plans rely on it.

    Attributes:
        facts: e.g. {"format": "verbose_json", "word_times": true, "speakers": false}.
    """

    type: ClassVar[str] = "engine.probed"
    provider: str
    origin: str
    model: str
    facts: Json


@frozen(eq=False, repr=False, slots=False)
class BudgetExceeded(Event):
    """A call was not made, because a limit on what may be spent would have been passed.

    Attributes:
        limit: which: max_cost, max_batch_cost or plan.
        amount, needed: the limit, and what it would have had to be: {amount, currency}; `needed` is left out where
            it is unknown.
    """

    type: ClassVar[str] = "budget.exceeded"
    stage: str
    unit: str
    limit: str
    amount: Json
    needed: Json | None = None


@frozen(eq=False, repr=False, slots=False)
class ArtifactMissing(Event):
    """A file that something needs is gone or changed; `found` is missing or changed."""

    type: ClassVar[str] = "artifact.missing"
    path: str
    found: str


@frozen(eq=False, repr=False, slots=False)
class ArtifactErased(Event):
    """Files are removed on purpose; written before they are, so from here on they count as gone.

    Attributes:
        paths: below `artifacts/ID/`; of many files several records tell.
        size_bytes: of all of them.
        reason: cleanup, where the user called it; retention, where a setting did.
        user: the account.
    """

    type: ClassVar[str] = "artifact.erased"
    paths: tuple[str, ...]
    size_bytes: int
    reason: str
    user: str


@frozen(eq=False, repr=False, slots=False)
class PipelineHandedOver(Event):
    """An unfinished pipeline went into a bundle: the home that imports it goes on, this one does nothing more.

    Attributes:
        token: 32 random digits; who records `pipeline.received` with them goes on.
        bundle: the name of the bundle's file.
        user: the account.
    """

    type: ClassVar[str] = "pipeline.handed_over"
    token: str
    bundle: str | Json
    user: str


@frozen(eq=False, repr=False, slots=False)
class PipelineReceived(Event):
    """This home goes on with a pipeline that was handed over; also the home that gave it, if it takes it back.

    Attributes:
        token: of the `pipeline.handed_over` that this one answers.
        user: the account.
    """

    type: ClassVar[str] = "pipeline.received"
    token: str
    user: str


@frozen(eq=False, repr=False, slots=False)
class PipelineErased(Event):
    """All files of a pipeline are removed on purpose; written before they are, so from here on they count as gone.

    Attributes:
        user: the account.
        set_aside: names of files beside the log that had been set aside, and go too.
    """

    type: ClassVar[str] = "pipeline.erased"
    user: str
    set_aside: tuple[str, ...] = ()


@frozen(eq=False, repr=False, slots=False)
class PipelineUnerased(Event):
    """The recording of an erased pipeline may be transcribed anew; nothing comes back by that.

    Attributes:
        user: the account.
    """

    type: ClassVar[str] = "pipeline.unerased"
    user: str


@frozen(eq=False, repr=False, slots=False)
class LossAccepted(Event):
    """The user lets stages that cost money go on although records may be lost.

    Attributes:
        losses: the records of the store that say so, by seq.
    """

    type: ClassVar[str] = "loss.accepted"
    losses: tuple[int, ...]
    user: str


@frozen(eq=False, repr=False, slots=False)
class AnnotationEvent(Event):
    """Base of what a user says of a transcript; the export applies what holds of it, in the order of the log."""

    content: ArtifactRef
    user: str


@frozen(eq=False, repr=False, slots=False)
class SpeakersNamed(AnnotationEvent):
    """The user gave speakers names, or said that two of them are one person.

    Attributes:
        content: what was said, and when those speakers speak.
        user: the account of whoever said it.
        replaces: the record whose place this one takes, by seq: it says the same, with the times of the speakers.
    """

    type: ClassVar[str] = "speakers.named"
    replaces: int | None = None


@frozen(eq=False, repr=False, slots=False)
class TranscriptCorrected(AnnotationEvent):
    """The user corrected words, speakers or paragraphs of the transcript, or took such corrections back.

    Attributes:
        content: the corrections, with the words that stood there.
        user: the account of whoever made them.
    """

    type: ClassVar[str] = "transcript.corrected"


@frozen(eq=False, repr=False, slots=False)
class AnnotationUndone(Event):
    """The user took back something that was said of the transcript.

    Attributes:
        annotation: the record that no longer holds, by seq.
        user: the account of whoever took it back.
    """

    type: ClassVar[str] = "annotation.undone"
    annotation: int
    user: str


EVENTS: dict[str, type[Event]] = {
    event.type: event
    for event in (
        PipelineCreated,
        PipelineForked,
        InputSeen,
        RunStarted,
        RunFinished,
        StageStarted,
        StageSucceeded,
        StageTakenOver,
        StageFailed,
        StageInterrupted,
        CallStarted,
        CallAccepted,
        CallSucceeded,
        CallReused,
        CallTakenOver,
        CallFailed,
        CallResolved,
        EngineProbed,
        BudgetExceeded,
        ArtifactMissing,
        ArtifactErased,
        PipelineHandedOver,
        PipelineReceived,
        PipelineErased,
        PipelineUnerased,
        LossAccepted,
        SpeakersNamed,
        TranscriptCorrected,
        AnnotationUndone,
    )
}

_NESTED = {"ArtifactRef": ArtifactRef, "StageError": StageError}
for _made in (*_NESTED.values(), *EVENTS.values()):
    # msgspec asks of every field whether it is there now; one that isn't, and isn't found in the class either,
    # costs more than those that are. Hence these classes have no slots, and the defaults are their attributes.
    for _field in attrs.fields(_made):
        if _field.default is not attrs.NOTHING:
            setattr(_made, _field.name, _field.default)

_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "Json": (dict,),
    "None": (type(None),),
}


def to_data(event: Event) -> Json:
    """Return the record data of an event; fields that are None are left out."""
    data: Json = _plain(event)
    return data


def event_of(record: Record) -> Event | None:
    """Return the event that a record holds; None for a type that this version does not know.

    Raises:
        EventDataError: a field is missing or of the wrong kind. Unknown fields are passed over.
    """
    if record.seq > decoding.LONG_LOG:
        try:
            found: Event | None = _DECODERS[record.type](record.body)
            return found
        except decoding.refusals():
            # What is wrong, `from_data` says in our words.
            pass
    return from_data(record.type, record.data)


def from_data(type_name: str, data: Mapping[str, Any]) -> Event | None:
    """Return the event of a record; None for a type that this version does not know.

    Raises:
        EventDataError: a field is missing or of the wrong kind. Unknown fields are passed over.
    """
    event_class = EVENTS.get(type_name)
    return None if event_class is None else _build(event_class, data)


def recorded_input(data: Mapping[str, Any]) -> Json:
    """Return what the data of a `pipeline.created` say of the recording; nothing where they are of another form."""
    found = data.get("input")
    return found if isinstance(found, dict) else {}


def recorded_parts(found: Mapping[str, Any]) -> tuple[Json, ...]:
    """Return the parts of a recorded input; none where it is a file, or they are of another form."""
    parts = found.get("parts")
    return tuple(parts) if isinstance(parts, list) and all(isinstance(part, dict) for part in parts) else ()


class _Decoders(dict[str, Callable[[str], Any]]):
    """What decodes the events of each type; an unknown type is no event."""

    def __missing__(self, type_name: str) -> Callable[[str], Any]:
        if type_name not in EVENTS:
            return lambda body: None
        return self.setdefault(type_name, decoding.decoder_of(EVENTS[type_name]))


_DECODERS = _Decoders()


def _plain(value: Any) -> Any:
    if attrs.has(type(value)):
        pairs = ((field.name, getattr(value, field.name)) for field in attrs.fields(type(value)))
        return {name: _plain(item) for name, item in pairs if item is not None}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _build(cls: type[Any], data: Mapping[str, Any]) -> Any:
    arguments = {}
    for field in attrs.fields(cls):
        if field.name in data:
            arguments[field.name] = _value(str(field.type), data[field.name], f"{cls.__name__}.{field.name}")
        elif field.default is attrs.NOTHING:
            raise EventDataError(f"{cls.__name__} lacks {field.name}")
    return cls(**arguments)


def _value(kind: str, value: Any, where: str) -> Any:
    """Return the value as its annotation says, which is written in the few forms that this file uses."""
    if kind.startswith("tuple[") and not (value is None and kind.endswith(" | None")):
        kind = kind.removesuffix(" | None")
        if not isinstance(value, list):
            raise EventDataError(f"{where} is no list")
        return tuple(_value(kind[6:-6], item, where) for item in value)
    for option in kind.split(" | "):
        if option in _NESTED and isinstance(value, dict):
            return _build(_NESTED[option], value)
        if type(value) in _PLAIN.get(option, ()):
            return float(value) if option == "float" else value
    raise EventDataError(f"{where} is no {kind}")
