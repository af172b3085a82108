# The commands of Gatehouse. Each installs what it needs first; none needs another server running.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run install install-dev system test check demo bench lock vendor screenshots

run: install
	@$(BIN)/python manage.py run

demo: install
	@GATEHOUSE_HOME=$${GATEHOUSE_HOME:-var-demo} $(BIN)/python manage.py demo $(ARGS)

install: .venv/prod.done

install-dev: .venv/dev.done

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Gatehouse needs Python 3.11 or newer; set PYTHON=/path/to/python3.11."; exit 1; }
	@rm -rf .venv
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || .ci/apt python3-venv
	@$(PYTHON) -m venv .venv

.venv/prod.done: requirements/prod.txt | .venv/bin/python
	@echo "Installing what Gatehouse runs on ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/prod.txt
	@touch $@

.venv/dev.done: requirements/dev.txt .venv/prod.done
	@echo "Installing what the tests and checks need ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# Debian packages that the tests use as outside oracles and peers.
system:
	@.ci/apt openssl curl mosquitto mosquitto-clients redis-server postgresql chromium gnutls-bin

test: install-dev system
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),-n 2 --dist loadgroup)

check: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	GATEHOUSE_HOME=$$(mktemp -d) GATEHOUSE_BASE_URL=https://gatehouse.example $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python docs/check_links.py

bench: install-dev
	$(BIN)/python -m bench $(ONLY)

lock:
	uv pip compile --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11 requirements/prod.in -o requirements/prod.txt
	uv pip compile --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11 requirements/dev.in -o requirements/dev.txt

vendor:
	$(BIN)/python static/vendor.py

screenshots: install-dev system
	$(BIN)/python -m tests.screenshots
