# `make` shows the targets. Each one does all the set-up it needs; what is up to date is skipped.
SHELL := /bin/bash
VENV := .venv/bin
# Most tests wait, for a broker or for a process; four at a time keep two cores busy. The tests of a
# file share a stack; without the reordering, the long files of e2e and faults come first.
PARALLEL := --numprocesses 4 --dist loadfile --no-loadscope-reorder
# The tool that resolves the lock files; only `make lock` needs it.
UV := uv==0.13.9
LOCK := --quiet --universal $(if $(filter 1,$(UPGRADE)),--upgrade) --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command 'make lock'
# The variable turns off a notice of the theme. Not --quiet: that also silences what --strict looks for.
BUILD_DOCS := NO_MKDOCS_2_WARNING=1 $(VENV)/mkdocs build --strict

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests demo test test-long check docs bench soak protections lock clean

help:  ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 16

setup:  ## system packages, .venv and Kafka's jars
	@deploy/setup.sh

setup-tests:
	@deploy/setup.sh --tests

demo: setup  ## four nodes on real Kafka and Postgres; KEEP=1 leaves them running
	@$(VENV)/petitionlink demo $(if $(filter 1,$(KEEP)),--keep)

test: setup-tests  ## all tests, on a stack of their own
	@$(VENV)/pytest $(or $(PYTEST),$(PARALLEL) --ignore tests/long)

test-long: setup-tests  ## what takes minutes: tests/long, then every protection taken out once
	@$(VENV)/pytest --numprocesses 2 --dist loadfile tests/long
	@PYTHONPATH=tests $(VENV)/python -m protections check

check: setup-tests  ## lint, format, types, schemas, direction of imports, docs in step and their links
	@$(VENV)/ruff check
	@$(VENV)/ruff format --check
	@$(VENV)/mypy --strict
	@$(VENV)/python -m schemas.evolution.compatibility
	@$(VENV)/pytest tests/unit/test_architecture.py tests/unit/test_metrics.py tests/unit/test_settings.py \
		tests/unit/test_commands_document.py tests/unit/test_regulations.py tests/unit/test_protections.py \
		tests/unit/test_documents.py
	@$(BUILD_DOCS)

docs: setup  ## the documents as a site in .local/site; a broken link or a page without a place fails
	@$(BUILD_DOCS)

bench: setup  ## measure; writes benchmarks/RESULTS.md; FULL=1 takes five times the events
	@FULL=$(FULL) $(VENV)/python -m benchmarks

soak: setup-tests  ## faults at random under load; MINUTES=30, SEED=…; writes .local/soak/report.md
	@MINUTES=$(MINUTES) SEED=$(SEED) PYTHONPATH=tests $(VENV)/python -m soak

protections: setup-tests  ## take each protection out of a copy and see its tests fail
	@PYTHONPATH=tests $(VENV)/python -m protections check

lock: setup  ## resolve both lock files again from pyproject.toml; UPGRADE=1 takes newer versions
	@$(VENV)/python -m pip install -q --disable-pip-version-check $(UV)
	@printf 'hatchling\neditables\n' | $(VENV)/uv pip compile pyproject.toml - $(LOCK) \
		--output-file requirements.lock
	@printf 'hatchling\neditables\n' | $(VENV)/uv pip compile pyproject.toml - $(LOCK) --extra dev \
		--constraints requirements.lock --output-file requirements-dev.lock

clean:  ## stop the stack; remove .local and .venv
	@if [ -x $(VENV)/petitionlink ]; then $(VENV)/petitionlink stack down --purge; fi
	@rm -rf .local .venv
