"""JSON Lines for programs: an object for each utterance and gap, as docs/transcript-json.md specifies."""

from __future__ import annotations

from typing import Any

import orjson

from pipeline.formats.json import rounded
from pipeline.speech.transcript import Transcript, gap_text, one_line
from pipeline.speech.values import Gap, Utterance


def render(transcript: Transcript) -> str:
    """Write a line for each utterance and gap; nothing where there is none, since an empty line is no JSON."""
    return "".join(
        orjson.dumps(
            {"id": transcript.id, "index": index, **_of(passage)}, option=orjson.OPT_APPEND_NEWLINE
        ).decode()
        for index, passage in enumerate(transcript.passages)
    )


def _of(passage: Utterance | Gap) -> dict[str, Any]:
    times = {"start_s": rounded(passage.start_s), "end_s": rounded(passage.end_s)}
    if isinstance(passage, Gap):
        unsaid: dict[str, Any] = {"words": 0, "confidence": None, "overlapped": False, "suspect": []}
        return {"gap": True, "speaker": None, **times, "text": gap_text(passage), **unsaid}
    return {
        "gap": False,
        "speaker": one_line(passage.speaker),
        **times,
        "text": one_line(passage.text),
        "words": len(passage.words),
        "confidence": _mean_confidence(passage),
        "overlapped": any(word.overlapped for word in passage.words),
        "suspect": sorted({reason for word in passage.words for reason in word.suspect}),
    }


def _mean_confidence(utterance: Utterance) -> float | None:
    known = [word.confidence for word in utterance.words if word.confidence is not None]
    return rounded(sum(known) / len(known)) if known else None
