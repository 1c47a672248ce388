# The front: what a person or CI types. Everything behind it is a CMake preset or a script.
# SPDX-License-Identifier: MIT
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help bench test test-long check format install clean configure build quality micro etl-table

PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
# Set by targets below: whether the tests are built, and whether warnings are errors.
TESTS ?= OFF
WERROR ?= OFF
release := build/release
cache := $(or $(NOISEFLOOR_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/noisefloor)
sanitizers := asan tsan clang

help:
	@echo 'make bench      dependencies, build, the quick sweep, figures; the last line is the path of the run folder'
	@echo 'make test       dependencies, build, the fast tests'
	@echo 'make check      format, lint, types, then make test with warnings as errors: what CI runs'
	@echo 'make test-long  the long tests, and the fast C++ tests under sanitizers and clang'
	@echo 'make quality    the noise: 2^30 samples and more a test, and dieharder; writes the table in docs/NOISE.md'
	@echo 'make micro      the kernels beside other generators and the limits, as a table'
	@echo 'make etl-table  the ETL beside cp, its floor, Python and sox, as a table: about 4 minutes on an idle machine'
	@echo 'make format     format all C++ and Python'
	@echo 'make install    install the program under PREFIX (/usr/local), within DESTDIR if set'
	@echo 'make clean      remove build/ and the cached test signals and outputs'
	@echo
	@echo 'JOBS=N: parallel jobs (all CPUs). ASSUME_YES=1: install missing packages by password-less sudo without asking.'
	@echo 'SKIP_DEPS=1: look for no packages. CHECK_ALL=1: make check lints all of the C++, not only what changed.'

configure:
	@cmake --preset release -DNOISEFLOOR_TESTS=$(TESTS) -DNOISEFLOOR_WERROR=$(WERROR)

build: configure
	@cmake --build --preset release -j $(JOBS)

bench:
	@scripts/bootstrap bench
	@$(MAKE) build
	@status=0; $(release)/noisefloor run quick || status=$$?; \
	if [ $$status -gt 1 ]; then exit $$status; fi; \
	"$$(scripts/find_python)" plots/all.py results/latest || exit; \
	(cd results/latest && pwd -P); exit $$status

test:
	@scripts/bootstrap bench test
	@$(MAKE) build TESTS=ON
	@ctest --preset release -L fast -j $(JOBS) --no-tests=error

# All of it, whatever fails first; the tests come last.
check:
	@scripts/bootstrap bench test check
	@failed=; \
	scripts/check format shell types || failed=' static checks,'; \
	$(MAKE) configure TESTS=ON WERROR=ON && scripts/check lint || failed="$$failed lint,"; \
	$(MAKE) test WERROR=ON || failed="$$failed build or tests,"; \
	[ -z "$$failed" ] || { echo "make check: failed:$${failed%,} (see above)" >&2; exit 1; }

# clang 14's thread sanitizer cannot map its shadow where the kernel randomises addresses by more than 28 bits.
test-long:
	@scripts/bootstrap bench test long
	@$(MAKE) build TESTS=ON
	@ctest --preset release -L long --no-tests=error
	@set -e; fixed=; ! setarch -R true 2>/dev/null || fixed='setarch -R'; \
	for preset in $(sanitizers); do \
	  echo "== $$preset"; \
	  cmake --preset $$preset -DNOISEFLOOR_TESTS=ON; \
	  $$fixed cmake --build --preset $$preset -j $(JOBS); \
	  $$fixed ctest --preset $$preset -L fast -LE script -j $(JOBS) --no-tests=error; \
	done

quality:
	@scripts/bootstrap bench test quality
	@$(MAKE) build TESTS=ON
	@"$$(scripts/find_python)" -B scripts/quality.py --write docs/NOISE.md

micro:
	@scripts/bootstrap bench peers
	@$(MAKE) build
	@"$$(scripts/find_python)" -B scripts/kernel_table.py

etl-table:
	@scripts/bootstrap bench etl
	@$(MAKE) build
	@"$$(scripts/find_python)" -B scripts/etl_table.py

format:
	@scripts/bootstrap check
	@scripts/check --fix format

install:
	@scripts/bootstrap bench
	@$(MAKE) build
	@DESTDIR='$(DESTDIR)' cmake --install $(release) --prefix '$(PREFIX)'

clean:
	@rm -rf build '$(cache)/signals' '$(cache)/output'
