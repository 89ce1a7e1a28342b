# A fresh machine needs Python >= 3.11 and make; everything else comes into .venv.
#   make bench ARGS='--rate 1000'      make test ARGS='tests/measure -x'      make bench PYTHON=python3.13

.DEFAULT_GOAL := help
.PHONY: help bench test pacing peers scale crowd soak profile abuse fuzz check format clean screenshots
.NOTPARALLEL:  # two pips in one environment get into each other's way
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install -q
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

bench: $(VENV)/.run  ## benchmark the embedded echo target; the result goes to results/ (ARGS: options of wsbench run)
	$(VENV)/bin/wsbench run $(ARGS)

test: $(VENV)/.dev  ## run every test that this machine can run, and say which it cannot and why (ARGS: pytest's)
	$(PY) -m pytest --no-fold-skipped -n logical --maxprocesses 4 --dist loadfile $(ARGS)

pacing: $(VENV)/.dev  ## lateness of the open loop against a bare timer (a benchmark; wants a quiet machine)
	PYTHONPATH=tests $(PY) -m benchmarks.pacing $(ARGS)

peers: $(VENV)/.peers  ## wsbench against other load generators, those that are installed (ARGS: --quick, --markdown ...)
	PYTHONPATH=tests $(PY) -m benchmarks.peers $(ARGS)

scale: $(VENV)/.dev  ## what windows, TLS, compression and thousands of connections cost, beside their limits (a benchmark)
	PYTHONPATH=tests $(PY) -m benchmarks.scale $(ARGS)

crowd: $(VENV)/.dev  ## do tens of thousands of connections come about, how fast, at what cost (ARGS: --seconds 10)
	PYTHONPATH=tests $(PY) -m benchmarks.crowd $(ARGS)

soak: $(VENV)/.dev  ## twenty minutes of an open loop: does memory keep its level, and lateness (ARGS: --minutes 5 ...)
	PYTHONPATH=tests $(PY) -m benchmarks.soak $(ARGS)

profile: $(VENV)/.peers  ## where a round trip's time goes: kernel, Python functions, calls a message
	PYTHONPATH=tests $(PY) -m benchmarks.profile $(ARGS)

abuse: $(VENV)/.dev  ## what clients notice while others abuse the echo target, five minutes long (ARGS: --seconds 60)
	PYTHONPATH=tests $(PY) -m benchmarks.abuse $(ARGS)

fuzz: $(VENV)/.fuzz  ## fuzz whatever reads what others wrote, a minute each (ARGS: --seconds 600 frames ...)
	PYTHONPATH=tests $(PY) -m fuzz $(ARGS)

screenshots: $(VENV)/.dev  ## the README's pictures, of real runs in a real browser, into docs/pictures/ (wants chromium)
	PYTHONPATH=tests $(PY) -m docs.screenshots $(ARGS)

check: $(VENV)/.dev  ## formatter, linter, types, import layers, first words of docstrings
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) .ci/docstrings.py wsbench

format: $(VENV)/.dev  ## format the code and mend what the linter can
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

clean:  ## remove .venv and the tools' caches; results stay
	rm -rf $(VENV) .fuzz .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find wsbench tests scenarios -name __pycache__ -prune -exec rm -rf {} +

# Stamps, touched last: what was interrupted half-way is done again.

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo 'make: wsbench needs Python 3.11 or later and found none on PATH;' \
		'install one, or name it: make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo 'make: $(PYTHON) cannot make virtual environments;' \
		'on Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.run: pyproject.toml | $(VENV)/.made
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.made
	$(PIP) -e '.[test,check]'
	@touch $@ $(VENV)/.run

$(VENV)/.peers: pyproject.toml | $(VENV)/.made
	$(PIP) -e '.[test,peers]'
	@touch $@ $(VENV)/.run

$(VENV)/.fuzz: pyproject.toml | $(VENV)/.made
	$(PIP) -e '.[test,fuzz]'
	@touch $@
