"""Pipelines in one file: its form, making it, and taking it into a home."""
