# Everything a newcomer needs: `make demo` and `make test`. Both work on a bare machine with Python 3.11 or newer.
# The environment is .venv; a stamp for each set of packages makes the second run quick.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.agentopt
AGENT  ?= qwen2.5-coder-0.5b
OPTIMIZER ?= qwen2.5-coder-1.5b
SEED   ?= 0
SEEDS  ?= 8
JOBS   ?= auto

.PHONY: help test lint types layers pytest weights try-weights test-model test-slow demo bench bench-optimizers bench-full docs wheel clean

help:  ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -m venv $(VENV) || { echo "Python 3.11 with its venv module is needed (Debian: apt-get install python3-venv)"; exit 1; }

# Tests start hundreds of processes, and most of the time of a short one without its bytecode is compiling.
export PYTHONDONTWRITEBYTECODE :=

# uv resolves in a second what pip resolves in a minute; where uv cannot reach the index, pip does the work.
# The bytecode is made once: what runs in the sandbox writes none, and would compile its solvers at each start.
define install
	@echo "installing .[$(1)] into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv 2>/dev/null || true
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable '.[$(1)]' 2>/dev/null \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(1)]'
	@mkdir -p $(STAMP) && touch $(STAMP)/$(2)
endef

$(STAMP)/dev: pyproject.toml hatch_build.py | $(BIN)/python
	$(call install,dev$(comma)local,dev)
	@touch $(STAMP)/local

$(STAMP)/local: pyproject.toml hatch_build.py | $(BIN)/python
	$(call install,local,local)

comma := ,

test: $(STAMP)/dev  ## Lint, types, layers, and the tests
	@$(MAKE) --no-print-directory -j 4 lint types layers try-weights  # the weights come while the rest computes
	@$(MAKE) --no-print-directory pytest

lint: $(STAMP)/dev  ## Ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)/dev  ## mypy --strict on the library
	$(BIN)/mypy

layers: $(STAMP)/dev  ## Imports go downward only
	$(BIN)/lint-imports

pytest: $(STAMP)/dev  ## The tests (those of a real model are skipped where its weights are missing)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

# Where the weights cannot be had, the tests on a real model are skipped, unless AGENTOPT_REQUIRE_MODEL is set.
try-weights: $(STAMP)/dev
	@$(MAKE) --no-print-directory weights \
		|| { echo "THE WEIGHTS CANNOT BE HAD: no test runs on a real model"; test -z "$$AGENTOPT_REQUIRE_MODEL"; }

weights: $(STAMP)/dev  ## Pull the weights of the small models that the tests use
	$(BIN)/agentopt models pull smollm2-135m
	$(BIN)/agentopt models pull $(AGENT)

test-model: weights  ## Only the tests on a real small model
	AGENTOPT_REQUIRE_MODEL=1 $(BIN)/python -m pytest -m model

test-slow: $(STAMP)/dev  ## All tests, the slow ones too, with many drawn cases
	$(BIN)/python -m pytest --slow -n $(JOBS) --dist loadfile

demo: $(STAMP)/local  ## Optimize an agent on a real local model, and show what it brought (SEED=1 for other examples)
	$(BIN)/agentopt models pull $(AGENT)
	$(BIN)/agentopt models pull $(OPTIMIZER)
	$(BIN)/agentopt optimize cashier --task bills --task-arg seed=$(SEED) --seed $(SEED) --steps 4 --finalists 2 --optimizer-arg reasoning=false \
		--model local/$(AGENT) --optimizer-model local/$(OPTIMIZER) --budget calls=700,seconds=570 \
		|| [ $$? -eq 4 ]
	$(BIN)/agentopt show
	$(BIN)/agentopt apply --dry-run

bench: $(STAMP)/dev  ## The kernel beside other tracers
	$(BIN)/python tests/benchmarks/kernel.py

bench-optimizers: $(STAMP)/dev  ## Optimizers side by side: what is missing of the core table (MINUTES=60 stops in time)
	$(BIN)/python tests/benchmarks/optimizers.py $(if $(MINUTES),--minutes $(MINUTES))

bench-full: bench  ## All benchmarks with a real model, optimizers with SEEDS seeds each (goes on where it stopped)
	$(BIN)/python tests/benchmarks/numerical.py
	$(BIN)/python tests/benchmarks/optimizers.py --full --seeds $(SEEDS) $(if $(MINUTES),--minutes $(MINUTES))

docs: $(STAMP)/dev  ## The API reference, from the docstrings
	$(BIN)/python docs/make_api.py

wheel: $(STAMP)/dev  ## Build the sdist and the wheel
	$(BIN)/python -m build

clean:  ## Remove what was built (runs and the environment stay)
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
