# FeatMesh: every command, the same by hand, in hooks and in CI. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
SDK := sdks/python/src
PROTOS := $(shell find protos -name '*.proto' | sort)

.PHONY: help
help: ## List every command
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | \
	  while IFS=$$'\t' read -r name text; do printf '  make %-18s %s\n' "$$name" "$$text"; done

# --- environments -------------------------------------------------------------------------

.PHONY: venv-module
venv-module:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "FeatMesh needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv module is missing. Install it with: sudo apt-get install -y python3-venv"; exit 1; }

.venv/run: pyproject.toml sdks/python/pyproject.toml cli/pyproject.toml constraints.txt | venv-module
	@echo "Installing FeatMesh into .venv (once; a minute or two) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e sdks/python -e cli -e '.[standalone]'
	@touch $@

.venv/dev: .venv/run
	@echo "Installing the development tools into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e sdks/python -e cli -e '.[standalone,dev]'
	@touch $@

.venv-protos/ready: requirements-protos.txt | venv-module
	@echo "Installing the proto generator into .venv-protos ..."
	@test -x .venv-protos/bin/python || $(PYTHON) -m venv .venv-protos
	@.venv-protos/bin/pip install --quiet --disable-pip-version-check -r requirements-protos.txt
	@touch $@

.PHONY: install
install: .venv/dev ## Install everything into .venv

# --- protos -------------------------------------------------------------------------------

# $(call generate,FOLDER): the Python code of every proto, with stubs, as packages.
generate = PATH="$$PWD/.venv-protos/bin:$$PATH" .venv-protos/bin/python -m grpc_tools.protoc -I protos \
  --python_out=$(1) --grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) $(PROTOS) && \
  find $(1)/featmesh -path '*/v1' -type d | while read -r area; do touch "$$area/__init__.py" "$$area/../__init__.py"; done

.PHONY: protos
protos: .venv-protos/ready ## Generate the Python code from protos/
	@find $(SDK)/featmesh -path '*/v1/*_pb2*' -delete
	@$(call generate,$(SDK)) && echo "generated into $(SDK)"

# --- run ----------------------------------------------------------------------------------

.PHONY: up
up: .venv/run ## Start FeatMesh with a demo shop: embedded MongoDB, in-process bus
	@exec $(BIN)/python -m services.standalone --demo

# --- tests --------------------------------------------------------------------------------

# A run starts a hundred processes: without byte code on disk each compiles everything again.
unexport PYTHONDONTWRITEBYTECODE

# Processes that run tests: more than 2 cores, since many tests wait. One for a part of the tests.
WORKERS ?= $(if $(ARGS),0,4)

.PHONY: test
test: .venv/dev ## Run every test, against a real MongoDB and a real RabbitMQ (ARGS for a part)
	@$(BIN)/python -m pytest -n $(WORKERS) --max-worker-restart 0 --durations=10 $(ARGS)

.PHONY: test-unit
test-unit: .venv/dev ## Run the tests that need no store, no broker and no service's process
	@$(BIN)/python -m pytest -n 2 --durations=10 tests/unit sdks/python/tests cli/tests $(ARGS)

.PHONY: check-bench
check-bench: .venv/dev ## Run the tests of the benchmarks (some need Go)
	@$(BIN)/python -m pytest --durations=10 bench/tests $(ARGS)

MINUTES ?= 30

.PHONY: chaos
chaos: .venv/dev ## Try every fault once on a real mesh, and show that nothing is lost
	@exec $(BIN)/python -m tests.chaos $(ARGS)

.PHONY: soak
soak: .venv/dev ## Try faults at random for MINUTES (30)
	@exec $(BIN)/python -m tests.chaos --minutes $(MINUTES) $(ARGS)

.PHONY: bench-propagation
bench-propagation: .venv/dev ## Measure commit → SDK receipt at 1 and 100 streams
	@$(BIN)/python -m bench.propagation $(ARGS)

.PHONY: bench-insights
bench-insights: .venv/dev ## Measure events from Track to roll-ups, and reports over them
	@$(BIN)/python -m bench.insights $(ARGS)

.PHONY: bench-push
bench-push: .venv/dev ## Measure pushes to 10,000 streams beside references (needs Go and Node; ARGS=--quick)
	@$(BIN)/python -m bench.push $(ARGS)

