"""Canonical FLAC written and read, and lossless files opened."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audio.soundfiles import FlacWriter, blocks, open_lossless, read_samples

RATE_HZ = 16_000
SAMPLES = Path(__file__).parents[1] / "samples"
SPEECH = soundfile.read(SAMPLES / "jfk.wav", dtype="int16")[0]


@pytest.fixture(scope="module")
def canonical(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flac") / "audio.flac"
    writer = FlacWriter(path)
    for piece in np.array_split(SPEECH, 7):
        writer.write(piece)
    writer.close()
    assert writer.pcm_sha256() == sha256(SPEECH.tobytes()).hexdigest()
    assert writer.samples == len(SPEECH)
    return path


def test_a_canonical_file_is_16_khz_mono_s16_flac(canonical: Path) -> None:
    info = soundfile.info(canonical)
    assert (info.format, info.subtype, info.samplerate, info.channels) == ("FLAC", "PCM_16", RATE_HZ, 1)


@settings(max_examples=60, deadline=None)
@given(start=st.integers(0, len(SPEECH) + 10), length=st.integers(0, 50_000))
def test_a_slice_holds_exactly_its_samples(canonical: Path, start: int, length: int) -> None:
    samples = read_samples(canonical, start, start + length)
    assert samples.dtype == np.int16
    np.testing.assert_array_equal(samples, SPEECH[start : start + length])


@settings(max_examples=20, deadline=None)
@given(block_s=st.floats(0.1, 20))
def test_blocks_join_to_the_whole_and_are_all_of_one_length_but_the_last(canonical: Path, block_s: float) -> None:
    pieces = list(blocks(canonical, block_s))
    np.testing.assert_array_equal(np.concatenate(pieces), SPEECH)
    assert {len(piece) for piece in pieces[:-1]} <= {round(block_s * RATE_HZ)}
    assert all(len(piece) for piece in pieces)


def test_a_file_that_is_no_flac_any_more_is_an_error_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / "audio.flac"
    path.write_bytes(b"fLaC but not really")
    with pytest.raises(OSError, match=r"audio\.flac.*damaged"):
        read_samples(path, 0, 10)
    with pytest.raises(FileNotFoundError):
        next(blocks(tmp_path / "gone.flac", 1.0))


def test_a_refused_write_raises_the_error_of_the_system(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: both refuse the write in the same way."""
    program = f"""
import resource, signal
import numpy as np
from pathlib import Path
from pipeline.audio.soundfiles import FlacWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
writer = FlacWriter(Path({str(tmp_path / "audio.flac")!r}))
noise = np.random.default_rng(0).integers(-20_000, 20_000, 160_000).astype(np.int16)
try:
    writer.write(noise)
    writer.close()
except OSError as error:
    print(type(error).__name__, error.errno)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "OSError 27\n"
    assert done.stderr == ""


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_blocks_of_a_source_are_of_one_length_but_the_last(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "talk.wav"
    stereo = np.tile(np.stack([SPEECH, -SPEECH // 2], axis=1), (2, 1))[: 17 * RATE_HZ]
    soundfile.write(path, stereo / 32768, RATE_HZ, subtype)
    with open_lossless(path) as source:
        assert source is not None
        pieces = list(source.blocks())
        assert source.facts.total_s == 17
        assert source.findings.warnings == []
    assert [piece.shape for piece in pieces] == [(2, 120_000), (2, 120_000), (2, 32_000)]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1).T, soundfile.read(path, dtype="float32")[0])


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("talk.mp3", None),
        ("talk.ogg", None),
        ("talk.flac", None),
        ("talk.wav", "IMA_ADPCM"),
        ("talk.wav", "GSM610"),
    ],
)
def test_what_is_not_plain_pcm_is_left_to_the_other_decoder(tmp_path: Path, name: str, subtype: str | None) -> None:
    soundfile.write(tmp_path / name, SPEECH, RATE_HZ, subtype)
    with open_lossless(tmp_path / name) as source:
        assert source is None


def test_a_stream_that_could_not_state_its_size_is_not_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    soundfile.write(path, SPEECH, RATE_HZ)
    stated = path.read_bytes()
    at = stated.index(b"data") + 4
    path.write_bytes(stated[:at] + b"\xff\xff\xff\xff" + stated[at + 4 :])
    with open_lossless(path) as source:
        assert source is not None
        assert sum(block.shape[1] for block in source.blocks()) == len(SPEECH)
        assert source.findings.warnings == []
