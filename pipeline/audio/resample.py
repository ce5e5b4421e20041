"""To 16 kHz and to 16 bits: the only file that imports soxr. Import it lazily.

Decoder, resampler and rounding together decide the PCM digest, which is part of every later key: changing any
constant here makes every recording new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mono = NDArray[np.float32]

RATE_HZ = 16_000
"""The rate that speech engines work at."""

QUALITY = "HQ"
"""20 bits, rejects what would alias by more than 120 dB. Source: libsoxr, soxr.h, SOXR_HQ."""


class Resampler:
    """Brings consecutive blocks of one channel to 16 kHz; how they are cut doesn't change the result."""

    def __init__(self, rate_hz: int) -> None:
        import soxr

        same = rate_hz == RATE_HZ
        self._stream = None if same else soxr.ResampleStream(rate_hz, RATE_HZ, 1, "float32", QUALITY)

    def __call__(self, block: Mono, *, last: bool = False) -> Mono:
        """Return what is ready after this block, at 16 kHz; with `last`, all that is left."""
        if self._stream is None:
            return block
        resampled: Mono = self._stream.resample_chunk(block, last=last)
        return resampled


def version(rate_hz: int) -> str:
    """Name the resampler and its version, or `none` where the rate is already right."""
    import soxr

    return "none" if rate_hz == RATE_HZ else f"soxr {soxr.__version__} {QUALITY}"


def to_s16(block: Mono) -> NDArray[np.int16]:
    """Round to the nearest 16-bit value, halves to even, and clip.

    No dither: it would make equal recordings differ, and its purpose, masking distortion from human ears, means
    nothing to a speech engine.
    """
    scaled = block * np.float32(32768)
    np.rint(scaled, out=scaled)
    np.clip(scaled, -32768, 32767, out=scaled)
    return scaled.astype(np.int16)
