"""Transcripts cut into rows of the same time, so that they can be read side by side. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import groupby

from attrs import frozen

from pipeline.speech.comparison.alignment import Aligned
from pipeline.speech.scripts import joined
from pipeline.speech.transcript import Transcript, gap_text
from pipeline.speech.values import AttributedWord

ROW_S = 30.0
"""A row that is longer ends where the next utterance begins, although somebody is in the middle of a word."""

SAME, OTHER, LACKING, GAP = "same", "other", "lacking", "gap"
"""What a run of words is: shared; only here (in the first: not everywhere); only in the first; nothing was had."""


@frozen
class Run:
    """Words of one kind in a row."""

    kind: str
    text: str


@frozen
class Part:
    """What one speaker says in a row.

    Attributes:
        first_says: the first's name of whoever says this there, where that is somebody else; else empty.
        runs: never empty.
    """

    speaker: str
    first_says: str
    runs: tuple[Run, ...]


@frozen
class Row:
    """What is said during [start_s, end_s): a cell for each transcript, of parts; a cell may be empty."""

    start_s: float
    end_s: float
    cells: tuple[tuple[Part, ...], ...]


@frozen
class _Piece:
    at_s: float
    kind: str
    text: str
    speaker: str = ""
    first_says: str = ""


def rows_of(transcripts: Sequence[Transcript], columns: Sequence[Aligned]) -> list[Row]:
    """Return the rows of transcripts that were compared.

    A row ends where an utterance begins in one of them and no other is in the middle of a word.
    """
    cuts = _cuts(transcripts, columns)
    pieces = [_pieces(transcript, column) for transcript, column in zip(transcripts, columns, strict=True)]
    cells: list[list[list[_Piece]]] = [[[] for _ in columns] for _ in range(len(cuts) + 1)]
    for number, column in enumerate(pieces):
        for piece in column:
            cells[bisect_right(cuts, piece.at_s)][number].append(piece)
    ends = [*cuts, max((transcript.duration_s for transcript in transcripts), default=0.0)]
    rows = [
        Row(start_s, max(start_s, end_s), tuple(_parts(cell) for cell in row))
        for start_s, end_s, row in zip([0.0, *cuts], ends, cells, strict=True)
    ]
    return [row for row in rows if any(row.cells)]


def _cuts(transcripts: Sequence[Transcript], columns: Sequence[Aligned]) -> list[float]:
    begins = sorted({utterance.start_s for transcript in transcripts for utterance in transcript.utterances})
    spoken = sorted((word.start_s, word.end_s) for column in columns for word in column.words)
    starts = [start_s for start_s, _ in spoken]
    longest_s = max((end_s - start_s for start_s, end_s in spoken), default=0.0)
    cuts: list[float] = []
    for at_s in begins[1:]:
        near = spoken[bisect_right(starts, at_s - longest_s) : bisect_right(starts, at_s)]
        within = any(start_s < at_s < end_s for start_s, end_s in near)
        if not within or at_s - (cuts[-1] if cuts else 0.0) > ROW_S:
            cuts.append(at_s)
    return cuts


def _pieces(transcript: Transcript, column: Aligned) -> list[_Piece]:
    """Return the words of a column, and in their places the words that it lacks, ordered by time."""
    found = [_Piece(_middle(word), LACKING, word.text) for word in column.lacking]
    found += [_Piece((gap.start_s + gap.end_s) / 2, GAP, gap_text(gap)) for gap in transcript.gaps]
    said = ("", "")
    for place, (word, shared) in enumerate(zip(column.words, column.shared, strict=True)):
        # Words that the first doesn't have tell nothing of who says them there; they go on with those before.
        kept = said[1] if word.speaker == said[0] and not shared else ""
        said = (word.speaker, column.other_speaker.get(place, kept))
        found.append(_Piece(_middle(word), SAME if shared else OTHER, word.text, *said))
    found.sort(key=lambda piece: piece.at_s)
    stretches = (list(group) for _, group in groupby(found, key=lambda piece: piece.kind in {LACKING, OTHER}))
    return [piece for group in stretches for piece in sorted(group, key=lambda piece: piece.kind == OTHER)]


def _middle(word: AttributedWord) -> float:
    return (word.start_s + word.end_s) / 2


def _parts(pieces: Sequence[_Piece]) -> tuple[Part, ...]:
    """Join pieces of one speaker and, in each, those of one kind; what is lacking stays with whoever spoke last."""
    parts: list[tuple[str, str, list[tuple[str, list[str]]]]] = []
    for piece in pieces:
        anybody = piece.kind in {LACKING, GAP}
        if not parts or (not anybody and parts[-1][:2] != (piece.speaker, piece.first_says)):
            if parts and not parts[-1][0] and not anybody:
                parts[-1] = (piece.speaker, piece.first_says, parts[-1][2])
            else:
                parts.append((piece.speaker, piece.first_says, []))
        runs = parts[-1][2]
        if not runs or runs[-1][0] != piece.kind:
            runs.append((piece.kind, []))
        runs[-1][1].append(piece.text)
    return tuple(
        Part(speaker, first_says, tuple(Run(kind, joined(texts)) for kind, texts in runs))
        for speaker, first_says, runs in parts
    )
