"""The diarizer `none`: one speaker, who speaks wherever anybody does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projections.engine import Engine

if TYPE_CHECKING:
    from pipeline.providers.base import Answer, Audio, Options, Work
    from pipeline.providers.context import Context


def make(context: Context) -> NoDiarizer:
    """Return the provider, as every entry point does."""
    return NoDiarizer()


class NoDiarizer:
    """Gives all speech to SPEAKER_00; for recordings of one person, or where names don't matter."""

    def engine(self) -> Engine:
        """Return the facts about this engine; it works everywhere and has no options."""
        return Engine(name="none", version=1)

    def diarize(self, audio: Audio, options: Options, work: Work) -> Answer:
        """Return a turn for each stretch of speech in the mix; none where nobody speaks."""
        from pipeline.audio.voice_activity import FRAMES_PER_S, speech_intervals

        intervals = speech_intervals(audio.mix, work.check)
        work.progress(audio.duration_s, audio.duration_s)
        turns = [
            {"start_s": first / FRAMES_PER_S, "end_s": end / FRAMES_PER_S, "speaker": "SPEAKER_00"}
            for first, end in intervals
        ]
        speech_s = sum(end - first for first, end in intervals) / FRAMES_PER_S
        metadata = {
            "speakers": int(bool(turns)),
            "segments": len(turns),
            "speech_s": speech_s,
            "count_method": "given",
        }
        return {"turns": turns, "metadata": metadata}
