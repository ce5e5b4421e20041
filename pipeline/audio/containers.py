"""Every other container and codec, video included, read by libav: the only file that imports av.

Sound keeps the clock of its container: a late start and gaps between packets become silence, so that times fit
the video. Nothing but the file itself is ever opened: no network, no playlists, no files that a file names.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from re import fullmatch
from typing import TYPE_CHECKING, Any

from attrs import define, frozen

from pipeline.audio.protection import encrypted_audio, lacks_index
from pipeline.audio.source import Facts, Findings, bounded, require_track
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from fractions import Fraction

    from av import AudioFrame, AudioStream
    from av.container import InputContainer
    from numpy.typing import NDArray

    from pipeline.audio.source import Block

OPTIONS = {"protocol_whitelist": "none"}
"""There is no protocol of this name, so a file that refers to others can't make libav open them.
Source: FFmpeg documentation, "Protocol Options", protocol_whitelist."""

JITTER_S = 0.05
"""Smaller steps of the clock are rounding and buffering. Source: Matroska rounds to 1 ms, AAC frames last 21 ms."""

BACKWARDS_S = 1.0
"""A clock that falls back further than this was set anew, as in joined broadcasts; it counts from there on."""

LONGEST_GAP_S = 3600.0
"""A longer jump is taken for a broken clock where the container doesn't state a duration to compare with."""

CUT_SHORT_S = 1.0

STATES_DURATION = frozenset({"mov", "matroska", "asf", "avi", "aiff", "wav", "flac"})
"""Containers whose header states a duration; for others libav guesses it from the bit rate."""

TRACKS_LISTED = 16
UNDETERMINED = "und"
"""Of a language. Source: ISO 639-2."""

UNCLOCKED = frozenset({"wav", "aiff", "au", "w64", "mp3", "aac"})
"""Formats without time stamps: libav derives them from positions in the file."""


@define
class Clock:
    """Compares the container's clock with the samples written so far; all in samples.

    Attributes:
        origin: the clock's reading at the start of the recording.
        limit: no silence is filled in beyond this length of the recording.
        position: samples so far, silence included.
    """

    origin: int
    rate_hz: int
    limit: float
    findings: Findings
    position: int = 0

    def missing_before(self, at: int | None, samples: int) -> int:
        """Return how many samples of silence belong before a frame, and advance past both.

        Args:
            at: the frame's time in samples; None where it has none.
            samples: its length.
        """
        missing = 0 if at is None else at - self.origin - self.position
        if missing < -BACKWARDS_S * self.rate_hz or self.position + missing > self.limit:
            self.origin += missing
            missing = 0
            self.findings.warn("The file's clock jumps; later times may not fit the video.")
        missing = missing if missing > JITTER_S * self.rate_hz else 0
        self._note(missing / self.rate_hz)
        self.position += missing + samples
        return missing

    def _note(self, silence_s: float) -> None:
        if silence_s and not self.position:
            self.findings.start_offset_s = silence_s
        elif silence_s:
            self.findings.gaps += 1
            self.findings.gaps_s += silence_s


