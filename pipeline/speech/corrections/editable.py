"""A transcript as text that people can edit, and back. Pure.

A paragraph is `[00:00:12] Anna: text`, one for each utterance, with an empty line between them. What comes back may
be wrapped anywhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from pipeline.speech.scripts import joined
from pipeline.speech.times import clock
from pipeline.speech.transcript import Transcript, gap_text, one_line
from pipeline.speech.values import Utterance

HELP = (
    "# Words may be changed, added and deleted; an empty line divides a paragraph, no empty line joins two.",
    "# The name behind a time may be changed, a paragraph may be deleted. A new one needs a time and a name.",
    "# Times of words that are there already don't change. Lines like these, above the first time, are left out.",
)
"""What may be changed; the first lines of the text."""

_MARK = re.compile(r"# As of ([0-9a-f]{16}): changes made here are changes of what stands here now\.")
"""Says of which transcript a text was made, so that an old text takes nothing back that was corrected since."""
_HEAD = re.compile(r"\[(\d+):([0-5]\d):([0-5]\d)(?:[.,](\d{1,3}))?\](.*)", re.DOTALL)
_LIKE_A_HEAD = re.compile(r"\[\s*\d")
_GAP = re.compile(r"\[inaudible [\d:]+–[\d:]+\]")


class EditedTextError(ValueError):
    """An edited text can't be read; `line` counts from 1, the message says what is expected there."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@frozen
class Paragraph:
    """What one person says in an edited text.

    Attributes:
        time_s: the time in front of it; not that of its words, and the one of the paragraph before where it was
            divided from that.
        speaker: a label, or a name that nobody in the transcript has.
        text: on one line; may be empty.
        begins: it has a time and a name of its own.
    """

    time_s: float
    speaker: str
    text: str
    begins: bool = True


def text_of(transcript: Transcript) -> str:
    """Return a transcript as text to edit; speakers are called by their names."""
    body = _body(transcript)
    digest = hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    mark = f"# As of {digest}: changes made here are changes of what stands here now."
    return "\n".join([*HELP, mark]) + f"\n\n{body}"


def mark_of(text: str) -> str | None:
    """Return which transcript a text was made of; None where its line is not there any more."""
    found = _MARK.search(text)
    return found[1] if found else None


def _body(transcript: Transcript) -> str:
    blocks, names = [], _shown_speakers(transcript)
    for passage in transcript.passages:
        if not isinstance(passage, Utterance):
            blocks.append(gap_text(passage))
        elif shown := text_of_utterance(passage):
            blocks.append(f"[{clock(passage.start_s)}] {names[passage.speaker]}: {shown}")
    return "\n\n".join(blocks) + "\n"


def text_of_utterance(utterance: Utterance) -> str:
    """Return the words of an utterance as people see them; empty where none has a visible character."""
    return joined(shown for word in utterance.words if (shown := one_line(word.text)))


def paragraphs_of(text: str, transcript: Transcript) -> tuple[Paragraph, ...]:
    """Return the paragraphs of an edited text, in its order.

    Raises:
        EditedTextError: a line can't be understood.
    """
    shown = _shown_speakers(transcript)
    labels = {one_line(label): label for label in shown} | {name: label for label, name in shown.items()}
    found: list[Paragraph] = []
    for line, block in _blocks(text.removeprefix("\ufeff").split("\n")):
        head = _HEAD.match(block[0].strip())
        if head is None:
            if not found:
                raise EditedTextError(
                    line, "the first paragraph must begin with a time and a name: [00:00:12] Anna: …"
                )
            _require_no_head(line, block[0].strip(), labels)
            found.append(Paragraph(found[-1].time_s, found[-1].speaker, _one(block), begins=False))
            continue
        name, colon, first = head[5].partition(":")
        if not colon or not one_line(name):
            raise EditedTextError(line, "behind the time must stand who speaks, and a colon: [00:00:12] Anna: …")
        speaker = labels.get(one_line(name), one_line(name))
        found.append(Paragraph(_seconds(head), speaker, _one([first, *block[1:]])))
    if not found and any(map(text_of_utterance, transcript.utterances)):
        raise EditedTextError(
            1, "there is no paragraph in it; to delete what was said, leave [00:00:12] Anna: there"
        )
    return tuple(found)


def _require_no_head(line: int, text: str, labels: Mapping[str, str]) -> None:
    """Refuse a paragraph with half a head: it would become words of whoever spoke before."""
    name, colon, _ = text.partition(":")
    if colon and one_line(name.rpartition("]")[2]) in labels:
        raise EditedTextError(line, "a speaker's paragraph begins with a time as well: [00:00:12] Anna: …")


def _shown_speakers(transcript: Transcript) -> Mapping[str, str]:
    """Return what the text calls each speaker, by label: on one line, without a colon, no two alike."""
    shown: dict[str, str] = {}
    for label in dict.fromkeys(
        [*(u.speaker for u in transcript.utterances), *(t.speaker for t in transcript.turns)]
    ):
        name = one_line(transcript.names.get(label, label)).replace(":", "꞉") or "?"
        while name in shown.values():
            name += "'"
        shown[label] = name
    return shown


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield paragraphs with the number of their first line, without the help and the marks of gaps."""
    block: list[str] = []
    begun = False
    for number, line in enumerate([*lines, ""], start=1):
        text = line.strip()
        begins = _HEAD.match(text) is not None
        if not begins and _LIKE_A_HEAD.match(text):
            raise EditedTextError(number, "a time must be written as [00:00:12], with who speaks behind it")
        if block and (begins or not text):
            yield number - len(block), block
            block = []
        is_help = not begun and text.startswith("#")
        if text and not is_help and not (not block and _GAP.fullmatch(text)):
            begun = True
            block.append(line)


def _one(lines: Iterable[str]) -> str:
    """Return lines as one: a line may end between words, or between letters of a script without spaces."""
    return joined(filter(None, map(one_line, lines)))


def _seconds(head: re.Match[str]) -> float:
    return int(head[1]) * 3600 + int(head[2]) * 60 + int(head[3]) + float(f"0.{head[4] or 0}")
