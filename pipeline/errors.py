"""Errors of the effects. Each says what happened, where, and what to do next; none carries an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from eventlog.errors import EvtError
from projections.failures import LOCAL

if TYPE_CHECKING:
    from projections.events import EngineProbed, StageError


class PipelineError(EvtError):
    """A stage, an artifact or a recording is not as it must be."""


class SourceRejectedError(PipelineError):
    """The recording can't be used: missing, empty, not audio, without samples. Another file is needed."""


class DecoderError(PipelineError):
    """A decoder crashed on a recording, or needed more than any recording should. The message says what to do."""


class ArtifactMissingError(PipelineError):
    """A file that the log names is gone. `evt run` makes it again if something still needs it."""


class ArtifactMismatchError(PipelineError):
    """A file differs from its digest in the log. Remove it; `evt run` makes it again if needed."""


class ProviderError(PipelineError):
    """A provider failed.

    Attributes:
        code: a stable word for programs, e.g. `rate_limited`, `out_of_memory`, `model_missing`.
        retryable: whether the same request may succeed later without any change.
        retry_after_s: how long the provider asked to wait, where it did.
        kind: the class of failure, of `projections.failures`; it decides what may be sent again.
        said: the provider's own words; kept as a file, never in the log.
    """

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        code: str,
        retryable: bool = False,
        retry_after_s: float | None = None,
        http_status: int | None = None,
        request_id: str | None = None,
        kind: str = LOCAL,
        said: str | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.code = code
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.http_status = http_status
        self.request_id = request_id
        self.kind = kind
        self.said = said


class MissingSpeechError(PipelineError):
    """Speech was heard and no words came of it. `--allow-gaps` marks it, or another engine may hear it."""


class DecisionError(PipelineError):
    """Nothing more is sent before the user decides: about money, or about a call that may be paid already.

    Attributes:
        code: a stable word for programs: `budget_exceeded`, `in_doubt` or `needs_money`.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class UnsettledError(PipelineError):
    """Another pipeline of the recording may have paid already for what is to be asked; that is settled first."""


class ClosedError(PipelineError):
    """The pipeline was handed over or erased: nothing more is done on it here. The message says the way back."""


class PurgedError(PipelineError):
    """The pipeline was purged, its log included: its recording is not paid for anew before somebody says so."""

    def __init__(self, message: str, *, pipeline: str) -> None:
        super().__init__(message)
        self.pipeline = pipeline


class BundleError(PipelineError):
    """A bundle can't be made or imported; nothing was placed. The message says why, and what to do."""


class DivergedError(BundleError):
    """A bundle and this home hold different logs of one pipeline; `seq` is the first record that differs."""

    def __init__(self, message: str, *, pipeline: str, seq: int) -> None:
        super().__init__(message)
        self.pipeline = pipeline
        self.seq = seq


class StoppedError(PipelineError):
    """The user asked to stop; raised by `Work.check` and passed through by everything that works in blocks."""


class ServicesFileError(PipelineError):
    """The user's file of prices and models can't be understood. Mend or remove it."""


class ReplanError(PipelineError):
    """What an engine can do was found out, and recorded; the stage ends, and the plan is made again."""

    def __init__(self, found: EngineProbed) -> None:
        super().__init__("what the engine can do was found out")
        self.found = found


class VoiceprintError(PipelineError):
    """A voiceprint is not there, can't be read, or can't have that name. The message says what to do."""


class NamingError(PipelineError):
    """A speaker isn't there, or can't have that name. The message says what to do."""


class EditError(PipelineError):
    """What a user wants of corrections can't be done. The message says what to do."""


class SettingsError(EvtError):
    """A setting can't be used; the message names it and where it comes from."""


class BlockedError(EvtError):
    """The plan can't be carried out as wished; nothing was begun."""


class DecisionNeededError(EvtError):
    """Nothing can go on before the user decides; the message says what."""


class RunFailedError(PipelineError):
    """A stage failed. What is done is kept, and the next run goes on from there.

    Attributes:
        pipeline: its id.
        failures: why, by stage.
    """

    def __init__(self, message: str, *, pipeline: str, failures: Mapping[str, StageError]) -> None:
        super().__init__(message)
        self.pipeline = pipeline
        self.failures = failures
