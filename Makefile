# Two commands: `make demo` and `make test`. Everything is made in .venv, build and .cache.
PYTHON ?= python3
TORCH ?= $(shell cat torch-requirement.txt)
export TORCH
# PyTorch's threads spin while they wait, which starves them when anything else runs.
export OMP_WAIT_POLICY ?= passive

BIN := .venv/bin
# A new name for every requirement of torch, so that TORCH=... installs and builds again.
INSTALLED := .venv/.installed-$(subst /,_,$(subst $() ,_,$(TORCH)))
DEMO := .cache/demo

.PHONY: demo test build lint format wheel clean help

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: build  ## environment, build, phantom CT, export, verify, native inference
	@mkdir -p $(DEMO)
	$(BIN)/luna-phantom $(DEMO)/luna --seed 1
	$(BIN)/luna-export
	$(BIN)/luna-verify exported/luna $(DEMO)/luna/subset0/*.mhd
	./luna_infer $(DEMO)/luna/subset0/*.mhd --mask $(DEMO)/mask.mhd --json $(DEMO)/result.json
	@echo "result: $(DEMO)/result.json, mask: $(DEMO)/mask.mhd"

test: lint  ## every check that CI runs
	$(BIN)/python -m pytest

lint: build  ## formatters, linters and types; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $$(git ls-files '*.cpp' '*.hpp')
	$(BIN)/python cpp/cmake/run_clang_tidy.py

format: build  ## rewrite the sources as lint wants them
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $$(git ls-files '*.cpp' '*.hpp')

build: $(INSTALLED)  ## the extension module, the libtorch module and ./luna_infer
	@$(BIN)/cmake --build build

wheel: build  ## dist/lunart-*.whl
	$(BIN)/pip wheel . --no-deps --no-build-isolation --wheel-dir dist

$(INSTALLED): pyproject.toml setup.py build-requirements.txt torch-requirement.txt
	@PYTHON="$(PYTHON)" sh cpp/cmake/check_prerequisites.sh
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	rm -f .venv/.installed-*
	$(BIN)/pip install "$(TORCH)" -r build-requirements.txt
	$(BIN)/pip install --no-build-isolation -e '.[test]'
	@touch "$@"

clean:  ## remove what was made, but for .venv
	rm -rf build dist .cache luna_infer python/lunart/*.so python/lunart/liblunart_*.json
