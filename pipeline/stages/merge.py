"""Words and turns → utterances: who said what when, and how good that looks.

The rule is `pipeline.speech.merge`, the report `pipeline.speech.quality`. What engines find is timed by the
converted audio. From here on everything stands on the recording's own clock, which differs where only an excerpt
was converted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.inputs import TURNS, WORDS, begin_of
from pipeline.providers.registry import Providers
from pipeline.speech.merge import merge
from pipeline.speech.quality import numbers, report
from pipeline.speech.values import UNKNOWN_SPEAKER, Gap, Turn, Word, later
from pipeline.work import StageResult, StageWork
from projections.graph import AUDIO_CONVERSION, DIARIZATION, TRANSCRIPTION
from projections.summary import as_json

TRANSCRIPT = "transcript.json"


def run(work: StageWork, providers: Providers) -> StageResult:
    """Merge, and store everything that an output format may want to show."""
    found = work.input_json(DIARIZATION, TURNS)
    spoken = work.input_json(TRANSCRIPTION, WORDS)
    begin_s = begin_of(work.inputs[AUDIO_CONVERSION])
    words = [later(_word(word), begin_s) for word in spoken["words"]]
    turns, exclusive = ([later(Turn(**turn), begin_s) for turn in found[name]] for name in ("turns", "exclusive"))
    utterances = merge(words, turns, exclusive)
    gaps = [later(Gap(**gap), begin_s) for gap in spoken.get("gaps", [])]
    speech = [(start_s + begin_s, end_s + begin_s) for start_s, end_s in spoken.get("speech", [])]
    converted = work.inputs[AUDIO_CONVERSION].metadata
    quality = report(words, utterances, turns, gaps, speech, converted["duration_s"])
    content = {
        "language": spoken["language"],
        "draft": spoken["draft"],
        "engines": {
            stage: work.inputs[stage].started.options["provider"] for stage in (DIARIZATION, TRANSCRIPTION)
        },
        "utterances": [as_json(utterance) for utterance in utterances],
        "turns": [as_json(turn) for turn in turns],
        "gaps": [as_json(gap) for gap in gaps],
        "quality": quality,
        **_excerpt(converted),
    }
    merged = [word for utterance in utterances for word in utterance.words]
    metadata: dict[str, Any] = {
        "utterances": len(utterances),
        "words": len(merged),
        "speakers": len({word.speaker for word in merged}),
        "words_unknown_speaker": sum(word.speaker == UNKNOWN_SPEAKER for word in merged),
        "words_overlapped": sum(word.overlapped for word in merged),
        "quality": numbers(quality),
    }
    return StageResult((work.folder.put_json(TRANSCRIPT, content),), metadata)


def _excerpt(converted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of an excerpt: where it begins and ends, and how long the whole recording is."""
    if "start_s" not in converted:
        return {}
    start_s, length_s = converted["start_s"], converted.get("recording_s")
    excerpt = {"start_s": start_s, "end_s": round(start_s + converted["duration_s"], 3), "recording_s": length_s}
    return {"excerpt": excerpt}


def _word(found: Mapping[str, Any]) -> Word:
    segment = found.get("segment")
    return Word(
        **{
            **found,
            "suspect": tuple(found.get("suspect", ())),
            "segment": None if segment is None else tuple(segment),
        }
    )
