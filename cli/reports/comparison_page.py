"""The page of a comparison: one HTML file without scripts, for any browser, screen reader and printer.

What differs is marked by more than colour, and said to those who can't see it. All text is escaped, and the page
may load nothing, whatever stands in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template

from cli.errors import PageRefusedError
from cli.render import printable, seconds
from cli.reports.comparison import Side, agreement_words
from pipeline.delivery import write_whole
from pipeline.speech.comparison.rows import GAP, LACKING, OTHER, Part, Row, Run, rows_of
from pipeline.speech.scripts import joined
from pipeline.speech.times import clock
from pipeline.speech.transcript import one_line
from projections.graph import DIARIZATION, TRANSCRIPTION

_MARK = b"<!doctype html>\n<!-- made by evt compare;"
"""How a page of ours begins; a file that begins otherwise is somebody else's and stays as it is."""

_TEMPLATE = Path(__file__).with_suffix(".html")


def render_page(name: str, sides: Sequence[Side]) -> str:
    """Return the page.

    Args:
        name: of the recording.
        sides: the variants that are done; two or more.
    """
    rows = rows_of([side.transcript for side in sides], [side.aligned for side in sides])
    return Template(_TEMPLATE.read_text("utf-8")).substitute(
        title=_text(f"{name}: {len(sides)} transcripts"),
        count=len(sides),
        length=_text(seconds(sides[0].transcript.duration_s)),
        heads="".join(_head(number, side) for number, side in enumerate(sides, 1)),
        facts="\n".join(_facts(sides)),
        notes=_notes(sides),
        rows="\n".join(_row(row, sides) for row in rows) or _empty(sides),
    )


def require_ours(path: Path) -> None:
    """Raise PageRefusedError if something of somebody else has the page's name."""
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(_MARK)) != _MARK:
                raise PageRefusedError(
                    f"{printable(str(path))} is no page of `evt compare`. Choose another --html FILE."
                )
    elif path.is_symlink() or path.exists():
        raise PageRefusedError(f"{printable(str(path))} is no file. Choose another --html FILE.")


def write_page(path: Path, page: str) -> bool:
    """Write the page, unless it is there; say whether it was written.

    Raises:
        PageRefusedError: something of somebody else has that name.
        DeliveryError: the folder can't be written.
    """
    require_ours(path)
    content = page.encode("utf-8", "replace")
    if path.is_file() and path.read_bytes() == content:
        return False
    write_whole(path, content)
    return True


def _head(number: int, side: Side) -> str:
    return f'<th scope="col">{number}<span class="id">{_text(side.pipeline)}</span></th>'


def _facts(sides: Sequence[Side]) -> Iterator[str]:
    figures = dict.fromkeys(name for side in sides for name in side.figures)
    facts = {
        "Speakers by": [side.engines[DIARIZATION] for side in sides],
        "Words by": [side.engines[TRANSCRIPTION] for side in sides],
        "Language": [side.transcript.language or "unknown" for side in sides],
        "Speakers": [str(side.speakers) for side in sides],
        "Words": [str(len(side.aligned.words)) for side in sides],
        "Took": [seconds(side.took_s) for side in sides],
        "Paid for it": [side.cost or "nothing" for side in sides],
        "Taken over": [_taken_over(side) for side in sides],
        **{
            name.replace("_", " ").capitalize(): [side.figures.get(name, "-") for side in sides] for name in figures
        },
        "Words apart": [agreement_words(side)[0] for side in sides],
        "Same speaker": [agreement_words(side)[1] for side in sides],
        "Places that differ": [agreement_words(side)[2] for side in sides],
    }
    for title, values in facts.items():
        cells = "".join(f'<td dir="auto">{_text(value)}</td>' for value in values)
        yield f'<tr><th scope="row">{_text(title)}</th>{cells}</tr>'


def _taken_over(side: Side) -> str:
    return "; ".join(f"{stage} from {pipeline}" for stage, pipeline in side.taken_over.items()) or "nothing"


def _notes(sides: Sequence[Side]) -> str:
    notes = [(number, note) for number, side in enumerate(sides, 1) for note in side.transcript.notes]
    items = "".join(f'<li dir="auto">Variant {number}: {_text(note)}</li>' for number, note in notes)
    return f"<ul>{items}</ul>" if items else ""


def _empty(sides: Sequence[Side]) -> str:
    return f'<tr><td colspan="{len(sides) + 1}">No words were found.</td></tr>'


def _row(row: Row, sides: Sequence[Side]) -> str:
    cells = "".join(
        f"<td{_lang(side)}>{''.join(_part(part, first=number == 0) for part in cell)}</td>"
        for number, (cell, side) in enumerate(zip(row.cells, sides, strict=True))
    )
    return f'<tr><th scope="row">{clock(row.start_s)}</th>{cells}</tr>'


def _lang(side: Side) -> str:
    return f' lang="{_text(side.transcript.language)}"' if side.transcript.language else ""


def _part(part: Part, *, first: bool) -> str:
    label = ""
    if part.speaker:
        other = f' <span class="not">≠ <bdi>{_text(part.first_says)}</bdi></span>' if part.first_says else ""
        label = f'<span class="who"><bdi lang="en">{_text(part.speaker)}</bdi>{other}:</span> '
    return f'<p class="part" dir="auto">{label}{_runs(part.runs, first=first)}</p>'


def _runs(runs: Sequence[Run], *, first: bool) -> str:
    """Return runs with a space between them, unless their script has none; what is marked stands apart."""
    text = ""
    for before, run in zip((None, *runs), runs, strict=False):
        marked = before is not None and {before.kind, run.kind} == {LACKING, OTHER}
        close = before is not None and not marked and joined([before.text, run.text]) == before.text + run.text
        text += ("" if before is None or close else " ") + _run(run, first=first)
    return text


def _run(run: Run, *, first: bool) -> str:
    text = _text(run.text)
    if run.kind == OTHER and first:
        return f'<em class="other">{text}</em>'
    if run.kind == OTHER:
        return f"<ins>{_said('[only here: ')}{text}{_said(']')}</ins>"
    if run.kind == LACKING:
        return f"<del>{_said('[only in 1: ')}{text}{_said(']')}</del>"
    return f'<span class="gap">{text}</span>' if run.kind == GAP else text


def _said(text: str) -> str:
    """Return what a screen reader says and nobody sees; it decides no direction."""
    return f'<span class="said" dir="ltr">{text}</span>'


def _text(text: str) -> str:
    """Return text as HTML: nothing in it is markup, and nothing turns the lines around it."""
    return escape(one_line(text), quote=True)
