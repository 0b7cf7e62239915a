# SPDX-License-Identifier: BSD-2-Clause
# What shows profiles to the programs that they are for: a browser, and others' readers. Included
# by tests.mk.

.PHONY: browser compat

FLAME_RECORDINGS := $(O)/san/tests/golden/recordings

browser: $(O)/wsgiscope $(FLAME_RECORDINGS)/.made ## the flame graph in a headless Chromium
	$(Q)WSGISCOPE=$(abspath $(O))/wsgiscope \
		WSGISCOPE_RECORDINGS=$(abspath $(FLAME_RECORDINGS)) $(PYTEST) tests/browser

# snakeviz from PyPI, speedscope from npm, pprof as Go has it: not in CI, since they come from
# registries.
COMPAT_O := $(O)/compat

compat: $(O)/wsgiscope $(FLAME_RECORDINGS)/.made ## our profiles in others' readers
	$(Q)mkdir -p $(COMPAT_O)
	$(Q)[ -x $(COMPAT_O)/venv/bin/snakeviz ] || { $(PYTHON) -m venv $(COMPAT_O)/venv && \
		$(COMPAT_O)/venv/bin/pip -q install snakeviz; }
	$(Q)[ -d $(COMPAT_O)/node_modules/speedscope ] || \
		npm --prefix $(COMPAT_O) install --no-audit --no-fund --silent speedscope
	$(Q)WSGISCOPE=$(abspath $(O))/wsgiscope WSGISCOPE_COMPAT=$(abspath $(COMPAT_O)) \
		WSGISCOPE_RECORDINGS=$(abspath $(FLAME_RECORDINGS)) \
		$(PYTEST) tests/compat
