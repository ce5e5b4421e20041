"""What stages read of other stages: the names of their outputs, and the converted recording."""

from __future__ import annotations

from pipeline.artifacts import Artifacts
from pipeline.providers.base import Audio
from projections.state import Attempt

TURNS = "turns.json"
WORDS = "words.json"


def audio_of(converted: Attempt, artifacts: Artifacts) -> Audio:
    """Return the converted recording; the runner has verified its files."""
    paths = {ref.path.rpartition("/")[2]: artifacts.path(ref) for ref in converted.outputs}
    mix = paths.pop("audio.flac")
    return Audio(
        mix,
        tuple(paths[name] for name in sorted(paths, key=lambda name: (len(name), name))),
        converted.metadata["duration_s"],
    )


def begin_of(converted: Attempt) -> float:
    """Return where on the recording's clock the converted audio begins, in seconds; 0 unless it is an excerpt."""
    return float(converted.metadata.get("start_s", 0.0))


def pcm_digests(converted: Attempt) -> dict[str, str]:
    """Return the PCM digest of each converted file, by its name without suffix; `audio` is the mix."""
    digests: dict[str, str] = converted.metadata["pcm"]
    return digests
