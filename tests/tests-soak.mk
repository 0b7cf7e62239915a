# SPDX-License-Identifier: BSD-2-Clause
# What runs for long. Included by tests.mk. Not a part of `make test`.

.PHONY: soak

soak: ## mixed load on four servers for SOAK_SECONDS (1800), serve and flame (root)
	$(need-root)
	$(Q)contrib/debian-packages.sh test
	$(Q)+$(MAKE) --no-print-directory all
	$(Q)WSGISCOPE=$(abspath $(O))/wsgiscope PYTHONPATH=$(abspath $(O))/python \
		$(PYTHON) tests/soak/soak.py
