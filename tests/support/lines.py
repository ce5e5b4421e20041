"""What subtitles show, taken apart into the words that were said."""

from __future__ import annotations

from itertools import accumulate, pairwise

from pipeline.speech.scripts import joined


def words_by_line(lines: list[str], words: list[str]) -> list[list[str]]:
    """Return the words of each line; fail where a line ends within a word, or has others than these."""
    ends = list(accumulate(map(len, words)))
    shown = ["".join(line.split(" ")) for line in lines]
    assert "".join(shown) == "".join(words)
    borders = [0, *(ends.index(at) + 1 for at in accumulate(map(len, shown)))]
    found = [words[first:end] for first, end in pairwise(borders)]
    assert [joined(of_line) for of_line in found] == lines
    return found
