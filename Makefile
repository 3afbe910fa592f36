# The one door to this project. Needs Python 3.11 or newer and make; every target fetches the rest into .venv by itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PACKAGES := $(sort $(dir $(wildcard shared/*/pyproject.toml services/*/pyproject.toml)))
SOURCES := $(addsuffix src,$(PACKAGES))
PYTEST := $(BIN)/python -m pytest
# pip's own index setting also holds for uv, which does not read it.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
export UV_LINK_MODE ?= copy
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help run demo check test fmt bench bench-ledger bench-ingest lock clean install

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

run: $(STAMP) ## start everything on this machine: PostgreSQL, the four services, the simulators (Ctrl-C stops)
	@exec $(BIN)/python -m embedded run

demo: $(STAMP) ## show the money's way, on the running stack or on one of its own
	@exec $(BIN)/python -m embedded demo

check: $(STAMP) ## format, lint, types, import contracts and unit tests; under a minute
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary $(SOURCES)
	$(BIN)/lint-imports
	$(PYTEST) -m "not integration and not e2e"

test: check ## check, and the integration and end-to-end tests
	$(PYTEST) -m "integration or e2e"

fmt: $(STAMP) ## format and repair what can be repaired by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: bench-ledger bench-ingest ## run the benchmarks; the last line of each is JSON

bench-ledger: $(STAMP) ## purchases through the ledger's engine against plain inserts
	$(BIN)/python bench/ledger/run.py

bench-ingest: $(STAMP) ## signed webhooks over HTTP against a bare FastAPI
	$(BIN)/python bench/ingest/run.py

lock: $(STAMP) ## resolve the dependencies anew into requirements.lock
	$(BIN)/uv lock --upgrade --quiet
	$(BIN)/uv export --all-packages --all-groups --no-emit-workspace --no-header --locked --quiet -o requirements.lock

install: $(STAMP) ## only fetch what the other targets need

clean: ## remove what was fetched or made, except the data in .gridledger
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache uv.lock
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements.lock uv.requirements pyproject.toml $(addsuffix pyproject.toml,$(PACKAGES))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "error: $(PYTHON) is missing or older than Python 3.11; name another one: make PYTHON=python3.12 ..." >&2; exit 2; }
	@test -x $(BIN)/python && $(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV) \
		|| { echo "error: $(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@echo "installing into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r uv.requirements
	@$(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python $(addprefix -e ./,$(PACKAGES))
	@touch $@
