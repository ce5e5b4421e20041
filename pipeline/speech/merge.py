"""Who said which word: the rule `overlap-edge`, from words and turns to utterances. Pure.

No word is lost, added or changed, whatever the times are; times are repaired and speakers found:

1. words are sorted by start, missing times are filled in from the neighbours, stretched words are cut;
2. a word whose speaker is known keeps it; any other goes to the speaker whose turns cover most of it;
3. where speakers are level or talk at once, the exclusive turns decide, else the previous word's speaker;
4. a word outside all turns goes to the nearest turn edge within a second, else to `UNKNOWN`;
5. one or two words at the edge of a sentence that is mostly another speaker's go to that speaker;
6. up to three unknown words between words of one speaker go to that speaker;
7. words become utterances, which break on a speaker change, a pause, a sentence end or great length.

Each channel goes through these steps by itself, and the utterances of all channels are then ordered by start:
people who talk at once on two channels read sentence by sentence, not word by word. The break by length of
subtitles is left to the subtitle formats, so that readers of the other formats get whole sentences.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, pairwise, takewhile
from operator import itemgetter

from attrs import evolve, frozen

from pipeline.speech.values import UNKNOWN_SPEAKER, AttributedWord, Turn, Utterance, Word

ASSUMED_WORD_S = 0.3
"""The length of a word of which one time is known, and the room of a word beyond the last known time.

Source: English conversation has about 200 words a minute."""

LONGEST_WORD_S = 0.5
LONGEST_CHARACTER_S = 0.25
"""A word longer than LONGEST_WORD_S + LONGEST_CHARACTER_S a character was stretched over a pause and is cut.

The second is a slow syllable, which scripts such as Chinese write with one character.

Source: suitenumerique/meet#1323 (aligners stretch words over pauses)."""

FRAME_S = 0.02
"""Differences below this are not evidence. Source: pyannote segmentation decides once in 17 ms."""

POINT_S = 0.001
"""A word without length is looked up over this much, so that the turn around it is found."""

NEAREST_EDGE_S = 1.0
"""How far from a turn a word may lie and still belong to it."""

EDGE_RUN_WORDS = 2
"""How many words at the edge of a sentence may follow its majority; more would repair more and break more.

Source: noScribe#341 (whole-sentence majorities on 150,000 words: repairs, and harm on some corpora)."""

SENTENCE_WORDS = 50
"""A longer stretch between two sentence marks is taken for poor punctuation. Source: whisper-diarization."""

ISLAND_WORDS = 3
"""How many unknown words between words of one speaker are taken for that speaker's."""

PAUSE_S = 1.0
"""A longer silence ends an utterance."""

UTTERANCE_S = 30.0
"""An utterance without a pause or sentence mark ends here; engines without punctuation would never stop."""

