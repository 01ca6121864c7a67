# voice-agent: everything a newcomer or a CI needs, by name. `make` lists it.
#
# Two stamps in .venv say what is installed, for pyproject.toml as it is: one for running (the demo needs no
# tools), one for developing. Nothing is done twice.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Which voice and ears the embedded server uses: en, light (under 100 MB) or ru.
SPEECH ?= en
EXTRA := $(if $(filter light,$(SPEECH)),local-light,local)

VENV := .venv
BIN := $(VENV)/bin
RUNNING := $(VENV)/.installed-$(EXTRA)
DEVELOPING := $(VENV)/.installed-dev
SUPPLYING := $(VENV)/.installed-supply
CONTROLLING := .venv-ansible/.installed
SETUP_SOURCES := pyproject.toml scripts/system-packages scripts/make-venv
# Most tests wait for sound, so two share a processor. Four took 2.3 GB at most: one for each GB that there is.
ABREAST = --dist worksteal --numprocesses \
	$(shell awk '/^MemTotal/ {n = int($$2 / 900000); print (n < 1 ? 1 : n > 4 ? 4 : n)}' /proc/meminfo)
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
export PIP_ROOT_USER_ACTION := ignore

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(RUNNING) ## Hold a conversation, with or without a sound card (SPEECH=en|light|ru)
	@$(BIN)/voice-agent demo --speech $(SPEECH)

.PHONY: setup
setup: $(DEVELOPING) ## Install everything: system packages, .venv, development tools

.PHONY: fmt
fmt: $(DEVELOPING) ## Format the code and mend what can be mended by itself
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format

.PHONY: lint
lint: $(DEVELOPING) ## Judge format, style, types and the import map
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

.PHONY: check
check: lint ## Lint and the fast tests: before every commit, a minute
	@$(BIN)/pytest -q $(ABREAST) -m "not audio and not models and not slow and not system"

.PHONY: test
test: $(DEVELOPING) ## Run every test
	@$(BIN)/pytest $(ABREAST)

.PHONY: cover
cover: $(DEVELOPING) ## Run every test and show the lines that none of them reached
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

.PHONY: test-device
test-device: $(DEVELOPING) ## Try real sound devices in an emulated arm64 Debian (device-out/device.json)
	@[ "$$(id -u)" != 0 ] || scripts/system-packages device
	@$(BIN)/python -m tests.device

.PHONY: test-system
test-system: $(DEVELOPING) ## Talk to the service on booted Debian 13s, and strike it (as root, in systemd-nspawn)
	@[ "$$(id -u)" != 0 ] || { scripts/system-packages node && scripts/system-packages deb; } || true
	@$(BIN)/python -m tests.nspawn

.PHONY: test-fleet
test-fleet: $(DEVELOPING) $(CONTROLLING) ## Install, update and break a fleet of booted Debians by Ansible (as root, 15 minutes)
	@[ "$$(id -u)" != 0 ] || { scripts/system-packages node && scripts/system-packages deb && scripts/system-packages fleet; } || true
	@$(BIN)/python -m tests.fleet

.PHONY: test-page
test-page: $(DEVELOPING) ## Look at the status page in a headless Chromium (PICTURES=docs renews its pictures)
	@[ "$$(id -u)" != 0 ] || scripts/system-packages page
	@$(BIN)/pytest -q tests/page/scenes.py tests/page/texts.py

.PHONY: dashboards
dashboards: $(DEVELOPING) ## Build Grafana's dashboards from their source (deploy/grafana/dashboards)
	@$(BIN)/python -m deploy.grafana.source

.PHONY: observe
observe: $(DEVELOPING) ## Watch the demo, or any daemon: Prometheus, Alertmanager, boards (TARGET=host:port TIMES=60 BOARDS=no)
	@scripts/system-packages observe
	@$(BIN)/python -m tests.observe $(if $(TARGET),--target $(TARGET)) $(if $(TIMES),--times $(TIMES)) $(if $(filter no,$(BOARDS)),--no-boards)

.PHONY: check-rules
check-rules: $(DEVELOPING) ## Try every alert on series of numbers, with Debian's Prometheus (in build/observe)
	@scripts/system-packages observe || true
	@$(BIN)/pytest -q tests/observe/checks.py

