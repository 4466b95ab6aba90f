# `make` alone tells what there is. Every target does the set-up that it needs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

STAGE ?= dev
ARCHITECTURE ?= x86_64
MONITORS ?= monitors.yml
OUT ?= demo-out
# Photographs instead of drawn signs: make demo IMAGES=DIR (a folder a class, or labels.csv).
IMAGES ?=
# More words for pytest, such as TESTS=tests/unit or TESTS="-k outbox".
TESTS ?=
BENCH ?=
FILES ?= benchmarks/*.py
# For package, deploy, remove and image: the region, parameters of the stack (PARAMS="alertMail=a@b.c logLevel=DEBUG"), a look only.
REGION ?=
PARAMS ?=
DRY_RUN ?=

BIN := .venv/bin

.PHONY: help setup demo demo-tabular test lint bench layers package deploy remove image pins clean

help: ## What there is
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

setup: ## Python and Node packages, once; again only when their lists change
	@bin/setup

demo: setup ## The whole story on this machine: attack, alert, swap, saliency, restore (OUT=demo-out IMAGES=)
	@$(BIN)/sagewatch demo --out $(OUT) $(if $(IMAGES),--images $(IMAGES))

demo-tabular: setup ## The second story: a tabular endpoint's data drift and break (OUT=demo-out)
	@$(BIN)/sagewatch demo-tabular --out $(OUT)

# What only computes runs on all cores, a file to a core; what starts processes of its own runs after it, alone.
COMPUTES := tests/unit tests/property tests/acceptance

test: setup ## All tests (TESTS="..." for some)
ifeq ($(TESTS),)
	@failed=0; \
	  $(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile $(COMPUTES) || failed=1; \
	  $(BIN)/python -m pytest tests $(COMPUTES:%=--ignore=%) || failed=1; \
	  exit $$failed
else
	@$(BIN)/python -m pytest $(TESTS)
endif

lint: setup ## Style, types, who imports whom, the template
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@PYTHONPATH=. $(BIN)/lint-imports
	@$(BIN)/python -m layers.package_stack --stage dev
	@$(BIN)/cfn-lint .build/dev/package/cloudformation-template-update-stack.json

bench: setup ## Measure what is promised to be fast (BENCH=--quick for minutes, not half an hour; FILES=benchmarks/replay.py)
	@for file in $(FILES); do printf '\n%s\n' "$$file"; PYTHONPATH=. $(BIN)/python $$file $(BENCH); done

layers: setup ## The core layer for Lambda, in .build/layers (ARCHITECTURE=x86_64|arm64)
	@$(BIN)/python -m layers.build_core --architecture $(ARCHITECTURE)

package: setup ## Template and zips, offline, in .build/STAGE/package (STAGE=dev MONITORS=monitors.yml PARAMS=)
	@$(BIN)/python -m layers.package_stack --stage $(STAGE) --architecture $(ARCHITECTURE) --monitors $(MONITORS) \
	  $(foreach one,$(PARAMS),--param "$(one)")

deploy: setup ## Package, say what changes in the account, deploy (STAGE=dev REGION= PARAMS= DRY_RUN=1)
	@$(BIN)/python -m deploy.stack deploy --stage $(STAGE) --architecture $(ARCHITECTURE) --monitors $(MONITORS) \
	  $(if $(REGION),--region $(REGION)) $(foreach one,$(PARAMS),--param "$(one)") $(if $(DRY_RUN),--dry-run)

remove: setup ## Remove the stack after asking; table and buckets stay (STAGE=dev REGION= DRY_RUN=1)
	@$(BIN)/python -m deploy.stack remove --stage $(STAGE) $(if $(REGION),--region $(REGION)) $(if $(DRY_RUN),--dry-run)

image: setup ## Build monitor_image and push it to ECR, where docker is (REGION= DRY_RUN=1)
	@$(BIN)/python -m deploy.image $(if $(REGION),--region $(REGION)) $(if $(DRY_RUN),--dry-run)

pins: setup ## Resolve requirements.txt anew from pyproject.toml
	@$(BIN)/python -m layers.pin_versions

clean: ## Remove what was built; .venv and node_modules stay
	rm -rf .build .serverless demo-out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
