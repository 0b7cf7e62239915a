# SPDX-License-Identifier: BSD-2-Clause
# Static analysis of all C code: the program, the BPF programs, the marker, the tests. Included by
# tests.mk. Silent, or it fails: a remark is mended, or answered where it stands with NOLINT and the
# reason. What is off everywhere, and why, stands in .clang-tidy and tests/cppcheck.suppressions.
#
# `make check` has cppcheck of it; the rest takes a quarter of an hour on two CPUs.

.PHONY: lint lint-all cppcheck clang-tidy

LINT_JOBS    ?= $(shell nproc)
LINT_BPF     := $(BPF_SRC) $(wildcard tests/*/*.bpf.c)
LINT_SRC     := $(USER_SRC) $(wildcard python-shim/wsgiscope/*.c) \
	$(filter-out %.bpf.c,$(wildcard tests/*/*.c))
LINT_HEADERS := $(wildcard user/*.h user/*/*.h bpf/*.h python-shim/*.h python-shim/*/*.h \
	tests/*/*.h)
# What the code includes and the build makes.
LINT_SKEL    := $(SKEL) $(O)/tests/bench/limit.skel.h $(O)/tests/bench/nop5_fork.skel.h
LINT_MADE    := $(O)/tidy/made/.made $(SVG_TEXT) $(O)/sinks/profile.pb-c.h \
	$(O)/text/remote_script.py.h

lint: ## cppcheck, clang-tidy and clang's analyser over all C code (minutes)
	$(Q)contrib/debian-packages.sh analyze
	$(Q)+$(MAKE) --no-print-directory -j$(LINT_JOBS) lint-all
lint-all: cppcheck clang-tidy

cppcheck: $(LINT_MADE)
	$(Q)cppcheck -j $(LINT_JOBS) --quiet --error-exitcode=1 \
		--enable=warning,performance,portability \
		--inline-suppr --suppressions-list=tests/cppcheck.suppressions --std=c11 \
		-D__x86_64__ -D_GNU_SOURCE -D'WSGISCOPE_VERSION="0"' \
		'-DLIBBPF_OPTS(type,name,...)=struct type name = {__VA_ARGS__}' \
		-DPROTOBUF_C_VERSION_NUMBER=1004001 -DPROTOBUF_C_MIN_COMPILER_VERSION=1000000 \
		-Iuser -Ibpf -Ipython-shim -I$(O) user python-shim
	$(Q)echo 'cppcheck: silent'

# .clang-tidy: what it looks for. clang's analyser is a part of it. One process a file.
clang-tidy: $(LINT_SRC:%=$(O)/tidy/%.ok) $(LINT_BPF:%=$(O)/tidy/%.ok)
	$(Q)echo 'clang-tidy: silent over $(words $^) files'

TIDY_FLAGS      = -I$(O)/tidy/made $(CPPFLAGS_ALL) -isystem $(O) -isystem $(O)/tests/bench \
	-Itests/golden -Itests/native -D__TARGET_ARCH_$(ARCH) -I$(PY_INCLUDE) -std=gnu11
TIDY_BPF_FLAGS := -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) -Ibpf -Ipython-shim \
	-idirafter $(MULTIARCH)

# What bpftool writes, with an answer to the one remark on it: the analyser does not know that
# bpf_object__destroy_skeleton() frees what it is given.
$(O)/tidy/made/.made: $(LINT_SKEL)
	@mkdir -p $(@D)
	$(Q)for header in $^; do \
		sed 's,return err;,& /* NOLINT(clang-analyzer-unix.Malloc) */,' $$header \
			>$(@D)/$${header##*/} || exit 1; \
	done
	@touch $@

define tidy
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- $(1) >$@.log 2>&1 || { cat $@.log >&2; exit 1; }
	@touch $@
endef

$(O)/tidy/%.bpf.c.ok: %.bpf.c .clang-tidy $(LINT_HEADERS)
	$(call tidy,$(TIDY_BPF_FLAGS))

$(O)/tidy/%.c.ok: %.c .clang-tidy $(LINT_HEADERS) | $(LINT_MADE)
	$(call tidy,$(TIDY_FLAGS))
