"""What came of one recording of an invocation: for the exit code, for people, and for `--json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define, field

from cli.exit_codes import DECISION, FAILED, INTERRUPTED, OK, REFUSED, exit_code_of
from cli.output import say
from cli.render import clause, count, printable, seconds, shown_error
from cli.reports.quality import quality_note
from eventlog.errors import EvtError, LogLockedError
from pipeline import runner
from pipeline.delivery import Delivery
from pipeline.endings import causes, decisions, is_in_doubt, is_of_the_recording, what_is_kept
from pipeline.runner import RunResult
from pipeline.speech.times import clock
from pipeline.speech.transcript import Excerpt, excerpt_note
from projections.decisions import STALE
from projections.graph import AUDIO_CONVERSION, MERGE, TRANSCRIPTION
from projections.plan import Plan

PARTS_SHOWN = 12
TOLD_S = 0.5
"""Less silence than this, that was put in to keep the clock, nobody would notice."""

_CODES = {runner.COMPLETED: OK, runner.FAILED: FAILED, runner.NEEDS_DECISION: DECISION}


@define
class Outcome:
    """What came of one item, for the exit code, for people and for `--json`."""

    written: str
    code: int = OK
    pipeline: str | None = None
    outcome: str = "completed"
    ran: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()
    noted: bool = False
    deliveries: list[Delivery] = field(factory=list)
    duration_s: float = 0.0
    notes: list[str] = field(factory=list)
    is_in_doubt: bool = False
    is_held: bool = False
    """Another process works on it."""
    audio_s: float = 0.0
    reason: str | None = None
    """Why it ended badly, without what only this recording has."""
    error: str | None = None
    """Safe to print."""

    @property
    def is_waiting(self) -> bool:
        """Whether a decision or money is what it needs."""
        return self.code == DECISION

    def refuse(self, error: EvtError, more: str = "") -> None:
        """Take over an error that ended the work on this item."""
        self.error = f"{shown_error(error)} {more}".strip()
        # What was added to an error, such as who holds a log since when, is true of this recording alone.
        self.reason = shown_error(error.__cause__ if isinstance(error.__cause__, type(error)) else error)
        self.code = exit_code_of(error)
        self.is_held = isinstance(error, LogLockedError)
        self.outcome = "refused" if self.code == REFUSED else "failed"

    def fail(self, error: Exception) -> None:
        """Take over an error that is not one of ours: the system's, or a defect."""
        self.outcome, self.code = "failed", FAILED
        if isinstance(error, OSError):
            name = f"{error.filename}: " if error.filename else ""
            self.error = printable(f"{name}{error.strerror or error}. Mend that, then repeat the command.")
        else:
            kind = printable(f"{type(error).__name__}: {error}")
            self.error = f"This is a defect of evt ({kind}); please report it with the output of --debug."

    def lose(self) -> None:
        """Note that the process that worked on it was ended from outside."""
        self.outcome, self.code = "failed", FAILED
        self.error = (
            "The process that worked on it was ended from outside, by somebody or for lack of memory. The same "
            "command goes on where it was; -j 1 needs the least memory."
        )

    def leave(self) -> None:
        """Note that the user stopped the command before its turn came."""
        self.outcome, self.code = "interrupted", INTERRUPTED

    def take_result(self, result: RunResult) -> None:
        """Take over how a run ended."""
        self.outcome, self.ran, self.duration_s = result.outcome, result.ran, result.duration_s
        self.code = _CODES.get(result.outcome, INTERRUPTED)
        self.noted = not result.ran
        if result.outcome == runner.FAILED:
            self._take_failures(result)
        elif result.outcome == runner.NEEDS_DECISION:
            self.error = printable(decisions(result))
            self.is_in_doubt = any(error.code == "in_doubt" for error in result.failures.values())
            self.is_in_doubt |= is_in_doubt(result.plan.asks)

    def _take_failures(self, result: RunResult) -> None:
        """Say what failed and, unless it is the recording itself, that the same command goes on from there."""
        self.error = self.reason = printable(causes(result))
        if is_of_the_recording(result):
            self.code = REFUSED
        else:
            self.error += f" {what_is_kept(result)}"

    def take_plan(self, plan: Plan) -> None:
        """Note what the plan left as it was, and what a reader of the transcript must know."""
        self.reused = tuple(step.stage for step in plan.stages if step.reused and step.stage not in self.ran)
        self.notes += [f"{step.stage} is stale: {step.reason}" for step in plan.stages if step.decision == STALE]
        converted = plan[AUDIO_CONVERSION].reused
        if converted is not None:
            self.audio_s = float(converted.metadata.get("duration_s") or 0.0)
            self.notes += _of_the_recording(converted.metadata)
            self.notes += [clause(str(warning)) for warning in converted.metadata.get("warnings", ())]
        words = plan[TRANSCRIPTION].reused
        if words is not None and words.metadata.get("words") == 0:
            self.notes.append("no speech was found, so the transcript is empty")
        elif words is not None and words.metadata.get("draft"):
            self.notes.append("this is a draft by the small built-in English engine")
        merged = plan[MERGE].reused
        if merged is not None and (note := quality_note(merged.metadata.get("quality", {}), self.pipeline or "")):
            self.notes.append(note)

        if words is not None and len(languages := dict(words.metadata.get("languages", {}))) > 1:
            found = ", ".join(f"{code} for {seconds(length_s)}" for code, length_s in languages.items())
            first = next(iter(languages))
            self.notes.append(f"parts were taken for different languages, {found}; --language {first} names one")

    def take_deliveries(self, deliveries: list[Delivery]) -> None:
        """Note what was delivered, and what was in the way."""
        self.deliveries = deliveries
        beside = [delivery.path for delivery in deliveries if delivery.beside]
        if beside:
            more = f" (and {', '.join(path.suffix for path in beside[1:])})" if beside[1:] else ""
            self.notes.append(f"{beside[0].name}{more}: another file had the name already, and was left as it is")

    def as_json(self) -> dict[str, Any]:
        """Return the outcome for programs."""
        return {
            "input": printable(self.written),
            "pipeline": self.pipeline,
            "outcome": self.outcome,
            "exit_code": self.code,
            "ran": list(self.ran),
            "reused": list(self.reused),
            "duration_s": round(self.duration_s, 3),
            "deliveries": [
                {"path": printable(str(d.path)), "format": d.format, "outcome": d.outcome, "beside": d.beside}
                for d in self.deliveries
            ],
            "notes": self.notes,
            "error": self.error,
        }


