"""Recordings that come into folders: when one is whole, who watches, and what is done with it."""