.PHONY: test-rules
test-rules: check-rules ## The same, and the alerts on a real daemon that is struck
	@$(BIN)/pytest -q tests/observe/strikes.py

.PHONY: dashboards-shot
dashboards-shot: $(DEVELOPING) ## Ask all dashboards of real daemons and a real Prometheus, and draw them (docs/dashboards; AGAIN=1)
	@scripts/system-packages observe || true
	@[ "$$(id -u)" != 0 ] || scripts/system-packages page || true
	@$(BIN)/python -m tests.grafana --pictures docs/dashboards $(if $(AGAIN),--again)

.PHONY: bench
bench: $(DEVELOPING) ## Measure the daemon against floors (bench-out/bench.json)
	@$(BIN)/python -m tests.bench

.PHONY: echo-bench
echo-bench: $(DEVELOPING) ## Interrupt answers in many rooms (echo-out/echo.json and pictures)
	@$(BIN)/python -m tests.echo

.PHONY: chaos
chaos: $(DEVELOPING) ## Let the daemon meet faults drawn from a seed (N=1000 SEED=7; chaos-out/chaos.json)
	@$(BIN)/python -m tests.chaos $(if $(N),--faults $(N)) $(if $(SEED),--seed $(SEED))

.PHONY: soak
soak: $(DEVELOPING) ## Let the daemon talk for long; nothing may grow (MINUTES=20; soak-out/soak.json)
	@$(BIN)/python -m tests.chaos.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

.PHONY: fleet-sim
fleet-sim: $(DEVELOPING) ## See what so many simulated devices cost a real Prometheus (N=1000 MINUTES=3; fleet-out/fleet.json)
	@scripts/system-packages observe || true
	@$(BIN)/python -m tests.fleetsim $(if $(N),--devices $(N)) $(if $(MINUTES),--minutes $(MINUTES))

.PHONY: deb
deb: $(DEVELOPING) ## Build the package for Debian 13 and Raspberry Pi OS (dist/voice-agent_*_all.deb)
	@[ "$$(id -u)" != 0 ] || scripts/system-packages deb
	@scripts/make-deb

.PHONY: fuzz
fuzz: $(DEVELOPING) ## Feed nonsense to whatever reads foreign bytes (MINUTES=10 SEED=7)
	@$(PIP) install --group fuzz 2>/dev/null || echo "  without atheris, which cannot be had here: blindly"
	@$(BIN)/python -m tests.fuzz $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

.PHONY: lock
lock: $(SUPPLYING) ## Pin what devices install, with hashes (UPGRADE=1: the newest of everything)
	@UV=$(BIN)/uv scripts/lock $(if $(UPGRADE),--upgrade)

.PHONY: audit
audit: $(SUPPLYING) ## Ask for known holes in what is pinned; a bill of materials is left in dist/
	@scripts/audit $(BIN)/pip-audit

.PHONY: clean
clean: ## Remove what was made, but for .venv
	@rm -rf build dist demo-out bench-out device-out echo-out chaos-out soak-out fleet-out fuzz-out .coverage .coverage.* .hypothesis
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@find daemon tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNNING): $(SETUP_SOURCES)
	@echo "Setting up what the daemon needs ($(EXTRA)); the first time takes a minute or two"
	@scripts/system-packages run
	@scripts/make-venv $(VENV)
	@echo "  Python packages"
	@$(PIP) install --editable '.[$(EXTRA),aec,demo]'
	@touch $@

$(DEVELOPING): $(SETUP_SOURCES)
	@echo "Setting up for development; the first time takes a minute or two"
	@scripts/system-packages test
	@scripts/make-venv $(VENV)
	@echo "  Python packages"
	@$(PIP) install --editable '.[local,local-light,aec,mcp,demo]' --group dev
	@touch $(VENV)/.installed-local $(VENV)/.installed-local-light $@

$(SUPPLYING): pyproject.toml scripts/make-venv
	@scripts/make-venv $(VENV)
	@$(PIP) install --group supply
	@touch $@

$(CONTROLLING): deploy/ansible/requirements.txt scripts/make-venv
	@scripts/make-venv $(@D)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check -r deploy/ansible/requirements.txt
	@touch $@
