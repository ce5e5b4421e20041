"""How much one recording may use. Pure: numbers in, numbers out."""

from __future__ import annotations

from typing import Any

from attrs import asdict, frozen

MIB = 2**20
BYTES_PER_S = 32_000
"""Of converted audio, uncompressed; FLAC is never more than a few bytes larger."""


@frozen
class Limits:
    """What a child that reads one recording may use; what is beyond is an attack, or damage.

    Half an hour of stereo at 48 kHz takes 2.5 s of CPU time, a day two minutes, twice that where it is read twice.
    Source: benchmarks/convert.py. An index of a day's MP4 takes 100 MB: four million packets of 24 bytes.

    Attributes:
        memory_bytes: writable memory of the child, libraries included.
        opening_s: CPU seconds until the sound begins.
        cpu_s_per_s: CPU seconds for a second of sound.
        any_wall_s: seconds for any recording, however short.
        wall_s_per_s: seconds for a second of sound, on top of that.
        stall_s: seconds without any progress.
        sound_s: the longest recording, in seconds of sound.
        files: open at once; each channel that is written takes one.
    """

    memory_bytes: int = 1024 * MIB
    opening_s: float = 60.0
    cpu_s_per_s: float = 0.05
    any_wall_s: float = 600.0
    wall_s_per_s: float = 1.0
    stall_s: float = 300.0
    sound_s: float = 100 * 3600.0
    files: int = 256

    def cpu_s(self, stated_s: float) -> int:
        """Return the CPU seconds for a recording that says it is so long, which is believed up to `sound_s`."""
        return int(self.opening_s + self.cpu_s_per_s * max(0.0, min(stated_s, self.sound_s))) + 1

    def wall_s(self, stated_s: float) -> float:
        """Return the seconds that it may take altogether."""
        return self.any_wall_s + self.wall_s_per_s * max(0.0, min(stated_s, self.sound_s))

    @property
    def file_bytes(self) -> int:
        """Return how large a file may get."""
        return int(self.sound_s * BYTES_PER_S) + 64 * MIB

    def as_json(self) -> dict[str, Any]:
        """Return the arguments that make an equal one."""
        return asdict(self)
