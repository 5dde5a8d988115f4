# SPDX-License-Identifier: Apache-2.0
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
DATA ?= data
PARTS ?= small,nemig,large
OTHERS ?= $(BIN)/python
ROOMS := evidence confine diffing behavior signoff reports service

.PHONY: help run test check format lock bench-nemig bench-inference bench-signoff fuzz-signoff manipulations doctor clean

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .make/run ## Set everything up and start the service with the demo on 127.0.0.1:8000
	@exec $(BIN)/countersign demo --port $(PORT) --data $(DATA)

test: .make/dev ## Set everything up and pass all tests, browser tests included
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: .make/dev ## Style, types, import directions, templates, documents
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/djlint service/templates reports/templates --check --lint

format: .make/dev ## Rewrite code and templates in the house style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/djlint service/templates reports/templates --reformat --quiet

doctor: .make/run ## What this machine can and cannot do, and how to fix it
	@$(BIN)/countersign doctor

bench-nemig: .make/dev ## The inference on real readers (needs COUNTERSIGN_DATA)
	@$(BIN)/python benchmarks/nemig.py

bench-inference: .make/dev ## How fast the inference is; writes docs/speed.md (PARTS=small,nemig,large OTHERS=their Python)
	@$(BIN)/python benchmarks/inference.py --parts $(PARTS) --others $(OTHERS) --out docs/speed.md

bench-signoff: .make/dev ## How fast log, proofs, gate and witness are; fails where an aim is missed (PARTS=append,witness)
	@$(BIN)/python benchmarks/signoff.py $(if $(PARTS),--parts $(PARTS))

fuzz-signoff: .make/dev ## Fuzz every parser of sign-offs, and the gate against the standalone verifier (TIME=60 SEED=1)
	@$(BIN)/python benchmarks/fuzzing_signoff.py --seconds $(or $(TIME),60) --seed $(or $(SEED),1)

manipulations: .make/dev ## The benchmark of manipulations, resumable; writes docs/detection.md (needs COUNTERSIGN_DATA)
	@$(BIN)/python benchmarks/manipulations/run.py

lock: ## Rewrite the hashed requirements from pyproject.toml (needs uv)
	@requirements/compile.sh

clean: ## Remove what set-up made; data stay
	@rm -rf $(VENV) .make

.make/run: requirements/run.txt requirements/debian.txt requirements/setup pyproject.toml
	@requirements/setup run

.make/dev: requirements/dev.txt requirements/debian.txt requirements/setup pyproject.toml
	@requirements/setup dev
