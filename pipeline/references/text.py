"""Reading lines, numbers and names out of files that people and many programs write. Pure."""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterator, Sequence

from pipeline.errors import PipelineError

_LINE_END = re.compile("\r\n|\r|\n")
_GAP = re.compile(r"\[inaudible [\d:]+\N{EN DASH}[\d:]+\]")
"""What evt writes in the place of speech that it has no words of: `pipeline.speech.transcript.gap_text`."""

_NAME = re.compile(
    r"(?:-\s+)?(?:\[(?P<bracketed>[^\[\]:]+)\]|(?P<plain>[^\[\]:,;!?\s]+(?:\s[^\[\]:,;!?\s]+){0,3})):(?:\s+|$)"
)
"""`Ann: …`, `[SPEAKER_00]: …`, `- Dr. Ann Lee: …`; more than four words, or half a sentence, are no name."""


class ReferenceFileError(PipelineError):
    """A transcript to score can't be read; the message says which line is wrong, and how it should be."""


def decoded(content: bytes) -> str:
    """Return a file's text: UTF-8, or UTF-16 where a byte order mark says so; the mark is no part of it.

    Raises:
        ReferenceFileError: it is neither.
    """
    utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ReferenceFileError(
            f"line {line}: this is not UTF-8 text. Save the file as UTF-8, or give another one."
        ) from error


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line that isn't blank with its number, from 1; any line end will do."""
    for number, line in enumerate(_LINE_END.split(text), start=1):
        if line.strip():
            yield number, line.strip()


def numbered_blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each run of lines without a blank one, with the number of its first line, from 1."""
    block: list[str] = []
    for number, line in enumerate([*_LINE_END.split(text), ""], start=1):
        if line.strip():
            block.append(line.strip())
        elif block:
            yield number - len(block), block
            block = []


def seconds(written: str, line: int, what: str) -> float:
    """Return a number of seconds that is not negative.

    Raises:
        ReferenceFileError: it is none.
    """
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise ReferenceFileError(f"line {line}: {what} is {written!r}; it must be a number of seconds from 0.")
    return value


def require_order(start_s: float, end_s: float, line: int) -> None:
    """See that a stretch doesn't end before it begins.

    Raises:
        ReferenceFileError: it does.
    """
    if end_s < start_s:
        raise ReferenceFileError(f"line {line}: it ends at {end_s:g} s, before it begins at {start_s:g} s.")


def spoken(text: str) -> str:
    """Return text without what stands for speech that has no words."""
    return _GAP.sub(" ", text).strip()


def with_names(texts: Sequence[str]) -> list[tuple[str | None, str]]:
    """Part names from what is said: (name, text) of each, if every one begins with a name and a colon.

    Otherwise none has a name, since a colon after a few words is then more likely what was said; likewise where
    there is only one text, unless the name is one word.
    """
    found = [match for text in texts if (match := _NAME.match(text))]
    names = [(match["bracketed"] or match["plain"]).strip() for match in found]
    if len(names) < len(texts) or not all(names) or (len(names) == 1 and " " in names[0]):
        return [(None, text) for text in texts]
    return [(name, text[match.end() :]) for name, match, text in zip(names, found, texts, strict=True)]