def _of_the_recording(converted: Mapping[str, Any]) -> Iterator[str]:
    """Yield what of a recording was read, where that isn't all there is, and where silence was put into it."""
    if "start_s" in converted:
        start_s = float(converted["start_s"])
        length_s = converted.get("recording_s")
        excerpt = Excerpt(start_s, start_s + float(converted.get("duration_s") or 0.0), length_s)
        yield f"{clause(excerpt_note(excerpt))}; --start 0 --end end takes that back"
    if len(starts_s := converted.get("part_starts_s", ())) > 1:
        later = [f"part {number} at {clock(start_s)}" for number, start_s in enumerate(starts_s[1:PARTS_SHOWN], 2)]
        more = ", …" if len(starts_s) > PARTS_SHOWN else ""
        yield f"{len(starts_s)} files are joined, {', '.join(later)}{more}"
    if "track" in converted:
        listed = ", ".join(map(str, converted.get("track_list", ())))
        yield (
            f"audio track {converted['track']} of {converted['tracks']} was transcribed ({listed}); "
            "--track N takes another"
        )
    if (offset_s := converted.get("start_offset_s", 0.0)) >= TOLD_S:
        yield f"the sound begins {seconds(offset_s)} after the picture; times are those of the file"
    if (gaps_s := converted.get("gaps_s", 0.0)) >= TOLD_S:
        lacking = count(int(converted.get("gaps", 0)), "place")
        yield f"sound is missing in {lacking}, {seconds(gaps_s)} in all; silence stands there, so that times fit"


def tell(outcome: Outcome, *, as_json: bool, quiet: bool) -> None:
    """Say what came of an item: errors and notes on stderr, where the transcript is on stdout."""
    if outcome.error is not None:
        say(f"evt: {printable(outcome.written)}: {outcome.error}", err=True)
    if as_json:
        return
    for note in () if quiet else outcome.notes:
        say(f"Note: {printable(outcome.written)}: {printable(note)}", err=True)
    if outcome.deliveries:
        say(f"{printable(outcome.written)}: {_transcript_line(outcome)}")


def _transcript_line(outcome: Outcome) -> str:
    first, *others = outcome.deliveries
    more = f" (and {', '.join(other.path.suffix for other in others)})" if others else ""
    if not outcome.ran:
        done = "nothing to do" if not outcome.noted else "nothing to run; the log was brought up to date"
    else:
        kept = f"; reused: {', '.join(outcome.reused)}" if outcome.reused else ""
        done = f"took {seconds(outcome.duration_s)}{kept}"
    return f"{printable(str(first.path))}{more}; {done}"
