# SPDX-License-Identifier: BSD-2-Clause
# Tests of what reads requests and responses off sockets: the fuzzer, and test cases of others.
# Included by tests.mk. No root; all with sanitizers.

.PHONY: fuzz-wire fuzz-wire-smoke

WIRE_O      := $(O)/wire
WIRE_SRC    := $(wildcard user/wire/*.c) user/utf8.c
WIRE_DEPS   := $(WIRE_SRC) $(wildcard user/*.h user/wire/*.h)
WIRE_CFLAGS := -std=gnu11 $(WARN) -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=undefined

# --- fuzz: libFuzzer is clang's -----------------------------------------------------------------

$(WIRE_O)/fuzz_wire: tests/fuzz/fuzz_wire.c $(WIRE_DEPS)
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS_ALL) $(WIRE_CFLAGS) -fsanitize=fuzzer,address,undefined $< \
		$(WIRE_SRC) -o $@

$(WIRE_O)/corpus.made: tests/fuzz/seeds_wire.py
	@mkdir -p $(WIRE_O)/corpus
	$(Q)$(PYTHON) $< $(WIRE_O)/corpus
	@touch $@

define fuzz-wire-run
	$(Q)echo 'fuzz: fuzz_wire for $(1) s'
	$(Q)$(WIRE_O)/fuzz_wire -max_total_time=$(1) -max_len=2048 -timeout=10 \
		-rss_limit_mb=1024 -artifact_prefix=$(WIRE_O)/fuzz_wire- $(WIRE_O)/corpus \
		>$(WIRE_O)/fuzz_wire.log 2>&1 || { tail -n 40 $(WIRE_O)/fuzz_wire.log >&2; exit 1; }
	$(Q)tail -n 1 $(WIRE_O)/fuzz_wire.log
endef

fuzz-smoke: fuzz-wire-smoke
fuzz-wire-smoke: $(WIRE_O)/fuzz_wire $(WIRE_O)/corpus.made
	$(call fuzz-wire-run,10)

fuzz: fuzz-wire
fuzz-wire: $(WIRE_O)/fuzz_wire $(WIRE_O)/corpus.made
	$(call fuzz-wire-run,$(or $(FUZZ_SECONDS),300))

# --- test cases of others -----------------------------------------------------------------------

.PHONY: unit-wire

$(WIRE_O)/walk: tests/wire/walk.c $(WIRE_DEPS)
	$(call say,CC-SAN,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(WIRE_CFLAGS) -fsanitize=$(SANITIZE) $< $(WIRE_SRC) -o $@

unit: unit-wire
unit-wire: $(WIRE_O)/walk
	$(Q)$(PYTHON) tests/wire/check_h11.py $<

# llhttp's cases are on GitHub alone, so not in CI. LLHTTP=dir: a checkout that is there.
LLHTTP ?= $(COMPAT_O)/llhttp

.PHONY: compat-wire

compat: compat-wire
compat-wire: $(WIRE_O)/walk
	$(Q)[ -d $(LLHTTP)/test ] || \
		git clone -q --depth 1 https://github.com/nodejs/llhttp $(LLHTTP)
	$(Q)$(PYTHON) tests/wire/check_llhttp.py $< $(LLHTTP)/test
