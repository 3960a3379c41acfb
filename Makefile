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

.venv/run: pyproject.toml sdks/python/pyproject.toml constraints.txt | venv-module
	@echo "Installing FeatMesh into .venv (once; a minute or two) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e 'sdks/python[cli]' -e '.[standalone]'
	@touch $@

.venv/dev: .venv/run
	@echo "Installing the development tools into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e 'sdks/python[cli]' -e '.[standalone,dev]'
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
define generate
	PATH="$$PWD/.venv-protos/bin:$$PATH" .venv-protos/bin/python -m grpc_tools.protoc -I protos \
	  --python_out=$(1) --grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) $(PROTOS)
	find $(1)/featmesh -path '*/v1' -type d | while read -r area; do touch "$$area/__init__.py" "$$area/../__init__.py"; done
endef

.PHONY: protos
protos: .venv-protos/ready ## Generate the Python code from protos/
	find $(SDK)/featmesh -path '*/v1/*_pb2*' -delete
	$(call generate,$(SDK))
