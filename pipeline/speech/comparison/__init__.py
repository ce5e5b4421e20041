"""Transcripts of one recording held against one another: which words they share, row by row. Pure."""
