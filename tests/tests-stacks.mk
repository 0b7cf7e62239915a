# SPDX-License-Identifier: BSD-2-Clause
# Tests of the stacks that the kernel side takes. Included by tests.mk.

STACKS_O := $(O)/tests/stacks

$(STACKS_O)/stacklog: tests/stacks/stacklog.c $(filter-out %/main.o,$(USER_OBJ)) $(wildcard bpf/*.h)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(filter %.c %.o,$^) $(LIBS) -o $@
