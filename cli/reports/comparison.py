"""Variants of a pipeline side by side: what each is, cost and said; as a table, and for `--json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from cli.outcomes import Outcome
from cli.render import count, printable, seconds, table
from cli.reports.costs import cost_words
from pipeline.artifacts import Artifacts
from pipeline.look import Look
from pipeline.speech.comparison.alignment import SPEAKER, Aligned, Difference, compare
from pipeline.speech.times import clock
from pipeline.speech.transcript import Transcript
from pipeline.stages.export import transcript_of
from pipeline.workshop import Workshop
from projections.cost import total_cost
from projections.graph import AUDIO_CONVERSION, DIARIZATION, MERGE, TRANSCRIPTION
from projections.plan import Plan
from projections.state import Attempt
from projections.summary import as_json

SHOWN = 10
"""How many differences of a variant the terminal shows; the page and `--json` have all."""

_AGREEMENT = ("WORDS APART", "SAME SPEAKER", "PLACES")


@frozen
class Side:
    """One variant that is done.

    Attributes:
        engines: who found speakers and words, and with which model, for people.
        took_s: how long its stages took, where they were carried out.
        cost: what this pipeline itself paid, in words; empty: nothing.
        taken_over: by stage, the pipeline that had done it already.
    """

    pipeline: str
    engines: Mapping[str, str]
    took_s: float
    cost: str
    taken_over: Mapping[str, str]
    transcript: Transcript
    aligned: Aligned

    @property
    def speakers(self) -> int:
        """How many people speak."""
        return len({word.speaker for word in self.aligned.words})

    @property
    def figures(self) -> dict[str, str]:
        """What the report on the transcript's quality says, for people; see docs/quality.md."""
        quality = self.transcript.quality
        if not quality:
            return {}
        return {
            "with_words": percent(quality["coverage"]["share"]),
            "gaps": str(quality["gaps"]["count"]),
            "doubtful": str(quality["suspects"]["words"]),
        }


def sides_of(shop: Workshop, done: Sequence[Look]) -> list[Side]:
    """Return finished variants, each held against the first.

    Raises:
        ArtifactMissingError, ArtifactMismatchError: a transcript is gone, or not what was recorded.
    """
    transcripts = [_transcript(shop, seen) for seen in done]
    columns = compare(transcripts) if transcripts else []
    return [
        _side(seen, transcript, column) for seen, transcript, column in zip(done, transcripts, columns, strict=True)
    ]


def summary_table(sides: Sequence[Side]) -> str:
    """Return the variants as a table, a line each."""
    figures = [name for name in _figure_names(sides) if any(name in side.figures for side in sides)]
    titles = (name.upper().replace("_", " ") for name in figures)
    header = ("", "ID", "SPEAKERS BY", "WORDS BY", "SPEAKERS", "WORDS", "TOOK", "PAID", *titles, *_AGREEMENT)
    rows = [
        (
            str(number),
            side.pipeline,
            printable(side.engines[DIARIZATION]),
            printable(side.engines[TRANSCRIPTION]),
            str(side.speakers),
            str(len(side.aligned.words)),
            seconds(side.took_s),
            side.cost or "-",
            *(side.figures.get(name, "-") for name in figures),
            *agreement_words(side),
        )
        for number, side in enumerate(sides, 1)
    ]
    return table(rows, header)


def agreement_words(side: Side) -> tuple[str, str, str]:
    """Return how far the words are apart from the first's, how many have the same speaker, and the places."""
    found = side.aligned.agreement
    if found is None:
        return "-", "-", "-"
    return percent(found.rate), percent(found.speakers), str(len(found.differences))


def percent(share: float | None) -> str:
    """Return a share for people."""
    return "-" if share is None else f"{share * 100:.1f} %"


def taken_over_lines(sides: Sequence[Side]) -> Iterator[str]:
    """Yield what variants didn't have to do, and so didn't pay."""
    for number, side in enumerate(sides, 1):
        stages = [stage for stage in (DIARIZATION, TRANSCRIPTION) if stage in side.taken_over]
        if stages:
            sources = " and ".join(f"{stage} from {side.taken_over[stage]}" for stage in stages)
            yield f"{number} took over {sources}."


