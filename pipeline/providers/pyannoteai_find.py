"""Looks for the job of a submit that got no answer; docs/adr/0010 has the reasons for the conditions.

A job is adopted only if it is the one job in the window of the submit, on the provider's clock, that this home
doesn't know, and its result fits the recording. It was never accepted if there is none in a list that was read
long enough after. In all other cases it can't be told, and the evidence says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from attrs import frozen

from pipeline.errors import ProviderError
from pipeline.providers.pyannoteai_client import in_utc
from pipeline.providers.remote import Finding
from projections.failures import ABSENT, ADOPTED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.audio.voice_activity import Interval
    from pipeline.providers.pyannoteai_jobs import Job, Listed, Patience, PyannoteAIJobs
    from pipeline.providers.remote import Doubt, Line, Sound, Wish

BEFORE = timedelta(seconds=2)
"""The service's machines may differ by so much: the `Date` of one, the time of creation of another."""

OVERHANG_S = 1.0
"""How far a result may go beyond the end of the recording."""

OVERLAP_MIN = 0.5
"""The least share of the result's speech that is speech of the recording, and of the recording's that is the
result's."""

AGREEMENT_MIN = 0.5
"""The least agreement beyond chance (Cohen's kappa) of both over time. Overlap alone tells nothing: two recordings
of dense talk overlap by two thirds and more whatever they hold. Measured on half a minute of a telephone call whose
speakers pause: 0.95 with its own turns, at most 0.1 with those of a call that begins ten seconds later or more."""

LOOKS_MAX = 1000
STILL = 10
"""A clock that needs so many times as long as ours stands still."""

FRAMES_PER_S = 100


@frozen
class _Window:
    """When the job in question was created, on the provider's clock.

    Attributes:
        end: None where nobody knows.
        died: when the call was known to be dead; None: nobody saw it.
        known: the jobs that are not in question.
    """

    start: datetime
    end: datetime | None
    died: datetime | None
    known: frozenset[str]

    def unknown(self, listed: Listed) -> list[str]:
        """Return the jobs that can be the one in question."""
        return sorted(
            job_id
            for job_id, created in listed.jobs
            if job_id not in self.known and self.start <= created and (self.end is None or created <= self.end)
        )


def find(jobs: PyannoteAIJobs, doubt: Doubt, sound: Sound, wish: Wish, line: Line, patience: Patience) -> Finding:
    """Return what can be said of a call in doubt; nobody may submit for this account meanwhile.

    Raises:
        StoppedError: the user asked to stop; nothing is lost by it.
    """
    try:
        window = _window(doubt, patience)
    except ValueError:
        return Finding("", evidence={"reason": "no_clock"})
    to = in_utc(window.end) if window.end else None
    search = _Search(jobs, window, line, patience, {"window": {"from": in_utc(window.start), "to": to}})
    try:
        return search.run(sound, wish)
    except ProviderError as error:
        return search.untold(error.code)


def _window(doubt: Doubt, patience: Patience) -> _Window:
    """Return the window of a call; raises ValueError where the provider's clock was not known."""
    from pipeline.providers.pyannoteai_jobs import parsed

    died = parsed(doubt.failed_at) if doubt.failed_at else None
    end = died + timedelta(seconds=patience.settled) if died else None
    return _Window(parsed(doubt.since or "") - BEFORE, end, died, doubt.known_jobs)


