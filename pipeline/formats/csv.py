"""CSV for spreadsheets: a row for each utterance and gap.

Spreadsheets are what most people open such a file with, and they decide two things here. Without a byte order mark
Excel takes UTF-8 for an old Windows encoding. And a cell that begins with one of `=+-@` is calculated, so that
words could do something, or become `#NAME?`; such a cell gets an apostrophe in front. Programs that want the text
as it is have tsv and jsonl.

Source: RFC 4180; CWE-1236; OWASP, CSV Injection (with the full-width forms).
"""

from __future__ import annotations

import csv
import io

from pipeline.formats.rows import HEADER, rows
from pipeline.speech.transcript import Transcript

BYTE_ORDER_MARK = "\ufeff"

_FORMULA = tuple("=+-@＝＋－＠")
"""Texts of ours begin with no tab and no line end, the other characters of OWASP's list."""


def render(transcript: Transcript) -> str:
    """Write the rows with a header, separated by commas."""
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(HEADER)
    table.writerows([_inert(cell) for cell in row.cells] for row in rows(transcript))
    return BYTE_ORDER_MARK + written.getvalue()


def _inert(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
