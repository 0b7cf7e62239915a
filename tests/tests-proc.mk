# SPDX-License-Identifier: BSD-2-Clause
# Tests of what reads /proc and ELF files. Included by tests.mk. Each says in its first line what it
# is linked with: "// LINK: user/elf.c user/servers/*.c". No root needed; all with sanitizers.

.PHONY: unit-proc

PROC_O      := $(O)/proc
PROC_TESTS  := $(shell grep -l '^// LINK: ' tests/unit/test_*.c)
PROC_BIN    := $(PROC_TESTS:tests/unit/%.c=$(PROC_O)/%)
PROC_CFLAGS := -std=gnu11 $(WARN) -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=undefined

linked = $(wildcard $(shell sed -n '1s,^// LINK: ,,p' $(1)))

define proc-test
$(PROC_O)/$(notdir $(1:.c=)): $(1) $(call linked,$(1)) $(wildcard user/*.h user/*/*.h)
	$$(call say,CC-SAN,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CPPFLAGS_ALL) $$(PROC_CFLAGS) -fsanitize=$(SANITIZE) \
		$(1) $(call linked,$(1)) -lcmocka -o $$@
endef
$(foreach test,$(PROC_TESTS),$(eval $(call proc-test,$(test))))

unit: unit-proc
unit-proc: $(PROC_BIN)
	$(Q)set -e; for test in $(PROC_BIN); do \
		$$test >$$test.log 2>&1 || { cat $$test.log >&2; exit 1; }; \
		grep '^skipped:' $$test.log || :; \
	done; echo 'unit-proc: $(words $(PROC_BIN)) programs passed'

# --- fuzz: libFuzzer is clang's -----------------------------------------------------------------

ELF_FUZZ_SRC := $(call linked,tests/fuzz/fuzz_elf.c)

$(PROC_O)/fuzz_elf: tests/fuzz/fuzz_elf.c $(ELF_FUZZ_SRC) $(wildcard user/*.h user/*/*.h)
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS_ALL) $(PROC_CFLAGS) -fsanitize=fuzzer,address,undefined $< \
		$(ELF_FUZZ_SRC) -o $@

$(PROC_O)/corpus/seed.so: tests/fuzz/seed_elf.S
	$(call say,AS,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -shared -nostdlib -s -Wl,-z,noseparate-code -Wl,--build-id=none $< -o $@

FUZZERS    += $(PROC_O)/fuzz_elf:$(PROC_O)/corpus:16384
FUZZ_SEEDS += $(PROC_O)/corpus/seed.so
