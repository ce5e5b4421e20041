"""Who said which word: the rule `overlap-edge`, from words and turns to utterances. Pure.

No word is lost, added or changed, whatever the times are; times are repaired and speakers found:

1. words are sorted by start, missing times are filled in from the neighbours, stretched words are cut (`times`);
2. a word whose speaker is known keeps it; any other goes to the speaker whose turns cover most of it (`claims`);
3. where speakers are level or talk at once, the exclusive turns decide, else whoever began to speak earlier, else
   the previous word's speaker;
4. a word outside all turns goes to the nearest turn edge within a second, else to `UNKNOWN`;
5. a segment whose words have no times of their own is divided only into parts of a second and two words at least
   (`repairs`, also for what follows);
6. one or two words at the edge of a sentence that is mostly another speaker's go to that speaker, if they go on
   what their own says beyond that edge;
7. up to three unknown words between words of one speaker go to that speaker;
8. words end where the next one begins at the latest, and become utterances, which break on a speaker change, a
   pause, a sentence end or great length (`utterances`).

Each channel goes through these steps by itself, and the utterances of all channels are then ordered by start:
people who talk at once on two channels read sentence by sentence, not word by word. The break by length of
subtitles is left to the subtitle formats, so that readers of the other formats get whole sentences.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from pipeline.speech.merge.claims import Floor, claimed
from pipeline.speech.merge.repairs import islands_folded, realigned, segments_held
from pipeline.speech.merge.timeline import Timeline
from pipeline.speech.merge.times import timed_words
from pipeline.speech.merge.utterances import utterances_of
from pipeline.speech.values import Turn, Utterance, Word


def merge(words: Sequence[Word], turns: Sequence[Turn], exclusive: Sequence[Turn] = ()) -> tuple[Utterance, ...]:
    """Find the speaker of every word and gather the words into utterances.

    A word of a channel is matched with the turns of that channel; where there are none, with the turns of no
    channel. A word of no channel (from the mix) is matched with the turns of no channel; where there are
    none, with all turns, since a mix carries every channel. Turns without length claim nothing.

    Args:
        words: in the order of the engine, which stays among words of equal start; a word without times stays
            behind its predecessor. May be empty, in any order of time, with any times missing; NaN and infinities
            count as missing.
        turns: who speaks when, overlaps included; in any order, may be empty. One that ends before it starts, or
            has a time that is no number, counts as if it weren't there.
        exclusive: the same with one speaker at most at any time, where the diarizer gives that.

    Returns:
        Utterances ordered by start. Those of one channel hold exactly its words, sorted by start; none of these
        ends after the next one starts, unless the engine itself named different speakers for the two.
    """
    full, alone = _lasting(turns), _lasting(exclusive)
    everyone = Timeline.of(full)
    utterances: list[Utterance] = []
    for channel, own in _by_channel(words):
        claims = claimed(timed_words(own, full), Floor.of(channel, full, alone), everyone)
        utterances += utterances_of(islands_folded(realigned(segments_held(claims))))
    return tuple(sorted(utterances, key=lambda utterance: utterance.start_s))


def _lasting(turns: Sequence[Turn]) -> list[Turn]:
    return [turn for turn in turns if -math.inf < turn.start_s < turn.end_s < math.inf]


def _by_channel(words: Sequence[Word]) -> list[tuple[int | None, list[Word]]]:
    groups: dict[int | None, list[Word]] = defaultdict(list)
    for word in words:
        groups[word.channel].append(word)
    return sorted(groups.items(), key=lambda item: -1 if item[0] is None else item[0])
