"""Makes conversations with known truth out of single-speaker stretches, for trials and benchmarks of diarization.

Run as a script it writes mixtures of the shared recordings as FLAC with an RTTM beside each:
`EVT_CORPUS=… python -m benchmarks.mixtures DIRECTORY --count 48 --seed 1`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from pipeline.speech.values import Turn

RATE = 16_000
SPEEDS = (0.9, 1.1)
"""A voice is resampled by a factor between these, which shifts pitch and formants together: another voice."""

VOICES_MAX = 6
SHORTEST_S, LONGEST_S = 20.0, 1200.0

Samples = np.ndarray[Any, np.dtype[np.float64]]
Voices = Mapping[str, Sequence[Samples]]
"""By name: stretches of speech of one speaker, mono, 16 kHz, -1 to 1, without long pauses."""

STRETCHES = {
    "jfk": ("jfk_16k_mono.wav", 0, [(0.3, 2.2), (3.3, 4.4), (5.4, 7.7), (8.2, 10.5)]),
    "quilter": ("quilter.wav", 0, [(0.5, 5.45)]),
    "crocodile": ("three_speakers.wav", 0, [(6.2, 11.1)]),
    "cabin": ("three_speakers.wav", 0, [(12.8, 19.3)]),
    "left": ("stereo_diarization.wav", 0, [(0.0, 5.0)]),
    "right": ("stereo_diarization.wav", 1, [(0.0, 5.0)]),
    "diane": ("pyannote_sample/sample.wav", 0, [(8.4, 9.85), (11.1, 14.4), (18.7, 21.45)]),
    "sheila": ("pyannote_sample/sample.wav", 0, [(14.75, 17.9), (21.8, 27.8)]),
}
"""Where one voice speaks alone in the shared recordings: file, channel, seconds."""


@frozen
class Mixture:
    """A generated conversation: mono, 16 kHz, s16 samples and who speaks when in it."""

    name: str
    samples: np.ndarray[Any, np.dtype[np.int16]]
    truth: tuple[Turn, ...]
    voices: int


def shared_voices(corpus: Path) -> dict[str, list[Samples]]:
    """Read the single-speaker stretches of the shared recordings."""
    import soundfile

    voices = {}
    for name, (file, channel, stretches) in STRETCHES.items():
        samples, _ = soundfile.read(corpus / file, always_2d=True)
        voices[name] = [trimmed(samples[round(a * RATE) : round(b * RATE), channel]) for a, b in stretches]
    return voices


def trimmed(samples: Samples, *, below_peak_db: float = 35.0, block: int = 320) -> Samples:
    """Cut what is quieter than the loudest block by `below_peak_db` off both ends."""
    power = np.square(samples[: len(samples) // block * block]).reshape(-1, block).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (-below_peak_db / 10))
    return samples[loud[0] * block : (loud[-1] + 1) * block]


def numbered(voices: Voices, seed: int, index: int) -> Mixture:
    """Make the conversation of this number of a set: of 1 to 6 voices in turn, 20 s to 20 min long."""
    rng = np.random.default_rng([seed, index])
    duration_s = SHORTEST_S * (LONGEST_S / SHORTEST_S) ** rng.uniform()
    return mixture(voices, 1 + index % VOICES_MAX, duration_s, rng, name=f"{seed}-{index:03d}")


def mixture(
    voices: Voices, speakers: int, duration_s: float, rng: np.random.Generator, name: str = "mixture"
) -> Mixture:
    """Make one conversation: turns of 1 to 15 s, pauses, a few overlaps, uneven gains and shares, noise."""
    chosen = [str(voice) for voice in rng.choice(sorted(voices), speakers, replace=False)]
    sources = [_source(voices[voice], rng) for voice in chosen]
    out = np.zeros(round(duration_s * RATE) + RATE)
    truth = []
    for speaker, start_s, end_s in _plan(speakers, duration_s, rng):
        first = round(start_s * RATE)
        length = round(end_s * RATE) - first
        out[first : first + length] += next_samples(sources[speaker], length)
        truth.append(Turn(start_s, end_s, chosen[speaker]))
    out = _telephone(out) if rng.uniform() < 0.3 else out
    out += rng.normal(0.0, 10 ** (rng.uniform(-70, -50) / 20), len(out))
    samples = np.clip(out * 32767, -32768, 32767).astype(np.int16)
    return Mixture(name, samples, tuple(truth), len({turn.speaker for turn in truth}))


def next_samples(source: Iterator[Samples], length: int) -> Samples:
    """Take `length` samples from an endless source of blocks of 20 ms."""
    blocks = [next(source) for _ in range(-(-length // 320))]
    return np.concatenate(blocks)[:length]


def _source(stretches: Sequence[Samples], rng: np.random.Generator) -> Iterator[Samples]:
    """Repeat a voice's stretches for ever, at one speed and one loudness, in blocks of 20 ms."""
    speed = rng.uniform(*SPEEDS)
    voice = np.concatenate([_resampled(stretch, speed) for stretch in stretches])
    voice *= 10 ** (rng.uniform(-26, -18) / 20) / np.sqrt(np.mean(voice**2))
    blocks = voice[: len(voice) // 320 * 320].reshape(-1, 320)
    at = int(rng.integers(len(blocks)))
    while True:
        yield blocks[at % len(blocks)]
        at += 1


def _resampled(samples: Samples, speed: float) -> Samples:
    return np.interp(np.arange(0, len(samples) - 1, speed), np.arange(len(samples)), samples)


def _plan(speakers: int, duration_s: float, rng: np.random.Generator) -> Iterator[tuple[int, float, float]]:
    """Yield (speaker, start, end) of every turn; each speaker has a turn among the first ones."""
    share = rng.dirichlet(np.full(speakers, 4.0))
    order = list(rng.permutation(speakers))
    at_s, last = rng.uniform(0.0, 1.0), -1
    while at_s < duration_s - 1.0:
        weights = np.where((np.arange(speakers) == last) & (speakers > 1), 0.0, share)
        speaker = int(order.pop() if order else rng.choice(speakers, p=weights / weights.sum()))
        length_s = min(float(np.clip(rng.lognormal(1.2, 0.7), 1.0, 15.0)), duration_s - at_s)
        yield speaker, round(at_s, 3), round(at_s + length_s, 3)
        overlaps = speakers > 1 and rng.uniform() < 0.1
        pause_s = -rng.uniform(0.2, min(1.0, length_s / 2)) if overlaps else rng.uniform(0.1, 1.2)
        at_s, last = at_s + length_s + pause_s, speaker


def _telephone(samples: Samples) -> Samples:
    """Keep 300 to 3,400 Hz, as a telephone line does."""
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    spectrum[(hertz < 300) | (hertz > 3400)] *= 0.01
    return np.fft.irfft(spectrum, len(samples))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write generated conversations as FLAC and RTTM.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--seed", type=int, default=1)
    named = parser.parse_args()
    corpus = os.environ.get("EVT_CORPUS")
    if corpus is None:
        sys.exit("not run: set EVT_CORPUS to the folder of the shared recordings")
    import soundfile

    named.directory.mkdir(parents=True, exist_ok=True)
    voices = shared_voices(Path(corpus))
    for made in (numbered(voices, named.seed, index) for index in range(named.count)):
        soundfile.write(named.directory / f"{made.name}.flac", made.samples, RATE)
        lines = [
            f"SPEAKER {made.name} 1 {turn.start_s:.3f} {turn.end_s - turn.start_s:.3f} "
            f"<NA> <NA> {turn.speaker} <NA> <NA>\n"
            for turn in made.truth
        ]
        (named.directory / f"{made.name}.rttm").write_text("".join(lines))


if __name__ == "__main__":
    main()