@frozen
class _Search:
    """One look for a lost job; `evidence` grows on the way."""

    jobs: PyannoteAIJobs
    window: _Window
    line: Line
    patience: Patience
    evidence: dict[str, Any]

    def run(self, sound: Sound, wish: Wish) -> Finding:
        listed, is_settled = self.settled()
        unknown = self.window.unknown(listed)
        if listed.at < self.window.start:
            return self.untold("clock_went_back")
        if not unknown:
            return Finding(ABSENT, evidence=self.evidence) if is_settled else self.untold("clock_stands_still")
        if len(unknown) > 1:
            return self.untold("several_jobs")
        (job_id,) = unknown
        job = self.jobs.ended(job_id, sound.duration_s, self.line)
        self.evidence["fit"] = fit = _fit(self.jobs, job, sound, wish, self.line)
        if not fit["fits"]:
            return self.untold("no_fit")
        # Waiting for it took a while: another one may have come up.
        if self.window.unknown(self.look()) != unknown:
            return self.untold("several_jobs")
        return Finding(ADOPTED, job_id, self.evidence)

    def untold(self, reason: str) -> Finding:
        return Finding("", evidence={**self.evidence, "reason": reason})

    def look(self) -> Listed:
        listed = self.jobs.listed(self.window.start, self.line)
        unknown = self.window.unknown(listed)
        seen = {"unknown_jobs": unknown[:20], "jobs_seen": len(listed.jobs), "listed_at": in_utc(listed.at)}
        self.evidence.update(seen)
        return listed

    def settled(self) -> tuple[Listed, bool]:
        """Look until there is a job in question, or there can't be any more: then the second value is true."""
        listed = self.look()
        end = (self.window.died or listed.at) + timedelta(seconds=self.patience.settled)
        waited_s = 0.0
        for longest in islice(self.patience.pauses(), LOOKS_MAX):
            if listed.at >= end:
                return listed, True
            is_over = waited_s > STILL * self.patience.settled or listed.at < self.window.start
            if is_over or self.window.unknown(listed):
                break
            # Short at first: a job that was accepted a moment ago is usually in the list the next moment.
            pause_s = min((end - listed.at).total_seconds(), longest)
            self.line.pause(pause_s)
            waited_s += pause_s
            listed = self.look()
        return listed, False


def _fit(jobs: PyannoteAIJobs, job: Job | None, sound: Sound, wish: Wish, line: Line) -> dict[str, Any]:
    """Return whether a job's result is one of this sound and wish, with the numbers that say so."""
    if job is None or job.status != "succeeded" or job.output is None:
        return {"fits": False, "status": job.status if job else "gone"}
    spoken = jobs.spoken(job, wish)
    if not spoken:
        return {
            "fits": False,
            "status": job.status,
            "why": "another kind of result" if spoken is None else "silent",
        }
    from pipeline.audio.voice_activity import speech_intervals

    with jobs.file(sound, line) as path:
        heard = speech_intervals(path, line.check)
    numbers = _numbers(spoken, heard, sound.duration_s)
    fits = (
        numbers["result_end_s"] <= sound.duration_s + OVERHANG_S
        and min(numbers["share_of_result"], numbers["share_of_recording"]) >= OVERLAP_MIN
        and numbers["agreement"] >= AGREEMENT_MIN
    )
    return {"fits": fits, "status": job.status, **numbers}


def _numbers(
    spoken: Sequence[tuple[float, float]], heard: Sequence[Interval], duration_s: float
) -> dict[str, float]:
    """Compare the speech of a result with that of a recording, in frames of 10 ms."""
    import numpy as np

    length = max(1, round(duration_s * FRAMES_PER_S))
    theirs = _frames(((round(a * FRAMES_PER_S), round(b * FRAMES_PER_S)) for a, b in spoken), length)
    ours = _frames(heard, length)
    both, by_chance = float(np.mean(theirs & ours)), _by_chance(float(theirs.mean()), float(ours.mean()))
    alike = float(np.mean(theirs == ours))
    return {
        "duration_s": round(duration_s, 2),
        "result_end_s": round(max(end for _, end in spoken), 2),
        "share_of_result": round(both / max(float(theirs.mean()), 1e-9), 3),
        "share_of_recording": round(both / max(float(ours.mean()), 1e-9), 3),
        "agreement": round((alike - by_chance) / max(1 - by_chance, 1e-9), 3),
    }


def _by_chance(one: float, other: float) -> float:
    return one * other + (1 - one) * (1 - other)


def _frames(intervals: Iterable[Interval], length: int) -> NDArray[np.bool_]:
    import numpy as np

    frames = np.zeros(length, np.bool_)
    for first, end in intervals:
        frames[max(0, first) : max(0, end)] = True
    return frames
