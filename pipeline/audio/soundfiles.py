"""PCM files read by libsndfile, and our own FLAC: the only file that imports soundfile.

libsndfile reads PCM several times faster than the libraries for containers do. Whatever it can't take is left to
`pipeline.audio.containers`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.audio.riff import mended
from pipeline.audio.source import Facts, Findings, bounded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.audio.source import Block

CONTAINERS = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF"})
"""The containers read here. libsndfile knows more, but takes some for what they are not, and ends where FLAC is
damaged; libav reads FLAC as fast and goes on behind the damage."""

FLOATS = frozenset({"FLOAT", "DOUBLE"})
CODECS = frozenset({"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ULAW", "ALAW"}) | FLOATS

COMPRESSION = 0.0
"""Level 0 of 8 takes a quarter less of the encoder's time than level 5, half of level 7's, for 4 % more size.
Source: benchmarks/convert.py --levels."""

RATE_HZ = 16_000


class SoundFile:
    """A lossless file, open for reading."""

    def __init__(self, file: Any) -> None:
        import soundfile

        self._file = file
        self.findings = Findings()
        self.facts = Facts(
            rate_hz=file.samplerate,
            channels=file.channels,
            codec=file.subtype.lower(),
            container=file.format.lower(),
            decoder=f"libsndfile {soundfile.__libsndfile_version__}",
            total_s=file.frames / file.samplerate,
        )

    def skip(self, samples: int) -> int:
        """Pass over samples at the start; return how many."""
        return int(self._file.seek(min(samples, self._file.frames)))

    def blocks(self) -> Generator[Block, None, None]:
        """Yield the sound in blocks; what is missing at the end becomes a warning."""
        while len(raw := self._read(self.facts.block_samples)):
            yield self._block(raw)
        if _missing_bytes(self._file.extra_info) > 0:
            self.findings.warn("The file is cut short: its header promises more sound than there is.")

    def _read(self, samples: int) -> NDArray[Any]:
        import numpy as np
        import soundfile

        # libsndfile turns 16-bit samples into floats one by one; numpy does the same four times faster.
        kind = "int16" if self.facts.codec == "pcm_16" else "float32"
        try:
            raw: NDArray[Any] = self._file.read(samples, dtype=kind, always_2d=True)
        except soundfile.LibsndfileError:
            self.findings.warn("The file is damaged: only the sound before the damage could be read.")
            raw = np.zeros((0, self.facts.channels), kind)
        return raw

    def _block(self, raw: NDArray[Any]) -> Block:
        import numpy as np

        block = np.empty(raw.shape[::-1], np.float32)
        scale = np.float32(2.0**-15 if raw.dtype == np.int16 else 1.0)
        for row, samples in zip(block, raw.T, strict=True):  # row by row: ten times faster than all at once
            np.multiply(samples, scale, out=row)
        return bounded(block, self.findings) if self._file.subtype in FLOATS else block


def _missing_bytes(notes: str) -> int:
    """Read from libsndfile's notes by how much the chunk of samples is shorter than it says.

    Streams are written with a size of 0 or near 2^32, since their writer can't go back: nothing is missing there.
    """
    found = re.search(r"^\s*(?:data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)", notes, re.MULTILINE)
    promised, present = map(int, found.groups()) if found else (0, 0)
    return promised - present if promised < 0xFFFF_0000 else 0


@contextmanager
def open_lossless(path: Path) -> Iterator[SoundFile | None]:
    """Open a file of a lossless codec that libsndfile reads; None if it is none.

    The library gets a descriptor, so that any bytes may stand in the name.

    Raises:
        OSError: the file can't be opened; check that it exists and may be read.
    """
    import soundfile

    with mended(path) or nullcontext() as longer:
        try:
            file = soundfile.SoundFile(longer or os.open(path, os.O_RDONLY))
        except soundfile.LibsndfileError:  # libsndfile has closed the descriptor
            file = None
        with file or nullcontext():
            fitting = file and file.format in CONTAINERS and file.subtype in CODECS
            yield SoundFile(file) if fitting else None


class FlacWriter:
    """Writes one canonical file, 16 kHz mono s16 FLAC, and digests its samples on the way.

    Attributes:
        samples: how many were written so far.
    """

    def __init__(self, path: Path) -> None:
        import soundfile

        self._path = path
        self._digest = sha256()
        self.samples = 0
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = soundfile.SoundFile(
            descriptor, "w", RATE_HZ, 1, "PCM_16", format="FLAC", compression_level=COMPRESSION
        )

    def write(self, samples: NDArray[np.int16]) -> None:
        """Append samples.

        Raises:
            OSError: the disk is full or refuses; make room and start again.
        """
        with self._explained():
            self._file.write(samples)
        self._digest.update(samples.astype("<i2", copy=False).data)
        self.samples += len(samples)

    def close(self) -> None:
        """Finish the file; raises OSError like `write`. It is not synced."""
        with self._explained():
            self._file.close()

    def pcm_sha256(self) -> str:
        """Return the digest of the samples as s16le, mono, 16 kHz; the encoder's version doesn't change it."""
        return self._digest.hexdigest()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Raise the system's own error instead of libsndfile's, which doesn't say what went wrong."""
        import soundfile

        try:
            yield
        except soundfile.LibsndfileError as error:
            with self._path.open("ab") as file:  # the file is lost anyway; the system refuses this as well
                file.write(bytes(65_536))
            raise OSError(f"The converted audio could not be written to {str(self._path)!r}.") from error


def encode_flac(samples: NDArray[np.int16]) -> bytes:
    """Return samples, mono, 16 kHz, as a FLAC file in memory; raises nothing that its caller could mend."""
    import soundfile

    file = BytesIO()
    soundfile.write(file, samples, RATE_HZ, "PCM_16", format="FLAC", compression_level=COMPRESSION)
    return file.getvalue()


def sample_count(path: Path) -> int:
    """Return how many samples a canonical file holds; raises OSError as `read_samples`."""
    with _canonical(path) as file:
        return int(file.frames)


def read_samples(path: Path, start: int, end: int) -> NDArray[np.int16]:
    """Return samples [start, end) of a canonical file, fewer where it ends earlier; shape (samples,).

    Raises:
        OSError: the file can't be opened or is no FLAC any more; `evt validate` says which one it is.
    """
    with _canonical(path) as file:
        file.seek(min(start, file.frames))
        samples: NDArray[np.int16] = file.read(max(0, end - start), dtype="int16")
        return samples


def read_parts(path: Path, parts: Sequence[tuple[int, int]]) -> NDArray[np.int16]:
    """Return stretches of samples [start, end) of a canonical file, one after another; see `read_samples`."""
    import numpy as np

    return np.concatenate([read_samples(path, start, end) for start, end in parts])


def blocks(path: Path, block_s: float) -> Iterator[NDArray[np.int16]]:
    """Yield the samples of a canonical file in blocks of `block_s` seconds, the last one shorter; never empty.

    Raises:
        OSError: as `read_samples`.
    """
    samples = max(1, round(block_s * RATE_HZ))
    with _canonical(path) as file:
        while len(block := file.read(samples, dtype="int16")):
            yield block


@contextmanager
def _canonical(path: Path) -> Iterator[Any]:
    import soundfile

    descriptor = os.open(path, os.O_RDONLY)
    try:
        with closing(soundfile.SoundFile(descriptor)) as file:
            yield file
    except soundfile.LibsndfileError as error:
        raise OSError(f"{str(path)!r} is damaged: it can't be read as FLAC.") from error
