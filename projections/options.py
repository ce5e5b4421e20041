"""The options of a pipeline: where each value comes from, and which one wins. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from eventlog.values import Value
from projections.graph import DEFAULTS
from projections.state import PipelineState

FLAG, LOG, ENVIRONMENT, FILE, DEFAULT, RESET = "flag", "log", "environment", "file", "default", "reset"
_NAMED = frozenset({FLAG, LOG, RESET})


@frozen(eq=False, repr=False)
class Option(Value):
    """A value and its source: flag, log, environment, file, default, or reset to the default just now."""

    value: Any
    source: str

    @property
    def is_named(self) -> bool:
        """The user asked for this very value, now or in a run whose wish may not have been carried out yet."""
        return self.source in _NAMED


@frozen(eq=False, repr=False)
class Named(Value):
    """What the user says in this invocation.

    Attributes:
        options: the options given as flags.
        environment: the options set in the environment.
        files: the options set in configuration files that are believed.
        reset: forget the options recorded in the log.
        refresh: stages to run again although nothing asks for it.
    """

    options: Mapping[str, Any] = {}
    environment: Mapping[str, Any] = {}
    files: Mapping[str, Any] = {}
    reset: bool = False
    refresh: frozenset[str] = frozenset()


def resolve_options(named: Named, state: PipelineState) -> dict[str, Option]:
    """Return every option: flag > recorded in the log > environment > file > default."""
    recorded = {} if named.reset else state.named
    layers = ((FLAG, named.options), (LOG, recorded), (ENVIRONMENT, named.environment), (FILE, named.files))
    resolved = {}
    for name, default in DEFAULTS.items():
        source, values = next(((s, v) for s, v in layers if name in v), (DEFAULT, DEFAULTS))
        if source == DEFAULT and named.reset and name in state.named:
            source = RESET
        resolved[name] = Option(values.get(name, default), source)
    return resolved