class Container:
    """A file with an audio stream, open for reading."""

    def __init__(self, container: InputContainer, stream: AudioStream, tracks: Sequence[Sound]) -> None:
        self._container = container
        self._stream = stream
        self.findings = Findings()
        self.facts = _facts(container, stream, tracks)
        self._is_unclocked = self.facts.container in UNCLOCKED

    def skip(self, samples: int) -> int:
        """Pass over nothing: only sound that was decoded has a certain place."""
        return 0

    def blocks(self) -> Generator[Block, None, None]:
        """Yield the sound in blocks; damage and a missing end become warnings."""
        import av

        size, samples = self.facts.block_samples, 0
        fifo = av.AudioFifo()
        for frame in self._clocked(self._uniform(self._decoded())):
            fifo.write(frame)
            while fifo.samples >= size:
                samples += size
                yield self._block(fifo.read(size))
        if fifo.samples:
            samples += fifo.samples
            yield self._block(fifo.read())
        self._compare_length(samples / self.facts.rate_hz)

    def _decoded(self) -> Iterator[AudioFrame]:
        """Yield the frames of the stream; packets that can't be decoded are left out."""
        import av

        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = packet.decode()
            except av.EOFError:
                return
            except av.FFmpegError as error:
                if isinstance(error, MemoryError):
                    raise
                self.findings.warn("Parts of the file are damaged and were left out.")
                continue
            yield from frames

    def _uniform(self, frames: Iterator[AudioFrame]) -> Iterator[tuple[AudioFrame, int | None]]:
        """Bring all frames to one form: broadcasts switch between stereo and 5.1 as they go.

        Yields:
            A frame, and when it begins, in samples by the container's clock, if it has one.
        """
        import av

        format_name, given, adapter = None, None, None
        wanted, base = (self.facts.channels, self.facts.rate_hz), self._stream.time_base
        for frame in frames:
            format_name = format_name or frame.format.name
            form = (frame.layout.nb_channels, frame.sample_rate)
            if form == wanted and frame.format.name == format_name:
                yield frame, self._time(frame, base)
                continue
            if (frame.format.name, *form) != given or adapter is None:
                layout = self._stream.codec_context.layout
                given, adapter = (frame.format.name, *form), av.AudioResampler(format_name, layout, wanted[1])
            for adapted in adapter.resample(frame):
                at = self._time(adapted, adapted.time_base)
                adapted.time_base = base
                yield adapted, at

    def _clocked(self, frames: Iterator[tuple[AudioFrame, int | None]]) -> Iterator[AudioFrame]:
        """Put silence where the clock says that sound is missing, and take the times off the frames."""
        clock = self._clock()
        for frame, at in frames:
            if missing := clock.missing_before(at, frame.samples):
                yield from _silence(frame, missing)
            frame.pts = None  # the queue refuses times that aren't continuous
            yield frame

    def _time(self, frame: AudioFrame, base: Fraction | None) -> int | None:
        """Return when a frame begins; its own `time_base`, the same for all, is slow to get."""
        if frame.pts is None or base is None or self._is_unclocked:
            return None
        return frame.pts * base.numerator * self.facts.rate_hz // base.denominator

    def _clock(self) -> Clock:
        rate_hz = self.facts.rate_hz
        total_s = self.facts.total_s if self.facts.container in STATES_DURATION else None
        longest_s = LONGEST_GAP_S if total_s is None else total_s + CUT_SHORT_S
        origin = (self._container.start_time or 0) * rate_hz // 1_000_000
        return Clock(origin, rate_hz, longest_s * rate_hz, self.findings)

    def _block(self, frame: AudioFrame | None) -> Block:
        assert frame is not None
        array = frame.to_ndarray()
        channels = len(frame.layout.channels)
        return bounded(_floats(array if frame.format.is_planar else array.reshape(-1, channels).T), self.findings)

    def _compare_length(self, decoded_s: float) -> None:
        stated_s = _stated_s(self._container, self._stream)
        if self.facts.container in STATES_DURATION and stated_s and decoded_s < stated_s - CUT_SHORT_S:
            self.findings.warn("The file is cut short: its header promises more sound than there is.")


def _floats(array: NDArray[Any]) -> Block:
    """Return samples of any libav format as float32 with full scale 1.0, shape as given."""
    import numpy as np

    floats = np.empty(array.shape, np.float32)
    if array.dtype == np.uint8:
        np.subtract(array, np.float32(128), out=floats)
        floats *= np.float32(2.0**-7)
    elif array.dtype.kind == "i":
        scale = np.float32(2.0 ** (1 - 8 * array.dtype.itemsize))
        np.multiply(array, scale, out=floats, dtype=np.float32, casting="same_kind")
    else:
        floats[:] = array
    return floats


def _silence(like: AudioFrame, samples: int) -> Iterator[AudioFrame]:
    """Yield frames of silence, at most a second each, in the form of another frame."""
    import av

    while samples:
        frame = av.AudioFrame(like.format.name, like.layout, min(samples, like.sample_rate))
        for plane in frame.planes:
            plane.update((b"\x80" if like.format.bytes == 1 else b"\0") * plane.buffer_size)
        frame.sample_rate = like.sample_rate
        if like.time_base is not None:
            frame.time_base = like.time_base
        samples -= frame.samples
        yield frame


def _facts(container: InputContainer, stream: AudioStream, tracks: Sequence[Sound]) -> Facts:
    import av

    duration = container.duration
    return Facts(
        rate_hz=stream.codec_context.sample_rate,
        channels=len(stream.codec_context.layout.channels),
        codec=stream.codec_context.codec.canonical_name,
        container=container.format.name.split(",")[0],
        decoder=f"av {av.__version__}",
        total_s=None if duration is None else duration / 1_000_000,
        tracks=len(tracks),
        track=next(track.number for track in tracks if track.stream is stream),
        track_list=tuple(map(str, tracks[:TRACKS_LISTED])) if len(tracks) > 1 else (),
    )


