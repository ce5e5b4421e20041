"""One recording, whatever its form, becomes canonical audio: 16 kHz mono s16 FLAC. Import it lazily.

The sound flows through in blocks of a few seconds, so memory doesn't grow with length. Mono is read once. For
several channels the first reading guesses that their mean will do; where the whole recording says otherwise, a
second reading does it right.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import define, evolve, field

from pipeline.audio import resample, soundfiles
from pipeline.audio.ahead import ahead
from pipeline.audio.conversion import EVERYTHING, Conversion, Selection, Track, Watcher, checked_size
from pipeline.audio.mix import Mix, Statistics, best_mix, mean_of, only, separate_channels
from pipeline.audio.reading import Files
from pipeline.audio.source import Findings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.audio.source import Facts, Source

MIX_NAME = "audio.flac"
FLOOR_DB = -120.0


def convert(
    source: Path,
    folder: Path,
    *,
    work: Watcher,
    then: Sequence[Path] = (),
    selection: Selection = EVERYTHING,
    begins: Callable[[int], None] = lambda number: None,
) -> Conversion:
    """Convert a recording into files of an existing folder: `audio.flac` and perhaps `channel-N.flac`.

    Nothing is synced or renamed, and after an error the folder may hold parts; it is the caller's scratch space.
    Progress is counted in seconds of the source and begins again where a second reading is needed.

    Args:
        source: the recording.
        folder: for its files.
        work: watches.
        then: the files that go on where the first one ends, in their order.
        selection: what is read.
        begins: is told, counting from 0, which file is read next.

    Returns:
        The files, and as metadata: size_bytes, rate_hz, channels, codec, container, tracks (audio tracks) of the
        source, and where there are several the one that was read, `track`, and their `track_list`; duration_s,
        rms_dbfs and peak_dbfs of the mix (full scale is 0, silence -120); clipped_share of the source's samples,
        0 to 1; start_offset_s, gaps and gaps_s filled with silence; downmix (mono, single, mean, by_part),
        downmix_channels and downmix_inverted; decoder, resampler; warnings, a list of sentences. Of an excerpt
        also start_s, where on the recording's clock it begins, and recording_s, how long the whole is, or says it
        is. Of several files part_starts_s, where on that clock each begins that was read.

    Raises:
        SourceRejectedError: missing, empty, without sound, or of no known kind; another file is needed.
        OSError: reading or writing failed; make room or check the disk, then start again.
    """
    paths = (source, *then)
    size_bytes = sum(map(checked_size, paths))
    files = Files(paths, selection, begins)
    made = _together(files, folder, work) if files.are_alike else _one_by_one(files, folder, work)
    metadata = {"size_bytes": size_bytes, **made.metadata, **files.times()}
    metadata["warnings"] += files.late_end()
    return evolve(made, metadata=metadata)


def _together(files: Files, folder: Path, work: Watcher) -> Conversion:
    """Convert a file, or several of one form, which join without a seam."""
    with files.opened() as source:
        channels = source.facts.channels
        statistics = Statistics(source.facts.rate_hz, channels)
        guess = _Rendering(folder, (None,), files.selection.start_s)
        with guess:
            guess.render(source, {None: mean_of(channels)}, work, statistics)
    files.require_sound(guess.seconds)
    mixes = _lacking(statistics, {None: mean_of(channels)})
    lacking = _Rendering(folder, tuple(mixes), files.selection.start_s)
    if mixes:
        with lacking, files.opened() as source:
            lacking.render(source, mixes, work, None)
    of_source = {"clipped_share": round(statistics.clipped_share, 6)}
    mix = mixes.get(None, mean_of(channels))
    of_mix = (lacking if None in mixes else guess).metadata() | _mix_metadata(mix)
    metadata = of_source | _source_metadata(source.facts, source.findings) | of_mix
    return Conversion(tuple((guess.tracks() | lacking.tracks()).values()), metadata)


def _one_by_one(files: Files, folder: Path, work: Watcher) -> Conversion:
    """Convert files of different forms one after another into one mix; each gets its own downmix."""
    found, told = files.window(), files.window()
    made = _Rendering(folder, (None,), files.selection.start_s)
    clipped = samples = 0
    findings = Findings()
    with made:
        for number in range(len(files.paths)):
            if found.is_over:
                break
            source = files.chain(found, number)
            statistics = Statistics(source.facts.rate_hz, source.facts.channels)
            with closing(ahead(source.blocks())) as blocks:
                for block in blocks:
                    statistics.add(block)
                    work.check()
                    work.progress(files.selection.start_s + made.seconds, files.total_s or 0.0)
            if statistics.samples:
                source = files.chain(told, number)
                made.render(source, {None: best_mix(statistics)}, work, None)
                clipped, samples = clipped + statistics.clipped, samples + statistics.samples
            else:
                told.pass_to(found)
            findings.take(source.findings)
    files.require_sound(made.seconds)
    of_source = {"clipped_share": round(clipped / max(1, samples), 6)}
    of_mix = made.metadata() | {"downmix": "by_part", "downmix_channels": [], "downmix_inverted": []}
    return Conversion(tuple(made.tracks().values()), of_source | _source_metadata(files.facts, findings) | of_mix)


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
    """Files that a source, or several after one another, are rendered into; `channels` says which, None the mix.

    Attributes:
        start_s: where the first sound stands on the recording's clock.
    """

    folder: Path
    channels: Sequence[int | None]
    start_s: float = 0.0
    _written: dict[int | None, soundfiles.FlacWriter] = field(factory=dict)
    _level: Level = field(factory=Level)
    _stack: ExitStack = field(factory=ExitStack)

    def __enter__(self) -> None:
        for channel in self.channels:
            writer = soundfiles.FlacWriter(self.folder / _name(channel))
            self._written[channel] = self._stack.enter_context(closing(writer))

    def __exit__(self, *ended: object) -> None:
        self._stack.close()

    def render(
        self, source: Source, mixes: Mapping[int | None, Mix], work: Watcher, statistics: Statistics | None
    ) -> None:
        """Read all of the source and write a mix into each file; decoding, resampling and encoding overlap."""
        with ExitStack() as stack:
            blocks = stack.enter_context(closing(ahead(source.blocks())))
            wanted = [mixes[channel] for channel in self.channels]
            resampled = _resampled(blocks, source.facts.rate_hz, wanted, statistics)
            for rows in stack.enter_context(closing(ahead(resampled))):
                self._write(rows)
                work.check()
                done_s = self.start_s + self.seconds
                work.progress(done_s, max(done_s, source.facts.total_s or 0.0))

    def _write(self, rows: Sequence[NDArray[np.float32]]) -> None:
        for (channel, writer), row in zip(self._written.items(), rows, strict=True):
            samples = resample.to_s16(row)
            writer.write(samples)
            if channel is None:
                self._level.add(samples)

    @property
    def seconds(self) -> float:
        """How much was written."""
        return max(writer.samples for writer in self._written.values()) / resample.RATE_HZ

    def tracks(self) -> dict[int | None, Track]:
        """Return the files, by channel."""
        return {
            channel: Track(_name(channel), channel, writer.pcm_sha256(), writer.samples)
            for channel, writer in self._written.items()
        }

    def metadata(self) -> dict[str, Any]:
        """Return what is known of the mix."""
        return {
            "duration_s": self.seconds,
            "rms_dbfs": self._level.rms_dbfs(),
            "peak_dbfs": self._level.peak_dbfs(),
        }


def _mix_metadata(mix: Mix) -> dict[str, Any]:
    return {
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
        **({"track": facts.track, "track_list": list(facts.track_list)} if facts.tracks > 1 else {}),
        "decoder": facts.decoder,
        "resampler": resample.version(facts.rate_hz),
        "start_offset_s": round(findings.start_offset_s, 3),
        "gaps": findings.gaps,
        "gaps_s": round(findings.gaps_s, 3),
        "warnings": list(findings.warnings),
    }
