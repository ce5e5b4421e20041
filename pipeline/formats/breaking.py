"""Where a text may be broken: words to pieces that stay on a line, pieces to cues and to lines. Pure."""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Sequence

from attrs import evolve, frozen

from pipeline.formats.profile import Profile
from pipeline.speech.scripts import joined
from pipeline.speech.transcript import one_line
from pipeline.speech.values import AttributedWord

Span = tuple[int, int]
"""The first of some pieces, and the one after the last."""

CLAUSE_BONUS = 0.2
"""What a break after a clause, or after a pause of 1 s, is worth; balance costs the square of each fill, 0 to 1."""

LINE_COST = 100.0
LONE_COST = 1.0
"""A line more costs more than any balance; a word alone on a line costs more than any lack of balance."""

_SENTENCE_MARKS = tuple(".!?…。！？؟।")
_CLAUSE_MARKS = tuple(",;:–—、，；：،؛")
_CLAUSE_SHARE = 0.6
_CLOSING_MARKS = "\"'”’»)]」』）］"
"""What may follow the mark that ends a sentence or clause."""

_NEVER_FIRST = frozenset(
    "!,.:;?%…‥·・、。，．：；？！％｡､･،؛؟।॥។៕၊။"
    "ー～〜゛゜ゝゞヽヾ々〻ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿｧｨｩｪｫｬｭｮｯｰﾞﾟๆฯໆຯៗ"
)
_NEVER_FIRST_CATEGORIES = frozenset({"Pe", "Pf", "Mn", "Mc", "Me"})
_NEVER_LAST_CATEGORIES = frozenset({"Ps", "Pi"})
"""What doesn't begin a line: closing marks, small kana, signs of lengthening and repetition; what doesn't end one.

Source: JIS X 4051 and W3C, Requirements for Japanese Text Layout, section 3.1.7; Unicode Standard Annex 14."""


@frozen
class Piece:
    """Text that stays on one line: a word, and with it what may not be parted from it.

    Attributes:
        text: never empty.
        is_spaced: a space stands before it, unless it begins a line.
        start_s: never before that of an earlier piece, whatever the words say.
        end_s: never before start_s.
    """

    text: str
    is_spaced: bool
    start_s: float
    end_s: float


def pieces(words: Sequence[AttributedWord], profile: Profile) -> list[Piece]:
    """Return the words as pieces; words without a visible character are left out.

    Words are glued only as long as they fit on a line, so that a piece that is longer is a single word.
    """
    found: list[Piece] = []
    start_s = 0.0
    for word in words:
        text = one_line(word.text)
        if not text:
            continue
        start_s = max(start_s, word.start_s)
        piece = Piece(text, False, start_s, max(start_s, word.end_s))
        if found:
            text = joined((found[-1].text, piece.text))
            piece = evolve(piece, is_spaced=len(text) > len(found[-1].text) + len(piece.text))
            if _is_bound(found[-1].text, piece.text) and profile.width(text) <= profile.line_width:
                glued = found.pop()
                piece = evolve(glued, text=text, end_s=max(glued.end_s, piece.end_s))
        found.append(piece)
    return found