def _stated_s(container: InputContainer, stream: AudioStream) -> float | None:
    """Return the length of the audio stream by its header; the container's own only where nothing else is in it.

    A container's duration may count from zero or from its start; the shorter reading raises no false alarm.
    """
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if len(container.streams) > 1 or container.duration is None:
        return None
    return (container.duration - (container.start_time or 0)) / 1_000_000


@contextmanager
def open_container(path: Path, track: int | None = None) -> Iterator[Container]:
    """Open an audio track of a file, counted from 1; None: the default one, else the first that can be decoded.

    libav gets the open file, so that neither odd names nor names that look like addresses mean anything to it.

    Raises:
        SourceRejectedError: no sound in it, not this track, of no known kind, encrypted, or without its index.
        OSError: the file can't be opened.
        MemoryError: it needs more than there is, or may be used.
    """
    import av

    with path.open("rb") as file:
        try:
            container = av.open(file, "r", options=OPTIONS, metadata_errors="replace")
        except av.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            raise SourceRejectedError(_unknown(path)) from error
        with container:
            tracks = _tracks(container, path)
            yield Container(container, _chosen(container, tracks, path, track), tracks)


def _unknown(path: Path) -> str:
    with path.open("rb") as file:
        if lacks_index(file):
            return (
                f"{path.name!r} is not complete: its index, which an MP4 or MOV file gets when the recording ends, "
                "is missing. Copy it again from where it was recorded, or repair it with the recorder."
            )
    return f"{path.name!r} is no sound or video file that can be read (a playlist only names some). Choose another."


@frozen
class Sound:
    """An audio track of a file.

    Attributes:
        number: from 1, also counting those that can't be decoded.
        obstacle: why it can't be, as a word; empty: it can.
    """

    number: int
    stream: AudioStream
    obstacle: str

    def __str__(self) -> str:
        """Return number, codec and the code of the language: no free text, so no title."""
        context = self.stream.codec_context
        codec = context.codec.canonical_name if context else "unknown"
        language = self.stream.language or ""
        known = language if fullmatch("[a-z]{2,3}", language) and language != UNDETERMINED else ""
        return " ".join(word for word in (str(self.number), codec, known, self.obstacle) if word)


def _tracks(container: InputContainer, path: Path) -> list[Sound]:
    streams = container.streams.audio
    with path.open("rb") as file:
        encrypted = encrypted_audio(file)
    if len(encrypted) != len(streams):  # which is which can't be told
        encrypted = [any(encrypted)] * len(streams)
    tracks = []
    for number, (stream, is_encrypted) in enumerate(zip(streams, encrypted, strict=True), 1):
        obstacle = "encrypted" if is_encrypted else "" if stream.codec_context else "undecodable"
        tracks.append(Sound(number, stream, obstacle))
    return tracks


def _chosen(container: InputContainer, tracks: Sequence[Sound], path: Path, wanted: int | None) -> AudioStream:
    """Return the stream to read and have all others skipped."""
    from av.stream import Discard, Disposition

    usable = [track for track in tracks if not track.obstacle]
    if wanted is not None:
        if len(tracks) > 1 and wanted > len(tracks):
            raise SourceRejectedError(
                f"{path.name!r} has {len(tracks)} audio tracks, and no track {wanted}. {_choices(usable)}"
            )
        require_track(path, wanted, len(tracks))
        chosen = next((track for track in usable if track.number == wanted), None)
    else:
        default = (track for track in usable if track.stream.disposition & Disposition.default)
        chosen = next(default, next(iter(usable), None))
    if chosen is None:
        raise SourceRejectedError(_no_sound(path, tracks, usable, wanted))
    for stream in container.streams:
        if stream is not chosen.stream:
            stream.discard = Discard.all
    return chosen.stream


def _no_sound(path: Path, tracks: Sequence[Sound], usable: Sequence[Sound], wanted: int | None) -> str:
    which = "its sound" if wanted is None else f"audio track {wanted}"
    obstacles = {track.obstacle for track in tracks if wanted in {None, track.number}}
    if "encrypted" in obstacles:
        return (
            f"{path.name!r}: {which} is encrypted (DRM) and can't be read. "
            f"{_choices(usable) if usable else 'Use a copy that is not protected.'}"
        )
    if wanted is not None:
        return f"{path.name!r}: {which} is of a kind that can't be decoded. {_choices(usable)}"
    return f"{path.name!r} has no sound in it that can be decoded. Choose another file."


def _choices(usable: Sequence[Sound]) -> str:
    if not usable:
        return "Choose another file."
    listed = ", ".join(map(str, usable[:TRACKS_LISTED]))
    return f"Those that can be read: {listed}. `--track N` takes one, `--track auto` the usual one."
