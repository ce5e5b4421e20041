"""The five stages, and the making of a voiceprint, one file each: from a StageWork to a StageResult."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.providers.registry import Providers
from pipeline.stages.audio_conversion import run as convert
from pipeline.stages.diarization import run as diarize
from pipeline.stages.export import run as export
from pipeline.stages.merge import run as merge
from pipeline.stages.transcription import run as transcribe
from pipeline.stages.voiceprint import run as make_voiceprint
from pipeline.work import StageResult, StageWork
from projections.graph import AUDIO_CONVERSION, DIARIZATION, EXPORT, MERGE, TRANSCRIPTION, VOICEPRINT

STAGE_FUNCTIONS: dict[str, Callable[[StageWork, Providers], StageResult]] = {
    AUDIO_CONVERSION: convert,
    DIARIZATION: diarize,
    TRANSCRIPTION: transcribe,
    MERGE: merge,
    EXPORT: export,
    VOICEPRINT: make_voiceprint,
}
