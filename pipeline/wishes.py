"""What an option can be: the check that every value passes, from whichever source it comes. Pure but for paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import SettingsError
from pipeline.speech.times import clock, seconds_in
from projections.graph import DEFAULTS, FORMATS

_SPEAKERS_MAX = 999_999
_TEXT_CHARS_MAX = 1000
_TEXT_HINT = f"text of 1 to {_TEXT_CHARS_MAX} characters, in UTF-8"
_PROMPT_CHARS_MAX = 8000
_KEYWORD_CHARS_MAX = 100
_TRACKS_MAX = 9999
_TIME_MAX_S = 10_000 * 3600.0
_TIME_HINT = "seconds, MM:SS or H:MM:SS, e.g. 90, 1:30 or 1:02:03.5"
_WHOLE = {"track": "auto", "start_s": 0.0, "end_s": "end"}
"""What takes back that only something of a recording is read."""

_HINTS = {
    "track": f"the number of an audio track, from 1 to {_TRACKS_MAX}, or auto",
    "start_s": _TIME_HINT,
    "end_s": f"{_TIME_HINT}; or end",
    "identify": "a list of names of voiceprints",
    "allow_gaps": "true or false",
    "prompt": f"text of up to {_PROMPT_CHARS_MAX} characters, in UTF-8",
    "keywords": f"a list of words, each of 1 to {_KEYWORD_CHARS_MAX} characters on one line, without < and >",
}


def checked(name: str, value: Any, origin: str, known: tuple[str, ...] = tuple(DEFAULTS)) -> Any:
    """Return an option's value, or raise SettingsError if it can't have that value."""
    if name not in DEFAULTS:
        raise no_setting(name, origin, known)
    value, good = _selected(name, value) if name in _WHOLE else _taken(name, value)
    if not good:
        hint = f"a whole number from 1 to {_SPEAKERS_MAX}" if "speakers" in name else _TEXT_HINT
        hint = f"a list of {', '.join(FORMATS)}" if name == "formats" else hint
        hint = _HINTS.get(name, hint)
        raise SettingsError(f"{origin}: {name} can't be {shortened(value)}; it is {hint}.")
    return value


def _taken(name: str, value: Any) -> tuple[Any, bool]:
    """Return a value as it is kept, and whether it can be used."""
    if name == "allow_gaps":
        good = isinstance(value, bool)
    elif name in {"speakers", "min_speakers", "max_speakers"}:
        good = value is None or (type(value) is int and 1 <= value <= _SPEAKERS_MAX)
    elif name == "formats":
        good = isinstance(value, list) and bool(value) and all(item in FORMATS for item in value)
        value = list(dict.fromkeys(value)) if good else value
    elif name == "prompt":
        good = value is None or value == "" or is_text(value, _PROMPT_CHARS_MAX)
        value = value or None
    elif name == "keywords":
        good = value is None or (isinstance(value, list) and all(map(_is_keyword, value)))
        value = list(dict.fromkeys(value)) or None if good and value else value or None
    elif name == "identify":
        good = value is None or (isinstance(value, list) and bool(value) and all(map(is_text, value)))
        value = list(dict.fromkeys(value)) if good and value else value
    else:
        if name in {"diarizer", "transcriber"} and isinstance(value, str) and value.startswith("script:"):
            value = f"script:{Path(value.removeprefix('script:')).absolute()}"
        good = is_text(value) or (name == "model" and value is None)
    return value, good


def _selected(name: str, value: Any) -> tuple[Any, bool]:
    """Return what is selected of a recording, None for all of it, and whether the value can be used."""
    if name != "track" and isinstance(value, str) and (seconds := seconds_in(value)) is not None:
        value = seconds
    if value is None or value == _WHOLE[name]:
        return None, True
    if name == "track":
        return value, type(value) is int and 1 <= value <= _TRACKS_MAX
    is_time = type(value) in {int, float} and 0 < value <= _TIME_MAX_S
    return (round(float(value), 3), True) if is_time else (value, False)


def no_setting(name: str, origin: str, names: tuple[str, ...]) -> SettingsError:
    """Return the error for a name that means nothing."""
    return SettingsError(f"{origin} sets {shortened(name)}, which is no setting. There are: {', '.join(names)}.")


def contradiction(options: Mapping[str, Any], name_of: Callable[[str], str] = str) -> str | None:
    """Return a sentence where options contradict one another, with names as they are called there; else None."""
    least, most = options.get("min_speakers") or 1, options.get("max_speakers") or 10**6
    if not least <= (options.get("speakers") or least) <= most:
        names = [name_of(name) for name in ("speakers", "min_speakers", "max_speakers")]
        return f"{names[0]}, {names[1]} and {names[2]} contradict one another."
    start_s, end_s = options.get("start_s") or 0.0, options.get("end_s")
    if end_s is not None and start_s >= end_s:
        return f"{name_of('start_s')} {clock(start_s)} is not before {name_of('end_s')} {clock(end_s)}."
    return None


def shortened(value: Any) -> str:
    """Return a value that can't be used, for an error; of a table, which may hold keys, only that it is one."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list) and not all(isinstance(item, str) for item in value):
        return "such a list"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _is_keyword(value: Any) -> bool:
    """Say whether services take a value as a keyword; OpenAI refuses the whole request for one that it doesn't."""
    return is_text(value, _KEYWORD_CHARS_MAX) and value.isprintable() and not {"<", ">"} & set(value)


def is_text(value: Any, most: int = _TEXT_CHARS_MAX) -> bool:
    """Say whether a value is text that files and the system can hold."""
    if not isinstance(value, str) or not 0 < len(value) <= most or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
