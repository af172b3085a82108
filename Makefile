# The commands of Gatehouse. Each installs what it needs first; none needs another server running.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes
LOCK := uv pip compile --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11

.PHONY: run demo install install-dev system test check faithfulness bench lock vendor screenshots

run: install
	@exec $(BIN)/python manage.py run

demo: install
	@GATEHOUSE_HOME=$${GATEHOUSE_HOME:-var-demo} exec $(BIN)/python manage.py demo $(ARGS)

install: .venv/prod.done

install-dev: .venv/dev.done

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Gatehouse needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || .ci/apt python3-venv
	@rm -rf .venv
	@$(PYTHON) -m venv .venv

.venv/prod.done: requirements/prod.txt | .venv/bin/python
	@echo "Installing what Gatehouse runs on ..."
	@$(PIP) -r requirements/prod.txt
	@touch $@

.venv/dev.done: requirements/dev.txt .venv/prod.done
	@echo "Installing what tests and checks need ..."
	@$(PIP) -r requirements/dev.txt
	@touch $@

# What the tests use as outside oracles and peers; a test whose program is missing says so: it fails as root, else is skipped.
system:
	@.ci/apt openssl curl mosquitto mosquitto-clients redis-server postgresql chromium fonts-dejavu-core gnutls-bin softhsm2 nginx-light rabbitmq-server mariadb-server-core || echo "Going on without them."

# A module stays on one of the two workers; those with servers come first (tests/scheduling.py). Up to three that fail are
# asked once more, alone: one that passes then is a defect of the test, told in what was printed. Races are not asked again.
test: install-dev system
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),-n 2 --dist loadfile) || { [ $$? = 1 ] && [ -s .pytest_cache/second_try ] \
		&& echo "Asking once more:" && cat .pytest_cache/second_try && $(BIN)/python -m pytest @.pytest_cache/second_try; }

check: export GATEHOUSE_HOME := $(CURDIR)/var/check
check: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	GATEHOUSE_BASE_URL=https://gatehouse.example $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python docs/check_links.py

# Every compile target on generated policies, and the emulators beside real brokers (docs/explanation/faithfulness.md).
faithfulness: install-dev system
	@$(BIN)/python -m tests.brokers.core.run_faithfulness $(if $(SEED),--seed $(SEED)) $(ARGS) $(ONLY)

bench: install-dev
	@$(BIN)/python -m bench $(ONLY)

lock:
	$(LOCK) requirements/prod.in -o requirements/prod.txt
	$(LOCK) requirements/dev.in -o requirements/dev.txt

vendor: install
	@$(BIN)/python .ci/vendor.py

screenshots: install-dev system
	@$(BIN)/python -m tests.screenshots
