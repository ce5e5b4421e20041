"""Colours that tell speakers apart, also for people who see colours otherwise. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from pipeline.formats.cues import Cue

PALETTE = ("FFFFFF", "F0E442", "56B4E9", "E69F00", "009E73", "CC79A7", "D55E00")
"""As RRGGBB, the first for whoever speaks first; each has a contrast of 5:1 or more against black.

Source: M. Okabe and K. Ito, Color Universal Design, 2008; without its blue and black, which are too dark. The
contrast is that of WCAG 2.2, success criterion 1.4.3, which asks for 4.5:1."""


@frozen
class Look:
    """How the words of a speaker are shown."""

    colour: str
    is_italic: bool


PLAIN = Look(PALETTE[0], False)
"""The look of what nobody says."""


def looks(cues: Sequence[Cue]) -> dict[str, Look]:
    """Return a look for each speaker, in the order in which they first speak.

    The looks differ for twice as many speakers as there are colours; then they come again.
    """
    speakers = dict.fromkeys(cue.speaker for cue in cues if cue.speaker is not None)
    count = len(PALETTE)
    return {speaker: Look(PALETTE[i % count], i // count % 2 == 1) for i, speaker in enumerate(speakers)}
