"""The effects: audio, providers, artifacts, and the one loop that runs a plan."""
