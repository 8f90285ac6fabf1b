# Every target sets up what it needs; the second time that costs nothing. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
PACKAGES := $(patsubst %/__init__.py,%,$(wildcard $(addsuffix /__init__.py,identity matching registry streams console service)))
SOURCES := $(wildcard $(PACKAGES) benchmarks deploy examples tests)
LOCK := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-emit-index-url --no-emit-find-links
# Arguments for the long storm of streams: make soak STORM='--messages 20000 --kills 2'
STORM ?=
# Arguments for pytest: make test TESTS=tests/matching ARGS='-k nickname'
TESTS ?= tests
ARGS ?=

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup ## Load three made-up systems, show what became one customer, keep serving (ONCE=1: end after that)
	$(BIN)/sameas demo $(if $(ONCE),--once)

.PHONY: test
test: setup postgres kafka ## Run all tests, with a private PostgreSQL and a private Kafka
	$(BIN)/python -m pytest $(ARGS) $(TESTS)

.PHONY: test-unit
test-unit: setup ## Run the fast tests that need no service
	$(BIN)/python -m pytest -m "not service and not slow and not soak" $(ARGS) $(TESTS)

.PHONY: check
check: setup ## Format, lint, types, direction of imports, house rules: what continuous integration runs first
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m mypy $(SOURCES)
	$(BIN)/python -m tests.house.import_contracts
	$(BIN)/python -m pytest -q tests/test_house.py

.PHONY: bench
bench: setup postgres ## Measure speed and accuracy (DATA=folder of the public sets); writes docs/benchmarks.md
	$(BIN)/python -m benchmarks --write docs/benchmarks.md $(if $(DATA),--data $(DATA)) $(ARGS)

.PHONY: soak
soak: setup postgres kafka ## Run what takes long: a million lines in one stream, many more random cases, streams in a storm
	SAMEAS_TEST_SOAK=1 $(BIN)/python -m pytest -m soak $(ARGS) $(TESTS)
	SAMEAS_TEST_SOAK=1 $(BIN)/python -m pytest $(ARGS) tests/promises
	$(BIN)/python -m tests.streams.soak --write docs/reliability.md $(STORM)

.PHONY: format
format: setup ## Put the source into the house's format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: lock
lock: setup ## Write the lock files anew from pyproject.toml
	$(LOCK) --output-file requirements.lock pyproject.toml
	$(LOCK) --only-build-deps --build-deps-for wheel --output-file requirements-build.lock pyproject.toml
	$(LOCK) --extra dev --all-build-deps --output-file requirements-dev.lock pyproject.toml

.PHONY: clean
clean: ## Remove what can be made again (never the data in sameas-data)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: setup
setup: $(VENV)/.project ## Make the virtual environment and install the locked packages

.PHONY: postgres
postgres: setup
	@$(BIN)/python -m deploy.local.postgres ensure

.PHONY: kafka
kafka: setup
	@$(BIN)/python -m deploy.local.kafka ensure

$(VENV)/.python: deploy/local/make-venv.sh
	@deploy/local/make-venv.sh $(VENV)
	@touch $@

$(VENV)/.packages: requirements-dev.lock $(VENV)/.python
	@echo "installing the locked packages into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	@touch $@

# An editable installation knows the packages that were there when it was made, hence the second prerequisite.
$(VENV)/.project: pyproject.toml $(VENV)/.packages $(addsuffix /__init__.py,$(PACKAGES))
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
