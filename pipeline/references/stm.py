"""STM: a line for each utterance, with its speaker and times.

Source: NIST, SCTK, stm format: `recording channel speaker start end [<labels>] text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.references.text import ReferenceFileError, numbered_lines, require_order, seconds, spoken
from pipeline.references.values import Accounts, Segment, accounts

_LINE = re.compile(r"(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)(?:\s+<[^>]*>)?(?:\s+(.*))?")
_NOT_JUDGED = frozenset({"ignore_time_segment_in_scoring", "inter_segment_gap"})


def read(text: str) -> Accounts:
    """Read STM. Stretches marked as not to be judged are left out; alternatives in braces stay as they stand.

    Raises:
        ReferenceFileError: a line has too few fields, or times that can't be.
    """
    return accounts(_segments(text), speakers=True)


def _segments(text: str) -> Iterator[Segment]:
    for number, line in numbered_lines(text):
        if line.startswith(";;"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ReferenceFileError(f"line {number}: an STM line is `recording channel speaker start end text`.")
        recording, _, speaker, start, end, said = match.groups()
        start_s, end_s = seconds(start, number, "the start"), seconds(end, number, "the end")
        require_order(start_s, end_s, number)
        if not {speaker.lower(), (said or "").lower()} & _NOT_JUDGED:
            yield Segment(spoken(said or ""), start_s, end_s, speaker, recording)
