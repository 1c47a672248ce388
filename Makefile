# The front: what a person or CI types. Everything behind it is a CMake preset or a script.
# SPDX-License-Identifier: MIT
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help bench bench-full report test test-long test-hard test-cluster check format install package clean configure build quality micro etl-table pitfalls fuzz regress gate-study history

PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
# Set by targets below: whether the tests are built, and whether warnings are errors.
TESTS ?= OFF
WERROR ?= OFF
release := build/release
cache := $(or $(NOISEFLOOR_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/noisefloor)
sanitizers := asan tsan clang
# Tests choose for themselves what steers a measurement: what the caller has set for his own is not theirs.
bare := env $(addprefix -u ,MAKEFLAGS MAKELEVEL MFLAGS OMP_NUM_THREADS OMP_PROC_BIND OMP_PLACES OMP_WAIT_POLICY OMP_SCHEDULE \
  OMP_DYNAMIC OMP_STACKSIZE GOMP_CPU_AFFINITY GOMP_SPINCOUNT NOISEFLOOR_KERNEL NOISEFLOOR_LIBOMP NOISEFLOOR_MPIRUN \
  NOISEFLOOR_MPI_COUNTER NOISEFLOOR_SWEEPS)

help:
	@echo 'make bench      dependencies, build, the quick sweep, figures, report; the last line is the path of the report'
	@echo '                (ARGS="--budget 60s": options of noisefloor run)'
	@echo 'make bench-full the full sweeps, with an estimate first (SWEEPS="granularity chunk": only these)'
	@echo 'make report     the report of the newest run again (RUN=results/reference/quick: of another one)'
	@echo 'make test       dependencies, build, the fast tests'
	@echo 'make check      format, lint, types, then make test with warnings as errors: what CI runs'
	@echo 'make test-long  the long tests, and the fast tests of what is compiled under sanitizers and clang'
	@echo 'make test-hard the fast tests as they must hold anywhere: busy machine, odd paths, locales, users: hours (HARD="busy user")'
	@echo 'make test-cluster two machines on this one, as root: a job array under Slurm loses a node; 4 minutes'
	@echo 'make regress    BASE=REVISION: is this tree slower than that? scripts/regress --help has the options (ARGS=...)'
	@echo 'make gate-study how often that cries wolf, and what it finds: about 100 minutes, in parts (STUDY="--budget 30m")'
	@echo 'make history    the trend over the commits that were compared'
	@echo 'make fuzz       a minute of broken sound files for the reader, under sanitizers (FUZZ_SECONDS=60)'
	@echo 'make quality    the noise: 2^30 samples and more a test, and dieharder; writes the table in docs/NOISE.md'
	@echo 'make micro      the kernels beside other generators and the limits, as a table'
	@echo 'make pitfalls   the pitfall lab: every way to lose, measured here in one to two minutes, figure and report'
	@echo 'make etl-table  the ETL beside cp, its floor, Python and sox, as a table: about 4 minutes on an idle machine'
	@echo 'make format     format all C++ and Python'
	@echo 'make install    install the program under PREFIX (/usr/local), within DESTDIR if set'
	@echo 'make package    a Debian package, in build/release'
	@echo 'make clean      remove build/ and the cached test signals and outputs'
	@echo
	@echo 'JOBS=N: parallel jobs (all CPUs). ASSUME_YES=1: install missing packages by password-less sudo without asking.'
	@echo 'SKIP_DEPS=1: look for no packages. CHECK_ALL=1: make check lints all of the C++, not only what changed.'

configure:
	@cmake --preset release -DNOISEFLOOR_TESTS=$(TESTS) -DNOISEFLOOR_WERROR=$(WERROR)

build: configure
	@cmake --build --preset release -j $(JOBS) $(addprefix --target ,$(TARGETS))

# Runs the sweeps of $(1), draws their figures, writes the report and prints its path.
define measure
status=0; run=$$($(release)/noisefloor run $(1)) || status=$$?; \
if [ $$status -gt 1 ] || [ -z "$$run" ]; then exit $$status; fi; \
python=$$(scripts/find_python) || exit; \
scripts/figures "$$run" || [ $$status -ne 0 ] || status=$$?; \
scripts/report "$$run" || exit; exit $$status
endef

bench:
	@echo 'make bench: packages that are missing; the build, some minutes the first time; the quick sweep, at most' \
	  '3 minutes; figures and report, about half a minute' >&2
	@scripts/bootstrap bench
	@$(MAKE) build
	@$(call measure,quick $(ARGS))

SWEEPS ?= files granularity map chunk workers kernels delivery strategies pitfalls
bench-full:
	@scripts/bootstrap bench
	@$(MAKE) build
	@$(release)/noisefloor run $(SWEEPS) --dry-run >/dev/null
	@$(call measure,$(SWEEPS))

RUN ?= results/latest
report:
	@scripts/bootstrap bench
	@scripts/report $(RUN)

test:
	@scripts/bootstrap bench test
	@$(MAKE) build TESTS=ON
	@$(bare) ctest --preset release -L fast -j $(JOBS) --no-tests=error

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

# HARD: some of its variations only; tests/hard lists them.
test-hard:
	@scripts/bootstrap bench test long
	@$(MAKE) bench TESTS=ON ARGS='--budget 30s'
	@tests/hard $(HARD)

# Skipped, with the reason, where there is no root.
test-cluster:
	@scripts/bootstrap bench cluster
	@$(MAKE) build
	@$(bare) python3 -B tests/cluster_test.py . $(release)/noisefloor -v

# Fails on a finding, and keeps its input in build/fuzz; what was learnt stays there for the next call.
FUZZ_SECONDS ?= 60
fuzz:
	@scripts/bootstrap bench test long
	@cmake --preset fuzz
	@cmake --build --preset fuzz -j $(JOBS) --target reader_fuzz
	@rm -rf build/fuzz/seeds && mkdir -p build/fuzz/learnt
	@python3 -B -m tests.hostile.corpus build/fuzz/seeds 8192
	@build/fuzz/tests/fuzz/reader_fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=10 -rss_limit_mb=1024 \
	  -malloc_limit_mb=128 -print_final_stats=1 -dict=tests/fuzz/reader.dict -artifact_prefix=build/fuzz/ \
	  build/fuzz/learnt build/fuzz/seeds

# make turns every failure into 2; the script's own status says more.
BASE ?=
regress:
	@scripts/bootstrap bench
	@case '$(ARGS)' in *--instructions*) scripts/bootstrap gate ;; esac
	@scripts/regress $(BASE) $(ARGS)

