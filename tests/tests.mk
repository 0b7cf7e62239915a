# SPDX-License-Identifier: BSD-2-Clause
# The tests, one fragment a kind, and the two ways to run them: `check` needs no root, `test` is
# everything. What installs packages builds in a second make, so that it sees what has come.

include $(wildcard tests/tests-*.mk)

.PHONY: shim e2e gil-table

PYTEST := $(PYTHON) -m pytest -q -p no:cacheprovider

shim: python ## the marker's own tests, for $(PYTHON) (no root)
	$(Q)PYTHONPATH=$(abspath $(O))/python $(PYTEST) tests/shim

e2e: all ## real servers, traced (root)
	$(Q)WSGISCOPE=$(abspath $(O))/wsgiscope PYTHONPATH=$(abspath $(O))/python \
		$(PYTEST) --durations=30 -m 'not slow' tests/e2e

gil-table: all ## the GIL experiment: GIL_TABLE=file gets its table (root; a minute)
	$(Q)WSGISCOPE=$(abspath $(O))/wsgiscope PYTHONPATH=$(abspath $(O))/python \
		WSGISCOPE_GIL_TABLE=$(abspath $(or $(GIL_TABLE),$(O)/gil-table.md)) \
		$(PYTEST) tests/e2e/test_gil_experiment.py

check: all style bpf-stack unit golden fuzz-smoke shim ## every test that needs no root

test: ## installs what is missing, builds, runs every test (root)
	$(Q)contrib/debian-packages.sh test
	$(Q)+$(MAKE) --no-print-directory check
	$(Q)+$(MAKE) --no-print-directory browser
	$(Q)+$(MAKE) --no-print-directory e2e
