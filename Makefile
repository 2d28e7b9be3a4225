# The one entrance to building, testing and trying aml-operator. `make help` lists what there is.

CARGO ?= cargo
CONTAINER_ENGINE ?= docker
# Set to --locked to refuse a Cargo.lock that is not up to date.
LOCKED ?=
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
IMAGE ?= aml-operator:$(VERSION)
CHART_CRDS := charts/aml-operator/files/crds
CLIENTS := simulator/tests/clients

export CARGO LOCKED
.DEFAULT_GOAL := help
.PHONY: help tools build test test-clients test-az demo simulator bench-simulator bench generate check check-fmt \
	check-clippy check-generated check-chart check-deny contract fmt clean image

help: ## List these targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

tools: ## Build kube-apiserver, kube-controller-manager, etcd, kubectl and helm (once, minutes; then nothing)
	$(CARGO) run $(LOCKED) --quiet --package control-plane -- tools

build: ## Build the operator, optimized
	$(CARGO) build $(LOCKED) --release --package aml-operator

test: tools ## Run all tests, against a real control plane and the simulator
	@rm -rf "$(CONTRACT_COUNTS)"
	tools/test-summary $(CARGO) test $(LOCKED) --workspace --no-fail-fast

# The counts of earlier runs are removed first.
contract: ## Show which of Azure's operations the last test run exercised, by the specifications in ARM_SPECS_DIR
	@$(CARGO) run $(LOCKED) --quiet --package arm-contract -- report "$(CONTRACT_COUNTS)"

test-clients: ## Drive the simulator with Microsoft's Python clients
	$(CARGO) build $(LOCKED) --package arm-simulator --package arm-contract
	@python=$$(tools/python-environment clients $(CLIENTS)/requirements.txt) && \
		ARM_SIMULATOR="$(DEBUG_DIR)/arm-simulator" ARM_CONTRACT="$(DEBUG_DIR)/arm-contract" "$$python" $(CLIENTS)/run.py

test-az: ## Drive the simulator with azure-cli (minutes)
	$(CARGO) build $(LOCKED) --package arm-simulator --package arm-contract
	@python=$$(tools/python-environment az $(CLIENTS)/requirements-az.txt) && \
		ARM_SIMULATOR="$(DEBUG_DIR)/arm-simulator" ARM_CONTRACT="$(DEBUG_DIR)/arm-contract" "$$python" $(CLIENTS)/run.py --az

# Each step says what it is; cargo and `control-plane tools` say how far they are. The programs are run as they were built
# together: `cargo run` would choose other features for each and compile once more. DEMO=once: end when all is shown.
DEBUG_DIR = $$($(CARGO) metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/debug
# Where tests leave word of the operations they exercised.
CONTRACT_COUNTS = $(DEBUG_DIR)/../tmp/arm-contract

demo: ## See the operator at work on a real control plane and a simulated Azure
	@echo '[1/3] Compiling the operator, the simulator and the demo (the first time: a few minutes)'
	$(CARGO) build $(LOCKED) --package control-plane --package aml-operator --package arm-simulator --package demo
	@echo '[2/3] Building kube-apiserver, kube-controller-manager, etcd, kubectl and helm (once: a few minutes)'
	@"$(DEBUG_DIR)/control-plane" tools >/dev/null
	@echo '[3/3] Running'
	@exec "$(DEBUG_DIR)/demo"

simulator: ## Serve a simulated Azure with a hub and two spokes, and say how clients are pointed at it
	$(CARGO) build $(LOCKED) --quiet --package arm-simulator
	@exec "$(DEBUG_DIR)/arm-simulator" serve --world hub-spoke --tls-dir "$(DEBUG_DIR)/simulator-tls" --explain

bench-simulator: ## Measure how fast and how frugal the simulator is
	$(CARGO) build $(LOCKED) --release --package arm-simulator
	$(CARGO) bench $(LOCKED) --profile release --package arm-simulator --bench load

# ONLY=few, objects, workspaces or networks measures a part.
bench: tools build ## Measure how fast and how frugal it is
	$(CARGO) bench $(LOCKED) --profile dev --package aml-operator --bench numbers -- $(ONLY)

generate: ## Write what is generated anew: resource definitions, the chart's copy of them, docs/simulator.md
	rm -rf crds $(CHART_CRDS)
	mkdir -p crds $(CHART_CRDS)
	$(CARGO) run $(LOCKED) --quiet --package aml-operator -- crds --output-dir crds
	cp crds/*.yaml $(CHART_CRDS)
	$(CARGO) run $(LOCKED) --quiet --package arm-simulator --example document > docs/simulator.md

check: check-fmt check-clippy check-generated check-chart check-deny ## All checks that are no tests

check-fmt: ## Formatting
	$(CARGO) fmt --all --check

check-clippy: ## Lints, warnings being errors
	$(CARGO) clippy $(LOCKED) --workspace --all-targets -- -D warnings

check-generated: ## What is generated is what the code says
	tools/check-generated

check-chart: ## The chart lints and renders
	tools/check-chart

check-deny: ## Licences, banned crates and sources of dependencies
	tools/check-deny

fmt: ## Format the code
	$(CARGO) fmt --all

image: ## Build the container image
	$(CONTAINER_ENGINE) build --tag $(IMAGE) .

clean: ## Remove what was built here (not the tools, which other checkouts share)
	$(CARGO) clean
