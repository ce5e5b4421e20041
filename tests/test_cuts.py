"""Cuts: chunks tile the recording, and cut words only where nobody pauses."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.speech.cuts import CRUMB, RATE, Cut, chunks, find_cuts

CHUNK_S = (3.0, 6.0)
SHORTEST, LONGEST = 3 * RATE, 6 * RATE


def spans(total):
    """Disjoint sorted spans with sound between them, within [0, total]."""
    borders = st.lists(st.integers(0, total), unique=True, max_size=40).map(sorted)
    return borders.map(lambda at: list(zip(at[::2], at[1::2], strict=False)))


recordings = st.integers(0, 60 * RATE).flatmap(lambda total: st.tuples(st.just(total), spans(total)))


def in_the_middle(start, end):
    return (start + end) // 2


def windows(cuts, total):
    """The window that each cut was looked for in."""
    return [(at + SHORTEST, min(at + LONGEST, total - CRUMB)) for at in [0, *(cut.at for cut in cuts)][:-1]]


def parts(window, silences):
    """What of the silences lies in the window."""
    clipped = [(max(start, window[0]), min(end, window[1])) for start, end in silences]
    return [(start, end) for start, end in clipped if start < end]


@given(recordings)
def test_chunks_tile_the_recording_and_none_is_empty_or_too_long(recording):
    total, silences = recording
    spans = chunks(total, find_cuts(total, silences, CHUNK_S, in_the_middle))
    assert [sample for span in spans for sample in span] == sorted(sample for span in spans for sample in span)
    assert sum(end - start for start, end in spans) == total
    assert all(0 < end - start <= LONGEST for start, end in spans)
    assert all(end - start >= SHORTEST for start, end in spans[:-1])


@given(recordings)
def test_the_last_chunk_is_no_crumb_that_a_service_would_refuse(recording):
    total, silences = recording
    *_, last = [0, *(cut.at for cut in find_cuts(total, silences, CHUNK_S, lambda start, end: end))]
    assert total - last >= min(total, CRUMB)


@given(recordings)
def test_a_cut_lies_in_the_middle_of_the_longest_silence_of_its_window(recording):
    total, silences = recording
    cuts = find_cuts(total, silences, CHUNK_S, in_the_middle)
    for cut, window in zip(cuts, windows(cuts, total), strict=True):
        silent = parts(window, silences)
        longest = max((end - start for start, end in silent), default=0)
        middles = {(start + end) // 2 for start, end in silent if end - start == longest}
        assert cut.hard == (not silent)
        assert cut.hard or cut.at in middles


@given(recordings)
def test_no_cut_lies_in_sound_where_its_window_holds_a_silence(recording):
    total, silences = recording
    cuts = find_cuts(total, silences, CHUNK_S, in_the_middle)
    for cut, window in zip(cuts, windows(cuts, total), strict=True):
        silent = parts(window, silences)
        assert not silent or any(start <= cut.at < end for start, end in silent)


@given(recordings)
def test_cutting_twice_gives_the_same_cuts(recording):
    total, silences = recording
    first = find_cuts(total, silences, CHUNK_S, in_the_middle)
    assert find_cuts(total, tuple(silences), CHUNK_S, in_the_middle) == first


def test_a_recording_that_fits_one_chunk_is_not_cut():
    assert find_cuts(LONGEST, [(SHORTEST, SHORTEST + 9)], CHUNK_S, in_the_middle) == []
    assert chunks(LONGEST, []) == [(0, LONGEST)]
    assert chunks(0, []) == []


def test_without_a_silence_the_cut_is_where_the_caller_says_and_is_called_hard():
    asked = []

    def quietest(start, end):
        asked.append((start, end))
        return start + 7

    total = LONGEST + CRUMB
    assert find_cuts(total, [(0, SHORTEST)], CHUNK_S, quietest) == [Cut(at=SHORTEST + 7, hard=True)]
    assert asked == [(SHORTEST, LONGEST)]


def test_of_equal_silences_the_later_is_cut_so_that_chunks_are_fewer():
    silences = [(SHORTEST, SHORTEST + 100), (LONGEST - 100, LONGEST)]
    assert find_cuts(LONGEST + CRUMB, silences, CHUNK_S, in_the_middle) == [Cut(at=LONGEST - 50, hard=False)]


def test_a_silence_longer_than_a_chunk_is_cut_inside_the_window():
    total = 30 * RATE
    cuts = find_cuts(total, [(0, total)], CHUNK_S, in_the_middle)
    assert not any(cut.hard for cut in cuts)
    assert chunks(total, cuts)[0] == (0, (SHORTEST + LONGEST) // 2)
