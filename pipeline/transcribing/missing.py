"""What a transcriber left out: parts to ask for once more, and what stays a gap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import evolve, frozen

from pipeline.speech.coverage import Coverage, coverage
from pipeline.speech.cuts import RATE
from pipeline.speech.placing import placed, placed_turns
from pipeline.speech.stitch import Part, starts_of, stitched
from pipeline.speech.times import Span, Spans, spans_of, without
from pipeline.speech.transcript import gap_text
from pipeline.speech.values import Gap, Turn, Word
from pipeline.transcribing.hearing import Heard, Hearing
from pipeline.transcribing.pieces import Piece, halves, part_of

LEAST_S = 2.0
"""A recording of which most of the speech has no words lacks something, if it is so much."""

NAMED_GAPS = 5
"""So many gaps are named when the stage fails; the message has to be read."""


@frozen
class Found:
    """A piece, the words of its answers on the recording's clock, and how far they account for its speech.

    Attributes:
        lost: what had no words at first, in seconds of the recording, if it was asked for once more.
        again: the second answers; of them only what lies there counts.
    """

    heard: Heard
    words: tuple[Word, ...]
    coverage: Coverage
    lost: tuple[Span, ...] = ()
    again: tuple[Heard, ...] = ()

    @classmethod
    def of(cls, heard: Heard, words: Sequence[Word] | None = None) -> Found:
        """Judge an answer; `words` stand in the place of its own."""
        found = _words(heard) if words is None else tuple(words)
        judged = found if heard.has_times else tuple(Word(word.text) for word in found)
        return cls(heard, found, coverage(speech_of(heard.piece), judged))

    def turns(self, name: str) -> Iterator[Turn]:
        """Yield the turns that came with the words, on the recording's clock; `name`: turns or exclusive."""
        yield from _turns(self.heard, name)
        for turn in (turn for heard in self.again for turn in _turns(heard, name)):
            for start_s, end_s in self.lost:
                if turn.start_s < end_s and start_s < turn.end_s:
                    yield evolve(turn, start_s=max(turn.start_s, start_s), end_s=min(turn.end_s, end_s))


def speech_of(piece: Piece) -> list[Span]:
    """Return where anybody is heard in a piece, in seconds of the recording."""
    return [(start / RATE, end / RATE) for start, end in piece.speech]


def speech_by_channel(found: Sequence[Found]) -> dict[int | None, Spans]:
    """Return where anybody is heard on each channel that was transcribed by itself; None: the mix."""
    heard: dict[int | None, list[Span]] = {}
    for one in found:
        heard.setdefault(one.heard.piece.chunk.channel, []).extend(speech_of(one.heard.piece))
    return {channel: spans_of(spans) for channel, spans in heard.items()}


def second_pieces(found: Sequence[Found]) -> dict[int, list[Piece]]:
    """Return, for each piece that lost speech, by its place in the list, what to ask for: cut otherwise."""
    again: dict[int, list[Piece]] = {}
    for at, one in enumerate(found):
        if one.heard.answer is not None and (lost := _said_nowhere(one, found)):
            piece = one.heard.piece
            first_s, last_s = lost[0][0], lost[-1][1]
            part = part_of(piece, round(first_s * RATE), round(last_s * RATE))
            again[at] = halves(piece) if part.pcm_sha256 == piece.pcm_sha256 else [part]
    return again


def ask_again(found: Sequence[Found], again: Mapping[int, Sequence[Piece]], hearing: Hearing) -> list[Found]:
    """Ask once more, and take the words of the second answers for what was lost."""
    work = hearing.work
    for at in again:
        unit = found[at].heard.piece.chunk.unit
        work.reporter.stage_note(work.step.stage, f"{unit}: speech without words; asked for again, cut otherwise")
    second = hearing.hear([piece for pieces in again.values() for piece in pieces])
    mended = list(found)
    for at in again:
        parts = tuple(one for one in second if _is_part(one.piece, found[at].heard.piece))
        words = [word for one in parts for word in _words(one)]
        judged = Found.of(found[at].heard, _mended(found[at], words))
        mended[at] = evolve(judged, lost=found[at].coverage.lost, again=parts)
    return mended


