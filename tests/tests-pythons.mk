# SPDX-License-Identifier: BSD-2-Clause
# The Pythons of other Debian releases: whether the states are told on them. Included by tests.mk.
# Not a part of `make test`: the first run makes each release's folder below $(PYTHONS), which needs
# debootstrap, Debian's mirror, about 800 MB a release and some minutes; a later one only checks.
# PYTHON_VERSIONS="3.9 host" takes only these, host being this machine's own; PYTHONS=dir uses the
# folders that lie there.

.PHONY: pythons pythons-check

PYTHONS         ?= $(abspath $(O))/pythons
PYTHON_VERSIONS ?= 3.9 3.11 3.13 3.14 3.15

PYTHONS_O      := $(O)/tests/pythons
PYTHONS_OTHERS := $(filter-out host,$(PYTHON_VERSIONS))

pythons: ## the states on the Pythons of other Debian releases (root; minutes)
	$(need-root)
	$(Q)contrib/debian-packages.sh pythons
	$(Q)PYTHONS=$(PYTHONS) tests/pythons/pythons.sh make $(PYTHONS_OTHERS)
	$(Q)+$(MAKE) --no-print-directory pythons-check stacks-check \
		$(if $(filter 3.14,$(PYTHON_VERSIONS)),mark-check)

# With the folders that are there. In a mount namespace of its own: what it mounts goes with it, and
# what others unmount meanwhile stays.
pythons-check: $(O)/wsgiscope $(PYTHON_VERSIONS:%=pythons-marker-%)
	$(Q)unshare --mount tests/pythons/check_states.py $(O)/wsgiscope $(PYTHONS) $(PYTHONS_O) \
		$(PYTHON_VERSIONS)

pythons-marker-host:
	$(Q)+$(MAKE) --no-print-directory python O=$(PYTHONS_O)/host

# Built by that release's compiler: what links with this host's libc may not load with an older one.
pythons-marker-%:
	$(Q)+$(MAKE) --no-print-directory python O=$(abspath $(PYTHONS_O))/$* \
		PYTHON=$(PYTHONS)/bin/python$* CC=$(PYTHONS)/bin/cc$*
