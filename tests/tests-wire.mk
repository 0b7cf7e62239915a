# SPDX-License-Identifier: BSD-2-Clause
# Tests of what reads requests and responses off sockets: the fuzzer, and test cases of others.
# Included by tests.mk. No root; all with sanitizers.

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

FUZZERS    += $(WIRE_O)/fuzz_wire:$(WIRE_O)/corpus:2048
FUZZ_SEEDS += $(WIRE_O)/corpus.made

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
