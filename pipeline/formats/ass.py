"""Advanced SubStation Alpha subtitles: a style of its own colour for each speaker, the name beside each cue.

Source: the Aegisub and libass projects' descriptions of ASS version 4.00+.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from pipeline.formats.colours import PLAIN, Look, looks
from pipeline.formats.cues import Cue, clock, cues
from pipeline.speech.transcript import Transcript, one_line

DEFAULT = "Default"
"""The style of cues that no speaker has; players fall back to the style of this name."""

_LITERAL = str.maketrans({"{": "｛", "}": "｝", "\\": "＼"})
"""What would begin an override or a command is shown full-width; no escape is understood by every player."""

_FIELD = str.maketrans({",": "，"})
"""Commas end every field but the last."""

AUTOMATIC_DIRECTION = -1
"""As an encoding: a line runs as its first letter does. It isn't the default, since VSFilter doesn't know it.

Source: libass, ass_shaper.c, ass_resolve_base_direction."""

_HEAD = """\
[Script Info]
{notes}Title: {title}
ScriptType: v4.00+
PlayResX: 1920
PlayResY: 1080
WrapStyle: 0
ScaledBorderAndShadow: yes

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, \
Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, \
MarginV, Encoding
{styles}
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
{events}"""


def render(transcript: Transcript) -> str:
    """Write the transcript as ASS; notes come first, as comments."""
    found = cues(transcript.passages, lambda speaker: "")
    known = looks(found)
    names = _style_names(known)
    turned = {cue.speaker for cue in found if any(map(_is_right_to_left, "".join(cue.lines)))}
    styles = [_style(DEFAULT, PLAIN, None in turned)]
    styles += [_style(names[speaker], look, speaker in turned) for speaker, look in known.items()]
    return _HEAD.format(
        notes="".join(f"; {note}\n" for note in transcript.notes),
        title=one_line(transcript.name),
        styles="".join(styles),
        events="".join(_event(cue, names) for cue in found),
    )


def _style_names(speakers: Iterable[str]) -> Mapping[str, str]:
    """Name a style for each speaker like the speaker, as far as a style can be called so; no two are alike."""
    names: dict[str, str] = {}
    taken = {DEFAULT.casefold()}
    for speaker in speakers:
        # A leading asterisk marks the default style.
        plain = _field(speaker).lstrip("* ") or "Speaker"
        name, number = plain, 1
        while name.casefold() in taken:
            number += 1
            name = f"{plain} {number}"
        taken.add(name.casefold())
        names[speaker] = name
    return names


def _style(name: str, look: Look, is_right_to_left: bool) -> str:
    colour = f"&H00{look.colour[4:6]}{look.colour[2:4]}{look.colour[0:2]}"
    encoding = AUTOMATIC_DIRECTION if is_right_to_left else 1
    return (
        f"Style: {name},Arial,60,{colour},{colour},&H00000000,&H80000000,0,{-look.is_italic:d},"
        f"0,0,100,100,0,0,1,3,1,2,96,96,54,{encoding}\n"
    )


def _event(cue: Cue, names: Mapping[str, str]) -> str:
    style = DEFAULT if cue.speaker is None else names[cue.speaker]
    text = r"\N".join(line.translate(_LITERAL) for line in cue.lines)
    times = f"{_clock(cue.start_s)},{_clock(cue.end_s)}"
    return f"Dialogue: 0,{times},{style},{_field(cue.speaker or '')},0,0,0,,{text}\n"


def _clock(time_s: float) -> str:
    """Write a time as H:MM:SS.cc; hundredths are all that the format has."""
    return clock(round(time_s, 2), ".").removeprefix("0")[:-1]


def _field(text: str) -> str:
    return text.translate(_FIELD).translate(_LITERAL)


def _is_right_to_left(char: str) -> bool:
    return unicodedata.bidirectional(char) in ("R", "AL")
