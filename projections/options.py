"""The options of a pipeline: where each value comes from, and which one wins. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from eventlog.values import Value
from projections.graph import DEFAULTS, DIARIZATION, TEXTS, TRANSCRIPTION
from projections.state import STARTED, SUCCEEDED, Call, PipelineState

ONCE, FLAG, LOG, BEGUN, ENVIRONMENT, FILE, DEFAULT, RESET = (
    *("once", "flag", "log", "begun", "environment"),
    *("file", "default", "reset"),
)
_NAMED = frozenset({FLAG, LOG, RESET})


@frozen(eq=False, repr=False)
class Option(Value):
    """A value and where it comes from.

    Attributes:
        source: once (for this invocation only), flag, log, begun (with which an attempt that paid for something
            was begun), environment, file, default, or reset: what holds after the recorded value was forgotten.
        is_open: the user asked for it now, or in a run since which none was completed.
    """

    value: Any
    source: str
    is_open: bool = False

    @property
    def is_named(self) -> bool:
        """The user asked for this very value, now or in an earlier run."""
        return self.source in _NAMED


@frozen(eq=False, repr=False)
class Named(Value):
    """What the user says in this invocation.

    Attributes:
        options: the options given as flags.
        once: options that hold for this invocation and are not recorded.
        environment: the options set in the environment.
        files: the options set in configuration files that are believed.
        reset: forget the options recorded in the log.
        refresh: stages to run again although nothing asks for it.
    """

    options: Mapping[str, Any] = {}
    once: Mapping[str, Any] = {}
    environment: Mapping[str, Any] = {}
    files: Mapping[str, Any] = {}
    reset: bool = False
    refresh: frozenset[str] = frozenset()


def resolve_options(named: Named, state: PipelineState) -> dict[str, Option]:
    """Return every option: once > flag > named in the log > begun with > environment > file > default.

    What a stage was begun with counts as long as it has paid answers and no success: another default, release or
    configuration doesn't make it start again with other requests.
    """
    recorded = state.first_wishes if named.reset else state.named
    layers = (
        (ONCE, named.once),
        (FLAG, named.options),
        (LOG, recorded),
        (BEGUN, {} if named.reset else _begun_with(state)),
        (ENVIRONMENT, named.environment),
        (FILE, named.files),
        (DEFAULT, DEFAULTS),
    )
    open_wishes = state.open_wishes | named.options.keys() | (state.named.keys() if named.reset else set())
    resolved = {}
    for name in DEFAULTS:
        source, value = next((source, values[name]) for source, values in layers if name in values)
        if name in open_wishes and source in {ENVIRONMENT, FILE, DEFAULT}:
            source = RESET
        resolved[name] = Option(value, source, is_open=name in open_wishes)
    return resolved


def _begun_with(state: PipelineState) -> dict[str, Any]:
    begun: dict[str, Any] = {}
    for stage, option in ((DIARIZATION, "diarizer"), (TRANSCRIPTION, "transcriber")):
        attempts = state.attempts.get(stage, ())
        paid = [call for call in state.calls.values() if call.started.stage == stage and _holds(call)]
        if paid and not any(attempt.status == SUCCEEDED for attempt in attempts):
            started = attempts[paid[-1].started.attempt - 1].started
            begun |= dict.fromkeys(TEXTS) if stage == TRANSCRIPTION else {}
            begun |= {name: value for name, value in started.options.items() if name in DEFAULTS}
            begun |= {option: started.options["provider"]} if paid[-1].started.origin else {}
    return begun


def _holds(call: Call) -> bool:
    """Say whether a call has cost something, or may have."""
    return call.started.billable and (call.status in {SUCCEEDED, STARTED} or call.in_doubt)
