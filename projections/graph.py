"""The stages as data: their order, what each reads, their versions, and the options with defaults."""

from __future__ import annotations

from typing import Any, Final

AUDIO_CONVERSION: Final = "audio_conversion"
DIARIZATION: Final = "diarization"
TRANSCRIPTION: Final = "transcription"
MERGE: Final = "merge"
EXPORT: Final = "export"

VOICEPRINT: Final = "voiceprint"
"""Work on a recording that is no stage of its transcript: no plan of a transcript reads or reuses it."""

STAGES: Final = (AUDIO_CONVERSION, DIARIZATION, TRANSCRIPTION, MERGE, EXPORT)

READS: Final[dict[str, tuple[str, ...]]] = {
    AUDIO_CONVERSION: (),
    DIARIZATION: (AUDIO_CONVERSION,),
    TRANSCRIPTION: (AUDIO_CONVERSION,),
    MERGE: (DIARIZATION, TRANSCRIPTION),
    EXPORT: (MERGE,),
}
"""Whose outputs a stage reads. A transcriber without word times reads the turns as well."""

VERSIONS: Final[dict[str, int]] = {
    AUDIO_CONVERSION: 1,
    DIARIZATION: 1,
    TRANSCRIPTION: 2,
    MERGE: 2,
    EXPORT: 2,
}
"""Raised when the same inputs and options would give another result. Part of each stage's key: what exists is
then reported as stale, and made again only on request."""

FORMATS: Final = (
    *("txt", "srt", "vtt", "json", "rttm"),
    *("md", "docx", "csv", "tsv", "jsonl", "ctm", "textgrid", "eaf", "ass", "ttml"),
)
"""What can be made; each is a file in `pipeline/formats`."""

SUFFIXES: Final = {"textgrid": "TextGrid"}
"""What a delivered file's name ends with, where it isn't the format's name: what its program looks for."""

USUAL_FORMATS: Final = ("txt", "srt", "vtt", "json", "rttm")
"""What is made when nobody says anything."""

DEFAULTS: Final[dict[str, Any]] = {
    "track": None,
    "start_s": None,
    "end_s": None,
    "diarizer": "auto",
    "speakers": None,
    "min_speakers": None,
    "max_speakers": None,
    "identify": None,
    "transcriber": "auto",
    "model": None,
    "language": "auto",
    "prompt": None,
    "keywords": None,
    "allow_gaps": False,
    "formats": list(USUAL_FORMATS),
}
"""Every option that can change a result, with the value that it has when nobody says anything."""

SELECTION: Final = ("track", "start_s", "end_s")
"""Options that say what of a recording is read. The key of its conversion names those that are set, so that other
keys are what they were before there were such options."""

TEXTS: Final = ("prompt", "keywords")
"""Options whose values are words of people: logs and keys hold references, see `pipeline.texts`. Where one isn't
set, the key doesn't name it, so keys are what they were before there was such an option."""

_FLAGS: Final = {"start_s": "--start", "end_s": "--end"}


def flag_of(option: str) -> str:
    """Return what an option is called on the command line."""
    return _FLAGS.get(option, f"--{option.replace('_', '-')}")