def difference_lines(sides: Sequence[Side], page: str | None) -> Iterator[str]:
    """Yield the first places where each variant differs from the first."""
    for number, side in enumerate(sides[1:], 2):
        found = side.aligned.agreement.differences if side.aligned.agreement else ()
        yield f"{number} differs from 1 in {count(len(found), 'place')}{':' if found else '.'}"
        yield from (f"  {clock(difference.start_s)}  {_in_words(difference)}" for difference in found[:SHOWN])
        if len(found) > SHOWN:
            yield f"  and {len(found) - SHOWN} more{f', see {printable(page)}' if page else ''}"


def report(sides: Sequence[Side], outcomes: Sequence[Outcome], page: str | None) -> dict[str, Any]:
    """Return the comparison for programs."""
    by_pipeline = {side.pipeline: side for side in sides}
    return {
        "page": printable(page) if page else None,
        "variants": [
            {**outcome.as_json(), **_as_json(by_pipeline.get(outcome.pipeline or ""))} for outcome in outcomes
        ],
    }


def _as_json(side: Side | None) -> dict[str, Any]:
    if side is None:
        return {}
    found = side.aligned.agreement
    return {
        "engines": dict(side.engines),
        "taken_over": dict(side.taken_over),
        "speakers": side.speakers,
        "words": len(side.aligned.words),
        "took_s": round(side.took_s, 3),
        "cost": side.cost or None,
        "quality": as_json(side.transcript.quality),
        "gaps": [{"start_s": gap.start_s, "end_s": gap.end_s} for gap in side.transcript.gaps],
        "reader_notes": list(side.transcript.notes),
        "agreement": found
        and {
            "words_apart": round(found.rate, 6),
            "wrong": found.wrong,
            "words": found.words,
            "same_speaker": found.speakers,
            "names": dict(found.names),
            "differences": [as_json(difference) for difference in found.differences],
        },
    }


def _in_words(difference: Difference) -> str:
    first, here = printable(difference.first), printable(difference.here)
    if difference.kind == SPEAKER:
        return f"said by {first} in 1, by {here} here"
    if not difference.here:
        return f"lacks: {first}"
    return f"{first} → {here}" if difference.first else f"only here: {here}"


def _transcript(shop: Workshop, seen: Look) -> Transcript:
    merge, converted = seen.plan[MERGE].reused, seen.plan[AUDIO_CONVERSION].reused
    assert merge is not None, "it is done"
    assert converted is not None, "it is done"
    artifacts = Artifacts(shop.home.artifacts(seen.pipeline))
    return transcript_of(seen.state, converted, artifacts.read_json(merge.outputs[0]))


def _side(seen: Look, transcript: Transcript, column: Aligned) -> Side:
    used = _used(seen.plan)
    return Side(
        pipeline=seen.pipeline,
        engines={stage: _engine(used[stage]) for stage in (DIARIZATION, TRANSCRIPTION)},
        took_s=sum(attempt.duration_s or 0.0 for attempt in used.values()),
        cost=cost_words(total_cost(seen.state)),
        taken_over={
            stage: str(attempt.provided_by.get("pipeline"))
            for stage, attempt in used.items()
            if attempt.provided_by
        },
        transcript=transcript,
        aligned=column,
    )


def _used(plan: Plan) -> dict[str, Attempt]:
    return {step.stage: step.reused for step in plan.stages if step.reused is not None}


def _engine(attempt: Attempt) -> str:
    """Return an engine and its model; that of an own folder is named by the folder."""
    model = attempt.metadata.get("model") or attempt.started.options.get("model")
    name = str(attempt.started.options.get("provider", "?"))
    return f"{name} ({model})" if model and str(model) not in name else name


def _figure_names(sides: Sequence[Side]) -> list[str]:
    return list(dict.fromkeys(name for side in sides for name in side.figures))
