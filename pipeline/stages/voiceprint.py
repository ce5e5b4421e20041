"""The print of one voice: one paid call about a short recording in which only that person speaks."""

from __future__ import annotations

from pipeline.artifacts import Artifacts
from pipeline.calls.requests import Request, remote_request
from pipeline.errors import SourceRejectedError
from pipeline.inputs import audio_of, pcm_digests
from pipeline.providers.diarize_pyannoteai import VOICEPRINT_S
from pipeline.providers.registry import Providers
from pipeline.providers.remote import Sound, Wish
from pipeline.providers.voiceprints import voiceprint_id
from pipeline.work import StageResult, StageWork
from projections.graph import AUDIO_CONVERSION
from projections.plan import StagePlan
from projections.state import Attempt

FILE = "voiceprint.json"


def run(work: StageWork, providers: Providers) -> StageResult:
    """Ask for the voiceprint and store it.

    Raises:
        SourceRejectedError: the recording is too long, or nobody speaks; nothing was sent.
    """
    from pipeline.audio.voice_activity import speech_intervals

    converted = work.inputs[AUDIO_CONVERSION]
    require_short(converted.metadata["duration_s"])
    if not speech_intervals(audio_of(converted, work.artifacts).mix, work.check):
        raise SourceRejectedError("Nobody was heard to speak in it. Choose a part in which that person speaks.")
    request = voiceprint_request(work.step, converted, work.artifacts, providers)
    (answer,) = work.answers([request], concurrency=1)
    ref = work.folder.put_json(FILE, {"voiceprint": answer["voiceprint"]})
    return StageResult((ref,), {"voiceprint": voiceprint_id(answer["voiceprint"])})


def require_short(seconds: float) -> None:
    """Raise SourceRejectedError if a recording is longer than a voiceprint can be made of."""
    if seconds > VOICEPRINT_S:
        raise SourceRejectedError(
            f"A voiceprint is made of at most {VOICEPRINT_S:.0f} s, and this is {seconds:.0f} s. Cut out a part in "
            "which only that person speaks."
        )


def voiceprint_request(step: StagePlan, converted: Attempt, artifacts: Artifacts, providers: Providers) -> Request:
    """Return the one request; what it costs can be told before it is sent."""
    assert step.engine is not None, "a voiceprint is made by a service"
    audio, digest = audio_of(converted, artifacts), pcm_digests(converted)["audio"]
    sound = Sound(audio.mix, 0, converted.metadata["samples"]["audio"], digest)
    return remote_request(
        step.engine, providers.voiceprinter(), "whole", sound, Wish(step.options, step.engine.facts)
    )
