"""One recording, whatever its form, becomes canonical audio: 16 kHz mono s16 FLAC. Import it lazily.

The sound flows through in blocks of a few seconds, so memory doesn't grow with length. Mono is read once. For
several channels the first reading guesses that their mean will do; where the whole recording says otherwise, a
second reading does it right.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import define, field

from pipeline.audio import containers, resample, soundfiles
from pipeline.audio.ahead import ahead
from pipeline.audio.conversion import Conversion, Track, Watcher, checked_size
from pipeline.audio.mix import Mix, Statistics, best_mix, mean_of, only, separate_channels
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.audio.source import Facts, Findings, Source

MIX_NAME = "audio.flac"
SLOWEST_HZ = 2000
"""No recording has a lower rate; a damaged header may, and would blow up to gigabytes."""

FLOOR_DB = -120.0


def convert(source: Path, folder: Path, *, work: Watcher) -> Conversion:
    """Convert a recording into files of an existing folder: `audio.flac` and perhaps `channel-N.flac`.

    Nothing is synced or renamed, and after an error the folder may hold parts; it is the caller's scratch space.
    Progress is counted in seconds of the source and begins again where a second reading is needed.

    Returns:
        The files, and as metadata: size_bytes, rate_hz, channels, codec, container, tracks (audio streams) of the
        source; duration_s, rms_dbfs and peak_dbfs of the mix (full scale is 0, silence -120); clipped_share of the
        source's samples, 0 to 1; start_offset_s, gaps and gaps_s filled with silence; downmix (mono, single,
        mean), downmix_channels and downmix_inverted; decoder, resampler; warnings, a list of sentences.

    Raises:
        SourceRejectedError: missing, empty, without sound, or of no known kind; another file is needed.
        OSError: reading or writing failed; make room or check the disk, then start again.
    """
    size_bytes = checked_size(source)
    with _opened(source) as opened:
        channels = opened.facts.channels
        statistics = Statistics(opened.facts.rate_hz, channels)
        guess = _Rendering(folder, {None: mean_of(channels)})
        guess.render(opened, work, statistics)
    if not guess.seconds:
        raise SourceRejectedError(f"{source.name!r} holds no sound at all. Choose another file.")
    lacking = _Rendering(folder, _lacking(statistics, guess.mixes))
    if lacking.mixes:
        with _opened(source) as opened:
            lacking.render(opened, work, None)
    of_source = {"size_bytes": size_bytes, "clipped_share": round(statistics.clipped_share, 6)}
    of_mix = (lacking if None in lacking.mixes else guess).metadata()
    metadata = of_source | _source_metadata(opened.facts, opened.findings) | of_mix
    return Conversion(tuple((guess.tracks() | lacking.tracks()).values()), metadata)


def stated_s(source: Path) -> float | None:
    """Return how long a recording says it is, in seconds; None where it doesn't say, or isn't audio."""
    try:
        checked_size(source)
        with _opened(source) as opened:
            return opened.facts.total_s
    except (SourceRejectedError, OSError):
        return None


@contextmanager
def _opened(path: Path) -> Iterator[Source]:
    """Open with the fast decoder, else with the one for everything."""
    with ExitStack() as stack:
        try:
            source: Source | None = stack.enter_context(soundfiles.open_lossless(path))
            source = source or stack.enter_context(containers.open_container(path))
        except PermissionError as error:
            raise SourceRejectedError(f"{path.name!r} may not be read. Change its permissions.") from error
        if source.facts.rate_hz < SLOWEST_HZ or not source.facts.channels:
            raise SourceRejectedError(f"{path.name!r} is damaged: its header makes no sense. Choose another file.")
        yield source


def _lacking(statistics: Statistics, written: Mapping[int | None, Mix]) -> dict[int | None, Mix]:
    """Return the mixes that are wanted and not yet written, by channel; None stands for the mono mix of all."""
    mix, levels_db = best_mix(statistics), statistics.levels_db()
    wanted: dict[int | None, Mix] = {None: mix}
    wanted |= {channel: only(channel, len(levels_db)) for channel in separate_channels(levels_db)}
    return {channel: mix for channel, mix in wanted.items() if written.get(channel) != mix}


@define
class Level:
    """The loudness of 16-bit samples: RMS and peak against full scale."""

    samples: int = 0
    energy: float = 0.0
    peak: int = 0

    def add(self, block: NDArray[np.int16]) -> None:
        """Count a block."""
        floats = block.astype(np.float32)
        self.samples += len(block)
        self.energy += float(np.einsum("n,n->", floats, floats))
        self.peak = max(self.peak, int(block.max(initial=0)), -int(block.min(initial=0)))

    def rms_dbfs(self) -> float:
        """Return the root mean square over everything; a full-scale sine has -3.01."""
        return _dbfs((self.energy / max(1, self.samples)) ** 0.5)

    def peak_dbfs(self) -> float:
        """Return the largest sample."""
        return _dbfs(self.peak)


def _dbfs(amplitude: float) -> float:
    return round(max(FLOOR_DB, 20 * log10(amplitude / 32768)), 2) if amplitude else FLOOR_DB


@define
class _Rendering:
    """One reading of the source into files; `mixes` says what to write, by channel."""

    folder: Path
    mixes: dict[int | None, Mix]
    _written: dict[int | None, soundfiles.FlacWriter] = field(factory=dict)
    _level: Level = field(factory=Level)

    def render(self, source: Source, work: Watcher, statistics: Statistics | None) -> None:
        """Read all of the source and write the files; decoding, resampling and encoding overlap."""
        with ExitStack() as stack:
            for channel in self.mixes:
                writer = soundfiles.FlacWriter(self.folder / _name(channel))
                self._written[channel] = stack.enter_context(closing(writer))
            blocks = stack.enter_context(closing(ahead(source.blocks())))
            resampled = _resampled(blocks, source.facts.rate_hz, list(self.mixes.values()), statistics)
            for rows in stack.enter_context(closing(ahead(resampled))):
                self._write(rows)
                work.check()
                work.progress(self.seconds, max(self.seconds, source.facts.total_s or 0.0))

    def _write(self, rows: Sequence[NDArray[np.float32]]) -> None:
        for (channel, writer), row in zip(self._written.items(), rows, strict=True):
            samples = resample.to_s16(row)
            writer.write(samples)
            if channel is None:
                self._level.add(samples)

    @property
    def seconds(self) -> float:
        return max(writer.samples for writer in self._written.values()) / resample.RATE_HZ

    def tracks(self) -> dict[int | None, Track]:
        return {
            channel: Track(_name(channel), channel, writer.pcm_sha256(), writer.samples)
            for channel, writer in self._written.items()
        }

    def metadata(self) -> dict[str, Any]:
        mix = self.mixes[None]
        return {
            "duration_s": self.seconds,
            "rms_dbfs": self._level.rms_dbfs(),
            "peak_dbfs": self._level.peak_dbfs(),
            "downmix": mix.rule,
            "downmix_channels": [channel for channel, sign in enumerate(mix.signs) if sign],
            "downmix_inverted": [channel for channel, sign in enumerate(mix.signs) if sign < 0],
        }


def _name(channel: int | None) -> str:
    return MIX_NAME if channel is None else f"channel-{channel}.flac"


def _resampled(
    blocks: Iterator[NDArray[np.float32]], rate_hz: int, mixes: Sequence[Mix], statistics: Statistics | None
) -> Generator[list[NDArray[np.float32]], None, None]:
    """Yield, per block of the source, one row of 16 kHz samples for each mix.

    Mixing comes before resampling: both are linear, and one channel is less work than many.
    """
    resamplers = [resample.Resampler(rate_hz) for _ in mixes]
    for block in blocks:
        if statistics is not None:
            statistics.add(block)
        yield [each(mix.apply(block)) for mix, each in zip(mixes, resamplers, strict=True)]
    yield [each(np.zeros(0, np.float32), last=True) for each in resamplers]


def _source_metadata(facts: Facts, findings: Findings) -> dict[str, Any]:
    return {
        "rate_hz": facts.rate_hz,
        "channels": facts.channels,
        "codec": facts.codec,
        "container": facts.container,
        "tracks": facts.tracks,
        "decoder": facts.decoder,
        "resampler": resample.version(facts.rate_hz),
        "start_offset_s": round(findings.start_offset_s, 3),
        "gaps": findings.gaps,
        "gaps_s": round(findings.gaps_s, 3),
        "warnings": list(findings.warnings),
    }
