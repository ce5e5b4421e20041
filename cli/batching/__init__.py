"""Many recordings in one command: what was named, in which order, who works on it, and what is seen of that."""