_SENTENCE_MARKS = tuple(".!?…。！？｡؟۔।")
_CLOSING = "\"'”’»›)]}」』）"
_TITLES = frozenset({"mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "vs."})


def merge(words: Sequence[Word], turns: Sequence[Turn], exclusive: Sequence[Turn] = ()) -> tuple[Utterance, ...]:
    """Find the speaker of every word and gather the words into utterances.

    A word of a channel is matched with the turns of that channel; where there are none, with the turns of no
    channel. A word of no channel (from the mix) is matched with the turns of no channel; where there are
    none, with all turns, since a mix carries every channel. Turns without length claim nothing.

    Args:
        words: in the order of the engine, which stays among words of equal start; a word without times stays
            behind its predecessor. May be empty, in any order of time, with any times missing.
        turns: who speaks when, overlaps included; in any order, may be empty.
        exclusive: the same with one speaker at most at any time, where the diarizer gives that.

    Returns:
        Utterances ordered by start. Those of one channel hold exactly its words, sorted by start.
    """
    everyone = _timeline(turns)
    utterances: list[Utterance] = []
    for channel, own in _by_channel(words):
        timed = _timed(own, turns)
        claims = _claims(timed, _Floor.of(channel, turns, exclusive), everyone)
        utterances += _utterances(_fold_islands(_realign(claims)))
    return tuple(sorted(utterances, key=lambda utterance: utterance.start_s))


def ends_sentence(text: str) -> bool:
    """Say whether a word ends a sentence: by its mark, unless that belongs to a title or an initial."""
    bare = text.rstrip(_CLOSING)
    initial = len(bare) == 2 and bare[0].isupper() and bare[0] != "I" and bare[1] == "."
    return bare.endswith(_SENTENCE_MARKS) and bare.lower() not in _TITLES and not initial


def _by_channel(words: Sequence[Word]) -> list[tuple[int | None, list[Word]]]:
    groups: dict[int | None, list[Word]] = defaultdict(list)
    for word in words:
        groups[word.channel].append(word)
    return sorted(groups.items(), key=lambda item: -1 if item[0] is None else item[0])


# ---- step 1: times


@frozen
class _Timed:
    """A word with both times; 0 ≤ start_s ≤ end_s."""

    word: Word
    start_s: float
    end_s: float


def _timed(words: Sequence[Word], turns: Sequence[Turn]) -> list[_Timed]:
    """Return the words sorted by start, each with times."""
    ordered = _sorted(words)
    starts = _filled([_known_start(word) for word in ordered], [word.end_s for word in ordered], turns)
    timed: list[_Timed] = []
    for word, start, following in zip(ordered, starts, [*starts, math.inf][1:], strict=True):
        end = min(start + ASSUMED_WORD_S, following) if word.end_s is None else max(start, word.end_s)
        after_sentence = bool(timed) and ends_sentence(timed[-1].word.text)
        timed.append(_cut(_Timed(word, start, end), following, after_sentence))
    return timed


def _known_start(word: Word) -> float | None:
    if word.start_s is not None:
        return max(0.0, word.start_s)
    return None if word.end_s is None else max(0.0, word.end_s - ASSUMED_WORD_S)


def _sorted(words: Sequence[Word]) -> list[Word]:
    """Sort by start; a word without times goes with the word before it."""
    keys: list[float] = []
    for word in words:
        start = _known_start(word)
        keys.append(start if start is not None else keys[-1] if keys else -math.inf)
    return [words[i] for i in sorted(range(len(words)), key=keys.__getitem__)]


def _filled(starts: list[float | None], ends: list[float | None], turns: Sequence[Turn]) -> list[float]:
    """Give each run of words without a start even steps through the pause that it stands in."""
    known = [i for i, start in enumerate(starts) if start is not None]
    filled = [0.0 if start is None else start for start in starts]
    for before, after in pairwise([-1, *known, len(starts)]):
        count = after - before - 1
        if count == 0:
            continue
        left = _end_of(filled[before], ends[before]) if before >= 0 else None
        right = filled[after] if after < len(starts) else None
        left, right = _room(left, right, count * ASSUMED_WORD_S, turns)
        for step in range(count):
            filled[before + 1 + step] = left + (right - left) * step / count
    return filled


def _end_of(start: float, end: float | None) -> float:
    return start + ASSUMED_WORD_S if end is None else max(start, end)


def _room(left: float | None, right: float | None, length_s: float, turns: Sequence[Turn]) -> tuple[float, float]:
    """Return where words without times lie: between known words, beside the only one, or along the turns."""
    if left is not None and right is not None:
        return min(left, right), right
    if left is not None:
        return left, left + length_s
    if right is not None:
        return max(0.0, right - length_s), right
    if turns:
        return max(0.0, min(t.start_s for t in turns)), max(0.0, *(t.end_s for t in turns))
    return 0.0, length_s


def _cut(timed: _Timed, following: float, after_sentence: bool) -> _Timed:
    """Shorten a stretched word; after the end of a sentence the pause lies before it, else behind it."""
    longest = LONGEST_WORD_S + LONGEST_CHARACTER_S * len(timed.word.text)
    if timed.end_s - timed.start_s <= longest:
        return timed
    start = min(timed.end_s - longest, following) if after_sentence else timed.start_s
    return _Timed(timed.word, start, start + longest)


# ---- steps 2 to 4: speakers


@frozen
class _Timeline:
    """Turns, cut at every border: `speakers[i]` speak during [borders[i], borders[i + 1])."""

    borders: list[float]
    speakers: list[tuple[str, ...]]
    starts: list[tuple[float, str]]
    ends: list[tuple[float, str]]

    def stretches(self, start_s: float, end_s: float) -> Iterator[tuple[float, tuple[str, ...]]]:
        """Yield the parts of [start_s, end_s) that lie within borders: seconds, and who speaks."""
        i = max(0, bisect_right(self.borders, start_s) - 1)
        while i + 1 < len(self.borders) and self.borders[i] < end_s:
            seconds = min(end_s, self.borders[i + 1]) - max(start_s, self.borders[i])
            if seconds > 0:
                yield seconds, self.speakers[i]
            i += 1

    def heard(self, start_s: float, end_s: float) -> dict[str, float]:
        """Return the seconds of each speaker who speaks within [start_s, end_s)."""
        seconds_by_speaker: dict[str, float] = defaultdict(float)
        for seconds, speakers in self.stretches(start_s, end_s):
            for speaker in speakers:
                seconds_by_speaker[speaker] += seconds
        return dict(seconds_by_speaker)

    def crosstalk_s(self, start_s: float, end_s: float) -> float:
        """Return the seconds of [start_s, end_s) in which two or more speak."""
        return sum(seconds for seconds, speakers in self.stretches(start_s, end_s) if len(speakers) > 1)

    def nearest(self, start_s: float, end_s: float) -> str | None:
        """Return whose turn's edge is nearest to an interval in which nobody speaks; the earlier if level."""
        before = bisect_right(self.ends, start_s, key=itemgetter(0)) - 1
        after = bisect_left(self.starts, end_s, key=itemgetter(0))
        near = [(start_s - time, speaker) for time, speaker in self.ends[max(0, before) : before + 1]]
        near += [(time - end_s, speaker) for time, speaker in self.starts[after : after + 1]]
        distance, speaker = min(near, key=itemgetter(0), default=(math.inf, ""))
        return speaker if distance <= NEAREST_EDGE_S else None


def _timeline(turns: Iterable[Turn]) -> _Timeline:
    lasting = [turn for turn in turns if turn.start_s < turn.end_s]
    starts = sorted((turn.start_s, turn.speaker) for turn in lasting)
    ends = sorted((turn.end_s, turn.speaker) for turn in lasting)
    changes = sorted(chain(((time, 1, who) for time, who in starts), ((time, -1, who) for time, who in ends)))
    borders: list[float] = []
    speakers: list[tuple[str, ...]] = []
    open_turns: Counter[str] = Counter()
    for time, at_once in groupby(changes, key=itemgetter(0)):
        for _, change, who in at_once:
            open_turns[who] += change
        open_turns = +open_turns
        borders.append(time)
        speakers.append(tuple(sorted(open_turns)))
    return _Timeline(borders, speakers, starts, ends)


@frozen
class _Floor:
    """The turns that hold for the words of one channel; `sole` is its speaker where it has just one."""

    full: _Timeline
    exclusive: _Timeline
    sole: str | None

    @classmethod
    def of(cls, channel: int | None, turns: Sequence[Turn], exclusive: Sequence[Turn]) -> _Floor:
        """Pick what holds for a channel; None is the mix."""
        own = _of_channel(channel, turns)
        speakers = {turn.speaker for turn in own if turn.channel is not None}
        sole = speakers.pop() if channel is not None and len(speakers) == 1 else None
        return cls(_timeline(own), _timeline(_of_channel(channel, exclusive)), sole)


def _of_channel(channel: int | None, turns: Sequence[Turn]) -> list[Turn]:
    own = [turn for turn in turns if turn.channel == channel]
    if own:
        return own
    return list(turns) if channel is None else [turn for turn in turns if turn.channel is None]


@frozen
class _Claim:
    """A word and whose it is so far; `heard` holds the seconds of every speaker within the word."""

    timed: _Timed
    heard: dict[str, float]
    overlapped: bool
    speaker: str
    method: str


def _claims(timed: Sequence[_Timed], floor: _Floor, everyone: _Timeline) -> list[_Claim]:
    claims: list[_Claim] = []
    previous = None
    for word in timed:
        span = _span(word)
        heard = floor.full.heard(*span)
        given = word.word.speaker
        speaker, method = (given, "given") if given else _speaker(span, heard, floor, previous)
        overlapped = everyone.crosstalk_s(*span) >= min(FRAME_S, span[1] - span[0])
        claims.append(_Claim(word, heard, overlapped, speaker, method))
        previous = speaker if speaker != UNKNOWN_SPEAKER else previous
    return claims


def _span(word: _Timed) -> tuple[float, float]:
    return word.start_s, max(word.end_s, word.start_s + POINT_S)


def _speaker(
    span: tuple[float, float], heard: dict[str, float], floor: _Floor, previous: str | None
) -> tuple[str, str]:
    """Return whose a word is and by which method."""
    if floor.sole is not None:
        return floor.sole, "channel"
    if not heard:
        nearest = floor.full.nearest(*span)
        return (nearest, "edge") if nearest is not None else (UNKNOWN_SPEAKER, "none")
    most = max(heard.values())
    level = [speaker for speaker, seconds in heard.items() if seconds > most - FRAME_S]
    if len(level) > 1 or (len(heard) > 1 and 2 * floor.full.crosstalk_s(*span) > span[1] - span[0]):
        alone = {who: s for who, s in floor.exclusive.heard(*span).items() if who in heard}
        if alone:
            return max(alone, key=alone.__getitem__), "exclusive"
    if len(level) > 1 and previous in level:
        return previous, "previous"
    return max(level, key=heard.__getitem__), "overlap"


# ---- steps 5 and 6: small repairs


def _realign(claims: list[_Claim]) -> list[_Claim]:
    """Give the words at the edge of a sentence to the speaker of most of it."""
    realigned = list(claims)
    for sentence in _sentences(claims):
        speaker, count = Counter(claims[i].speaker for i in sentence).most_common(1)[0]
        if speaker == UNKNOWN_SPEAKER or 2 * count <= len(sentence):
            continue
        for inward in (sentence, sentence[::-1]):
            run = _others(claims, inward, speaker)
            for i in run if len(run) <= EDGE_RUN_WORDS else ():
                if claims[i].method == "given":
                    continue
                realigned[i] = evolve(claims[i], speaker=speaker, method="realigned")
    return realigned


def _others(claims: Sequence[_Claim], inward: range, speaker: str) -> list[int]:
    return list(takewhile(lambda i: claims[i].speaker != speaker, inward))


def _sentences(claims: Sequence[_Claim]) -> Iterator[range]:
    """Yield the index ranges of sentences that end with a mark; the rest of the words are in none."""
    first = 0
    for i, claim in enumerate(claims):
        if i > 0 and claim.timed.start_s - claims[i - 1].timed.end_s > PAUSE_S:
            first = i
        if ends_sentence(claim.timed.word.text):
            if i + 1 - first <= SENTENCE_WORDS:
                yield range(first, i + 1)
            first = i + 1


def _fold_islands(claims: list[_Claim]) -> list[_Claim]:
    """Give a few unknown words between words of one speaker to that speaker."""
    runs = [list(run) for _, run in groupby(claims, key=lambda claim: claim.speaker)]
    folded = [list(run) for run in runs]
    for i in range(1, len(runs) - 1):
        around = runs[i - 1][0].speaker
        is_island = runs[i][0].speaker == UNKNOWN_SPEAKER and len(runs[i]) <= ISLAND_WORDS
        if is_island and around == runs[i + 1][0].speaker:
            folded[i] = [evolve(claim, speaker=around, method="island") for claim in runs[i]]
    return list(chain.from_iterable(folded))


# ---- step 7: utterances


def _utterances(claims: Sequence[_Claim]) -> list[Utterance]:
    groups: list[list[_Claim]] = []
    for claim in claims:
        if groups and not _breaks(groups[-1], claim):
            groups[-1].append(claim)
        else:
            groups.append([claim])
    return [Utterance(group[0].speaker, tuple(_attributed(claim) for claim in group)) for group in groups]


def _breaks(group: Sequence[_Claim], claim: _Claim) -> bool:
    first, last = group[0], group[-1]
    return (
        claim.speaker != last.speaker
        or claim.timed.start_s - last.timed.end_s > PAUSE_S
        or ends_sentence(last.timed.word.text)
        or claim.timed.end_s - first.timed.start_s > UTTERANCE_S
    )


def _attributed(claim: _Claim) -> AttributedWord:
    timed, heard = claim.timed, claim.heard
    start, end = _span(timed)
    others = sorted(heard.keys() - {claim.speaker}, key=lambda speaker: (-heard[speaker], speaker))
    return AttributedWord(
        text=timed.word.text,
        start_s=timed.start_s,
        end_s=timed.end_s,
        speaker=claim.speaker,
        share=min(1.0, heard.get(claim.speaker, 0.0) / (end - start)),
        method=claim.method,
        confidence=timed.word.confidence,
        alternatives=tuple(others),
        overlapped=claim.overlapped,
        suspect=timed.word.suspect,
    )
