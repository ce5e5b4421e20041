"""What a transcriber is asked for: which pieces, in which language, and once more where words are missing."""
