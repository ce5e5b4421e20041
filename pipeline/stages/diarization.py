"""Who speaks when: one call to a diarizer about the whole recording, or what the transcriber said of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.artifacts import Artifacts
from pipeline.calls.requests import Request, remote_request
from pipeline.inputs import TURNS, WORDS, audio_of, pcm_digests
from pipeline.providers.base import Answer
from pipeline.providers.registry import Providers
from pipeline.providers.remote import Sound, Wish
from pipeline.work import StageResult, StageWork
from projections.decisions import TRANSCRIBER
from projections.graph import AUDIO_CONVERSION, TRANSCRIPTION
from projections.plan import StagePlan
from projections.state import Attempt


def run(work: StageWork, providers: Providers) -> StageResult:
    """Ask the diarizer and store its turns."""
    engine = work.step.engine
    assert engine is not None, "the plan names the engine of this stage"
    if engine.name == TRANSCRIBER:
        answer = _from_transcriber(work)
    else:
        request = diarization_request(work.step, work.inputs[AUDIO_CONVERSION], work.artifacts, providers, work)
        (answer,) = work.answers([request], concurrency=1)
    turns = sorted(answer["turns"], key=lambda turn: (turn["start_s"], turn["end_s"], turn["speaker"]))
    content = {"turns": turns, "exclusive": answer.get("exclusive", [])}
    metadata = {
        "segments": len(turns),
        "speakers": len({turn["speaker"] for turn in turns}),
        "provider": engine.name,
        **answer.get("metadata", {}),
    }
    return StageResult((work.folder.put_json(TURNS, content),), metadata)


def diarization_request(
    step: StagePlan, converted: Attempt, artifacts: Artifacts, providers: Providers, work: StageWork | None = None
) -> Request:
    """Return the one request of a diarization; without `work` it can be priced, not sent."""
    engine = step.engine
    assert engine is not None, "the plan names the engine of this stage"
    audio, digests = audio_of(converted, artifacts), pcm_digests(converted)
    if engine.network:
        sound = Sound(audio.mix, 0, converted.metadata["samples"]["audio"], digests["audio"])
        remote = providers.remote_diarizer(step.engine_name, step.options.get("identify"))
        return remote_request(engine, remote, "whole", sound, Wish(step.options, engine.facts))
    diarizer = providers.diarizer(step.engine_name)
    ask: Callable[[], Answer] | None = None
    if work is not None:
        there = work
        ask = lambda: diarizer.diarize(audio, step.options, there)  # noqa: E731 # bound to this work
    return Request(
        engine=engine,
        operation="diarize",
        unit="whole",
        content=step.options,
        pcm_sha256=digests["audio"] if len(digests) == 1 else _joined(digests),
        seconds=audio.duration_s,
        ask=ask,
    )


def _from_transcriber(work: StageWork) -> Answer:
    """Take the turns that came with the words."""
    words = work.input_json(TRANSCRIPTION, WORDS)
    provider = work.inputs[TRANSCRIPTION].metadata.get("provider")
    metadata: Mapping[str, Any] = {"provided_by": TRANSCRIPTION, "provider": provider}
    return {"turns": words["turns"], "exclusive": words.get("exclusive", []), "metadata": dict(metadata)}


def _joined(digests: dict[str, str]) -> str:
    return hashlib.sha256("".join(digests[name] for name in sorted(digests)).encode()).hexdigest()
