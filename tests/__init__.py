"""Imported before any test, and so before numpy and ctranslate2."""

import os

# Tests run side by side, and threads that wait for each other's cores make work several times slower.
for threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(threads, "1")
