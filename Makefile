# Needs make and Python >= 3.11; everything else is installed into .venv, each set once and again
# only when setup.cfg changes. Another interpreter: make PYTHON=/path/to/python3.12 test

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --quiet --disable-pip-version-check
METADATA := setup.cfg pyproject.toml
PYTHON ?=
# A process for each core, and a file in one of them: what a file compiles is compiled once.
PARALLEL := -n logical --maxprocesses 8 --dist loadfile

.PHONY: help demo test test-all lint docs clean

help:
	@echo "make demo      pictures, box dimension and exponents of real trainings, into demo/"
	@echo "make test      the tests, a quarter of an hour"
	@echo "make test-all  with the slow tests and the benchmarks"
	@echo "make lint      formatting, lint and types"
	@echo "make docs      the documentation, into docs/_build/html"
	@echo "make clean     remove .venv and everything that was built"

demo: $(VENV)/installed-core
	$(PY) experiments/demo/run.py --out demo

test: $(VENV)/installed-test
	$(PY) -m pytest $(PARALLEL) -m "not slow and not benchmark"

test-all: $(VENV)/installed-test
	$(PY) -m pytest

lint: $(VENV)/installed-dev
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m pyright --pythonpath $(PY)

docs: $(VENV)/installed-docs
	rm -rf docs/generated
	$(PY) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf $(VENV) demo docs/_build docs/generated build dist *.egg-info
	rm -rf .pytest_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The first interpreter that is new enough and can make virtual environments.
$(VENV)/created:
	@for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python); do \
	  if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
	      >/dev/null 2>&1; then \
	    echo "creating $(VENV) with $$("$$candidate" --version)"; \
	    "$$candidate" -m venv $(VENV) && touch $@; exit $$?; \
	  fi; \
	done; \
	echo "error: found no Python >= 3.11 with the venv module; install one" \
	  "(on Debian and Ubuntu also python3-venv) or name it with make PYTHON=..." >&2; \
	exit 1

$(VENV)/installed-core: $(VENV)/created $(METADATA)
	@echo "installing dynfrac into $(VENV)"
	@$(PIP) install --editable . && touch $@

$(VENV)/installed-%: $(VENV)/created $(METADATA)
	@echo "installing dynfrac and what '$*' needs into $(VENV)"
	@$(PIP) install --editable ".[$*]" && touch $@
