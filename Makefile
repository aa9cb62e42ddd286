# One page of commands. `make help` lists them.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
DATA ?=
.DEFAULT_GOAL := help

.PHONY: help
help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found. Install it, or say: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 1; }
	@echo "Making a virtual environment with $$($(PYTHON) --version) …"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module is missing (on Debian and Ubuntu: apt install python3-venv)."; exit 1; }

$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the shop …"
	@$(PIP) -e '.[embeddings,ranker]'
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/.run
	@echo "Installing what the tests need …"
	@$(PIP) -e '.[embeddings,ranker,test,dev]'
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --dest $(VENV)/open_bandit obp==0.4.1
	@touch $@

.PHONY: run
run: $(VENV)/.run ## Start the shop: web, worker, cron, Redis. DATA=<folder> sells that data instead of the demo
	@exec $(BIN)/python run.py $(if $(DATA),--data "$(DATA)")

.PHONY: simulate
simulate: $(VENV)/.run ## Let simulated shoppers visit this machine's shop, running or not: ARGS="--days 14 --seed 1"
	@$(BIN)/python run.py simulate $(ARGS)

.PHONY: test
test: $(VENV)/.test ## Run every test this machine can run; says what it left out
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/run_tests.py $(ARGS)

.PHONY: sure
sure: $(VENV)/.test ## Everything CI runs: format, lint, types, import contracts, tests
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash .ci/checks

.PHONY: security
security: $(VENV)/.test ## Scanners and fuzzers with a bounded time: bandit, our semgrep rules, parsers, the engine's HTTP door, swapped ids
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m scripts.security_checks $(ARGS)

.PHONY: migration
migration: $(VENV)/.test ## Write a migration for changed models: make migration M="what changed"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/make_migration.py "$(M)"

.PHONY: chaos
chaos: $(VENV)/.test ## Kill, starve, cut and step everything while people shop and a million events flow; then balance the books
	@$(BIN)/python scripts/chaos.py
	@$(BIN)/python -m scripts.faults --workers 1 --doubled 0 $(ARGS)
	@$(BIN)/python -m scripts.faults $(ARGS)

.PHONY: browser-loss
browser-loss: $(VENV)/.test ## Ten thousand events through everything that goes wrong in a browser; then count them
	@$(BIN)/python -m scripts.browser_loss $(ARGS)
	@IMPRESSION_TIMELINES=240 $(BIN)/python -m pytest -q tests/e2e/tracker/test_impressions.py

.PHONY: screenshots
screenshots: $(VENV)/.test ## Photograph every page and state at two widths into build/screenshots, with a gallery
	@$(BIN)/python -m scripts.screenshots $(ARGS)

.PHONY: clean
clean: ## Remove the virtual environment and all data of the shop on this machine
	@rm -rf $(VENV) .tools var build *.egg-info
