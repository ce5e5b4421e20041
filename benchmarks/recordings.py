"""Prints what `evt run` makes of every shared recording with the built-in engines, as a table.

`EVT_CORPUS=… python -m benchmarks.recordings`, three minutes. Word error: case and punctuation don't count.
Wrong speaker: of the words that transcript and truth share, or have in each other's place, those whose speaker is
wrong, the speakers paired so that they are fewest. Diarization error: no collar, overlaps judged.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import evolve, frozen

from benchmarks.runs import Transcribed, evt_run
from benchmarks.truth import Said, paired, rttm, stm, wrong_speakers
from pipeline.speech.metrics import diarization_error, word_errors
from pipeline.speech.values import Turn

JFK = "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country."
QUILTER = "Mr. Quilter is the apostle of the middle classes and we are glad to welcome his gospel."
LEFT = "He began a confused complaint against the wizard, who had vanished behind the curtain on the left."
RIGHT = "The horizon seems extremely distant."


@frozen
class Known:
    """A recording and what is known of it: None, where that isn't known; and which engine finds its speakers."""

    path: Path
    words: Sequence[Said] | None
    turns: Sequence[Turn] | None = None
    diarizer: str = "builtin"


def main() -> None:
    corpus = os.environ.get("EVT_CORPUS")
    if corpus is None:
        print("recordings: not run (set EVT_CORPUS to the folder of the shared recordings)")
        return
    print("| recording | length | speakers, found | words, found | WER | wrong speaker | DER | CPU |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for number, known in enumerate(recordings(Path(corpus))):
            engines = ("--diarizer", known.diarizer, "--transcriber", "builtin")
            found = evt_run(known.path, Path(scratch) / str(number), *engines)
            name = str(known.path.relative_to(corpus))
            if isinstance(found, str):
                print(f"| {name} | refused: {found.rpartition(f'{known.path}: ')[2]} |", flush=True)
            else:
                print(row(name, known, found), flush=True)


def recordings(corpus: Path) -> Iterator[Known]:
    """Yield all that the folder holds, see its manifest."""
    formats = sorted(f"formats/{path.name}" for path in (corpus / "formats").iterdir())
    for name in ("jfk_16k_mono.wav", "jfk.flac", *formats):
        begins_only = name.startswith(("formats/stereo", "formats/surround"))
        yield Known(corpus / name, said(JFK.partition(",")[0] if begins_only else JFK, "kennedy"))
    yield Known(corpus / "quilter.wav", said(QUILTER, "reader"))
    tests = json.loads((corpus / "test_data.json").read_bytes())["tests"]
    tagged = tests["diarization_tests"][0]["words"]
    yield Known(corpus / "three_speakers.wav", [Said(w["word"], 0.0, 0.0, str(w["speaker_tag"])) for w in tagged])
    sides = [*said(LEFT, "left"), *said(RIGHT, "right")]
    yield Known(corpus / "stereo_diarization.wav", sides)
    yield Known(corpus / "stereo_diarization.wav", sides, diarizer="channels")
    call = corpus / "pyannote_sample"
    words = [word for utterance in stm(call / "sample.stm") for word in utterance]
    yield Known(call / "sample.wav", words, rttm(call / "sample.rttm"))
    for name in ("silence_10s.wav", "white_noise_-50dBFS_10s.wav"):
        yield Known(corpus / name, [], [])
    for path in sorted((corpus / "broken").iterdir()):
        yield Known(path, None)


def said(text: str, speaker: str) -> list[Said]:
    """Return words of which no times are known."""
    return [Said(word, 0.0, 0.0, speaker) for word in text.split()]


def row(name: str, known: Known, found: Transcribed) -> str:
    """Return a row of the table."""
    length_s = found.content["duration_s"]
    words, turns = by_speaker(found), found.turns
    voices = len({turn.speaker for turn in turns})
    cells = [name if known.diarizer == "builtin" else f"{name}, by `{known.diarizer}`", f"{length_s:.1f} s"]
    if known.words is None:
        cells += [f"?, {voices}", f"?, {len(words)}", "", "", ""]
    else:
        pairs = paired(known.words, words)
        true_text, text = (" ".join(word.text for word in some) for some in (known.words, words))
        wrong = wrong_speakers([true.speaker for true, _ in pairs], [heard.speaker for _, heard in pairs])
        cells += [
            f"{len({word.speaker for word in known.words})}, {voices}",
            f"{len(known.words)}, {len(words)}",
            f"{word_errors(true_text, text).rate:.3f}" if known.words else "",
            f"{wrong} of {len(pairs)}" if pairs else "",
            "" if not known.turns else f"{diarization_error(known.turns, turns).rate:.3f}",
        ]
    return f"| {' | '.join([*cells, f'{found.cpu_s:.1f} s'])} |"


def by_speaker(found: Transcribed) -> list[Said]:
    """Return the words, those of each channel in a row where the channels are transcribed by themselves."""
    channels = {turn["speaker"]: turn["channel"] for turn in found.content["turns"]}
    words = [evolve(word, start_s=0.0, end_s=0.0) for word in found.words]
    return sorted(words, key=lambda word: channels.get(word.speaker) or 0)


if __name__ == "__main__":
    main()
