"""Corrections that a user makes in the text of a transcript: found, anchored in time, applied again. Pure."""
