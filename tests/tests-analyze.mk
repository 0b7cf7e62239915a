# SPDX-License-Identifier: BSD-2-Clause
# What looks for faults beside the tests: the whole program with sanitizers, the marker's memory
# (static analysis: tests-lint.mk). Included by tests.mk. Of it `make check` has marker-leaks-quick;
# the rest takes minutes.

.PHONY: marker-leaks marker-leaks-quick

# --- with sanitizers ----------------------------------------------------------------------------

# The unit, golden and end-to-end tests, with address and undefined-behaviour sanitizer and then
# with thread sanitizer, and the marker's own tests with the former. What a sanitizer finds in a
# tracer is written below SANITIZE_FINDINGS, where tests/e2e/conftest.py looks after each test: a
# finding fails it, whatever became of the tracer. SANITIZE_E2E takes only some files.
# All by clang: what gcc's writes of undefined behaviour goes to stderr where there are two of them.
#
# The marker is not run with thread sanitizer: the interpreter's own locks, which it cannot see, are
# what keeps threads apart. tests/shim/test_free_threading.py is for that. Of the end-to-end tests
# are not run: a flood with no pause, which so slow a tracer does not keep up with, and the
# service's list of system calls, which has none of the sanitizers'.

.PHONY: sanitize sanitize-address sanitize-thread sanitize-marker

SANITIZE_FLAGS    := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=undefined
SANITIZE_E2E      ?= tests/e2e
SANITIZE_FINDINGS := $(abspath $(O))/findings
SANITIZE_LOG      := log_path=$(SANITIZE_FINDINGS)/finding

sanitize: sanitize-marker sanitize-address sanitize-thread ## all tests, sanitizers (root; an hour)

sanitize-address: KINDS := address,undefined
sanitize-thread: KINDS := thread

sanitize-address sanitize-thread: sanitize-%: python
	$(need-root)
	$(Q)+$(MAKE) --no-print-directory O=$(O)/$* CC=$(CLANG) SANITIZE=$(KINDS) \
		CFLAGS='$(SANITIZE_FLAGS) -fsanitize=$(KINDS)' all stacklog unit golden
	$(Q)rm -rf $(SANITIZE_FINDINGS) && mkdir -p -m 1777 $(SANITIZE_FINDINGS)
	$(Q)$(CLANG) $(SANITIZE_FLAGS) -fsanitize=$(KINDS) tests/sanitize/faulty.c -lpthread \
		-o $(O)/$*/faulty
	$(Q)export ASAN_OPTIONS=$(SANITIZE_LOG) UBSAN_OPTIONS=print_stacktrace=1:$(SANITIZE_LOG) \
		TSAN_OPTIONS=second_deadlock_stack=1:$(SANITIZE_LOG); \
	tests/sanitize/check_faulty.sh $(O)/$*/faulty $(KINDS) $(SANITIZE_FINDINGS) && \
	WSGISCOPE_FINDINGS=$(SANITIZE_FINDINGS) \
		WSGISCOPE=$(abspath $(O))/$*/wsgiscope PYTHONPATH=$(abspath $(O))/python \
		$(PYTEST) -n $(E2E_JOBS) --dist loadfile -m 'not slow' \
		-k 'not test_cardinality and not units_system_calls' $(SANITIZE_E2E)

# Python itself leaks on purpose as it ends: leaks are marker-leaks' affair. Not run: test_auto.py,
# whose Pythons have an environment of their own, without the sanitizers; what counts memory, which
# they keep for a while; what lists the file's symbols, to which they add.
sanitize-marker: ## the marker's own tests with address and undefined-behaviour sanitizer
	$(Q)LD_PRELOAD="$(foreach name,asan ubsan,$(shell $(CC) -print-file-name=lib$(name).so))" \
		ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
		MARKER_CFLAGS='$(SANITIZE_FLAGS) -fsanitize=address,undefined' \
		$(PYTEST) --ignore tests/shim/test_auto.py \
		-k 'not no_memory_is_left and not any_usdt_tool' tests/shim

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
