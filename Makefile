# make demo   the main job on a real video        make check  format, lint, types, one-way imports
# make test   every test that CI runs             make bench  every number of the README
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test check bench peer clean
help:                      ## print this
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: .venv/ready          ## run the live pipeline on a real video; results in out/demo
	@$(BIN)/poselift demo

test: .venv/tested peer    ## check the code, fetch the models, run the tests
	@$(BIN)/poselift models pull
	@$(MAKE) --no-print-directory check
	@$(BIN)/pytest

check: .venv/tested        ## format, lint, types, one-way imports
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: .venv/tested peer   ## measure every number of the README on this machine
	@$(BIN)/poselift models pull
	@$(BIN)/python -m bench

clean:                     ## remove what the other targets made here
	rm -rf .venv .venv-peer out build *.egg-info

# What the demo needs; the tests and benches bring their tools on top, and the peer has an environment of its own.
.venv/ready: pyproject.toml
	@$(PYTHON) -m venv .venv
	@echo "installing into .venv (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[convert]'
	@touch $@

.venv/tested: .venv/ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[convert,dev]'
	@touch $@
