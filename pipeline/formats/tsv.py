"""Tab-separated values for programs: a row for each utterance and gap, its text as it is.

No text of ours holds a tab or a line end, so that every tab separates. A text with a quotation mark is quoted as
in CSV: most readers look for that, and one that begins with such a mark would swallow the rows behind it.
"""

from __future__ import annotations

import csv
import io

from pipeline.formats.rows import HEADER, rows
from pipeline.speech.transcript import Transcript


def render(transcript: Transcript) -> str:
    """Write the rows with a header, separated by tabs."""
    written = io.StringIO()
    table = csv.writer(written, "excel-tab", lineterminator="\n")
    table.writerow(HEADER)
    table.writerows(row.cells for row in rows(transcript))
    return written.getvalue()
