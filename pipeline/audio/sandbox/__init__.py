"""Decoding in a child process that may do little else: see docs/adr/0015-decoding-in-a-child.md."""
