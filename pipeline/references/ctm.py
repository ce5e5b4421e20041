"""CTM: a line for each word, with its time; no speakers.

Source: NIST, SCTK, ctm format: `recording channel start length word [confidence]`.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.references.text import ReferenceFileError, numbered_lines, seconds
from pipeline.references.values import Accounts, Segment, accounts


def read(text: str) -> Accounts:
    """Read CTM.

    Raises:
        ReferenceFileError: a line has too few fields, or times that can't be.
    """
    return accounts(_segments(text), speakers=False)


def _segments(text: str) -> Iterator[Segment]:
    for number, line in numbered_lines(text):
        fields = line.split()
        if fields[0].startswith(";;"):
            continue
        if len(fields) < 5:
            raise ReferenceFileError(f"line {number}: a CTM line is `recording channel start length word`.")
        start_s = seconds(fields[2], number, "the start")
        end_s = start_s + seconds(fields[3], number, "the length")
        yield Segment(fields[4], start_s, end_s, None, fields[0])
