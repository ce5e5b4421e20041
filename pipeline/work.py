"""What a stage is given to work with: its inputs, its options, its folder, and a way to ask providers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from attrs import define, field, frozen

from eventlog.errors import EvtError
from pipeline.artifacts import Artifacts, AttemptFolder
from pipeline.calls.asking import Calls
from pipeline.calls.obtaining import CallTools, call_error
from pipeline.calls.requests import Request
from pipeline.errors import DecisionError, ProviderError
from pipeline.providers.base import Answer
from pipeline.recorder import Recorder
from pipeline.recordings import Recording
from pipeline.transcribing.pieces import Cutter
from projections.events import ArtifactRef, StageError
from projections.plan import StagePlan
from projections.state import Attempt


class Reporter(Protocol):
    """Tells people how a run goes; called from several threads."""

    def stage_started(self, step: StagePlan, attempt: int) -> None:
        """An attempt began."""

    def stage_progress(self, stage: str, done_s: float, total_s: float) -> None:
        """So many seconds of audio are done."""

    def stage_doing(self, stage: str, text: str) -> None:
        """A call is doing something just now, e.g. uploading."""

    def stage_note(self, stage: str, text: str) -> None:
        """Something happened that people may want to know: a wait, another try."""

    def stage_ended(self, attempt: Attempt) -> None:
        """An attempt succeeded, failed or was interrupted."""


@frozen
class StageResult:
    """What a stage made; the first output is what later stages are keyed by."""

    outputs: tuple[ArtifactRef, ...]
    metadata: Mapping[str, Any]


@define
class StageWork:
    """One attempt of one stage at work."""

    step: StagePlan
    attempt: int
    provider_name: str
    inputs: Mapping[str, Attempt]
    recording: Recording | None
    artifacts: Artifacts
    recorder: Recorder
    reporter: Reporter
    cutter: Cutter
    tools: CallTools
    stops: tuple[threading.Event, ...]
    calls: Calls = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Make the one way to providers."""
        self.calls = Calls(
            self.step, self.attempt, self.folder, self.artifacts, self.recorder, self.tools, self.stops
        )

    @property
    def folder(self) -> AttemptFolder:
        """The attempt's own folder."""
        return self.artifacts.attempt(self.step.stage, self.attempt)

    def check(self) -> None:
        """Raise StoppedError if the user asked to stop, or the run can't go on."""
        self.calls.check()

    def progress(self, done_s: float, total_s: float) -> None:
        """Report how many seconds of audio are done."""
        self.reporter.stage_progress(self.step.stage, done_s, total_s)

    def input_json(self, stage: str, name: str) -> dict[str, Any]:
        """Return the content of another stage's JSON output, verified."""
        return self.artifacts.read_json(self._input_ref(stage, name))

    def answers(self, requests: Sequence[Request], concurrency: int) -> list[Answer]:
        """Return the answers to requests; see `Calls.answers`."""
        return self.calls.answers(requests, concurrency)

    def answers_or_errors(
        self, requests: Sequence[Request], concurrency: int, is_let: Callable[[ProviderError], bool]
    ) -> list[Answer | ProviderError]:
        """Return the answers to requests; see `Calls.answers_or_errors`."""
        return self.calls.answers_or_errors(requests, concurrency, is_let)

    def _input_ref(self, stage: str, name: str) -> ArtifactRef:
        return next(ref for ref in self.inputs[stage].outputs if ref.path.endswith(f"/{name}"))


def stage_error(error: EvtError) -> StageError:
    """Return an error as the log holds it."""
    if isinstance(error, ProviderError):
        return call_error(error)
    if isinstance(error, DecisionError):
        return StageError(error.code, str(error), retryable=True)
    code = type(error).__name__.removesuffix("Error")
    return StageError(
        code="".join(f"_{c.lower()}" if c.isupper() else c for c in code).lstrip("_"), message=str(error)
    )
