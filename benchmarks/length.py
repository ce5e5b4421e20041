"""Prints what length costs: half an hour has as many wrong speakers a minute as half a minute.

`EVT_CORPUS=… python -m benchmarks.length`, some minutes. A real telephone call of half a minute is repeated until
it lasts half an hour, and the real `evt run` makes transcripts of both: it converts, cuts into chunks, merges and
exports. A script speaks the true words; the turns are the true ones, a real diarizer's (pyannote's community-1)
repeated, or those that the built-in diarizer finds in the whole recording, told that two people speak or not.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve

from benchmarks.runs import Transcribed, evt_run, write_repeated, write_script
from benchmarks.truth import Said, repeated, rttm, stm, wrong_speakers
from pipeline.speech.values import Turn

TIMES = 60

Turns = Sequence[Turn] | int | None
"""Turns of one pass, for the script to repeat; or the built-in diarizer's, told so many speakers or nothing."""


def main() -> None:
    corpus = os.environ.get("EVT_CORPUS")
    if corpus is None:
        print("length: not run (set EVT_CORPUS to the folder of the shared recordings)")
        return
    folder = Path(corpus) / "pyannote_sample"
    words = [word for utterance in stm(folder / "sample.stm") for word in utterance]
    sources: dict[str, Turns] = {
        "the true ones": rttm(folder / "sample.rttm"),
        "community-1's": rttm(folder / "hyp.community-1.rttm"),
        "built-in diarizer, given 2 speakers": 2,
        "built-in diarizer": None,
    }
    print("| turns | recording | words | wrong speaker | a minute | CPU |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for name, turns in sources.items():
            for times in (1, TIMES):
                print(row(name, folder / "sample.wav", words, turns, times, Path(scratch) / f"{name} {times}"))


def row(name: str, recording: Path, words: Sequence[Said], turns: Turns, times: int, scratch: Path) -> str:
    """Return a row of the table: a recording so many times over."""
    true, found, length_s = run_repeated(recording, words, turns, times, scratch)
    wrong = wrong_speakers([word.speaker for word in true], [word.speaker for word in found.words])
    minutes = length_s / 60
    return (
        f"| {name} | {minutes:g} min | {len(true)} | {wrong} ({wrong / len(true):.2%}) | {wrong / minutes:.2f} "
        f"| {found.cpu_s:.1f} s |"
    )


def run_repeated(
    recording: Path, words: Sequence[Said], turns: Turns, times: int, scratch: Path
) -> tuple[list[Said], Transcribed, float]:
    """Run a recording so many times over; returns the true words, the transcript and the length in seconds.

    Args:
        recording: mono, 16 kHz.
        words: those truly said in it once; spoken by a script.
        turns: who speaks when.
        times: how often the recording is repeated.
        scratch: a new folder.
    """
    scratch.mkdir()
    long = scratch / "long.wav"
    every_s = write_repeated(long, recording, times)
    said = said_repeatedly(words, times, every_s)
    heard = [] if turns is None or isinstance(turns, int) else repeated(turns, times, every_s)
    script = f"script:{write_script(scratch / 'script.toml', said, heard)}"
    diarizer = ["--diarizer", script if heard else "builtin"]
    diarizer += ["--speakers", str(turns)] if isinstance(turns, int) else []
    found = evt_run(long, scratch, "--transcriber", script, *diarizer)
    assert isinstance(found, Transcribed), f"evt made no transcript: {found}"
    assert [word.text for word in found.words] == [word.text for word in said], "a word was lost at a join"
    return said, found, every_s * times


def said_repeatedly(words: Sequence[Said], times: int, every_s: float) -> list[Said]:
    """Return words as they are said where a recording is played several times over, sorted by start."""
    said = [
        evolve(word, start_s=round(word.start_s + every_s * k, 3), end_s=round(word.end_s + every_s * k, 3))
        for k in range(times)
        for word in words
    ]
    return sorted(said, key=lambda word: word.start_s)


if __name__ == "__main__":
    main()
