# SPDX-License-Identifier: BSD-2-Clause
# Every server, Python and kernel in one table. Included by tests.mk. Not a part of `make test`,
# which runs the servers of Debian's packages: this one fetches others from PyPI.

.PHONY: servers-doc

servers-doc: ## doc/servers.md from the data that the tests assert
	$(Q)$(PYTHON) tests/e2e/server_table.py
