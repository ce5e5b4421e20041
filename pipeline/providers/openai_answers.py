"""What an answer of OpenAI's transcriptions says, once it is believed: JSON in three formats becomes words. Pure.

An answer is read each time it is used, so these rules may become better; the body that was paid for stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from attrs import evolve, frozen

from pipeline.errors import ProviderError
from pipeline.providers.openai_terms import DIARIZED, SERVICE, VERBOSE
from pipeline.speech.alignment import between, split_text, with_times
from pipeline.speech.suspicion import segment_doubts
from pipeline.speech.values import Word
from projections.failures import PAID_UNUSABLE

OUTSIDE_S = 1.0
"""By how much a time may lie outside the sound; encoders pad, and models round. It is clamped."""

BACK_S = 0.25
"""By how much a word may begin before the one before it; local servers cut segments that overlap a little."""

_NAMED = """
afrikaans af, arabic ar, armenian hy, azerbaijani az, basque eu, belarusian be, bengali bn, bosnian bs,
bulgarian bg, burmese my, cantonese yue, catalan ca, chinese zh, croatian hr, czech cs, danish da, dutch nl,
english en, estonian et, finnish fi, french fr, galician gl, georgian ka, german de, greek el, gujarati gu,
hebrew he, hindi hi, hungarian hu, icelandic is, indonesian id, italian it, japanese ja, javanese jw,
kannada kn, kazakh kk, khmer km, korean ko, lao lo, latin la, latvian lv, lithuanian lt, macedonian mk,
malay ms, malayalam ml, maltese mt, mandarin zh, maori mi, marathi mr, mongolian mn, nepali ne, norwegian no,
nynorsk nn, persian fa, polish pl, portuguese pt, punjabi pa, romanian ro, russian ru, serbian sr, sinhala si,
slovak sk, slovenian sl, somali so, spanish es, swahili sw, swedish sv, tagalog tl, tamil ta, telugu te,
thai th, tibetan bo, turkish tr, ukrainian uk, urdu ur, uzbek uz, vietnamese vi, welsh cy, yiddish yi,
yoruba yo
"""

LANGUAGES: Mapping[str, str] = dict(pair.split() for pair in _NAMED.split(","))
"""English names of languages, as whisper-1 gives them, and their codes. Source: openai/whisper, tokenizer.py."""


_CODE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")


@frozen
class Asked:
    """What an answer is held against.

    Attributes:
        format: the response format that was asked for.
        duration_s: of the sound.
        must_time: without times of words or segments the answer is not what was paid for.
        language: the code that was asked for; None: it was left to the service.
        max_output_tokens: where the model ends, whether or not all was said; None: unknown.
    """

    format: str
    duration_s: float
    must_time: bool = True
    language: str | None = None
    max_output_tokens: int | None = None


@frozen
class Heard:
    """What an answer says.

    Attributes:
        words: in their order; times in seconds from the start of the sound, or None.
        speakers: of each word; empty where the answer knows no speakers.
        turns: the spans of the segments with their speakers.
        language: a code; None: unknown.
        metadata: numbers and words that are no speech.
    """

    words: Sequence[Word]
    speakers: Sequence[str]
    turns: Sequence[tuple[float, float, str]]
    language: str | None
    metadata: Mapping[str, Any]


class _UnusableError(Exception):
    """The answer can't be believed; the text says why, and holds nothing of the answer."""


def read_body(body: str, asked: Asked) -> Heard:
    """Return what a body says.

    Raises:
        ProviderError: of kind `paid_unusable`: it can't be believed; code `truncated` where a shorter sound is the
            remedy, else `unusable_answer`.
    """
    try:
        return _heard(_object(body), asked)
    except _UnusableError as error:
        raise unusable(str(error)) from None


def unusable(why: str, code: str = "unusable_answer") -> ProviderError:
    """Return the error for an answer that is paid and of no use; `why` is a clause about the answer."""
    return ProviderError(
        f"The answer of the transcription service counts as paid, but can't be used: {why}. If this goes on, "
        "check the service's URL, or choose another model with `--model`.",
        provider=SERVICE,
        code=code,
        kind=PAID_UNUSABLE,
    )


