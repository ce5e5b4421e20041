"""What came of a batch, at its end: how many are done, why others failed, what it took and cost."""

from __future__ import annotations

import re
from pathlib import Path

from attrs import define, field

from cli.batching.view import Totals
from cli.outcomes import Outcome
from cli.render import count, printable, seconds

_REASONS_MAX = 20
_NAMED_MAX = 3


@define
class _Reason:
    count: int = 0
    names: list[str] = field(factory=list)


@define
class Summary:
    """Counts outcomes; of each it keeps no more than a few names per reason."""

    totals: Totals
    reasons: dict[str, _Reason] = field(factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Count a recording in."""
        self.totals.add(outcome)
        if outcome.error is None:
            return
        text = (outcome.reason or outcome.error).strip().partition("\n")[0]
        text = _general(text, outcome)
        if text not in self.reasons and len(self.reasons) >= _REASONS_MAX:
            text = "other reasons, see above"
        reason = self.reasons.setdefault(text, _Reason())
        reason.count += 1
        if len(reason.names) < _NAMED_MAX:
            reason.names.append(printable(outcome.written))

    def lines(self, now_s: float, cost: str) -> list[str]:
        """Return the summary for people."""
        totals = self.totals
        ended = totals.done + totals.failed + totals.waiting
        parts = [f"{totals.done - totals.reused} done"]
        parts += [f"{totals.reused} with nothing to do"] if totals.reused else []
        parts += [f"{totals.failed} failed"] if totals.failed else []
        parts += [f"{totals.waiting} waiting for a decision of yours"] if totals.waiting else []
        parts += [f"{totals.total - ended} not finished"] if totals.total > ended else []
        took = f"took {seconds(now_s - totals.begun_s)}"
        took += f" for {seconds(totals.audio_s)} of audio" if totals.audio_s else ""
        told = "; ".join([", ".join(parts), took, *([cost] if cost else [])])
        lines = [f"Of {count(totals.total, 'recording')}: {told}."]
        for text, reason in sorted(self.reasons.items(), key=lambda item: -item[1].count):
            more = f" and {reason.count - len(reason.names)} more" if reason.count > len(reason.names) else ""
            lines.append(f"  {reason.count} × {text}\n      {', '.join(reason.names)}{more}")
        return lines


def _general(text: str, outcome: Outcome) -> str:
    """Return a reason without what only this recording has, so that equal ones are one."""
    path = Path(outcome.written)
    own = [(str(path.absolute()), "FILE"), (outcome.written, "FILE"), (path.name, "FILE")]
    if outcome.pipeline:
        own += [(f"{outcome.pipeline[:2]}/{outcome.pipeline}", "ID"), (outcome.pipeline, "ID")]
    for name, instead in own:
        if name and instead not in text:
            # Once, and as words of their own: a folder may be called "a".
            text = re.sub(rf"(?<!\w){re.escape(printable(name))}(?!\w)", instead, text, count=1)
    return text
