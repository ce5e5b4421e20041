"""RTTM: a line for each turn; no words.

Source: NIST, The 2009 Rich Transcription Meeting Recognition Evaluation Plan, appendix A.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.references.text import ReferenceFileError, numbered_lines, seconds
from pipeline.references.values import Accounts, Segment, accounts


def read(text: str) -> Accounts:
    """Read the SPEAKER lines of RTTM; lines of other types say nothing of turns.

    Raises:
        ReferenceFileError: a line has too few fields, or times that can't be.
    """
    return accounts(_segments(text), words=False, speakers=True)


def _segments(text: str) -> Iterator[Segment]:
    for number, line in numbered_lines(text):
        fields = line.split()
        if fields[0].startswith(";;"):
            continue
        if not fields[0].isupper() or (fields[0] == "SPEAKER" and len(fields) < 8):
            raise ReferenceFileError(
                f"line {number}: an RTTM line is `SPEAKER recording channel start length <NA> <NA> speaker …`."
            )
        if fields[0] == "SPEAKER":
            start_s = seconds(fields[3], number, "the start")
            end_s = start_s + seconds(fields[4], number, "the length")
            yield Segment(None, start_s, end_s, fields[7], fields[1])