def usage_in(body: str) -> Mapping[str, Any] | None:
    """Return the usage that a body names; None where it names none that can be read."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    usage = found.get("usage") if isinstance(found, dict) else None
    return usage if isinstance(usage, dict) else None


def shape_of(body: str) -> tuple[bool, bool]:
    """Return whether an answer times its words, and whether it says who speaks."""
    try:
        found = _object(body)
    except _UnusableError:
        return False, False
    words, segments = found.get("words"), found.get("segments")
    speakers = isinstance(segments, list) and any(isinstance(s, dict) and s.get("speaker") for s in segments)
    return isinstance(words, list) and (bool(words) or not found.get("text")), speakers


def _object(body: str) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        page = body.lstrip()[:200].lower().startswith(("<!doctype", "<html", "<head", "<?xml"))
        why = "it is a web page, perhaps of a proxy" if page else "it is no whole JSON"
        raise _UnusableError(why) from None
    if not isinstance(found, dict):
        raise _UnusableError("it is no JSON object")
    return found


def _heard(found: Mapping[str, Any], asked: Asked) -> Heard:
    text = found.get("text")
    if not isinstance(text, str):
        raise _UnusableError("it has no text")
    _check_whole(found, asked)
    language = _language(found, asked)
    if asked.format == DIARIZED:
        return _diarized(found, text, language, asked)
    words, metadata = _words(found, text, asked)
    return Heard(_doubted([_clamped(word) for word in words], metadata), (), (), language, metadata)


def _check_whole(found: Mapping[str, Any], asked: Asked) -> None:
    """Refuse a text that ends where the model's output does, since what was said after that is missing."""
    usage = found.get("usage")
    tokens = usage.get("output_tokens") if isinstance(usage, dict) else None
    if asked.max_output_tokens and isinstance(tokens, int) and tokens >= asked.max_output_tokens:
        raise unusable("its text ends where the model's longest output does, so speech is missing", "truncated")


def _language(found: Mapping[str, Any], asked: Asked) -> str | None:
    if asked.language:
        return asked.language
    listed = found.get("languages")
    first = listed[0] if isinstance(listed, list) and listed else None
    name = first.get("code") if isinstance(first, dict) else found.get("language")
    if not isinstance(name, str):
        return None
    name = name.strip().lower()
    code = LANGUAGES.get(name, name)
    return code if _CODE.fullmatch(code) else None


def _words(found: Mapping[str, Any], text: str, asked: Asked) -> tuple[Sequence[Word], Mapping[str, Any]]:
    segments = _listed(found, "segments") if asked.format == VERBOSE else []
    metadata = {"segments": [_sureness(segment) for segment in segments]} if segments else {}
    listed = _listed(found, "words") if asked.format == VERBOSE else []
    words = [word for item in listed if (word := _word(item))]
    if words:
        return with_times(text, _in_order(words, asked)), metadata
    spread = _spread(segments, asked) if split_text(text) else []
    if spread:
        return with_times(text, spread), metadata
    if asked.format == VERBOSE and asked.must_time and split_text(text):
        raise _UnusableError("it has a text and neither words nor segments")
    return [Word(token) for token in split_text(text)], metadata


def _spread(segments: Sequence[Mapping[str, Any]], asked: Asked) -> list[Word]:
    """Return the words of segments with times between those of the segment; none where nothing was said.

    Where no times are needed, those that can't be right are left aside: some models put a segment's end far behind
    the sound's, and the text is as good as without them.
    """
    try:
        parts = [part for segment in segments if split_text((part := _segment(segment)).text)]
        spans = _in_order(parts, asked)
    except _UnusableError:
        if asked.must_time:
            raise
        return []
    return [word for part in spans for word in _divided(part)]


def _divided(part: Word) -> list[Word]:
    """Return the words of a segment; each remembers the segment, since its own times are only reckoned."""
    start_s, end_s = _s(part.start_s), _s(part.end_s)
    segment = (round(start_s, 3), round(end_s, 3))
    return [evolve(word, segment=segment) for word in between(split_text(part.text), start_s, end_s)]


def _doubted(words: Sequence[Word], metadata: Mapping[str, Any]) -> list[Word]:
    """Return the words, those in the middle of segments that the model itself doubts with the reasons."""
    doubtful = [(flags, doubts) for flags in metadata.get("segments", ()) if (doubts := segment_doubts(flags))]
    marked = []
    for word in words:
        suspect = [doubt for flags, doubts in doubtful if _is_within(word, flags) for doubt in doubts]
        marked.append(evolve(word, suspect=tuple(dict.fromkeys(suspect))) if suspect else word)
    return marked


def _is_within(word: Word, segment: Mapping[str, float]) -> bool:
    if word.start_s is None or word.end_s is None or not {"start_s", "end_s"} <= segment.keys():
        return False
    return segment["start_s"] <= (word.start_s + word.end_s) / 2 <= segment["end_s"]


