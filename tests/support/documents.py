"""Transcripts that documents must show whole: many scripts, hostile names and words, gaps, overlaps, long days."""

from __future__ import annotations

from attrs import evolve
from hypothesis import strategies as st

from pipeline.speech.quality import report
from pipeline.speech.transcript import Transcript, one_line
from pipeline.speech.values import AttributedWord, Gap, Turn, Utterance, Word
from tests.support.strategies import any_text, transcript_of, transcripts, utterance_of

MARKUP = (
    *("**bold**", "_low_", "`code`", "<b>x</b>", "<!--", "&amp;", "[a](b)", "![i](j)", "# head", "1. item"),
    *("- item", "> quote", "a|b", "~~no~~", "$x$", "\\", "\\*", "---", "===", "***", "    code", "```"),
    *("[x]: http://y", "http://x.y/z", "]]>", "<w:p/>", "{", "}", "%s", "item [1]:", ";; comment", "<NA>"),
    *('"quoted"', '""', "it's", "a,b", "a;b", "=1+1", "+1", "-1", "@you", "＝1", "", " "),
    *("a\nb", "a\r\nb", "a\tb", "nul\x00nul", "\x1b[1m", "\ufffe", "\uffff", "\ud800", "\u2028"),
    *("\u202eturned", "\ufeffmarked", "e\u0301", "👩\u200d👧"),
)
"""Words and names that one format or another takes for more than words."""

marked_up = st.sampled_from(MARKUP) | any_text

gaps = st.builds(lambda start_s, length_s: Gap(start_s, start_s + length_s), st.floats(0, 90), st.floats(0, 600))

hostile_transcripts = st.builds(
    lambda transcript, gaps, has_report: with_report(
        evolve(transcript, gaps=tuple(sorted(gaps, key=str))), has_report
    ),
    transcripts(marked_up, marked_up),
    st.lists(gaps, max_size=2),
    st.booleans(),
)
"""Any text as words and names, with gaps, with and without a report."""


def with_report(transcript: Transcript, has_report: bool = True) -> Transcript:
    """A transcript with the report that the merge makes of it, as if speech had been heard all along."""
    said = [word for utterance in transcript.utterances for word in utterance.words]
    words = [Word(word.text, word.start_s, word.end_s) for word in said]
    speech = [(0.0, transcript.duration_s)]
    made = report(words, transcript.utterances, transcript.turns, transcript.gaps, speech, transcript.duration_s)
    return evolve(transcript, quality=made) if has_report else transcript


def _everything() -> Transcript:
    words = tuple(
        AttributedWord(
            text, 20 + i, 20.5 + i, "Zoë", 1.0, "overlap", i / 10, ("B",), i == 1, ("repeated",) * (i == 2)
        )
        for i, text in enumerate(["Well,", "so", "so"])
    )
    plain = transcript_of(
        utterance_of("SPEAKER_00", "Hello there, everyone.", 1.0),
        utterance_of("Анна", "Съешь ещё этих мягких булок.", 4.0),
        Utterance("Zoë", words),
        turns=(Turn(1, 3, "SPEAKER_00", 0), Turn(4, 7, "Анна", 1), Turn(20, 23, "Zoë", 1)),
        gaps=(Gap(7.5, 19.25, 1),),
        warnings=("The end is missing.",),
        draft=True,
    )
    return with_report(plain)


def _single(speaker: str, text: str, start_s: float) -> Utterance:
    return Utterance(speaker, (AttributedWord(text, start_s, start_s + 1, speaker, 1.0, "overlap"),))


SAID = {
    "everything": _everything(),
    "nobody": transcript_of(language=None, turns=()),
    "latin": transcript_of(utterance_of("Zoë", "Ça va? Straße, naïve façade.")),
    "cyrillic": transcript_of(utterance_of("Анна", "Съешь ещё этих мягких булок.")),
    "arabic": transcript_of(utterance_of("سارة", "مرحبا بالعالم، OK؟"), language="ar"),
    "hebrew": transcript_of(utterance_of("דנה", "שלום עולם 12"), language="he"),
    "chinese": transcript_of(utterance_of("王", "你 好， 世 界。"), utterance_of("王", "再 见", 3), language="zh"),
    "japanese": transcript_of(utterance_of("田中", "今日 は いい 天気 です。"), language="ja"),
    "thai": transcript_of(utterance_of("สมชาย", "สวัสดี ครับ"), language="th"),
    "markup": transcript_of(*(_single(text, text, 2.0 * i) for i, text in enumerate(MARKUP)), name="# <a>&*b*.wav"),
    "crowd": transcript_of(
        utterance_of("A", "one two three", 0.0, 2.0),
        _single("A", "inside", 1.0),
        _single("B", "meanwhile", 1.5),
        utterance_of("A", "late later", 5.0, 2.0),
        duration_s=3.0,
    ),
    "a long day": transcript_of(
        *(utterance_of(f"S{i % 3}", "on and on", i * 300.0) for i in range(300)), duration_s=90_000.0
    ),
}
"""Transcripts by what they try."""


def visible(transcript: Transcript) -> str:
    """All that was said, without white space and without what no document can hold."""
    words = [one_line(word.text) for utterance in transcript.utterances for word in utterance.words]
    return squeezed("".join(words))


def squeezed(text: str) -> str:
    """A text without white space."""
    return "".join(text.split())
