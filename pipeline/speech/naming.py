"""Names in the place of speakers' labels, and labels that are one person. Pure.

Labels are arbitrary: another diarization calls the same people otherwise. So what a user says of a label is kept
together with the times at which every label spoke then, and is carried over by these. What users say in one go is
a Naming; the transcript that it is applied to has the labels that earlier ones left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve, frozen

from pipeline.speech.quality import about_speakers
from pipeline.speech.times import Spans, common_s, length_s, spans_of
from pipeline.speech.transcript import Annotated, Transcript
from pipeline.speech.values import UNKNOWN_SPEAKER, AttributedWord, Turn, Utterance

CARRIED_SHARE = 0.5
"""A label is carried over to one that speaks during at least this part of its speech, or whose own speech lies to
this part within it: a name that is missing does less harm than one on the wrong person."""


@frozen
class Naming:
    """What a user says of speakers in one go.

    Attributes:
        names: what labels are called; a label that is called by itself loses its name.
        same: (label, other label): both are one person, who keeps the first label. Carried out before the names.
        in_order: names for the speakers in the order in which they first say something; `names` and `spans` are
            empty until it is settled who that is.
        spans: when each label spoke as this was said.
        because: why, in the user's words.
    """

    names: Mapping[str, str] = {}
    same: tuple[tuple[str, str], ...] = ()
    in_order: tuple[str, ...] = ()
    spans: Mapping[str, Spans] = {}
    because: str | None = None


def as_content(naming: Naming) -> dict[str, Any]:
    """Return a naming as its artifact holds it; see docs/speakers.md. Stored for ever: fields may only be added."""
    spans = {label: [list(span) for span in found] for label, found in naming.spans.items()}
    content = {
        "names": dict(naming.names),
        "same": [list(pair) for pair in naming.same],
        "in_order": list(naming.in_order),
        "spans": spans,
        "because": naming.because,
    }
    return {name: value for name, value in content.items() if value}


def from_content(content: Mapping[str, Any]) -> Naming:
    """Return the naming that an artifact holds."""
    return Naming(
        names=content.get("names", {}),
        same=tuple((kept, other) for kept, other in content.get("same", ())),
        in_order=tuple(content.get("in_order", ())),
        spans={
            label: tuple((start_s, end_s) for start_s, end_s in found)
            for label, found in content.get("spans", {}).items()
        },
        because=content.get("because"),
    )


def apply(transcript: Transcript, content: Mapping[str, Any]) -> Annotated:
    """Apply what was said; speakers keep their labels until `with_names`."""
    naming = from_content(content)
    if not naming.spans:
        naming = settled(transcript, naming)
    now = speech_of(transcript)
    label_of = counterparts(naming.spans, now)
    merged = _with_merged(transcript, naming, label_of, now)
    named = _with_named(merged, naming, label_of)
    if unused := [name for name in naming.in_order if name not in naming.names.values()]:
        speakers = f"{len(naming.names)} speaker{'s' if len(naming.names) != 1 else ''}"
        note = f"not used, since only {speakers} said something: {', '.join(unused)}"
        return evolve(named, notes=(*named.notes, note))
    return named


def settled(transcript: Transcript, naming: Naming) -> Naming:
    """Return what names in order mean for a transcript: which label each is the name of, and when those speak."""
    names = dict(zip(speaking_order(transcript), naming.in_order, strict=False))
    return evolve(naming, names=names, spans=speech_of(transcript))


def counterparts(was: Mapping[str, Spans], now: Mapping[str, Spans]) -> dict[str, str]:
    """Return which label of now speaks for which one of then: one to one, those with most speech in common first.

    A label that spoke at the very times at which it speaks now is itself, and so is the unknown speaker. Labels
    that nobody speaks for are left out.
    """
    found = {label: label for label in was if now.get(label) == was[label]}
    if UNKNOWN_SPEAKER in was.keys() & now.keys():
        found[UNKNOWN_SPEAKER] = UNKNOWN_SPEAKER
    pairs = []
    for old in was.keys() - found.keys() - {UNKNOWN_SPEAKER}:
        for new in now.keys() - found.keys() - {UNKNOWN_SPEAKER}:
            shared_s = common_s(was[old], now[new])
            least_s = CARRIED_SHARE * min(length_s(was[old]), length_s(now[new]))
            if shared_s > 0 and shared_s >= least_s:
                pairs.append((-shared_s, old, new))
    taken: set[str] = set()
    for _, old, new in sorted(pairs):
        if old not in found and new not in taken:
            found[old] = new
            taken.add(new)
    return found


def speech_of(transcript: Transcript) -> dict[str, Spans]:
    """Return when each label speaks: its turns; of a label without turns, its words."""
    spoken = _grouped((word.speaker, word.start_s, word.end_s) for u in transcript.utterances for word in u.words)
    return spoken | _grouped((turn.speaker, turn.start_s, turn.end_s) for turn in transcript.turns)


def speaking_order(transcript: Transcript) -> tuple[str, ...]:
    """Return the labels in the order in which they first say something, the unknown speaker left out."""
    ordered = sorted(transcript.utterances, key=lambda utterance: utterance.start_s)
    return tuple(dict.fromkeys(u.speaker for u in ordered if u.speaker != UNKNOWN_SPEAKER))


def nameless(transcript: Transcript) -> tuple[str, ...]:
    """Return who says something and has no name, where others have one; speakers have their labels."""
    labels = speaking_order(transcript) if transcript.names else ()
    return tuple(label for label in labels if label not in transcript.names)


def with_names(transcript: Transcript) -> Transcript:
    """Put the names in the place of the labels, everywhere; labels without a name stay."""
    return _relabelled(transcript, transcript.names) if transcript.names else transcript


def _grouped(found: Iterable[tuple[str, float, float]]) -> dict[str, Spans]:
    by_label: dict[str, list[tuple[float, float]]] = {}
    for label, start_s, end_s in found:
        by_label.setdefault(label, []).append((start_s, end_s))
    return {label: spans_of(spans) for label, spans in by_label.items()}


def _with_merged(
    transcript: Transcript, naming: Naming, label_of: Mapping[str, str], now: Mapping[str, Spans]
) -> Annotated:
    notes = []
    for kept, other in naming.same:
        if kept in label_of and other in label_of:
            transcript = _merged(transcript, label_of[kept], label_of[other])
        elif not _is_merged_by_now(naming.spans.get(other, ()), now.get(label_of.get(kept, ""), ())):
            notes.append(f"that {other} is {kept} could not be carried over: these speakers are not there any more")
    return Annotated(transcript, tuple(notes))


def _is_merged_by_now(other: Spans, kept: Spans) -> bool:
    """Say whether the new diarization itself hears both as one."""
    return common_s(other, kept) >= CARRIED_SHARE * length_s(other)


def _with_named(merged: Annotated, naming: Naming, label_of: Mapping[str, str]) -> Annotated:
    transcript = merged.transcript
    labels = set(speech_of(transcript))
    named, notes = {}, list(merged.notes)
    for label, name in naming.names.items():
        if label_of.get(label) in labels:
            named[label_of[label]] = "" if name == label else name
        elif name != label:
            notes.append(f"{name} could not be carried over: no speaker of now spoke when {label} did")
    return Annotated(evolve(transcript, names=_renamed(transcript.names, named)), tuple(notes))


def _renamed(names: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Add names; an earlier holder of the same name loses it, and an empty name takes one away."""
    kept = {label: name for label, name in names.items() if name not in more.values()}
    return {label: name for label, name in {**kept, **more}.items() if name}


