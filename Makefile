# A fresh machine needs Python >= 3.11 and make; everything else is installed into .venv.
#   make bench ARGS='--rate 1000'      make test ARGS='tests/measure -x'      make bench PYTHON=python3.13

.DEFAULT_GOAL := help
.PHONY: help bench test sanitize wheel fresh pacing peers scale against crowd soak profile abuse fuzz check format clean screenshots
.NOTPARALLEL:  # two pips in one environment would disturb each other
.DELETE_ON_ERROR:

VENV := .venv
NATIVE := hatch_build.py build_native.py $(wildcard wsbench/native/*.[ch])
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install -q
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

bench: $(VENV)/.run  ## benchmark the embedded echo target; the result goes to results/ (ARGS: options of wsbench run)
	$(VENV)/bin/wsbench run $(ARGS)

test: $(VENV)/.dev  ## run every test that this machine can run, and list the others with the reason (ARGS: pytest's)
	$(PY) -m pytest --no-fold-skipped -n logical --maxprocesses 4 --dist loadfile $(ARGS)

sanitize: $(VENV)/.dev  ## test the native echo path under AddressSanitizer and UndefinedBehaviorSanitizer (ARGS: pytest's)
	PY=$(PY) .ci/sanitize $(ARGS)

wheel: $(VENV)/.wheel  ## make dist/, the sdist and a manylinux wheel, and try them in empty environments (ARGS: Pythons)
	PY=$(PY) .ci/wheel $(ARGS)

fresh:  ## try the last commit in a minimal Debian, without a compiler and with (needs root and debootstrap; ARGS: its name)
	.ci/fresh $(ARGS)

pacing: $(VENV)/.dev  ## lateness of the open loop against a bare timer (a benchmark; needs a quiet machine)
	PYTHONPATH=tests $(PY) -m benchmarks.pacing $(ARGS)

peers: $(VENV)/.peers  ## wsbench against other load generators, those that are installed (ARGS: --quick, --markdown ...)
	PYTHONPATH=tests $(PY) -m benchmarks.peers $(ARGS)

scale: $(VENV)/.dev  ## the cost of windows, TLS, compression and thousands of connections, beside its limits (a benchmark)
	PYTHONPATH=tests $(PY) -m benchmarks.scale $(ARGS)

against: $(VENV)/.dev  ## generator CPU per message against another commit's (BASE=2c5fe40 ARGS='--pairs 10'; a benchmark)
	PYTHONPATH=tests $(PY) -m benchmarks.against $(if $(BASE),--base '$(BASE)') $(ARGS)

crowd: $(VENV)/.dev  ## open up to 100,000 connections: how fast, at what cost (ARGS: --connections 30000 --seconds 10)
	PYTHONPATH=tests $(PY) -m benchmarks.crowd $(ARGS)

soak: $(VENV)/.dev  ## twenty minutes of an open loop: do memory and lateness stay level (ARGS: --minutes 5 ...)
	PYTHONPATH=tests $(PY) -m benchmarks.soak $(ARGS)

profile: $(VENV)/.peers  ## where a round trip's time goes: kernel, Python functions, calls a message
	PYTHONPATH=tests $(PY) -m benchmarks.profile $(ARGS)

abuse: $(VENV)/.dev  ## five minutes of abuse of the echo target: how other clients are affected (ARGS: --seconds 60)
	PYTHONPATH=tests $(PY) -m benchmarks.abuse $(ARGS)

fuzz: $(VENV)/.fuzz  ## fuzz every parser of foreign input, a minute each (ARGS: --seconds 600 frames ...)
	PYTHONPATH=tests $(PY) -m fuzz $(ARGS)

screenshots: $(VENV)/.dev  ## make the README's pictures from real runs in a browser, in docs/pictures/ (needs chromium)
	PYTHONPATH=tests $(PY) -m docs.screenshots $(ARGS)

check: $(VENV)/.dev  ## formatter, linter, types, import layers, first words of docstrings
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) .ci/docstrings.py wsbench tests benchmarks scenarios

format: $(VENV)/.dev  ## format the code and fix what the linter can fix
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

clean:  ## remove .venv and the tools' caches; results stay
	rm -rf $(VENV) build dist wsbench/native/_echo*.so .fuzz .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find wsbench tests benchmarks docs scenarios -name __pycache__ -prune -exec rm -rf {} +

# Stamps, touched last: an interrupted installation is repeated.

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo 'make: wsbench needs Python 3.11 or later and found none on PATH;' \
		'install one, or name it: make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo 'make: $(PYTHON) cannot make virtual environments;' \
		'on Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.run: pyproject.toml $(NATIVE) | $(VENV)/.made
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml $(NATIVE) | $(VENV)/.made
	$(PIP) -e '.[test,check]'
	@touch $@ $(VENV)/.run

$(VENV)/.peers: pyproject.toml $(NATIVE) | $(VENV)/.made
	$(PIP) -e '.[test,peers]'
	@touch $@ $(VENV)/.run

$(VENV)/.wheel: pyproject.toml $(NATIVE) | $(VENV)/.made
	$(PIP) -e '.[wheel]'
	@touch $@

$(VENV)/.fuzz: pyproject.toml $(NATIVE) | $(VENV)/.made
	$(PIP) -e '.[test,fuzz]'
	@touch $@