def _diarized(found: Mapping[str, Any], text: str, language: str | None, asked: Asked) -> Heard:
    if not isinstance(found.get("segments"), list):
        raise _UnusableError("it has no segments")
    segments = _listed(found, "segments")
    parts = [(_segment(segment), segment.get("speaker")) for segment in segments]
    spoken = [(part, speaker) for part, speaker in parts if split_text(part.text)]
    if bool(split_text(text)) != bool(spoken):
        raise _UnusableError("its text and its segments contradict each other")
    if any(not isinstance(speaker, str) or not speaker.strip() for _, speaker in spoken):
        raise _UnusableError("a segment has no speaker")
    spans = _in_order([part for part, _ in spoken], asked)
    words: list[Word] = []
    speakers: list[str] = []
    turns: list[tuple[float, float, str]] = []
    for span, (_, speaker) in zip(spans, spoken, strict=True):
        inside = between(split_text(span.text), span.start_s, span.end_s)
        words += [_clamped(word) for word in inside]
        speakers += [str(speaker)] * len(inside)
        turns.append((_s(span.start_s), _s(span.end_s), str(speaker)))
    return Heard(words, speakers, turns, language, {})


def _listed(found: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return a list of objects; empty where it isn't there."""
    items = found.get(name)
    if items is None:
        return []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise _UnusableError(f"its {name} are no list of objects")
    return items


def _word(item: Mapping[str, Any]) -> Word | None:
    """Return a word; None for one of white space only, which some servers put between others."""
    text = item.get("word", item.get("text"))
    if not isinstance(text, str):
        raise _UnusableError("a word has no text")
    start_s, end_s = _span(item, "word")
    sure = item.get("probability")
    confidence = round(sure, 4) if type(sure) is float and 0 <= sure <= 1 else None
    return Word(text.strip(), start_s, end_s, confidence) if text.strip() else None


def _segment(item: Mapping[str, Any]) -> Word:
    text = item.get("text")
    if not isinstance(text, str):
        raise _UnusableError("a segment has no text")
    return Word(text.strip(), *_span(item, "segment"))


def _span(item: Mapping[str, Any], what: str) -> tuple[float, float]:
    start_s, end_s = (_number(item.get(name)) for name in ("start", "end"))
    if start_s is None or end_s is None:
        raise _UnusableError(f"a {what} has no times")
    return start_s, end_s


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) else None


def _in_order(spans: Sequence[Word], asked: Asked) -> list[Word]:
    """Return spans inside the sound, each not before the one before it.

    Raises:
        _UnusableError: they are further off than rounding explains.
    """
    sound: list[Word] = []
    before_s = 0.0
    for span in spans:
        start_s, end_s = _s(span.start_s), _s(span.end_s)
        if not -OUTSIDE_S <= start_s <= asked.duration_s + OUTSIDE_S or end_s > asked.duration_s + OUTSIDE_S:
            raise _UnusableError("a time lies outside the sound")
        if end_s < start_s - BACK_S or max(start_s, 0.0) < before_s - BACK_S:
            raise _UnusableError("its times go backwards")
        before_s = min(max(start_s, before_s), asked.duration_s)
        sound.append(evolve(span, start_s=before_s, end_s=min(max(end_s, before_s), asked.duration_s)))
    return sound


def _s(time_s: float | None) -> float:
    assert time_s is not None, "spans without times were refused"
    return time_s


def _clamped(word: Word) -> Word:
    """Return a word with its times in milliseconds, as they are kept."""
    if word.start_s is None or word.end_s is None:
        return word
    return evolve(word, start_s=round(word.start_s, 3), end_s=round(word.end_s, 3))


_SURE = ("no_speech_prob", "avg_logprob", "compression_ratio")


def _sureness(segment: Mapping[str, Any]) -> dict[str, float]:
    """Return what tells invented segments from real ones, see `pipeline.speech.suspicion`."""
    numbers = {"start_s": segment.get("start"), "end_s": segment.get("end"), **{n: segment.get(n) for n in _SURE}}
    return {name: number for name, value in numbers.items() if (number := _number(value)) is not None}


def spoken(heard: Heard) -> Iterator[dict[str, Any]]:
    """Yield the words as a transcriber answers them, with their speakers where there are any."""
    for at, word in enumerate(heard.words):
        found: dict[str, Any] = {"text": word.text, "start_s": word.start_s, "end_s": word.end_s}
        if word.confidence is not None:
            found["confidence"] = word.confidence
        if word.segment is not None:
            found["segment"] = [*word.segment]
        if word.suspect:
            found["suspect"] = [*word.suspect]
        if heard.speakers:
            found["speaker"] = heard.speakers[at]
        yield found