def _merged(transcript: Transcript, kept: str, other: str) -> Transcript:
    if kept == other:
        return transcript
    joined = _relabelled(transcript, {other: kept})
    names = {label: name for label, name in transcript.names.items() if label != other}
    if other in transcript.names:
        names.setdefault(kept, transcript.names[other])
    ours = [turn for turn in joined.turns if turn.speaker == kept]
    turns = [turn for turn in joined.turns if turn.speaker != kept] + _without_overlaps(ours)
    turns.sort(key=lambda turn: (turn.start_s, turn.end_s, turn.speaker))
    return evolve(joined, turns=tuple(turns), names=names)


def _without_overlaps(turns: Iterable[Turn]) -> list[Turn]:
    """Join the turns of one speaker that overlap on a channel."""
    joined: dict[int | None, list[Turn]] = {}
    for turn in sorted(turns, key=lambda turn: (turn.start_s, turn.end_s)):
        before = joined.setdefault(turn.channel, [])
        if before and turn.start_s < before[-1].end_s:
            before[-1] = evolve(before[-1], end_s=max(before[-1].end_s, turn.end_s))
        else:
            before.append(turn)
    return [turn for found in joined.values() for turn in found]


def _relabelled(transcript: Transcript, new: Mapping[str, str]) -> Transcript:
    def word(spoken: AttributedWord) -> AttributedWord:
        speaker = new.get(spoken.speaker, spoken.speaker)
        others = dict.fromkeys(new.get(label, label) for label in spoken.alternatives)
        others.pop(speaker, None)
        # Two voices that are one person don't overlap.
        overlapped = spoken.overlapped and not (spoken.alternatives and not others)
        return evolve(spoken, speaker=speaker, alternatives=tuple(others), overlapped=overlapped)

    utterances = tuple(
        Utterance(new.get(u.speaker, u.speaker), tuple(map(word, u.words)), u.divided)
        for u in transcript.utterances
    )
    turns = tuple(evolve(turn, speaker=new.get(turn.speaker, turn.speaker)) for turn in transcript.turns)
    quality = transcript.quality and {**transcript.quality, **about_speakers(utterances, turns)}
    return evolve(transcript, utterances=utterances, turns=turns, quality=quality)
