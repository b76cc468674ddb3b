# Faultline: everything a checkout needs. `make help` lists the targets.
#
# Two environments in one folder: .venv holds the locked dependencies of `make up`, and those of the tools as well once
# `make test` or `make check` asked for them. Both lock files carry hashes and no index addresses.

.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
CRATE := node/execution/revm
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
ARGS ?=

# The first interpreter that is new enough; override with `make PYTHON=...`.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)

PACKAGES := node sequencer bridge deploy tests

.PHONY: help build tools up test test-fast check format contracts bench lock clean

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | column -t -s '|'

$(VENV)/pyvenv.cfg:
	@if [ -z "$(PYTHON)" ]; then echo "Missing: Python 3.11 or newer." >&2; exit 1; fi
	@$(PYTHON) -m venv $(VENV) || { echo "Missing: the venv module of $(PYTHON) (Debian: apt install python3-venv)." >&2; exit 1; }

$(VENV)/runtime.stamp: $(VENV)/pyvenv.cfg requirements.lock
	@echo "Installing the locked dependencies ..."
	@$(BIN)/python -c 'import fastecdsa' 2>/dev/null || printf '#include <gmp.h>\n' | cc -E - >/dev/null 2>&1 \
		|| { echo "Missing: a C compiler and the headers of GMP, which a dependency of libp2p is built with" \
		"(Debian: apt install build-essential libgmp-dev; macOS: brew install gmp)." >&2; exit 1; }
	@$(PIP) -r requirements.lock
	@touch $@

$(VENV)/tools.stamp: $(VENV)/runtime.stamp requirements-dev.lock
	@echo "Installing the locked tools ..."
	@$(PIP) -r requirements-dev.lock
	@rm -rf $(VENV)/lib/python*/site-packages/trio-stubs # trio-typing brings stale stubs; trio is typed itself
	@touch $@

build: $(VENV)/runtime.stamp ## The environment and the engine
	@$(BIN)/python -m deploy.engine_build

tools: build $(VENV)/tools.stamp

up: build ## Start the default devnet here; Ctrl-C stops it and keeps its data (ARGS="--fresh")
	@$(BIN)/faultline up $(ARGS)

# Tests with a devnet mostly wait for its slots, so three run side by side; tests/e2e/groups.py says which run in one worker.
WITH_DEVNETS = $(BIN)/python -m pytest tests/e2e --timeout=300 -n 3 --dist=loadscope $(ARGS)
WITHOUT = $(NICE) $(BIN)/python -m deploy.engine_build test && $(NICE) $(BIN)/python -m pytest --ignore=tests/e2e -n auto --dist=worksteal $(ARGS)

# A shell's background job ignores Ctrl-C and shares its group with make: this gives it a group of its own, that a signal ends whole.
IN_A_GROUP = $(BIN)/python -c 'import os, signal, sys; os.setpgid(0, 0); signal.signal(signal.SIGINT, signal.SIG_DFL); \
	os.execv("/bin/sh", ["sh", "-c", *sys.argv[1:]])'

# The others run meanwhile on what is left of the cores, at a lower priority: no devnet misses a slot. Their output comes last.
# Both write to a folder of this run, which stays if a test failed: the logs of its devnets are in it. Ctrl-C ends both, and it goes.
test: NICE := nice -n 10
test: export RUN_WITH_DEVNETS = $(WITH_DEVNETS) --basetemp=$$scratch/with
test: export RUN_WITHOUT = $(WITHOUT) --basetemp=$$scratch/without
test: tools ## Everything needed, then the whole test suite
	@scratch=$$(mktemp -d); export scratch; \
	$(IN_A_GROUP) "$$RUN_WITHOUT" > $$scratch/without.log 2>&1 & others=$$!; \
	$(IN_A_GROUP) "$$RUN_WITH_DEVNETS" & devnets=$$!; \
	trap 'trap - INT TERM HUP; kill -INT -$$devnets -$$others 2>/dev/null; wait; rm -rf $$scratch; exit 130' INT TERM HUP; \
	wait $$devnets; with_devnets=$$?; \
	echo "The tests without a devnet:"; wait $$others; without=$$?; cat $$scratch/without.log; \
	if [ $$((with_devnets | without)) -ne 0 ]; then echo "What they left is in $$scratch."; exit 1; fi; \
	rm -rf $$scratch

test-fast: tools ## The tests that start no devnet, and the crate's own
	$(WITHOUT)

check: tools ## Format, lint, types, layers, dead code, spelling, clippy, rustfmt
	$(BIN)/ruff format --check $(PACKAGES)
	$(BIN)/ruff check $(PACKAGES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/codespell
	$(BIN)/python -m deploy.engine_build check

format: tools ## Format Python and Rust
	$(BIN)/ruff format $(PACKAGES)
	$(BIN)/ruff check --fix $(PACKAGES)
	cargo fmt --manifest-path $(CRATE)/Cargo.toml

contracts: tools ## Compile the contracts' artifacts anew from their Vyper sources
	$(BIN)/python -m deploy.contracts_build

bench: tools ## Benchmarks: a table, and JSON in bench/
	$(BIN)/python -m tests.benchmarks $(ARGS)

lock: $(VENV)/pyvenv.cfg ## Compile both lock files anew from pyproject.toml
	@$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--extra build --output-file requirements.lock pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--extra build --extra dev --output-file requirements-dev.lock pyproject.toml

clean: ## Remove the environment, the engine and caches; the data of devnets stays
	rm -rf $(VENV) node/_engine*.so bench build dist .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
	find $(PACKAGES) -type d -name __pycache__ -prune -exec rm -rf {} +