# What is recorded stays: the same command goes on where it ended.
gate-study:
	@scripts/bootstrap bench
	@scripts/studies/gate_study $(STUDY)

history:
	@scripts/history

pitfalls:
	@scripts/bootstrap bench
	@$(MAKE) build
	@$(call measure,pitfalls)

quality:
	@scripts/bootstrap bench test quality
	@$(MAKE) build TESTS=ON
	@scripts/studies/quality --write docs/NOISE.md

micro:
	@scripts/bootstrap bench peers
	@$(MAKE) build TARGETS='noisefloor micro'
	@scripts/studies/kernel_table

etl-table:
	@scripts/bootstrap bench etl
	@$(MAKE) build TARGETS='noisefloor micro'
	@scripts/studies/etl_table

format:
	@scripts/bootstrap check
	@scripts/check --fix format

# The last line is the package's path.
package:
	@scripts/bootstrap bench package
	@$(MAKE) build
	@rm -f $(release)/*.deb && cd $(release) && cpack -G DEB >cpack.log 2>&1 || { cat cpack.log >&2; exit 1; }
	@ls "$$PWD/$(release)"/*.deb

install:
	@scripts/bootstrap bench
	@$(MAKE) build
	@DESTDIR='$(DESTDIR)' cmake --install $(release) --prefix '$(PREFIX)'

clean:
	@rm -rf build '$(cache)/signals' '$(cache)/output'
