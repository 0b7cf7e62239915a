# SPDX-License-Identifier: BSD-2-Clause
# Every server, Python and kernel in one table. Included by tests.mk. Not a part of `make test`,
# which runs the servers of Debian's packages on this kernel: this one fetches others from PyPI and
# boots virtual machines.
#
# `make matrix` runs the parts that have no result newer than the program, and writes the table;
# a part runs alone as well, and anew: `make matrix-debian`, `matrix-worlds`, `matrix-kernel-6.1`,
# `matrix-of-python3.13`, `matrix-pythons`, `matrix-builds`. Each takes some minutes.
# MATRIX_PARTS="debian worlds" has only these in `make matrix`.
# MATRIX_PYTHONS is whose rows the table has besides Debian's own: those of other Debian releases,
# which are made if they are not there, or any Python with headers to build the marker,
# MATRIX_PYTHONS=/opt/python3.12/bin/python3.12. MATRIX_ONLY="wsgiref or tornado" runs only these
# servers of a part again.

.PHONY: servers-doc matrix matrix-table not-in-ci

MATRIX         ?= $(abspath $(O))/matrix
MATRIX_PYTHONS ?= $(addprefix $(PYTHONS)/bin/python,3.9 3.13 3.14)
MATRIX_PARTS   ?= debian $(addprefix of-,$(notdir $(MATRIX_PYTHONS))) worlds \
	$(VM_KERNELS:%=kernel-%) pythons builds

servers-doc: ## doc/servers.md from the data that the tests assert
	$(Q)$(PYTHON) tests/e2e/server_table.py

matrix: all ## doc/matrix.md: each server x Python x feature, kernels (root; PyPI; an hour)
	$(need-root)
	$(Q)contrib/debian-packages.sh matrix
	$(Q)+set -e; for part in $(MATRIX_PARTS); do \
		[ $(MATRIX)/$$part.done -nt $(O)/wsgiscope ] || \
			$(MAKE) --no-print-directory matrix-$$part; \
	done
	$(Q)+$(MAKE) --no-print-directory matrix-table

matrix-table: ## doc/matrix.md from the results that are there
	$(Q)$(PYTHON) tests/matrix/table.py $(MATRIX) $(O)/vm $(O)/matrix.md
	$(Q)cp $(O)/matrix.md doc/matrix.md

not-in-ci: ## what `make test` and CI do not run, and how to
	$(Q)sed -n 's/^\([^#]\)/  \1/p' tests/matrix/not-in-ci.txt

matrix-run = MATRIX=$(MATRIX) WSGISCOPE=$(abspath $(O))/wsgiscope PYTEST='$(PYTEST)' \
	MATRIX_MARKER=$(1) tests/matrix/run.sh $(2) $(3)

# A part that has run, whatever came of it: the table shows that.
matrix-done = $(Q)touch $(MATRIX)/$(@:matrix-%=%).done

matrix-debian: all
	$(Q)$(call matrix-run,$(abspath $(O))/python,debian,$(PYTHON))
	$(matrix-done)

# Of the Python in MATRIX_PYTHONS with this last name; built by the compiler of its root folder,
# where it has one (tests/pythons/pythons.sh).
matrix-python   = $(filter %/$*,$(MATRIX_PYTHONS))
matrix-compiler = $(wildcard $(dir $(matrix-python))$(*:python%=cc%))
matrix-of-%: all
	$(Q)[ -x "$(matrix-python)" ] || { contrib/debian-packages.sh pythons && \
		PYTHONS=$(PYTHONS) tests/pythons/pythons.sh make $(*:python%=%); }
	$(Q)+$(MAKE) --no-print-directory python O=$(MATRIX)/$*/marker PYTHON=$(matrix-python) \
		$(matrix-compiler:%=CC=%)
	$(Q)$(call matrix-run,$(MATRIX)/$*/marker/python,$*,$(matrix-python))
	$(matrix-done)

matrix-kernel-%: all
	$(Q)mkdir -p $(MATRIX)
	$(Q)+$(MAKE) --no-print-directory vm-$* || [ -e $(O)/vm/$*.result ]
	$(matrix-done)

# What is not a cell of the servers' table, the slow tests with it.
MATRIX_WORLDS := lifecycle workers later_workers two_applications greenlets small_buffers \
	slow_client containers hostile_workers hostile_tracers lies
matrix-worlds-run = WSGISCOPE=$(abspath $(O))/wsgiscope PYTHONPATH=$(abspath $(O))/python \
	$(PYTEST) --junitxml=$(MATRIX)/$(1).xml $(2) $(MATRIX_WORLDS:%=tests/e2e/test_%.py) \
	>$(MATRIX)/$(1).log 2>&1 || tail -n 15 $(MATRIX)/$(1).log >&2

matrix-worlds: all
	$(Q)mkdir -p $(MATRIX)
	$(Q)$(call matrix-worlds-run,worlds,-n $(E2E_JOBS) --dist loadfile -m 'not alone')
	$(Q)$(call matrix-worlds-run,worlds-alone,-m alone)
	$(matrix-done)

# `make pythons` and `make builds`, and what they print.
matrix-pythons matrix-builds: matrix-%: all
	$(Q)mkdir -p $(MATRIX)
	$(Q)+$(MAKE) --no-print-directory $* >$(MATRIX)/$*.log 2>&1 || \
		tail -n 5 $(MATRIX)/$*.log >&2
	$(matrix-done)
