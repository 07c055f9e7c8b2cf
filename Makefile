# `make` alone lists what there is. Each target makes what it needs first; nothing has to be set up by hand.
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-clean test lint format docs docs-check docsite sanity unit build-check molecule molecule-default molecule-consumer molecule-front molecule-swap molecule-supervise bench lock clean
SHELL := /bin/bash
BIN := .venv/bin
# ansible-lint and antsibull-changelog start other programs of the same environment.
export PATH := $(CURDIR)/$(BIN):$(PATH)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## See it work: one disposable Debian host in a container, with the example app behind Caddy
	@scripts/demo

demo-clean: ## Remove the demo's host
	@scripts/demo clean

test: ## Everything below, stage by stage, with times (about an hour on 2 cores)
	@scripts/test

setup: ## Make the environments .venv (ansible-core 2.21) and .venv-2.19
	@scripts/setup

lint: environments ## ansible-lint, yamllint, ruff (a few seconds each)
	ansible-lint --offline
	yamllint --strict .
	ruff check .
	ruff format --check .
	ruff check examples/hello
	ruff format --check examples/hello
	ANSIBLE_COLLECTIONS_PATH=.collections antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=self --check-extra-docs-refs .

format: environments ## Let ruff put the Python files into form
	ruff check --fix .
	ruff format .

docs: environments ## Write the roles' READMEs from their argument specifications
	python scripts/docs

docs-check: environments ## Are the generated documents up to date, and the changelog fragments sound? Do links lead somewhere?
	python scripts/docs --check
	antsibull-changelog lint
	python -m pytest -q tests/docs

docsite: environments ## Build the docs site as HTML, from the same sources
	@scripts/docsite

sanity: ## ansible-test sanity, with both ansible-cores
	@scripts/sanity

unit: ## pytest, with both ansible-cores; the example app's own tests
	@scripts/unit

build-check: environments ## Build the collection, install it elsewhere, run it from there by name
	python -m pytest -q tests/artefact

molecule: ## All Molecule scenarios on Debian 12 and 13
	@scripts/molecule

molecule-default: ## site.yml as it is, with the newest ansible-core
	@scripts/molecule default

molecule-consumer: ## Another playbook, two apps on one host, with the oldest ansible-core
	@scripts/molecule consumer

molecule-front: ## The front door: two Caddys and nginx, asked the same questions; two hosts at once
	@scripts/molecule front

molecule-swap: ## Deploys under load: good ones, bad ones, cut-off ones; both hosts at once
	@scripts/molecule swap

molecule-supervise: ## A night in which everything breaks that can, under load; both hosts at once
	@scripts/molecule supervise

bench: environments ## Measure against plain playbooks that do the same (20 minutes)
	scripts/image bookworm
	python bench/run

lock: environments ## Pin scripts/requirements-test.in anew in requirements-test.txt
	scripts/lock

clean: demo-clean ## Remove what was made here: environments, caches, the demo
	rm -rf .venv .venv-2.19 .cache .ansible .hypothesis .pytest_cache .ruff_cache .mypy_cache .benchmarks tests/output

.PHONY: environments
environments:
	@scripts/setup
