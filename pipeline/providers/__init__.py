"""One adapter per file: something that diarizes or transcribes."""
