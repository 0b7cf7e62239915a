# SPDX-License-Identifier: BSD-2-Clause
# Every server, Python and kernel in one table. Included by tests.mk. Not a part of `make test`,
# which runs the servers of Debian's packages: this one fetches others from PyPI.
# MATRIX_PYTHONS="/opt/python3.13/bin/python3.13 ..." adds Pythons, each with headers to build the
# marker; MATRIX_ONLY="wsgiref or tornado" runs only these again; the kernels are those that `make
# vm` has left results of.

.PHONY: servers-doc matrix matrix-debian matrix-table

MATRIX         ?= $(abspath $(O))/matrix
MATRIX_PYTHONS ?=

servers-doc: ## doc/servers.md from the data that the tests assert
	$(Q)$(PYTHON) tests/e2e/server_table.py

matrix: all ## doc/matrix.md: each server x Python x feature, kernels (root; PyPI; minutes)
	$(need-root)
	$(Q)contrib/debian-packages.sh matrix
	$(Q)+$(MAKE) --no-print-directory matrix-debian $(addprefix matrix-of-,\
		$(notdir $(MATRIX_PYTHONS)))
	$(Q)+$(MAKE) --no-print-directory matrix-table

matrix-table: ## doc/matrix.md from the results that are there
	$(Q)$(PYTHON) tests/matrix/table.py $(MATRIX) $(O)/vm $(O)/matrix.md
	$(Q)cp $(O)/matrix.md doc/matrix.md

matrix-run = MATRIX=$(MATRIX) WSGISCOPE=$(abspath $(O))/wsgiscope PYTEST='$(PYTEST)' \
	MATRIX_MARKER=$(1) tests/matrix/run.sh $(2) $(3)

matrix-debian:
	$(Q)$(call matrix-run,$(abspath $(O))/python,debian,$(PYTHON))

# Of the Python in MATRIX_PYTHONS with this last name.
matrix-of-%:
	$(Q)+$(MAKE) --no-print-directory python O=$(MATRIX)/$*/marker \
		PYTHON=$(filter %/$*,$(MATRIX_PYTHONS))
	$(Q)$(call matrix-run,$(MATRIX)/$*/marker/python,$*,$(filter %/$*,$(MATRIX_PYTHONS)))
