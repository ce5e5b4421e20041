"""Who is called by name in a transcript: people whom the user named, and those who were recognised.

Names are in no log and in no index, only in the pipeline's own files; they are read there each time.
"""

from __future__ import annotations

import re

from eventlog.store import Store
from pipeline.annotations.speakers import newest, read_transcript
from pipeline.artifacts import Artifacts
from pipeline.home import Home
from pipeline.speech.naming import speech_of
from pipeline.speech.values import UNKNOWN_SPEAKER
from projections.fold import fold, initial_state

_LABEL = re.compile(rf"SPEAKER_\d+|{UNKNOWN_SPEAKER}")


def people_in(home: Home, store: Store, pipeline: str) -> frozenset[str]:
    """Return the names of the people in a pipeline's newest transcript; none where there is no transcript.

    Raises:
        LogError: the log can't be read.
        ArtifactMissingError: a file of the transcript, or of what was said of it, is gone or was changed.
    """
    state = fold(initial_state(pipeline), store.stream(pipeline))
    if (made := newest(state)) is None:
        return frozenset()
    transcript, _ = read_transcript(state, *made, Artifacts(home.artifacts(pipeline)))
    recognised = (label for label in speech_of(transcript) if not _LABEL.fullmatch(label))
    return frozenset({*transcript.names.values(), *recognised})
