"""Hypothesis strategies for turns and words, with every degenerate case that engines produce."""

from __future__ import annotations

import math
from typing import Any

from attrs import evolve
from hypothesis import strategies as st

from pipeline.speech.transcript import Engines, Excerpt, Transcript
from pipeline.speech.values import AttributedWord, Turn, Utterance, Word

speakers = st.sampled_from(["SPEAKER_00", "SPEAKER_01", "SPEAKER_02"])

times_s = st.integers(0, 24).map(lambda quarter: quarter / 4) | st.floats(0, 40, allow_nan=False)
"""Coarse times make ties, equal borders and zero lengths likely."""

channels = st.sampled_from([None, None, None, 0, 1])
marks = st.sampled_from(["", "", "", ".", "?", "…", ",", '."'])

any_text = st.text(st.characters(), max_size=12)
"""Any text at all: controls, line separators, bidirectional controls, lone surrogates, nothing."""

spoken_text = st.text("aZé9ßжЩあ漢한ابहि", min_size=1, max_size=9) | st.just("a" * 50)
"""Text without white space, of several scripts; sometimes longer than a subtitle line."""

spaced_text = st.text("aZé9ßж한ابहि", min_size=1, max_size=9) | st.just("a" * 50)
"""The same of scripts that are written with spaces between words."""


spans_s = st.tuples(times_s, times_s).map(sorted)

turns = st.builds(
    lambda span, speaker, channel: Turn(*span, speaker, channel),
    spans_s,
    speakers,
    channels,
)
"""A turn; sometimes without length."""

wild_times_s = times_s | times_s | st.sampled_from([math.nan, math.inf, -math.inf, -0.25, -7.0, 1e6])
"""A time as anybody may give it: sometimes before the recording, far behind it, or no number."""

wild_turns = turns | st.builds(Turn, wild_times_s, wild_times_s, speakers, channels)
"""A turn; sometimes reversed, beyond the recording or without sense."""

segments_s = st.none() | st.sampled_from([(0.0, 4.0), (4.0, 5.0), (5.0, 5.0)])

timed_words = st.builds(
    Word,
    st.just("so"),
    st.none() | wild_times_s,
    st.none() | wild_times_s,
    st.none() | st.floats(0, 1),
    channels,
    st.none() | st.none() | speakers,
    segment=segments_s,
)
"""A word; its times may be missing, equal, the wrong way round or no numbers, its speaker or its segment given."""


def numbered(words: st.SearchStrategy[Word]) -> st.SearchStrategy[list[Word]]:
    """Up to a dozen words, each with its number as its text, so that none is like another."""
    marked = st.lists(st.tuples(words, marks), max_size=12)
    return marked.map(lambda some: [evolve(word, text=f"{i}{mark}") for i, (word, mark) in enumerate(some)])


def utterances(text: st.SearchStrategy[str], speaker: st.SearchStrategy[str]) -> st.SearchStrategy[Utterance]:
    """An utterance anywhere within five days; its words start one after another."""
    waits_and_lengths_s = st.tuples(text, st.floats(0, 3), st.just(0.0) | st.floats(0, 9))
    return st.builds(
        _utterance,
        speaker,
        times_s | st.floats(0, 432_000),
        st.lists(waits_and_lengths_s, min_size=1, max_size=8),
    )


def _utterance(speaker: str, start_s: float, said: list[tuple[str, float, float]]) -> Utterance:
    words = []
    for text, wait_s, length_s in said:
        start_s += wait_s
        words.append(AttributedWord(text, start_s, start_s + length_s, speaker, 1.0, "overlap"))
    return Utterance(speaker, tuple(words))


def transcripts(
    text: st.SearchStrategy[str] = spoken_text, speaker: st.SearchStrategy[str] = speakers
) -> st.SearchStrategy[Transcript]:
    """A transcript of people who may talk at once; sometimes without any speech."""
    return st.builds(
        lambda spoken, **fields: transcript_of(*sorted(spoken, key=lambda one: one.start_s), **fields),
        st.lists(utterances(text, speaker), max_size=3),
        name=text,
        turns=st.lists(turns, max_size=3).map(tuple),
        language=st.sampled_from([None, "en", "ja"]),
        draft=st.booleans(),
        warnings=st.lists(text, max_size=1).map(tuple),
        excerpt=st.none() | st.builds(Excerpt, times_s, times_s, st.none() | times_s),
    )


def transcript_of(*utterances: Utterance, **fields: Any) -> Transcript:
    """A plain transcript of these utterances; any field can be given another value."""
    plain = Transcript(
        id="4f2a9c1b7d3e0a11",
        name="talk.wav",
        utterances=utterances,
        turns=(),
        duration_s=100.5,
        language="en",
        draft=False,
        engines=Engines("builtin", "whisper"),
    )
    return evolve(plain, **fields)


def utterance_of(speaker: str, text: str, start_s: float = 0.0, step_s: float = 0.4) -> Utterance:
    """An utterance whose words follow one another, each `step_s` long."""
    return Utterance(
        speaker,
        tuple(
            AttributedWord(one, start_s + i * step_s, start_s + (i + 1) * step_s, speaker, 1.0, "overlap")
            for i, one in enumerate(text.split(" "))
        ),
    )
