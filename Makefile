# Everything that a check needs is installed here, into .venv; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PYTEST = $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: check lint test demo accuracy bench proofs docs clean

check: lint  ## lint, types and the fast tests: 20 seconds
	HYPOTHESIS_PROFILE=quick $(PYTEST) -m "not slow"

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(VENV)/installed  ## all tests: 3 minutes on two cores
	$(PYTEST)

demo: $(VENV)/installed  ## a run that fails at a rate limit, and goes on
	$(BIN)/python samples/demo.py $(BIN)/evt

accuracy: $(VENV)/installed  ## error rates on real recordings; EVT_CORPUS names their folder
	$(BIN)/python benchmarks/accuracy.py

bench: $(VENV)/installed  ## speed, beside the limit, in one run
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/append.py
	$(BIN)/python benchmarks/convert.py

proofs: $(VENV)/installed  ## kill runs at random moments and compare the transcripts: 20 minutes
	$(BIN)/python benchmarks/kills.py

docs: $(VENV)/installed  ## write the generated pages again
	$(BIN)/python docs/generate.py

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-binary evt-transcribe -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
