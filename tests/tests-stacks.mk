# SPDX-License-Identifier: BSD-2-Clause
# Tests of the stacks: the frame walk as ordinary C over images of processes, its fuzzers, and the
# live source. Included by tests.mk. clang builds what includes BPF code.

.PHONY: native stacklog stacks-check

STACKS_O := $(O)/tests/stacks
NATIVE_O := $(O)/native

$(STACKS_O)/stacklog: tests/stacks/stacklog.c $(filter-out %/main.o,$(USER_OBJ)) $(wildcard bpf/*.h)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(filter %.c %.o,$^) $(LIBS) -o $@

stacklog: $(STACKS_O)/stacklog

e2e: stacklog

# With the folders and markers of `make pythons`: 20,000 samples of each take half a minute.
stacks-check: stacklog $(PYTHON_VERSIONS:%=pythons-marker-%) ## stacks on other Pythons (root)
	$(Q)tests/pythons/check_stacks.py $(STACKS_O)/stacklog $(PYTHONS) $(PYTHONS_O) \
		$(PYTHON_VERSIONS)

# --- native: no root, with the sanitizers -------------------------------------------------------

NATIVE_SRC  := tests/native/image.c tests/native/walk.c user/linetable.c user/utf8.c \
	user/python/code.c user/python/layout.c user/python/stack.c
NATIVE_DEPS := $(NATIVE_SRC) $(wildcard bpf/*.h bpf/py*.bpf.c user/*.h user/*/*.h \
	tests/native/*.h)
NATIVE_CFLAGS := -std=gnu11 $(WARN) -Wno-unused -g -O1 -fno-omit-frame-pointer \
	-D__TARGET_ARCH_$(ARCH) -Itests/native
NATIVE_SAN    := -fsanitize=$(SANITIZE) -fno-sanitize-recover=undefined

native: $(NATIVE_O)/test_walk $(NATIVE_O)/lines ## the frame walk over images of processes (no root)
	$(Q)$< tests/native/images >$<.log 2>&1 || { cat $<.log >&2; exit 1; }
	$(Q)echo 'native: $(words $(wildcard tests/native/images/*.image)) images walked'
	$(Q)$(PYTHON) tests/native/check_lines.py $(NATIVE_O)/lines

unit: native

$(NATIVE_O)/test_walk: tests/native/test_walk.c $(NATIVE_DEPS)
	$(call say,CC-SAN,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS_ALL) $(NATIVE_CFLAGS) $(NATIVE_SAN) $< $(NATIVE_SRC) -lcmocka -o $@

$(NATIVE_O)/lines: tests/native/lines.c user/linetable.c $(wildcard bpf/*.h user/*.h)
	$(call say,CC-SAN,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS_ALL) $(NATIVE_CFLAGS) $(NATIVE_SAN) $< user/linetable.c -o $@

# Makes an image of a live process: see capture.py.
$(NATIVE_O)/capture: tests/native/capture.c $(NATIVE_DEPS) \
		user/python/locate.c user/python/detect.c user/worker.c user/proc.c user/elf.c \
		 $(wildcard user/servers/*.c)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS_ALL) $(NATIVE_CFLAGS) $(filter %.c,$(filter-out bpf/%,$^)) -o $@

# --- fuzz ---------------------------------------------------------------------------------------

$(NATIVE_O)/fuzz_walk: tests/native/fuzz_walk.c $(NATIVE_DEPS)
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS_ALL) $(NATIVE_CFLAGS) $(NATIVE_SAN) -fsanitize=fuzzer $< \
		$(NATIVE_SRC) -o $@

$(NATIVE_O)/fuzz_linetable: tests/fuzz/fuzz_linetable.c user/linetable.c $(wildcard user/*.h)
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS_ALL) $(NATIVE_CFLAGS) $(NATIVE_SAN) -fsanitize=fuzzer $< \
		user/linetable.c -o $@

# Also for tests-serve.mk's.
SMALL_CORPUS := $(O)/fuzz/small

$(SMALL_CORPUS)/.made: tests/fuzz/seeds_small.py
	@mkdir -p $(@D)
	$(Q)$(PYTHON) -W ignore $< $(@D)
	@touch $@

FUZZERS    += $(foreach name,fuzz_walk fuzz_linetable,\
	$(NATIVE_O)/$(name):$(SMALL_CORPUS)/$(name):1024)
FUZZ_SEEDS += $(SMALL_CORPUS)/.made
