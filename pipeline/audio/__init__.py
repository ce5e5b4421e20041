"""Sound: decode, resample, mix, read slices, find silence and speech. No events, no transcripts."""
