"""What a subtitle may ask of its reader: how much fits on the screen, and for how long it must stay there. Pure."""

from __future__ import annotations

import unicodedata

from attrs import frozen


@frozen
class Profile:
    """The limits that cues are cut and timed by. Lengths are those of what is shown, names of speakers included.

    Full-width characters (Chinese, Japanese, Korean) have limits of their own, and a text of both kinds uses up
    each in proportion: a line is full with 42 narrow characters, with 16 wide ones, or with 21 and 8.

    Attributes:
        line_characters: narrow characters that fill a line.
        line_wide_characters: full-width characters that fill a line. Netflix has 16 for Chinese and Korean and
            13 for Japanese; 13 would cut Chinese more often than it needs.
        lines: of one cue.
        characters_per_s: how fast narrow characters are read. Netflix has 17 to 20 for adults, by language.
        wide_characters_per_s: the same of full-width ones. Netflix has 9 for Chinese, 12 for Korean and 4 for
            Japanese, whose subtitles shorten what was said; ours don't.
        shortest_s: a cue stays this long where the next one leaves room.
        longest_s: no cue stays longer.
        pushed_s: a cue stays at least this long even where the next one has to wait for it.
        gap_s: between two cues nothing is shown for so long; two frames of film.
        chained_s: a pause up to this isn't shown as one: the cue stays until the gap before the next.

    Source: Netflix Timed Text Style Guide: General Requirements, Subtitle Timing Guidelines, and the guides for
    English, Simplified Chinese, Japanese and Korean. `pushed_s` is ours.
    """

    line_characters: int = 42
    line_wide_characters: int = 16
    lines: int = 2
    characters_per_s: float = 17.0
    wide_characters_per_s: float = 9.0
    shortest_s: float = 5 / 6
    longest_s: float = 7.0
    pushed_s: float = 0.5
    gap_s: float = 2 / 24
    chained_s: float = 0.5

    @property
    def line_width(self) -> int:
        """The width that fills a line, in the units of `width`."""
        return self.line_characters * self.line_wide_characters

    def width(self, text: str) -> int:
        """Return how much of a line the text takes, in units of which `line_width` fill one."""
        narrow, wide = characters(text)
        return narrow * self.line_wide_characters + wide * self.line_characters

    def reading_s(self, text: str) -> float:
        """Return how long the text takes to read."""
        narrow, wide = characters(text)
        return narrow / self.characters_per_s + wide / self.wide_characters_per_s


READING = Profile()
"""The profile of all our subtitles."""


def characters(text: str) -> tuple[int, int]:
    """Count the narrow and the full-width characters that are seen; marks upon letters and joiners are none.

    Source: Unicode Standard Annex 11, East Asian Width: W and F are wide.
    """
    if text.isascii():
        return len(text), 0
    seen = [char for char in unicodedata.normalize("NFC", text) if unicodedata.category(char) not in _UNSEEN]
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in seen)
    return len(seen) - wide, wide


_UNSEEN = frozenset({"Mn", "Me", "Cf"})
