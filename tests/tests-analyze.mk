# SPDX-License-Identifier: BSD-2-Clause
# What looks for faults beside the tests: the whole program with sanitizers, static analysis, the
# marker's memory. Included by tests.mk. Of it `make check` has marker-leaks-quick; the rest takes
# minutes.

.PHONY: analyze cppcheck clang-tidy sanitize sanitize-address sanitize-thread \
	marker-leaks marker-leaks-quick

# --- static analysis ----------------------------------------------------------------------------

ANALYZE_SRC := $(USER_SRC) $(wildcard python-shim/wsgiscope/*.c)

analyze: ## cppcheck, clang-tidy and clang's analyser over all C code (minutes)
	$(Q)contrib/debian-packages.sh analyze
	$(Q)+$(MAKE) --no-print-directory cppcheck clang-tidy

# What each remark that is off says, and why it is none, stands in the file.
cppcheck: $(USER_OBJ)
	$(Q)cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability \
		--inline-suppr --suppressions-list=tests/cppcheck.suppressions --std=c11 \
		-D__x86_64__ -D_GNU_SOURCE -D'WSGISCOPE_VERSION="0"' \
		'-DLIBBPF_OPTS(type,name,...)=struct type name = {__VA_ARGS__}' \
		-DPROTOBUF_C_VERSION_NUMBER=1004001 -DPROTOBUF_C_MIN_COMPILER_VERSION=1000000 \
		-Iuser -Ibpf -Ipython-shim -I$(O) user python-shim
	$(Q)echo 'cppcheck: silent'

# .clang-tidy: what it looks for. One process a file.
clang-tidy: $(ANALYZE_SRC:%=$(O)/tidy/%.ok)
	$(Q)echo 'clang-tidy: silent over $(words $^) files'

$(O)/tidy/%.ok: % .clang-tidy $(USER_OBJ)
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- $(CPPFLAGS_ALL) -isystem $(O) -I$(PY_INCLUDE) -std=gnu11 \
		>$@.log 2>/dev/null || { cat $@.log >&2; exit 1; }
	@touch $@

# --- the program itself with sanitizers ---------------------------------------------------------

SANITIZE_FLAGS := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=undefined
SANITIZE_E2E   ?= test_hostile_workers.py test_hostile_tracers.py test_serve.py \
	test_record_replay.py test_flame.py

sanitize: sanitize-address sanitize-thread ## the program with sanitizers, live (root; minutes)

sanitize-address: FLAGS := $(SANITIZE_FLAGS) -fsanitize=address,undefined
sanitize-thread: FLAGS := $(SANITIZE_FLAGS) -fsanitize=thread

sanitize-address sanitize-thread: sanitize-%: python $(GOLDEN_O)/recordings/.made
	$(need-root)
	$(Q)+$(MAKE) --no-print-directory O=$(O)/$* CFLAGS='$(FLAGS)' $(O)/$*/wsgiscope
	$(Q)tests/golden/run.sh $(GOLDEN_O)/recordings $(O)/$*/wsgiscope replay
	$(Q)WSGISCOPE=$(abspath $(O))/$*/wsgiscope PYTHONPATH=$(abspath $(O))/python \
		$(PYTEST) -m 'not slow' $(SANITIZE_E2E:%=tests/e2e/%)

# --- the marker's memory ------------------------------------------------------------------------

LEAK_REQUESTS ?= 1000000
LEAK_VALGRIND ?= 100000
DEBUG_O       := $(O)/tests/debug

marker-leaks: python ## the marker in a million requests; a debug Python; valgrind (minutes)
	$(Q)contrib/debian-packages.sh analyze
	$(call leaks,$(O),$(PYTHON),$(LEAK_REQUESTS))
	$(Q)+$(MAKE) --no-print-directory python O=$(DEBUG_O) PYTHON=/usr/bin/python3-dbg
	$(call leaks,$(DEBUG_O),/usr/bin/python3-dbg -X dev,$(LEAK_REQUESTS))
	$(Q)/usr/bin/python3-dbg -X dev -m pytest -q -p no:cacheprovider tests/shim
	$(call leaks-valgrind,$(LEAK_VALGRIND))

check: marker-leaks-quick
marker-leaks-quick: python
	$(call leaks,$(O),$(PYTHON) -X dev,50000)
	$(call leaks-valgrind,2000)

# $(1) build directory, $(2) Python, $(3) requests
define leaks
	$(Q)PYTHONPATH=$(abspath $(1))/python:tests/shim $(2) tests/shim/leaks.py $(3)
endef

# Of Python's own memory valgrind finds some that is possibly lost: none of it by the marker, and
# none that is lost for certain.
define leaks-valgrind
	$(Q)PYTHONPATH=$(abspath $(O))/python:tests/shim WSGISCOPE_LEAKS=valgrind \
		PYTHONMALLOC=malloc valgrind --leak-check=full --num-callers=20 $(PYTHON) \
		tests/shim/leaks.py $(1) >$(O)/valgrind.log 2>&1
	$(Q)! grep -n '_marker' $(O)/valgrind.log
	$(Q)grep 'definitely lost: 0 bytes' $(O)/valgrind.log
endef