def in_order(found: Sequence[Found]) -> list[Word]:
    """Return all words by their start, those of pieces that overlap once."""
    channels: dict[int | None, list[Part]] = {}
    for one in found:
        piece = one.heard.piece
        part = Part(piece.chunk.start / RATE, piece.chunk.end / RATE, one.words)
        channels.setdefault(piece.chunk.channel, []).append(part)
    keyed: list[tuple[float, Word]] = []
    for parts in channels.values():
        words = stitched(parts)
        keyed += zip(starts_of(words, 0.0), words, strict=True)
    return [word for _, word in sorted(keyed, key=lambda pair: pair[0])]


def gaps_of(found: Sequence[Found], words: Sequence[Word], *, accounts_for_speech: bool) -> list[Gap]:
    """Return the speech that has no words: where the engine failed, and where it gave none.

    Speech on one channel while words are spoken on another isn't missing: microphones hear their neighbours.
    """
    gaps: list[Gap] = []
    for channel in dict.fromkeys(one.heard.piece.chunk.channel for one in found):
        own = [one for one in found if one.heard.piece.chunk.channel == channel]
        failed = [_extent(one.heard.piece) for one in own if one.heard.answer is None]
        slow = [span for one in own if not one.heard.has_times for span in one.coverage.lost]
        lost = spans_of([*failed, *(slow if accounts_for_speech else ())])
        if accounts_for_speech:
            speech = without(spans_of([span for one in own for span in speech_of(one.heard.piece)]), lost)
            lost = spans_of([*lost, *coverage(speech, words, least_s=LEAST_S).lost])
        gaps += (Gap(round(start_s, 3), round(end_s, 3), channel) for start_s, end_s in lost)
    return sorted(gaps, key=lambda gap: (gap.start_s, gap.channel or 0))


def missing_message(gaps: Sequence[Gap], run_again: str) -> str:
    """Return what a user is told of speech without words, and what to do."""
    shown = ", ".join(gap_text(gap).strip("[]").removeprefix("inaudible ") for gap in gaps[:NAMED_GAPS])
    more = f" and {len(gaps) - NAMED_GAPS} more" if len(gaps) > NAMED_GAPS else ""
    seconds = sum(gap.end_s - gap.start_s for gap in gaps)
    return (
        f"Speech was heard and no words came at {shown}{more}, {seconds:.0f} s in all. Listen there: if it is "
        f"music or noise, `{run_again} --allow-gaps` goes on and marks it in every output; if somebody speaks, try "
        "another --transcriber or --model. The words that came are kept; nothing is paid again for them."
    )


def _said_nowhere(one: Found, found: Sequence[Found]) -> tuple[Span, ...]:
    """Return what a piece lost and no other channel has; see `gaps_of`."""
    lost, channel = one.coverage.lost, one.heard.piece.chunk.channel
    others = [word for other in found if other.heard.piece.chunk.channel != channel for word in other.words]
    if not lost or not others or not one.heard.has_times:
        return lost
    return coverage(speech_of(one.heard.piece), [*one.words, *others]).lost


def _words(heard: Heard) -> tuple[Word, ...]:
    return tuple(placed(heard.answer["words"], heard.place)) if heard.answer else ()


def _turns(heard: Heard, name: str) -> Iterator[Turn]:
    return placed_turns((heard.answer or {}).get(name, []), heard.place)


def _is_part(piece: Piece, whole: Piece) -> bool:
    same = (piece.chunk.path, piece.chunk.channel) == (whole.chunk.path, whole.chunk.channel)
    return same and whole.chunk.start <= piece.chunk.start and piece.chunk.end <= whole.chunk.end


def _mended(found: Found, words: Sequence[Word]) -> list[Word]:
    if not found.heard.has_times:
        return max(list(found.words), list(words), key=len)
    lost = found.coverage.lost
    new = [word for word in words if any(start <= (word.start_s or 0.0) < end for start, end in lost)]
    keyed = zip(starts_of([*found.words, *new], 0.0), [*found.words, *new], strict=True)
    return [word for _, word in sorted(keyed, key=lambda pair: pair[0])]


def _extent(piece: Piece) -> Span:
    speech = speech_of(piece) or [(piece.chunk.start / RATE, piece.chunk.end / RATE)]
    return speech[0][0], speech[-1][1]
