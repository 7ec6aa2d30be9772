# Every target works in a fresh clone with Python 3.10 or later (and its headers), make and a C++17 compiler with
# OpenMP; all else comes from PyPI into .venv. C++ is rebuilt only where sources changed.
#
#   make demo       train a network that does not learn, diagnose it, cure it, and write figures and a report
#   make test       run the tests and the examples of the docstrings (PYTEST_ARGS="tests/kernels -k dense" for some)
#   make lint       formatting, style, types, and whether the stub of the compiled module is current
#   make format     format Python and C++ in place
#   make zoo        diagnose labelled networks, sick and healthy, and count what is found
#   make stubs      write python/gradwell/_core.pyi anew
#   make cuda       build the library for NVIDIA GPUs (needs nvcc of CUDA 13) and put it beside the package
#   make emulated   build that library for the CPU, so that its kernels are tested where no GPU is; make test does it
#   make gpu-check  on a machine with a GPU, without a network: build, test, look for memory errors and races, measure
#   make bench      time the kernels, and whole steps beside the frameworks that are installed, into bench/results
#   make instructions   count the instructions of a step (needs valgrind) and compare with bench/instructions.json
#   make sanitize   run the tests on a build with the address and undefined-behaviour sanitizers
#   make wheel      build a portable wheel in wheelhouse/ and test it away from the sources
#   make clean      remove everything the other targets made
#
# PYTHON=python3.12 chooses the interpreter that .venv is made from.

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?= --doctest-modules tests python/gradwell
BUILD_OPTIONS ?=

python := $(VENV)/bin/python
install := $(python) -m pip --disable-pip-version-check --quiet install
cpp_files := $(shell find cpp -name '*.cpp' -o -name '*.h' -o -name '*.cu')
cuda_files := $(wildcard cpp/src/cuda/* cpp/emulator/* cpp/src/elementwise/* cpp/include/gradwell/*)
sources := pyproject.toml CMakeLists.txt $(filter-out cpp/emulator/% %.cu,$(cpp_files))
emulated := build/emulated/libgradwell_cuda.so
CUDA_ARCHITECTURES ?= 80-real;90-real;120-real;120-virtual
CUDA_FLAGS ?=

.PHONY: help demo zoo test lint format stubs cuda emulated gpu-check bench instructions sanitize wheel clean venv FORCE
.DELETE_ON_ERROR:

help:
	@sed -n '/^#   make/s/^#   //p' Makefile

demo: $(VENV)/.built $(VENV)/.extra-plot $(VENV)/.extra-report
	$(VENV)/bin/gradwell demo

test: $(VENV)/.built-strict $(VENV)/.extra-test $(emulated)
	$(python) -m pytest -q $(PYTEST_ARGS)

zoo: $(VENV)/.built
	cd tests/zoo && $(abspath $(python)) visit.py && $(abspath $(python)) cures.py

lint: $(VENV)/.built $(VENV)/.extra-lint
	$(python) -m ruff check --quiet .
	$(python) -m ruff format --quiet --check .
	$(VENV)/bin/clang-format --dry-run -Werror $(cpp_files)
	$(python) tools/stubs.py --check
	$(python) -m mypy

format: $(VENV)/.extra-lint
	-$(python) -m ruff check --quiet --fix .
	$(python) -m ruff format --quiet .
	$(VENV)/bin/clang-format -i $(cpp_files)

stubs: $(VENV)/.built $(VENV)/.extra-lint
	$(python) tools/stubs.py

emulated: $(emulated)

$(emulated): CMakeLists.txt $(cuda_files) | $(VENV)/.tools
	@echo "building the CUDA library for the CPU"
	@$(VENV)/bin/cmake -S . -B build/emulated -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(VENV)/bin/ninja) \
	    -DGRADWELL_CUDA_EMULATED=ON -DGRADWELL_CUDA_ONLY=ON -DGRADWELL_WERROR=ON >/dev/null
	@$(VENV)/bin/cmake --build build/emulated >build/emulated/log || { tail -n 60 build/emulated/log; exit 1; }

# The wheel brings cuBLAS's headers; what is installed is the library alone, which says at run time whether it can work.
cuda: $(VENV)/.built
	$(install) "nvidia-cublas>=13,<14"
	$(VENV)/bin/cmake -S . -B build/cuda -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(VENV)/bin/ninja) \
	    -DPython_EXECUTABLE=$(abspath $(python)) -DGRADWELL_CUDA=ON -DGRADWELL_CUDA_ONLY=ON -DGRADWELL_WERROR=ON \
	    "-DCMAKE_CUDA_ARCHITECTURES=$(CUDA_ARCHITECTURES)" "-DCMAKE_CUDA_FLAGS=$(CUDA_FLAGS)"
	$(VENV)/bin/cmake --build build/cuda
	$(VENV)/bin/cmake --install build/cuda --prefix \
	    "$$($(python) -c 'import sysconfig; print(sysconfig.get_path("platlib"))')"

# Installs nothing, so it takes the Python that PyTorch is in; GPU_CHECK="--minutes 20 --parts kernels,bench" and such.
gpu-check:
	$(PYTHON) tools/gpu_check.py $(GPU_CHECK)

# Benchmarks are skipped everywhere else, so pyproject's addopts are emptied here.
bench: $(VENV)/.built $(VENV)/.extra-bench
	$(python) -m pytest -q bench -o addopts= --benchmark-only --benchmark-max-time=0.3
	$(python) bench/compare.py --out bench/results

instructions: $(VENV)/.built
	$(python) bench/instructions.py

# The interpreter itself is not instrumented: the runtime comes first through LD_PRELOAD, with libstdc++ beside it
# so that the exceptions it intercepts are there; what Python never frees is not a leak of ours.
sanitize:
	@$(MAKE) VENV=.venv-asan BUILD_OPTIONS="-C build-dir=build/asan -C cmake.build-type=Debug \
	    -C cmake.define.GRADWELL_SANITIZE=ON" .venv-asan/.built .venv-asan/.extra-test
	LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libstdc++.so)" \
	    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	    .venv-asan/bin/python -m pytest -q --capture=sys -p no:cacheprovider $(PYTEST_ARGS)

wheel: $(VENV)/.extra-wheel
	tools/wheel.sh $(python)

clean:
	rm -rf build dist wheelhouse .venv .venv-asan .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find cpp python tests tools -name __pycache__ -exec rm -rf {} +

venv: $(VENV)/.tools

$(VENV)/.tools:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo "gradwell needs Python 3.10 or later; choose one with PYTHON=..."; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(install) $$($(python) tools/requirements.py build) cmake ninja
	@touch $@

# Changes only when a file is added or removed: what is installed in place knows its files by name.
$(VENV)/.files: FORCE | $(VENV)/.tools
	@find cpp python -name __pycache__ -prune -o -type f -print | LC_ALL=C sort > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

build = @echo "building gradwell" && $(install) --no-build-isolation $(1) $(BUILD_OPTIONS) -e . && touch $@

$(VENV)/.built: $(sources) $(VENV)/.files
	$(build)

# Tests want a build without warnings; whoever only uses the package gets by with a compiler that has new ones.
$(VENV)/.built-strict: $(sources) $(VENV)/.files
	$(call build,-C cmake.define.GRADWELL_WERROR=ON) $(VENV)/.built

$(VENV)/.extra-%: pyproject.toml | $(VENV)/.tools
	@echo "installing what $* needs"
	@$(install) $$($(python) tools/requirements.py $*)
	@touch $@
