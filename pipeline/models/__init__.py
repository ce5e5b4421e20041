"""Models of engines on this machine: which there are, which are here, and how they come and go."""
