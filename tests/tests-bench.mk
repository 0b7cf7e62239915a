# SPDX-License-Identifier: BSD-2-Clause
# The rules of the demo, the benchmark, the style check and Debian's packages. Included by
# tests.mk. What installs packages builds in a second make, so that it sees what has come.

.PHONY: bench-build bench-aggregate bench-follow nop5-experiment

define need-root
	$(Q)[ $$(id -u) -eq 0 ] || \
		{ echo '$@: attaching needs root: run sudo make $@' >&2; exit 1; }
endef

deps: ## install the Debian packages that build and tests need
	$(Q)contrib/debian-packages.sh test

style: ## the hard limits of the style
	$(Q)tests/style.sh

demo: ## a live gunicorn, traced (root; under a minute)
	$(need-root)
	$(Q)contrib/debian-packages.sh demo
	$(Q)+$(MAKE) --no-print-directory all
	$(Q)$(PYTHON) tests/demo/demo.py $(O)

# --- bench --------------------------------------------------------------------------------------

BENCH_O   := $(O)/tests/bench
BENCH_EXT  = $(BENCH_O)/_bench$(PY_SUFFIX)
BENCH_SRC := $(wildcard tests/bench/ext_*.c)
BENCH_BPF := limit nop5_fork
NOSTATES_O := $(BENCH_O)/nostates

bench: ## overhead, as numbers and ratios (root; BENCH_ROUNDS, BENCH_SECONDS shorten it)
	$(need-root)
	$(Q)contrib/debian-packages.sh bench
	$(Q)+$(MAKE) --no-print-directory all bench-build stacklog
	$(Q)$(PYTHON) tests/bench/bench.py $(O)
	$(Q)$(BENCH_O)/aggregate

bench-aggregate: $(BENCH_O)/aggregate ## adding requests up, and writing the page (no root)
	$(Q)$<

bench-follow: ## attaching to many workers, watching for new ones (root; two minutes)
	$(need-root)
	$(Q)contrib/debian-packages.sh test
	$(Q)+$(MAKE) --no-print-directory all
	$(Q)$(PYTHON) tests/bench/follow.py $(O)

nop5-experiment: ## why our marks begin with a one-byte nop (root)
	$(Q)+$(MAKE) --no-print-directory $(BENCH_O)/nop5_fork
	$(Q)$(BENCH_O)/nop5_fork

bench-build: $(BENCH_EXT) $(BENCH_BPF:%=$(BENCH_O)/%) $(BENCH_O)/aggregate $(NOSTATES_O)/wsgiscope

$(BENCH_EXT): $(BENCH_SRC) tests/bench/ext.h python-shim/marks.h
	$(call say,BENCH,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu11 $(WARN) -O2 -g -fPIC -shared -Ipython-shim \
		-I$(PY_INCLUDE) $(BENCH_SRC) -o $@

$(BENCH_O)/%.bpf.o: tests/bench/%.bpf.c $(wildcard bpf/*.h)
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) -Ibpf \
		-Ipython-shim -idirafter $(MULTIARCH) -Wall -Wno-missing-declarations \
		$(if $(WERROR),-Werror) -c $< -o $@

$(BENCH_O)/%.skel.h: $(BENCH_O)/%.bpf.o
	$(call say,GEN-SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $* > $@

$(BENCH_O)/%: tests/bench/%.c $(BENCH_O)/%.skel.h
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -I$(BENCH_O) $< $(LIBS) -o $@

$(BENCH_O)/aggregate: tests/bench/aggregate.c $(PURE_SRC) $(PURE_MADE) \
		$(wildcard user/*.h user/sinks/*.h)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS) $< $(PURE_SRC) $(PURE_MADE) \
		$(PURE_LIBS) -o $@

# A tracer that differs from ours in one BPF object: with no states, to see what they cost.

NOSTATES_SKEL := $(NOSTATES_O)/wsgiscope.skel.h $(NOSTATES_O)/wsgiscope_cast.skel.h

$(NOSTATES_O)/wsgiscope.bpf.o: $(filter-out %/sched.bpf.o,$(BPF_OBJ)) $(BENCH_O)/nostates.bpf.o
$(NOSTATES_O)/wsgiscope_cast.bpf.o: $(filter-out %/sched.bpf.o,$(CAST_OBJ)) \
	$(BENCH_O)/nostates.bpf.o
$(NOSTATES_SKEL:.skel.h=.bpf.o):
	$(call say,GEN-OBJ,$@)
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen object $@ $^

$(NOSTATES_SKEL): $(NOSTATES_O)/%.skel.h: $(NOSTATES_O)/%.bpf.o
	$(call say,GEN-SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $* > $@

$(NOSTATES_O)/tracer.o: user/tracer.c $(NOSTATES_SKEL)
	$(call say,CC,$@)
	$(Q)$(CC) -I$(NOSTATES_O) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

$(NOSTATES_O)/wsgiscope: $(filter-out %/tracer.o,$(USER_OBJ)) $(NOSTATES_O)/tracer.o
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $^ $(LIBS) -o $@

-include $(NOSTATES_O)/tracer.d
