"""Who speaks when: one call to a diarizer about the whole recording."""

from __future__ import annotations

import hashlib

from pipeline.providers.registry import Providers
from pipeline.stages.audio_input import audio_of, pcm_digests
from pipeline.work import Request, StageResult, StageWork

TURNS = "turns.json"


def run(work: StageWork, providers: Providers) -> StageResult:
    """Ask the diarizer and store its turns."""
    engine = work.step.engine
    assert engine is not None, "the plan names the engine of this stage"
    diarizer = providers.diarizer(work.provider_name)
    audio = audio_of(work)
    digests = pcm_digests(work)
    request = Request(
        provider=engine.name,
        operation="diarize",
        unit="whole",
        options=work.step.options,
        pcm_sha256=digests["audio"] if len(digests) == 1 else _joined(digests),
        ask=lambda: diarizer.diarize(audio, work.step.options, work),
    )
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


def _joined(digests: dict[str, str]) -> str:
    return hashlib.sha256("".join(digests[name] for name in sorted(digests)).encode()).hexdigest()
