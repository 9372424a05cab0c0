# What is needed beforehand: make and Python 3.11 or later. On Windows, or without make: see README.md.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin
SOURCES := src tests benchmarks
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile -rs

.PHONY: help demo test fast check format docs setup clean

help:
	@echo "make demo    compare six networks on drawn signs: no data needed, five to eight minutes on two cores"
	@echo "make test    the whole suite, style and types; says at the end what it skipped and why"
	@echo "make fast    the tests that take no time, style and types: one to three minutes"
	@echo "make docs    write docs/cli.md from the command line"
	@echo "make format  put the code into its form"

demo: $(VENV)/.ready
	$(BIN)/roadtest demo

test: check
	$(PYTEST)

fast: check
	$(PYTEST) -m "not slow and not gtsrb and not browser"

check: $(VENV)/.ready-for-tests
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

format: $(VENV)/.ready-for-tests
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

docs: $(VENV)/.ready
	$(BIN)/python -m roadtest.cli.reference docs/cli.md

setup: $(VENV)/.ready-for-tests

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# A stamp is newer than pyproject.toml once all that it asks for is installed; what is asked for stands here as well.
# An environment without pip is what Debian leaves where python3-venv is missing: it is made anew.
$(VENV)/.ready: pyproject.toml Makefile
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.ready-for-tests: pyproject.toml Makefile
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test,export,dev]"
	@touch $@ $(VENV)/.ready
