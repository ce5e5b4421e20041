# Everything that a check needs is installed here, into .venv; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PYANNOTE_VENV ?= .venv-pyannote
COMPATIBLE_VENV ?= .venv-compatible
ORACLES_VENV ?= .venv-oracles
BENCH_VENV ?= .venv-bench
PYTEST = $(BIN)/python -m pytest -n 2 --dist worksteal

PROOF = $(BIN)/python -m proofs

.PHONY: check lint test pyannote compatible demo accuracy oracles bench profile proofs nightly mutants fuzz docs clean

check: lint  ## lint, types and the fast tests: 20 seconds
	HYPOTHESIS_PROFILE=quick $(PYTEST) -m "not slow"

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(VENV)/installed  ## all tests but every combination: 4 to 9 minutes on two cores
	$(PYTEST) -m "not heavy"

pyannote: $(PYANNOTE_VENV)/installed  ## the tests that need pyannote.audio and torch, in an environment of 6 GB
	OMP_NUM_THREADS=1 $(PYANNOTE_VENV)/bin/python -m pytest -n 0 tests/test_diarize_pyannote.py

compatible: $(VENV)/installed  ## a run at a server that somebody else wrote, in an environment of 0.5 GB
	$(PYTHON) -m venv $(COMPATIBLE_VENV)
	-$(COMPATIBLE_VENV)/bin/python $(WHEELS) "faster-whisper-server==0.0.3" "av<19"
	$(PROOF).compatible --server $(COMPATIBLE_VENV)/bin/python

demo: $(VENV)/installed  ## a run that fails at a rate limit, and goes on
	$(BIN)/python samples/demo.py $(BIN)/evt

accuracy: $(VENV)/installed  ## error rates on real recordings; EVT_CORPUS names their folder
	$(BIN)/python -m benchmarks.merge_rules
	tables=$$(mktemp); failed=; \
	{ $(BIN)/python -m benchmarks.length && $(BIN)/python -m benchmarks.recordings; } > $$tables & \
	$(BIN)/python -m benchmarks.accuracy || failed=1; wait $$! || failed=1; \
	cat $$tables; rm $$tables; test -z "$$failed"

oracles: $(ORACLES_VENV)/installed  ## write again what other programs say of the metrics' test cases; compiles one
	$(ORACLES_VENV)/bin/python benchmarks/oracles.py

bench: $(VENV)/installed $(BENCH_VENV)/installed  ## speed, beside the limit and others: under 10 minutes on two cores
	EVT_BENCH_PYTHON=$(BENCH_VENV)/bin/python $(BIN)/python -m benchmarks.bench

profile: $(VENV)/installed  ## where the time of a run goes
	$(BIN)/python -m benchmarks.where

proofs: $(VENV)/installed mutants  ## what the log promises, attacked: 45 minutes; docs/reliability.md says how
	$(PYTEST) -m heavy
	$(PROOF).crash --states 100000 --depth 3
	$(PROOF).damage --corruptions 500000
	$(PROOF).verifiers --corruptions 50000
	$(PROOF).kills --kills 500
	$(PROOF).syscalls
	$(PROOF).full_disk
	$(PROOF).writers --rounds 100
	$(PROOF).interference
	$(PROOF).large --megabytes 200
	$(PROOF).long_recordings --hours 7
	$(PROOF).runs --kills 200 --real 10
	$(PROOF).money --kills 500
	$(BIN)/evt selftest

nightly: $(VENV)/installed  ## the same, many times over: some hours
	$(PROOF).crash --states 2000000 --depth 4
	$(PROOF).damage --corruptions 5000000
	$(PROOF).verifiers --corruptions 1000000
	$(PROOF).kills --kills 10000
	$(PROOF).writers --rounds 1000
	$(PROOF).large --megabytes 10000
	$(PROOF).long_recordings --hours 24
	HYPOTHESIS_PROFILE=nightly $(PYTEST)

mutants: $(VENV)/installed  ## seeded bugs, each of which the tests must notice
	$(PROOF).mutants

fuzz: $(VENV)/installed  ## hostile bytes, guided by coverage, for an hour; needs atheris
	$(PROOF).hostile --seconds 3600

docs: $(VENV)/installed  ## write the generated pages again
	$(BIN)/python docs/generate.py

WHEELS = -m pip install --quiet --disable-pip-version-check --only-binary :all:
PIP_INSTALL = $(WHEELS) --no-binary evt-transcribe -e

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) ".[dev]"
	touch $@

$(PYANNOTE_VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(PYANNOTE_VENV)
	$(PYANNOTE_VENV)/bin/python $(PIP_INSTALL) ".[dev,pyannote]"
	touch $@

# meeteval is compiled. Of diarizationlm only the metrics are wanted, and not the models that it would bring.
$(ORACLES_VENV)/installed: Makefile
	$(PYTHON) -m venv $(ORACLES_VENV)
	$(ORACLES_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		jiwer==4.0.0 meeteval==0.4.3 pyannote.metrics==4.2.0 numba tqdm word-levenshtein
	$(ORACLES_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps diarizationlm==0.1.5
	touch $@

# A peer that can't be had here is left out, and its row says so.
$(BENCH_VENV)/installed: benchmarks/peers.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	while read peer; do $(BENCH_VENV)/bin/python $(WHEELS) "$$peer" || true; done < $<
	touch $@

clean:
	rm -rf $(VENV) $(PYANNOTE_VENV) $(COMPATIBLE_VENV) $(ORACLES_VENV) $(BENCH_VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
