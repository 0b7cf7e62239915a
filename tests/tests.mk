# SPDX-License-Identifier: BSD-2-Clause
# The tests, one fragment a kind, and the two ways to run them: `check` needs no root, `test` is
# everything. What installs packages builds in a second make, so that it sees what has come.

# What the C code of the tests is built with; tests-analyze.mk runs them with another one.
SANITIZE ?= address,undefined

include $(wildcard tests/tests-*.mk)

.PHONY: shim e2e gil-table fuzz-smoke

# Each fragment has put its fuzzers into FUZZERS, as program:seeds:longest input. FUZZ_ONLY=names.
FUZZ_SECONDS ?= 300
FUZZ_JOBS    ?= 2
fuzzer-program = $(firstword $(subst :, ,$(1)))
FUZZ_CHOSEN  := $(foreach each,$(FUZZERS),$(if $(or $(if $(FUZZ_ONLY),,all),\
	$(filter $(notdir $(call fuzzer-program,$(each))),$(FUZZ_ONLY))),$(each)))

PYTEST := $(PYTHON) -m pytest -q -p no:cacheprovider

shim: python ## the marker's own tests, for $(PYTHON) (no root)
	$(Q)PYTHONPATH=$(abspath $(O))/python $(PYTEST) tests/shim

E2E_JOBS ?= 3

e2e: all ## real servers, traced (root); E2E_JOBS test files at once
	$(Q)WSGISCOPE=$(abspath $(O))/wsgiscope PYTHONPATH=$(abspath $(O))/python \
		E2E_JOBS=$(E2E_JOBS) tests/e2e/run.sh $(PYTEST)

gil-table: all ## the GIL experiment: GIL_TABLE=file gets its table (root; a minute)
	$(Q)WSGISCOPE=$(abspath $(O))/wsgiscope PYTHONPATH=$(abspath $(O))/python \
		WSGISCOPE_GIL_TABLE=$(abspath $(or $(GIL_TABLE),$(O)/gil-table.md)) \
		$(PYTEST) tests/e2e/test_gil_experiment.py

check: all style cppcheck bpf-stack unit golden fuzz-smoke shim ## every test that needs no root

FUZZ_NEEDS := $(foreach each,$(FUZZ_CHOSEN),$(call fuzzer-program,$(each))) $(FUZZ_SEEDS)

fuzz-smoke: $(FUZZ_NEEDS) ## each fuzz target for 10 s
	$(Q)$(PYTHON) tests/fuzz/run.py 10 $(FUZZ_JOBS) $(FUZZ_CHOSEN)

fuzz: $(FUZZ_NEEDS) ## each fuzz target for FUZZ_SECONDS (300), FUZZ_JOBS (2) at once
	$(Q)$(PYTHON) tests/fuzz/run.py $(FUZZ_SECONDS) $(FUZZ_JOBS) $(FUZZ_CHOSEN)

test: ## installs what is missing, builds, runs every test (root)
	$(Q)contrib/debian-packages.sh test
	$(Q)+$(MAKE) --no-print-directory -j$(shell nproc) --output-sync=target check
	$(Q)+$(MAKE) --no-print-directory browser
	$(Q)+$(MAKE) --no-print-directory e2e
