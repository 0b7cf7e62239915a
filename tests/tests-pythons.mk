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

# Pythons that no Debian release has: free-threaded, and linked with musl as Alpine's are. Built
# from Debian's sources: some minutes each at the first run. The marker is built for each without a
# warning, by the compiler of that Python, and passes its own tests; a waitress is traced, its
# states and its stacks compared with the truth.
.PHONY: builds builds-check

BUILDS   ?= 3.13t 3.13td 3.13-musl
BUILDS_SH = PYTHONS=$(PYTHONS) tests/pythons/builds.sh

builds: ## the marker and tracer on a free-threaded Python, and on one for musl (root; minutes)
	$(need-root)
	$(Q)contrib/debian-packages.sh pythons
	$(Q)$(BUILDS_SH) make $(BUILDS)
	$(Q)+$(MAKE) --no-print-directory builds-check

builds-check: $(O)/wsgiscope stacklog $(BUILDS:%=builds-shim-%)
	$(Q)unshare --mount tests/pythons/check_states.py $(O)/wsgiscope $(PYTHONS) \
		$(PYTHONS_O) $(BUILDS)
	$(Q)tests/pythons/check_stacks.py $(STACKS_O)/stacklog $(PYTHONS) \
		$(PYTHONS_O) $(BUILDS)

builds-shim-%:
	$(Q)+$(MAKE) --no-print-directory python O=$(abspath $(PYTHONS_O))/$* WERROR=1 \
		PYTHON=$(PYTHONS)/$*/bin/python CC=$$($(BUILDS_SH) compiler $*)
	$(Q)CC=$$($(BUILDS_SH) compiler $*) PYTHONPATH=$(PYTHONS)/packages \
		$(PYTHONS)/$*/bin/python -X dev -m pytest -q -p no:cacheprovider tests/shim

# The marker against musl, Alpine's C library: it compiles without a warning, needs musl alone, and
# has its three marks; `make builds` loads it into a Python for musl. Python's headers lie beside
# those of the other C library: links lead to them alone.
.PHONY: musl-check
MUSL_O := $(O)/tests/musl
MUSL_MULTIARCH = $(shell $(CC) -print-multiarch)

musl-check: ## the marker built against musl (no root)
	$(Q)mkdir -p $(MUSL_O)/$(MUSL_MULTIARCH)
	$(Q)ln -sfn $(PY_INCLUDE) $(MUSL_O)/python
	$(Q)ln -sfn /usr/include/$(MUSL_MULTIARCH)/$(notdir $(PY_INCLUDE)) \
		$(MUSL_O)/$(MUSL_MULTIARCH)/$(notdir $(PY_INCLUDE))
	$(Q)musl-gcc -std=gnu11 -O2 -g -fPIC -shared -fvisibility=hidden $(WARN) -Werror \
		-Ipython-shim -I$(MUSL_O)/python -I$(MUSL_O) python-shim/wsgiscope/*.c \
		-o $(MUSL_O)/_marker.so
	$(Q)test "$$(readelf -d $(MUSL_O)/_marker.so | grep -c NEEDED)" = 1
	$(Q)readelf -d $(MUSL_O)/_marker.so | grep -q 'NEEDED.*\[libc\.so\]'
	$(Q)test "$$(readelf -n $(MUSL_O)/_marker.so | grep -c 'Provider: wsgiscope')" = 3
	$(Q)echo 'musl-check: passed'
