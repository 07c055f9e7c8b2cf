# `make` alone lists what there is. Each target makes what it needs first; nothing has to be set up by hand.
.DEFAULT_GOAL := help
.PHONY: help demo demo-clean test test-all test-vm setup setup-all images lint lint-ansible lint-yaml lint-python lint-collection lint-shell lint-workflows types
.PHONY: format docs docs-check docsite sanity unit worker example build-check molecule bench lock clean environments
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

test: ## What one Python can prove in minutes: all stages below, the scenarios in part (a quarter of an hour on 2 cores)
	@scripts/test

test-all: ## All questions, on both Debians together, with both ends of ansible-core (about an hour on 2 cores)
	@scripts/test all

test-vm: ## Whole machines of both Debians, with kernels of their own: memory, reboot, power cut (minutes with KVM; else an hour and more)
	@scripts/vm

setup: ## Make the environment .venv, with the newest Python that there is (TEST_PYTHON=3.11: with that one)
	@scripts/setup

setup-all: ## The same with .venv-2.19 and .venv-2.20, named after their ansible-core
	@scripts/setup all

images: ## Make the images of the hosts that Molecule and the demo use
	@scripts/image

lint: environments ## ansible-lint, yamllint, ruff, types and workflows, side by side
	@$(MAKE) --no-print-directory --jobs=6 --keep-going --output-sync=target lint-ansible lint-yaml lint-python lint-collection lint-shell lint-workflows types

lint-ansible: environments
	ansible-lint --offline

lint-yaml: environments
	yamllint --strict .

lint-python: environments
	ruff check .
	ruff format --check .
	ruff check examples/hello
	ruff format --check examples/hello

lint-collection: environments
	ANSIBLE_COLLECTIONS_PATH=.collections antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=self --check-extra-docs-refs .

lint-shell: environments
	shellcheck --external-sources --source-path=SCRIPTDIR .ci/run examples/ci/play scripts/lib.sh $$(grep -l '^#!/usr/bin/env bash' scripts/*)

# With the schemas that it brings along, so without a network. No job may hang for the six hours that GitHub gives it.
WORKFLOWS := .github/workflows/*.yml examples/ci/github/*.yml
lint-workflows: environments
	check-jsonschema --builtin-schema vendor.github-workflows $(WORKFLOWS)
	check-jsonschema --builtin-schema custom.github-workflows-require-timeout $(WORKFLOWS)
	check-jsonschema --builtin-schema vendor.gitlab-ci examples/ci/gitlab/.gitlab-ci.yml

types: environments ## mypy
	mypy

format: environments ## Let ruff put the Python files into form
	ruff check --fix .
	ruff format .

docs: environments ## Write the roles' options, defaults and READMEs from the one specification
	python scripts/docs

docs-check: environments ## Are the generated documents up to date, and the changelog fragments sound? Do links lead somewhere?
	python scripts/docs --check
	antsibull-changelog lint
	python -m pytest -q tests/docs

docsite: environments ## Build the docs site as HTML, from the same sources
	@scripts/docsite

sanity: ## ansible-test sanity; sanity-2.19 and sanity-2.20 with another ansible-core
	@scripts/sanity
sanity-%:
	@scripts/sanity .venv-$*

unit: ## pytest; unit-2.19 and unit-2.20 with another ansible-core
	@scripts/unit
unit-%:
	@scripts/unit .venv-$*

worker: environments ## pytest of the worker class, whose limits in seconds want the machine for themselves
	python -m pytest -q -n 2 tests/worker

example: ## The example app's own tests
	@scripts/example

build-check: environments ## Build the collection, install it elsewhere, run it from there by name; build-check-2.19 ...
	python -m pytest -q tests/artefact
build-check-%: setup-all
	.venv-$*/bin/python -m pytest -q tests/artefact

molecule: ## All Molecule scenarios on Debian 12 and 13; one, or one host: molecule-swap, molecule-swap-trixie
	@scripts/molecule
molecule-%:
	@scripts/molecule $*
# Of one host the tests that `make test` asks, and those that only test-all does.
core-%:
	@scripts/molecule --core $*
rest-%:
	@scripts/molecule --rest $*

bench: environments ## Measure against plain playbooks that do the same (20 minutes)
	scripts/image bookworm
	python bench/run

lock: environments ## Pin scripts/requirements-test.in anew in requirements-test.txt
	scripts/lock

clean: demo-clean ## Remove what was made here: environments, caches, the demo
	rm -rf .venv .venv-2.19 .venv-2.20 .cache .ansible .hypothesis .pytest_cache .ruff_cache .mypy_cache .benchmarks tests/output

environments:
	@scripts/setup