.PHONY: profile-push
profile-push: .venv/dev ## Measure which part of the server a push's CPU goes to (needs Go and perf)
	@$(BIN)/python -m bench.push.profile $(ARGS)

.venv-bench/ready: requirements-bench.txt sdks/python/pyproject.toml | venv-module
	@echo "Installing the SDKs to compare with into .venv-bench ..."
	@test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/pip install --quiet --disable-pip-version-check -r requirements-bench.txt -e sdks/python
	@touch $@

.PHONY: bench-eval
bench-eval: .venv-bench/ready ## Measure evaluation against other feature-flag SDKs
	@.venv-bench/bin/python -m bench.evaluation $(ARGS)

# --- checks -------------------------------------------------------------------------------

.PHONY: check
check: check-format check-lint check-types check-layers check-protos check-drift check-k8s check-records ## Run every check that is no test

.PHONY: format
format: .venv/dev ## Format code and protos, and fix what lint can
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .
	@$(BIN)/buf format -w

.PHONY: check-format
check-format: .venv/dev ## Formatting of code and protos
	@$(BIN)/ruff format --check --quiet . && $(BIN)/buf format --diff --exit-code && echo "format: ok"

.PHONY: check-lint
check-lint: .venv/dev ## Lint of code, Dockerfile
	@$(BIN)/ruff check --quiet . && $(BIN)/hadolint Dockerfile && echo "lint: ok"

.PHONY: check-types
check-types: .venv/dev ## Strict types
	@$(BIN)/mypy --no-error-summary && echo "types: ok"

.PHONY: check-layers
check-layers: .venv/dev ## Which layer may import which
	@$(BIN)/lint-imports

# The published protos: origin's main, or the commit before when we are on it.
PUBLISHED = $(shell head=$$(git rev-parse -q --verify HEAD); main=$$(git rev-parse -q --verify origin/main || git rev-parse -q --verify main); \
  if [ "$$head" = "$$main" ]; then git rev-parse -q --verify HEAD~1; else echo "$$main"; fi)

.PHONY: check-protos
check-protos: .venv/dev ## Lint of protos, and changes that break published ones
	@$(BIN)/buf lint
	@published='$(PUBLISHED)'; if [ -n "$$published" ] && git cat-file -e "$$published:protos" 2>/dev/null; then \
	  tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; git archive "$$published" protos buf.yaml | tar -x -C "$$tmp"; \
	  if grep -qx "$$(git rev-parse "$$published:protos")" protos/.breaking-allowed; then echo "protos: ok, $${published:0:7} may be broken (decision 20)"; \
	  else $(BIN)/buf breaking --against "$$tmp"; echo "protos: ok, nothing breaks $${published:0:7}"; fi; \
	else echo "protos: ok, none published yet"; fi

.PHONY: check-drift
check-drift: .venv-protos/ready ## Generated code is what the protos say
	@tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; $(call generate,$$tmp); \
	for area in "$$tmp"/featmesh/*; do diff -r --exclude=__pycache__ "$$area" "$(SDK)/featmesh/$$(basename "$$area")" || \
	  { echo "Generated code differs from protos/: run make protos and commit."; exit 1; }; done; echo "drift: ok"

.PHONY: check-k8s
check-k8s: .venv/dev ## Manifests render and fit Kubernetes' schemas
	@$(BIN)/python -m tests.k8s

.PHONY: check-records
check-records: .venv/dev ## Benchmark records are well-formed and their pages current
	@$(BIN)/python -m bench.record --check

.PHONY: vectors
vectors: .venv/dev ## Write sdks/conformance from its tables
	@$(BIN)/python -m sdks.conformance.authoring

# --- upkeep -------------------------------------------------------------------------------

.PHONY: constraints
constraints: .venv/dev ## Pin the versions that .venv holds now
	@{ echo "# Exact versions that CI and \`make up\` use; refresh with \`make constraints\`."; \
	  $(BIN)/pip list --format=freeze --exclude-editable 2>/dev/null | grep -vE '^(pip|setuptools)=='; } > constraints.txt.new
	@mv constraints.txt.new constraints.txt && touch .venv/run .venv/dev

.PHONY: clean
clean: ## Remove environments, caches and the demo's data
	@rm -rf .venv .venv-protos .venv-bench .bench-push .featmesh .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
