"""The diarizer `channels`: each channel of the recording is one speaker, as in calls recorded on two lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.engine import Engine

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.providers.base import Answer, Audio, Options, Work
    from pipeline.providers.context import Context


def make(context: Context) -> ChannelsDiarizer:
    """Return the provider, as every entry point does."""
    return ChannelsDiarizer()


class ChannelsDiarizer:
    """Gives the speech of each channel to a speaker of its own, so that overlaps are no difficulty."""

    def engine(self) -> Engine:
        """Return the facts about this engine; it works everywhere and has no options."""
        return Engine(name="channels", version=1)

    def diarize(self, audio: Audio, options: Options, work: Work) -> Answer:
        """Return a turn for each stretch of speech of each channel; channels without speech have no speaker.

        Raises:
            ProviderError: the recording has no separate channels; use another diarizer.
        """
        turns = []
        for channel, path in enumerate(_channels(audio)):
            turns += _channel_turns(path, channel, work)
            work.progress(audio.duration_s * (channel + 1) / len(audio.channels), audio.duration_s)
        turns.sort(key=lambda turn: (turn["start_s"], turn["channel"]))
        _name_speakers(turns)
        speech_s = sum(turn["end_s"] - turn["start_s"] for turn in turns)
        metadata = {
            "speakers": len({turn["speaker"] for turn in turns}),
            "segments": len(turns),
            "speech_s": round(speech_s, 3),
            "count_method": "given",
        }
        return {"turns": turns, "metadata": metadata}


def _channels(audio: Audio) -> tuple[Path, ...]:
    from pipeline.errors import ProviderError

    if not audio.channels:
        raise ProviderError(
            "The recording's channels don't carry different speech, so they can't tell the speakers apart. "
            "Use the diarizer `builtin`.",
            provider="channels",
            code="no_channels",
        )
    return audio.channels


def _channel_turns(path: Path, channel: int, work: Work) -> list[dict[str, Any]]:
    from pipeline.audio.voice_activity import FRAMES_PER_S, speech_intervals

    return [
        {"start_s": first / FRAMES_PER_S, "end_s": end / FRAMES_PER_S, "channel": channel}
        for first, end in speech_intervals(path, work.check)
    ]


def _name_speakers(turns: list[dict[str, Any]]) -> None:
    """Name the speakers in the order of their first turns."""
    names: dict[int, str] = {}
    for turn in turns:
        turn["speaker"] = names.setdefault(turn["channel"], f"SPEAKER_{len(names):02d}")
