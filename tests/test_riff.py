"""WAV files longer than their header can say are read to their end; those that say it right, as they say."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from pipeline.audio.reading import open_recording, stated_s
from pipeline.audio.riff import mended
from tests.support.media import write_long

pytestmark = pytest.mark.slow

HOURS = 7


@pytest.mark.parametrize("form", ["rf64", "bwf", "w64", "wrapped", "open", "zero"])
def test_a_file_of_more_than_4_gb_is_read_to_its_end(tmp_path: Path, form: str) -> None:
    path = write_long(tmp_path / "day.wav", form, HOURS * 3600)
    assert path.stat().st_size > 2**32
    with open_recording(path) as source:
        assert source.facts.total_s == HOURS * 3600
        assert source.skip((HOURS * 3600 - 2) * 48_000) == (HOURS * 3600 - 2) * 48_000
        sound = np.concatenate(list(source.blocks()), axis=1)
        assert sound.shape == (2, 2 * 48_000)
        assert not sound[:, :48_000].any()
        assert np.abs(sound[:, 48_000:]).max() > 0.2
        assert source.findings.warnings == []
    path.unlink()


def test_a_recording_of_size_zero_is_one_whose_recorder_was_switched_off(tmp_path: Path) -> None:
    assert stated_s(write_long(tmp_path / "talk.wav", "zero", 3)) == 3.0


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content


def wav(*chunks: bytes) -> bytes:
    kind = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16))
    content = b"WAVE" + kind + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content)) + content


@pytest.mark.parametrize(
    "content",
    [
        wav(chunk(b"data", bytes(3200))),
        wav(chunk(b"data", b""), chunk(b"LIST", bytes(100))),
        wav(chunk(b"data", b"")),
        wav(chunk(b"LIST", bytes(100)), chunk(b"data", bytes(3200)), chunk(b"cue ", bytes(28))),
        wav(),
        b"RIFF",
        b"",
        b"RIFFxxxxWAVE" + bytes(5000),
        b"RIFFxxxxWAVEdata" + bytes(5000),
    ],
)
def test_a_header_that_may_be_right_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "talk.wav").write_bytes(content)
    assert mended(tmp_path / "talk.wav") is None


def test_what_follows_the_sound_of_a_file_of_4_gb_is_no_sound(tmp_path: Path) -> None:
    whole = wav(chunk(b"data", bytes(3200)))
    with (tmp_path / "talk.wav").open("wb") as file:
        file.write(whole + b"junk" + struct.pack("<I", 2**32 - 2))
        file.truncate(len(whole) + 8 + 2**32 - 2)
    assert stated_s(tmp_path / "talk.wav") == 0.1


def test_chunks_behind_an_overflowed_size_are_no_sound(tmp_path: Path) -> None:
    path = write_long(tmp_path / "day.wav", "wrapped", HOURS * 3600)
    with path.open("ab") as file:
        file.write(chunk(b"LIST", bytes(50_000)))
    assert stated_s(path) == HOURS * 3600
