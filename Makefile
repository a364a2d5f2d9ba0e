# Needs Python >= 3.11 with venv, and make. Everything else is installed into .venv from requirements.lock.
PYTHON ?= python3
UV := uv==0.13.9
BIN := .venv/bin
STAMP := .venv/.installed
ARGS ?=

.PHONY: help setup demo test test-servers check bench experiments lock clean
help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

setup: $(STAMP) ## create .venv with the locked packages and the project itself

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: install it (Debian: apt-get install python3 python3-venv) or set PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $$($(PYTHON) --version) was found: set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv is needed: install it (Debian: apt-get install python3-venv)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(UV)'
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q api fhir_adapters fixtures twin
	@touch $(STAMP)

demo: $(STAMP) ## a clinic that lives on a real FHIR server, and its twin: make demo ARGS='--minutes 2 --check'
	@$(BIN)/jumeau demo $(ARGS)

test: $(STAMP) ## every test but those of test-servers, a real FHIR server included (some minutes)
	@$(BIN)/python -m pytest -m 'not servers and not sandbox'

test-servers: $(STAMP) ## the contract and the whole line on sekmet, HAPI and PostgreSQL; writes docs/servers.md; needs Java, Maven, PostgreSQL
	@$(BIN)/python -m pytest -m servers tests/servers tests/contract

check: $(STAMP) ## format, lint, types, layers, unit tests (some 2 minutes)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest -m 'not server and not servers'

bench: $(STAMP) ## the benchmarks, each with its peer in the same run
	@$(BIN)/python -m tests.benchmarks

experiments: $(STAMP) ## what the predictions must show, with pass marks; writes docs/experiments.md: make experiments ARGS='--only V1'
	@$(BIN)/python -m tests.experiments $(ARGS)

lock: $(STAMP) ## resolve requirements.lock anew (names, versions and hashes only)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --extra demo --extra postgres --extra fast --extra ml --extra cluster --extra tables --extra dev pyproject.toml requirements-build.in -o requirements.lock

clean: ## remove what make created
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
