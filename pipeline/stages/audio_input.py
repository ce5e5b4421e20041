"""The converted recording, as the stages that read it want it."""

from __future__ import annotations

from pipeline.providers.base import Audio
from pipeline.work import StageWork
from projections.graph import AUDIO_CONVERSION


def audio_of(work: StageWork) -> Audio:
    """Return the converted recording; the runner has verified its files."""
    converted = work.inputs[AUDIO_CONVERSION]
    paths = {ref.path.rpartition("/")[2]: work.artifacts.path(ref) for ref in converted.outputs}
    mix = paths.pop("audio.flac")
    return Audio(
        mix,
        tuple(paths[name] for name in sorted(paths, key=lambda name: (len(name), name))),
        converted.metadata["duration_s"],
    )


def pcm_digests(work: StageWork) -> dict[str, str]:
    """Return the PCM digest of each converted file, by its name without suffix; `audio` is the mix."""
    digests: dict[str, str] = work.inputs[AUDIO_CONVERSION].metadata["pcm"]
    return digests
