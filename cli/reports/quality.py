"""The report on a transcript in a few lines, for people who want to know where to listen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cli.render import count, seconds
from pipeline.speech.quality import Place, suspect_places
from pipeline.speech.times import clock
from pipeline.speech.transcript import Transcript

SHOWN = 3
"""So many places are named; whoever listens to these knows whether to look at all of them in the JSON."""

FEW_SUSPECTS = 5
"""So many suspect words are no news after a run: people do say "no no no no"."""

UNSURE_SHARE = 0.1
"""More unsure words than this say something of the recording or the engine."""

REASONS: Mapping[str, str] = {
    "repeated": "repeated",
    "too_fast": "too fast",
    "no_speech": "outside speech",
    "no_speech_prob": "silence to the engine",
    "compressed": "a loop to the engine",
    "other": "for other reasons",
}


def quality_lines(transcript: Transcript) -> list[str]:
    """Return what matters of the report, then where to listen; nothing where no report was made."""
    if not (found := transcript.quality):
        return []
    facts = [*_missing(found), *_doubtful(found), *_speakers(found)]
    gaps = [(gap.start_s, gap.end_s, "no words") for gap in transcript.gaps]
    places = [
        (place.start_s, place.end_s, " and ".join(REASONS[reason] for reason in place.reasons))
        for place in suspect_places(transcript.utterances)
    ]
    return [
        f"  quality    {'; '.join(facts)}" if facts else "  quality    no speech",
        *_listen(gaps),
        *_listen(places),
    ]


def quality_note(found: Mapping[str, Any], pipeline: str) -> str | None:
    """Return what to say of a transcript after a run; None: nothing, as mostly.

    Args:
        found: the report, or its numbers in the log; empty where none was made.
        pipeline: its id.
    """
    if not found:
        return None
    gaps, suspects = found["gaps"], found["suspects"]["words"]
    said = [*_gaps(gaps), *([_suspects(suspects)] if suspects > FEW_SUSPECTS else [])]
    return f"{'; '.join(said)}: `evt show {pipeline}` says where" if said else None


def quality_json(transcript: Transcript) -> dict[str, Any] | None:
    """Return the whole report, and where the suspect words are; None where no report was made."""
    if not transcript.quality:
        return None
    places = [_place_json(place) for place in suspect_places(transcript.utterances)]
    gaps = [{"start_s": gap.start_s, "end_s": gap.end_s, "channel": gap.channel} for gap in transcript.gaps]
    return {**transcript.quality, "places": {"gaps": gaps, "suspects": places}}


def _missing(found: Mapping[str, Any]) -> list[str]:
    covered = found["coverage"]
    share = [f"{percent(covered['share'])} of the speech has words"] if covered["speech_s"] else []
    return [*share, *_gaps(found["gaps"])]


def _gaps(found: Mapping[str, Any]) -> list[str]:
    return [f"{count(found['count'], 'gap')} ({seconds(found['seconds'])})"] if found["count"] else []


def _suspects(words: int) -> str:
    return f"{count(words, 'word')} {'looks' if words == 1 else 'look'} doubtful"


def _doubtful(found: Mapping[str, Any]) -> list[str]:
    words, unsure = found["suspects"]["words"], found["confidence"]["low_share"] or 0.0
    by_reason = ", ".join(f"{REASONS[name]} {number}" for name, number in found["suspects"]["reasons"].items())
    return [
        *([f"{_suspects(words)} ({by_reason})"] if words else []),
        *([f"the engine is unsure of {percent(unsure)} of the words"] if unsure > UNSURE_SHARE else []),
    ]


def _speakers(found: Mapping[str, Any]) -> list[str]:
    overlap, unknown = found["overlaps"]["share"], found["speakers"]["words_unknown_speaker"]
    return [
        *([f"{percent(overlap)} of the talk overlaps"] if overlap >= 0.005 else []),
        *([f"{count(unknown, 'word')} of nobody known"] if unknown else []),
    ]


def _listen(places: Sequence[tuple[float, float, str]]) -> list[str]:
    shown = [f"  listen at  {clock(start_s)}–{clock(end_s)}  {why}" for start_s, end_s, why in places[:SHOWN]]
    more = len(places) - SHOWN
    return [*shown, *([f"             and {count(more, 'place')} more"] if more > 0 else [])]


def _place_json(place: Place) -> dict[str, Any]:
    return {
        "start_s": place.start_s,
        "end_s": place.end_s,
        "words": place.words,
        "reasons": list(place.reasons),
    }


def percent(share: float) -> str:
    """Return a share for people; never "100 %" of what isn't whole."""
    return (
        "over 99 %" if 0.99 < share < 1 else f"{share * 100:.0f} %" if share >= 0.01 or not share else "under 1 %"
    )