class Layout:
    """Pieces that are laid out together, each speaker's prefix before the first line of a cue."""

    def __init__(self, pieces: Sequence[Piece], prefix: str, profile: Profile) -> None:
        self._pieces = pieces
        self._prefix = prefix
        self._longest_s = profile.longest_s
        self._full = profile.line_width
        self._rooms = [self._full - profile.width(prefix)] + [self._full] * (profile.lines - 1)
        self._begins: list[int] = []
        self._ends: list[int] = []
        """Where each piece begins and ends if all stood on one line."""
        end = 0
        for piece in pieces:
            self._begins.append(end + (profile.width(" ") if piece.is_spaced else 0))
            end = self._begins[-1] + profile.width(piece.text)
            self._ends.append(end)
        self._reaches = [self._reach(first) for first in range(len(pieces))]
        self._endings = [0.0, *(self._ending(end) for end in range(1, len(pieces) + 1))]

    def cues(self) -> list[Span]:
        """Cut the pieces into as few cues as hold them, of like lengths, after clauses and pauses if possible."""
        count = len(self._pieces)
        return [(0, count)] if self._is_cue(0, count) else _cheapest(count, self._cue_cost)

    def lines(self, span: Span) -> tuple[str, ...]:
        """Lay the pieces of one cue out on as few lines as hold them, of like lengths, none of a lone word."""
        first, end = span
        if self._ends[end - 1] - self._begins[first] <= self._rooms[0]:
            return (self._prefix + "".join(self._texts(first, end)),)
        spans = _cheapest(end - first, lambda a, b: self._line_cost(first, first + a, first + b))
        lines = ["".join(self._texts(first + a, first + b)) for a, b in spans]
        return (self._prefix + lines[0], *lines[1:])

    def _texts(self, first: int, end: int) -> list[str]:
        rest = [f" {piece.text}" if piece.is_spaced else piece.text for piece in self._pieces[first + 1 : end]]
        return [self._pieces[first].text, *rest]

    def _reach(self, first: int) -> int:
        """Return the piece after the last that fits into a cue with the first."""
        for room in self._rooms:
            if first < len(self._pieces):
                first = max(first + 1, bisect_right(self._ends, self._begins[first] + room))
        return first

    def _is_cue(self, first: int, end: int) -> bool:
        """Say whether the pieces may be one cue; a single one always may."""
        span_s = self._pieces[end - 1].end_s - self._pieces[first].start_s
        return end - first <= 1 or (end <= self._reaches[first] and span_s <= self._longest_s)

    def _cue_cost(self, first: int, end: int) -> float | None:
        if not self._is_cue(first, end):
            return None
        fill = (self._ends[end - 1] - self._begins[first]) / (self._full * len(self._rooms))
        return 1 + fill**2 - CLAUSE_BONUS * self._endings[end]

    def _line_cost(self, cue: int, first: int, end: int) -> float | None:
        width = self._ends[end - 1] - self._begins[first]
        room = self._rooms[0] if first == cue else self._full
        is_lone = end - first == 1
        if width > room and not is_lone:
            return None
        fill = (width + self._full - room) / self._full
        return LINE_COST + min(1.0, fill**2) + LONE_COST * is_lone - CLAUSE_BONUS / 2 * self._endings[end]

    def _ending(self, end: int) -> float:
        """Return how good a place for a break there is after some pieces: 0 to 1."""
        if end == len(self._pieces):
            return 0.0
        pause_s = max(0.0, self._pieces[end].start_s - self._pieces[end - 1].end_s)
        text = self._pieces[end - 1].text.rstrip(_CLOSING_MARKS)
        mark = 1.0 if text.endswith(_SENTENCE_MARKS) else _CLAUSE_SHARE * text.endswith(_CLAUSE_MARKS)
        return min(1.0, mark + pause_s)


def _is_bound(before: str, after: str) -> bool:
    """Say whether no line may end between two words."""
    never_first = after[0] in _NEVER_FIRST or unicodedata.category(after[0]) in _NEVER_FIRST_CATEGORIES
    return never_first or unicodedata.category(before[-1]) in _NEVER_LAST_CATEGORIES


def _cheapest(count: int, cost: Callable[[int, int], float | None]) -> list[Span]:
    """Cut a sequence into spans whose costs are least in sum.

    Args:
        count: the sequence's length, from 1.
        cost: of a span; None where it is too long, and then every longer one with the same end is too.
            A span of one has a cost.
    """
    least = [0.0] + [math.inf] * count
    begins = [0] * (count + 1)
    for end in range(1, count + 1):
        for first in range(end - 1, -1, -1):
            of_span = cost(first, end)
            if of_span is None:
                break
            if least[first] + of_span < least[end]:
                least[end], begins[end] = least[first] + of_span, first
    spans: list[Span] = []
    end = count
    while end:
        spans.append((begins[end], end))
        end = begins[end]
    return spans[::-1]
