# The two commands that matter: `make run` (a working engine) and `make test` (everything).
# Both prepare a bare Debian machine by themselves, and cost nothing the second time.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Where rustup puts cargo, for shells that have not read the profile.
export PATH := $(HOME)/.cargo/bin:$(PATH)

# Where fetched test servers are kept; shared between worktrees when set outside.
export MILLRUN_TOOLS ?= $(CURDIR)/.tools

.PHONY: help run setup setup-deploy setup-test setup-image test test-unit test-e2e test-image test-deploy test-loom test-fuzz-seeds perf-check perf-micro lint fmt

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## Build the engine and start it: events go into local files
	@tests/setup/run.sh

setup: ## Install what building needs (only what is missing)
	@tests/setup/packages.sh build

setup-test: ## Install what the tests need as well, and fetch the servers they run against
	@tests/setup/packages.sh build test perf
	@if [ -e tests/setup/kafka.sh ]; then bash tests/setup/kafka.sh; fi
	@tests/setup/kinesis.sh
	@tests/setup/s3.sh

setup-deploy: setup ## Install what the tests of the templates for AWS need
	@tests/setup/packages.sh deploy
	@tests/setup/deploy.sh

setup-image: ## Install what running the image needs, and make the root that it is built on
	@tests/setup/packages.sh image
	@tests/setup/image.sh root

test: setup-test setup-deploy ## Run everything but the container image; the last line has the counts
	@tests/setup/test.sh fmt lint unit loom e2e fuzz-seeds deploy perf

test-unit: setup ## Unit and property tests of all packages
	@tests/setup/test.sh unit

test-e2e: setup-test ## End-to-end and fault tests: the real binary against real servers
	@tests/setup/test.sh e2e

test-image: setup-test setup-image ## The container image, built from the release binary and run by podman and runc
	@tests/setup/test.sh image

test-deploy: setup-deploy ## The templates for AWS: synthesized, linted, and held against the engine; no account needed
	@tests/setup/test.sh deploy

test-loom: setup ## Every interleaving of what is lock-free and ours
	@tests/setup/test.sh loom

test-fuzz-seeds: setup ## Replay the fuzzers' seed corpus
	@tests/setup/test.sh fuzz-seeds

perf-check: setup-test ## Count what a request costs, against perf/budgets.toml
	@tests/setup/test.sh perf

perf-micro: setup ## Micro-benchmarks of the pure core: by wall clock, and by instructions
	@tests/setup/packages.sh perf
	@tests/setup/perf.sh
	@GUNGRAUN_RUNNER="$(MILLRUN_TOOLS)/bin/gungraun-runner" cargo bench --package micro

lint: setup ## Formatting and clippy, warnings are errors
	@tests/setup/test.sh fmt lint

fmt: ## Format the code
	@cargo fmt --all
