# Everything starts here: `make demo` and `make test` need Python 3.11+, make and a network, nothing else.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EMULATOR := $(VENV)/emulator
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint simulate mutants fuzz crashes switches bench lock clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with everything in it, as locked

# PYTHON=… chooses an interpreter; else the first one that is new enough and can make a venv.
$(READY): requirements.lock requirements-emulator.lock pyproject.toml deploy/flag/node/package-lock.json
	@set -e; \
	for python in "$(PYTHON)" python3 python3.13 python3.12 python3.11; do \
	  [ -n "$$python" ] || continue; \
	  "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  if ! $(BIN)/python -c '' 2>/dev/null; then echo "making $(VENV) with $$python"; \
	    "$$python" -m venv --clear $(VENV); fi; \
	  break; \
	done; \
	$(BIN)/python -c '' 2>/dev/null || { \
	  echo "tableturn needs Python 3.11 or newer with its venv module, and found none." >&2; \
	  echo "Debian and Ubuntu: apt-get install python3 python3-venv; or: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; \
	  exit 1; }
	@echo "installing requirements.lock into $(VENV) (the first time: some 200 MB)"
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m venv --clear $(EMULATOR)
	@$(EMULATOR)/bin/python -m pip --disable-pip-version-check --quiet --quiet install \
	  --require-hashes --requirement requirements-emulator.lock
	@$(BIN)/python -m tests.nodejs
	@touch $@

demo: setup ## a whole migration on your machine, with live traffic
	@$(BIN)/tableturn demo

test: lint ## lint, then every test, in two lanes side by side
	@$(BIN)/python -m tests.lanes

SEEDS ?= 2000
simulate: setup ## SEEDS=2000 whole migrations under chaos, in virtual time; replay: python -m tests.simulation --seed N --trace
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS)

# The tool has a venv of its own, which sees what the project's has: mutants live in build/mutation, never here.
MUTATION := build/mutation-venv
JOBS ?= 1
mutation: setup ## every small change of apply, sync and cutover: a test notices it, or docs/mutation.md explains it (an hour)
	@$(BIN)/python -m venv --clear $(MUTATION)
	@$(MUTATION)/bin/python -m pip --disable-pip-version-check --quiet --quiet install \
	  --require-hashes --requirement requirements-mutation.lock
	@site='import sysconfig; print(sysconfig.get_path("purelib"))' && \
	$(BIN)/python -c "$$site" > "$$($(MUTATION)/bin/python -c "$$site")/project.pth"
	@set -f; $(MUTATION)/bin/python -m tests.mutation --jobs $(JOBS) $(ONLY)

mutants: setup ## show that the simulation catches every bug it should
	@$(BIN)/python -m tests.simulation --mutants

FUZZ ?= 20000
fuzz: setup ## FUZZ=20000 examples of every fuzz test, new ones each time; failing ones are kept in .hypothesis
	@FUZZ_EXAMPLES=$(FUZZ) $(BIN)/pytest -q --timeout=0 --durations=0 tests/fuzz

KILLS ?= 100
crashes: setup ## KILLS=100 kill -9 of real workers behind a broken network; then with rolling shards (needs libfaketime)
	@$(BIN)/python -m tests.crashes --kills $(KILLS) --rolls 2

CUTOVERS ?= 20
switches: setup ## CUTOVERS=20 cutovers and rollbacks under 50 writes/s, measured; then a kill -9 before and after every step
	@$(BIN)/python -m tests.switching --cutovers $(CUTOVERS) --rate 50
	@$(BIN)/python -m tests.crashes.steps

lint: setup ## style, types, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup ## how fast it is here
	@$(BIN)/python -m bench

# uv resolves for every platform and Python at once; it lives in a throwaway venv, and leaves no index in the file.
lock: setup ## write all locks anew, with the newest that pyproject.toml allows
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(BIN)/python -m venv "$$folder" && "$$folder/bin/pip" install --quiet --disable-pip-version-check uv && \
	UV_CUSTOM_COMPILE_COMMAND="make lock" "$$folder/bin/uv" pip compile --quiet --universal --upgrade \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --extra demo --group pyproject.toml:dev pyproject.toml --output-file requirements.lock && \
	UV_CUSTOM_COMPILE_COMMAND="make lock" "$$folder/bin/uv" pip compile --quiet --universal --upgrade \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --constraint requirements.lock --group pyproject.toml:mutation --output-file requirements-mutation.lock && \
	UV_CUSTOM_COMPILE_COMMAND="make lock" "$$folder/bin/uv" pip compile --quiet --universal --upgrade \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --group pyproject.toml:emulator --output-file requirements-emulator.lock

clean: ## remove what was made here (the cache of DynamoDB Local stays)
	@rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
