# Every job of the project; `make help` lists them.
#
# PYTHON chooses the interpreter, VENV the folder of the virtual environment.

PYTHON ?= python3
VENV ?= .venv
export PYTHON VENV

SETUP = scripts/setup.sh
BIN = $(VENV)/bin
# Side by side on the machine's cores; speed is not what is tested.
PYTEST = $(BIN)/python -m pytest -q -p no:benchmark --numprocesses logical --maxprocesses 4 --dist worksteal
# Fashion-MNIST, and the drawn faces, once and on all cores.
TEST_DATA = scripts/fashion-mnist.sh && $(BIN)/python -c 'from zoo import data; data.load("faces")'
CXX_FILES = $(shell find csrc -name '*.cc' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh')

.DEFAULT_GOAL := help
.PHONY: help sample test test-long test-gpu bench bench-gpu gallery docs lint tidy format wheel dist sanitize fuzz soak clean distclean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

sample: ## install (without PyTorch) and draw 64 images into samples.png
	@$(SETUP) sample
	@$(BIN)/python -m zoo.sample --engine vae.onnx -n 64 --out samples.png

test: ## install everything, get Fashion-MNIST and run all tests but the long ones
	@$(SETUP) test
	@$(TEST_DATA)
	@$(PYTEST) -m "not long" $(PYTEST_ARGS)

test-long: ## the same for the tests that repeat in more cases what the others hold, and on a cluster of Ray
	@$(SETUP) long
	@$(TEST_DATA)
	@$(PYTEST) -m long $(PYTEST_ARGS)

test-gpu: ## on a machine with an NVIDIA GPU: install everything and run the tests that need it, the kernels under compute-sanitizer too
	@$(SETUP) gpu
	@$(BIN)/python -m pytest -q --gpu -m gpu $(PYTEST_ARGS)

bench: ## install everything and compare throughput with the peers, all models: hours (BENCH_ARGS)
	@$(SETUP) bench
	@$(BIN)/python -m benchmarks.throughput --models all --batch 1,16,64 $(BENCH_ARGS)
	@$(BIN)/python -m benchmarks.cpu_report

bench-gpu: ## on a machine with an NVIDIA GPU: compare throughput with the peers and its limits
	@$(SETUP) gpu
	@$(BIN)/python -m benchmarks.gpu_kernels
	@$(BIN)/python -m benchmarks.gpu_throughput --models vae,dcgan,progan,stylegan --batch 1,16,64,256,1024

docs: ## build the documentation into build/docs: the guides, and the reference out of the docstrings
	@$(SETUP) test
	@$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs

gallery: ## install everything and draw every figure of docs/gallery.md and docs/course.md
	@$(SETUP) bench
	@scripts/fashion-mnist.sh
	@$(BIN)/python scripts/gallery.py

lint: ## check style and types: ruff, mypy, clang-format, hadolint; clang-tidy where the C++ has been built
	@$(SETUP) lint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/clang-format --dry-run -Werror $(CXX_FILES)
	@$(BIN)/hadolint scripts/docker/*.Dockerfile
	@if ls build/*/build.ninja >/dev/null 2>&1; then scripts/tidy.sh; else echo "clang-tidy: needs a build (make tidy)"; fi

tidy: ## build the C++ runtime and run clang-tidy over it
	@$(SETUP) lint
	@$(SETUP) test
	@scripts/tidy.sh

format: ## rewrite the sources in the project's style
	@$(SETUP) lint
	@$(BIN)/ruff check --fix-only -q .
	@$(BIN)/ruff format .
	@$(BIN)/clang-format -i $(CXX_FILES)

wheel: ## build a wheel into dist/
	@$(SETUP) build
	@$(BIN)/python -m pip -q wheel --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

dist: ## build what is published into dist/: wheels of the weights and, for each of PYTHONS too, of the rest, sources, SBOM
	@$(SETUP) build
	@scripts/dist.sh $(PYTHONS)

fuzz: ## build and run the fuzzers of engine files for FUZZ_SECONDS (60)
	@$(SETUP) test
	@scripts/fuzz.sh $(or $(FUZZ_SECONDS),60) $(or $(FUZZ_SEED),1) $(FUZZ_FILES)

soak: ## put the service under load for half an hour and compare every answer (SOAK_ARGS)
	@$(SETUP) test
	@PYTHONPATH=tests/support $(BIN)/python -m benchmarks.soak $(SOAK_ARGS)

sanitize: ## build and run the C++ tests with AddressSanitizer and ThreadSanitizer
	@$(SETUP) test
	@$(BIN)/python -m pytest -q tests/runtime/test_cpp.py

clean: ## remove what was built, keep the virtual environment
	rm -rf build dist .pytest_cache .ruff_cache samples.png
	rm -f $(VENV)/.stamps/native
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove the virtual environment too
	rm -rf $(VENV)
