"""Imported before any test, and so before numpy."""

import os

# Tests run side by side, and threads that wait for each other's cores make diarizing several times slower.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
