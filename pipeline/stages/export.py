"""The merged transcript in the formats that the user wants, as artifacts; delivering them is not a stage."""

from __future__ import annotations

from typing import Any

from pipeline.annotations.annotations import annotated
from pipeline.formats import FORMATS
from pipeline.providers.registry import Providers
from pipeline.recordings import name_of
from pipeline.speech.naming import nameless, with_names
from pipeline.speech.transcript import Engines, Excerpt, Transcript
from pipeline.speech.values import AttributedWord, Gap, Turn, Utterance
from pipeline.stages.merge import TRANSCRIPT
from pipeline.work import StageResult, StageWork
from projections.graph import AUDIO_CONVERSION, DIARIZATION, MERGE, TRANSCRIPTION
from projections.state import Attempt, PipelineState


def run(work: StageWork, providers: Providers) -> StageResult:
    """Render each wanted format."""
    state, converted = work.recorder.state, work.inputs[AUDIO_CONVERSION]
    merged = transcript_of(state, converted, work.input_json(MERGE, TRANSCRIPT))
    said = annotated(merged, state.annotations, work.artifacts)
    left = nameless(said.transcript)
    for note in (*said.notes, *([f"still without a name: {', '.join(left)}"] if left else [])):
        work.reporter.stage_note(work.step.stage, note)
    transcript = with_names(said.transcript)
    outputs = work.folder.put_all(
        {f"transcript.{name}": _rendered(name, transcript) for name in work.step.options["formats"]}
    )
    return StageResult(outputs, {"formats": work.step.options["formats"]})


def _rendered(name: str, transcript: Transcript) -> bytes:
    content = FORMATS[name](transcript)
    return content.encode() if isinstance(content, str) else content


def transcript_of(state: PipelineState, conversion: Attempt, merged: dict[str, Any]) -> Transcript:
    """Return what the merge stored as a transcript; speakers have their labels, nothing a user said is applied.

    Args:
        state: of the pipeline.
        conversion: the attempt that converted the recording.
        merged: the content of the merge's TRANSCRIPT.
    """
    converted = conversion.metadata
    excerpt = Excerpt(**merged["excerpt"]) if "excerpt" in merged else None
    whole_s = max(excerpt.end_s, excerpt.recording_s or 0.0) if excerpt else converted["duration_s"]
    return Transcript(
        id=state.pipeline_id,
        name=name_of(state.input_file),
        utterances=tuple(_utterance(utterance) for utterance in merged["utterances"]),
        turns=tuple(Turn(**turn) for turn in merged["turns"]),
        duration_s=whole_s,
        language=merged["language"],
        draft=merged["draft"],
        engines=Engines(diarizer=merged["engines"][DIARIZATION], transcriber=merged["engines"][TRANSCRIPTION]),
        warnings=tuple(converted.get("warnings", ())),
        gaps=tuple(Gap(**gap) for gap in merged.get("gaps", ())),
        quality=merged.get("quality", {}),
        excerpt=excerpt,
    )


def _utterance(stored: dict[str, Any]) -> Utterance:
    return Utterance(stored["speaker"], tuple(_word(word) for word in stored["words"]))


def _word(stored: dict[str, Any]) -> AttributedWord:
    lists = {name: tuple(stored.get(name, ())) for name in ("alternatives", "suspect")}
    return AttributedWord(**{**stored, **lists})
