# One-word commands; the same in the README and in CI. `make help` lists them.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
ARGS ?=

.PHONY: help install demo test test-fast test-systems coverage lint bench docs messages figures clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

install: $(STAMP) ## make .venv with the locked packages

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 install"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv is missing (Debian: apt-get install python3-venv)"; exit 1; }
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## everything on this machine: make demo ARGS="--for 60", ARGS="--ics mine.ics"
	$(VENV)/bin/watcher demo $(ARGS)

TESTS := $(VENV)/bin/python -m pytest -n auto --maxschedchunk 1

test: $(STAMP) ## both halves of the tests, in several processes (ARGS="-n 0": in one)
	@echo "Both halves: tests without a process of their own, and whole systems"
	$(TESTS) $(ARGS)

test-fast: $(STAMP) ## the half that starts no process: for every save
	@echo "The fast half: tests without a process of their own"
	$(TESTS) -m "not system" $(ARGS)

test-systems: $(STAMP) ## the half that starts Valkey, the program, a browser
	@echo "Whole systems: Valkey, the program, a browser; one that fails is run once more"
	$(TESTS) -m system $(ARGS)

coverage: $(STAMP) ## the share of Watcher's lines that the tests run; takes several times as long
	rm -rf .coverage && mkdir .coverage
	COVERAGE_FILE=$(CURDIR)/.coverage/data $(VENV)/bin/python -m coverage run -m pytest -n auto --maxschedchunk 1 $(ARGS)
	COVERAGE_FILE=$(CURDIR)/.coverage/data $(VENV)/bin/python -m coverage combine -q
	COVERAGE_FILE=$(CURDIR)/.coverage/data $(VENV)/bin/python -m coverage report

lint: $(STAMP) ## ruff and mypy --strict (the tests too)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(STAMP) ## one table of side-by-side measurements: ARGS="--quick", ARGS="--only idle"
	$(VENV)/bin/python -m benchmarks $(ARGS)

docs: $(STAMP) ## check that the documentation is true
	$(VENV)/bin/python -m pytest tests/test_docs.py $(ARGS)

messages: $(STAMP) ## bring the translations up to the code, name what is missing, compile
	$(VENV)/bin/python -m tests.catalogs

figures: $(STAMP) ## the figures of the code: sizes, parameters, imports, depth of a pass
	$(VENV)/bin/python -m tests.figures

clean: ## remove the environment and caches
	rm -rf $(VENV) .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
