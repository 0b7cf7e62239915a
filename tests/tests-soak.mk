# SPDX-License-Identifier: BSD-2-Clause
# What runs for long. Included by tests.mk. Not a part of `make test`.

.PHONY: soak attach-storm

soak: ## mixed load on four servers for SOAK_SECONDS (1800), serve and flame (root)
	$(need-root)
	$(Q)contrib/debian-packages.sh test
	$(Q)+$(MAKE) --no-print-directory all
	$(Q)WSGISCOPE=$(abspath $(O))/wsgiscope PYTHONPATH=$(abspath $(O))/python \
		$(PYTHON) tests/soak/soak.py

attach-storm: ## 1,000 tracers come and go, 200 are killed, under load (root)
	$(need-root)
	$(Q)contrib/debian-packages.sh test
	$(Q)+$(MAKE) --no-print-directory all
	$(Q)STORM_ATTACHES=$(or $(STORM_ATTACHES),1000) STORM_KILLS=$(or $(STORM_KILLS),200) \
		WSGISCOPE=$(abspath $(O))/wsgiscope PYTHONPATH=$(abspath $(O))/python \
		$(PYTEST) tests/e2e/test_storm.py
