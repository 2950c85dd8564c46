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
REAL := .cache/demo-real
PYRADIOMICS := $(REAL)/pyradiomics-3.0.1.tar.gz
ENGINE ?= openvino
BENCH := .cache/bench
# Another bundle, a real scan: make bench BENCH_BUNDLE=... BENCH_SCAN=...
BENCH_BUNDLE ?= exported/luna
BENCH_SCAN ?= $(BENCH)/luna/subset0/*.mhd
BENCH_FLAGS ?=  # such as --scan-runs 3
BENCH_RUN = $(BIN)/luna-bench $(BENCH_BUNDLE) $(BENCH_FLAGS)

.PHONY: demo demo-real bench test packages build lint format wheel sdk clean help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: build  ## environment, build, phantom CT, export, verify, native inference
	@mkdir -p $(DEMO)
	$(BIN)/luna-phantom $(DEMO)/luna --seed 1
	$(BIN)/luna-export
	$(BIN)/luna-verify exported/luna $(DEMO)/luna/subset0/*.mhd
	./luna_infer $(DEMO)/luna/subset0/*.mhd --mask $(DEMO)/mask.mhd --json $(DEMO)/result.json
	@echo "result: $(DEMO)/result.json, mask: $(DEMO)/mask.mhd"

demo-real: build $(PYRADIOMICS)  ## a real chest CT with an expert's label: run, compare, draw
	test -f exported/luna/manifest.json || $(BIN)/luna-export
	$(BIN)/python -m lunart.evaluation.sample_scan $(PYRADIOMICS) $(REAL)
	./luna_infer $(REAL)/lung1.mhd --mask $(REAL)/mask.mhd --json $(REAL)/result.json
	$(BIN)/luna-evaluate exported/luna --scan $(REAL)/lung1.mhd --label $(REAL)/lung1_label.mhd
	$(BIN)/python -m lunart.evaluation.pictures exported/luna $(REAL)/lung1.mhd \
	  --label $(REAL)/lung1_label.mhd -o $(REAL)/found.png

# The archive is asked for its version before it is kept, which takes numpy and versioneer.
$(PYRADIOMICS): | $(INSTALLED)
	$(BIN)/pip install --quiet numpy versioneer
	$(BIN)/pip download --quiet --no-deps --no-build-isolation --no-binary :all: \
	  --dest $(@D) pyradiomics==3.0.1

test: packages lint  ## every check that CI runs
	$(BIN)/python -m pytest

packages:  # before the build, which looks for ITK; without them tests are skipped
	-@sh tests/system_packages.sh

bench: build  ## every engine and scaling, into .cache/bench and docs/performance.md
	@mkdir -p $(BENCH)
	ls $(BENCH_SCAN) >/dev/null 2>&1 || $(BIN)/luna-phantom $(BENCH)/luna --seed 1 --shape 133 512 512
	test -f $(BENCH_BUNDLE)/manifest.json || $(BIN)/luna-export --output $(BENCH_BUNDLE)
	$(BENCH_RUN) $(BENCH_SCAN) --json $(BENCH)/scan.json --chart $(BENCH)/scan.png
	$(BENCH_RUN) $(BENCH_SCAN) --region off --json $(BENCH)/whole-slices.json
	$(BENCH_RUN) --networks --json $(BENCH)/networks.json --chart $(BENCH)/networks.png
	$(BENCH_RUN) --scaling slices --json $(BENCH)/slices.json --chart $(BENCH)/slices.png
	$(BENCH_RUN) $(BENCH_SCAN) --scaling candidates --json $(BENCH)/candidates.json \
	  --chart $(BENCH)/candidates.png
	$(BENCH_RUN) $(BENCH_SCAN) --scaling threads --json $(BENCH)/threads.json \
	  --chart $(BENCH)/threads.png
	$(BIN)/python -m lunart.bench.report $(BENCH)

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

# Needs neither torch nor Python.h, so its packages are not those of `build`.
sdk:  ## dist/lunart-sdk-*, a folder that runs without Python; ENGINE=openvino or onnxruntime, ITK=1
	@case "$(ENGINE)" in openvino|onnxruntime) ;; \
	  *) echo "ENGINE is \"$(ENGINE)\"; it is openvino or onnxruntime" >&2; exit 2;; esac
	@PYTHON="$(PYTHON)" sh cpp/cmake/check_prerequisites.sh without-python-dev
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c build-requirements.txt cmake ninja nlohmann-json $(ENGINE)
	test $(ENGINE) != onnxruntime || sh cpp/cmake/onnxruntime_headers.sh
	$(BIN)/python cpp/cmake/sdk/make_sdk.py --engine $(ENGINE) $(if $(ITK),--itk)

$(INSTALLED): pyproject.toml setup.py build-requirements.txt torch-requirement.txt
	@PYTHON="$(PYTHON)" sh cpp/cmake/check_prerequisites.sh
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	rm -f .venv/.installed-*
	$(BIN)/pip install "$(TORCH)" -r build-requirements.txt
	-@sh cpp/cmake/onnxruntime_headers.sh  # without them: no native onnxruntime, and it says so
	$(BIN)/pip install --no-build-isolation -e '.[test]'
	@touch "$@"

clean:  ## remove what was made, but for .venv
	rm -rf build dist .cache .venv/.installed-* luna_infer python/lunart/*.so python/lunart/liblunart_*.json \
	  python/lunart/view/static
