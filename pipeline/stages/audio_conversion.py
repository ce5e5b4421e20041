"""From any container and codec to 16 kHz mono FLAC: a mix, and a file per channel where those differ."""

from __future__ import annotations

from pipeline.providers.registry import Providers
from pipeline.work import StageResult, StageWork


def run(work: StageWork, providers: Providers) -> StageResult:
    """Convert the recording; the metadata hold the PCM digests that later stages are keyed by.

    Raises:
        SourceRejectedError: the file is not audio, or changed while it was read.
        DecoderError: a decoder crashed, or used more than any recording should.
    """
    from pipeline.audio.conversion import Selection
    from pipeline.audio.sandbox.client import convert

    assert work.recording is not None, "the plan runs this stage only with the recording at hand"
    work.recording.require_unchanged()
    scratch = work.folder.scratch()
    selection = Selection.of(work.step.options)
    first, *then = (file.path for file in work.recording.files)
    conversion = convert(first, scratch, work=work, then=then, selection=selection)
    work.recording.require_unchanged()
    outputs = tuple(work.folder.adopt(scratch / track.name, track.name) for track in conversion.tracks)
    pcm = {track.name.removesuffix(".flac"): track.pcm_sha256 for track in conversion.tracks}
    samples = {track.name.removesuffix(".flac"): track.samples for track in conversion.tracks}
    return StageResult(outputs, {**conversion.metadata, "pcm": pcm, "samples": samples})
