# SPDX-License-Identifier: BSD-2-Clause
# wsgiscope: one makefile for the BPF programs, the C program, the marker, the tests.
# `make help` lists the targets. V=1 shows the commands. O=dir builds elsewhere.

O       ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
PYTHON  ?= /usr/bin/python3
CC      ?= cc
CLANG   ?= clang
BPFTOOL ?= $(firstword $(shell command -v bpftool 2>/dev/null) /usr/sbin/bpftool)
CFLAGS  ?= -O2 -g
VERSION := 0.1.0

# One name for one directory, however it was given: dependency files name their targets by it.
override O := $(patsubst $(CURDIR)/%,%,$(abspath $(O)))

V ?= 0
ifeq ($(V),0)
Q   := @
say  = @printf '  %-8s %s\n' '$(1)' '$(2)'
else
Q   :=
say  =
endif

ARCH     := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(shell uname -m)))
WARN     := -Wall -Wextra -Wno-unused-parameter $(if $(WERROR),-Werror)
CPPFLAGS_ALL := -D_GNU_SOURCE -DWSGISCOPE_VERSION='"$(VERSION)"' \
	-iquote user -Ibpf -Ipython-shim -I$(O) $(CPPFLAGS)
CFLAGS_ALL   := -std=gnu11 $(WARN) $(CFLAGS)
MULTIARCH := /usr/include/$(shell $(CC) -print-multiarch 2>/dev/null)
LIBS     := -lbpf -lelf -lz -lmicrohttpd -lcap-ng -ljansson -lprotobuf-c -lm -lpthread

USER_SRC := $(wildcard user/*.c user/*/*.c)
USER_OBJ := $(USER_SRC:%.c=$(O)/%.o) $(O)/sinks/profile.pb-c.o
BPF_SRC  := $(wildcard bpf/*.bpf.c)
BPF_OBJ  := $(BPF_SRC:%.c=$(O)/%.o)
CAST_OBJ := $(BPF_OBJ:%/kernel.bpf.o=%/cast/kernel.bpf.o)
SKEL     := $(O)/wsgiscope.skel.h $(O)/wsgiscope_cast.skel.h

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all help check test demo fuzz bench install uninstall clean python deps format style

all: $(O)/wsgiscope python ## build the program and the marker

help: ## this list
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- BPF: separate objects, linked by bpftool, one skeleton; once more for kernels with the cast --

define bpf-compile
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) $(1) \
		-Ibpf -Ipython-shim -idirafter $(MULTIARCH) -Wall -Wno-missing-declarations \
		$(if $(WERROR),-Werror) -MMD -MP -MF $(@:.o=.d) -c $< -o $@
endef

$(O)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call bpf-compile)

$(O)/bpf/cast/%.bpf.o: bpf/%.bpf.c
	$(call bpf-compile,-DKERNEL_CAST)

$(O)/wsgiscope.bpf.o: $(BPF_OBJ)
$(O)/wsgiscope_cast.bpf.o: $(CAST_OBJ)
$(O)/wsgiscope.bpf.o $(O)/wsgiscope_cast.bpf.o:
	$(call say,GEN-OBJ,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

$(SKEL): $(O)/%.skel.h: $(O)/%.bpf.o
	$(call say,GEN-SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $* > $@

# --- the program --------------------------------------------------------------------------------

$(O)/user/tracer.o: $(SKEL)

# What is made from other than C for the sinks: the pprof messages, and text to be compiled in.
PROTOC_C ?= protoc-c
SVG_TEXT := $(O)/sinks/svg.css.h $(O)/sinks/svg.js.h
$(O)/user/sinks/svg.o: $(SVG_TEXT)
$(O)/user/sinks/pprof.o: $(O)/sinks/profile.pb-c.h

$(O)/sinks/%.pb-c.c $(O)/sinks/%.pb-c.h: user/sinks/%.proto
	$(call say,PROTO,$(@D)/$*.pb-c.c)
	@mkdir -p $(@D)
	$(Q)$(PROTOC_C) --proto_path=$(<D) --c_out=$(@D) $<

$(O)/sinks/%.h: user/sinks/%
	$(call say,TEXT,$@)
	@mkdir -p $(@D)
	$(Q)sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n"/' $< >$@

# The same for what is to run in other processes.
$(O)/user/remote_mark.o: $(O)/text/remote_script.py.h
$(O)/text/%.h: user/python/%
	$(call say,TEXT,$@)
	@mkdir -p $(@D)
	$(Q)sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n"/' $< >$@

$(O)/sinks/%.pb-c.o: $(O)/sinks/%.pb-c.c
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c $< -o $@

$(O)/user/%.o: user/%.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

$(O)/wsgiscope: $(USER_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $^ $(LIBS) -o $@

# --- the marker, for $(PYTHON) ------------------------------------------------------------------

PY_SUFFIX  = $(shell $(PYTHON) -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
PY_INCLUDE = $(shell $(PYTHON) -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
PYPKG := $(O)/python/wsgiscope

python: $(O)/python/.built-$(subst /,_,$(PYTHON)) ## the marker package under build/python

$(O)/python/.built-$(subst /,_,$(PYTHON)): $(wildcard python-shim/*.h python-shim/wsgiscope/* \
		python-shim/wsgiscope/auto/*.py)
	$(call say,MARKER,$(PYPKG))
	@mkdir -p $(PYPKG)/auto
	$(Q)cd python-shim/wsgiscope && cp *.py *.pyi py.typed $(abspath $(PYPKG))/ && \
		cp auto/*.py $(abspath $(PYPKG))/auto/
	$(Q)$(CC) -std=gnu11 -O2 -g -fPIC -shared -fvisibility=hidden $(WARN) \
		-Ipython-shim -I$(PY_INCLUDE) $(MARKER_CFLAGS) \
		$(LDFLAGS) python-shim/wsgiscope/*.c -o $(PYPKG)/_marker$(PY_SUFFIX)
	@touch $@

include tests/tests.mk

# --- install ------------------------------------------------------------------------------------

# Where `run` and `mark` look for the marker of a server that has none of its own.
MARKER_HOME := $(PREFIX)/lib/wsgiscope/python/wsgiscope

install: $(O)/wsgiscope python ## binary, marker, man page, completion (DESTDIR, PREFIX)
	install -D -m 0755 $(O)/wsgiscope $(DESTDIR)$(PREFIX)/sbin/wsgiscope
	install -D -m 0644 man/wsgiscope.8 $(DESTDIR)$(PREFIX)/share/man/man8/wsgiscope.8
	install -D -m 0644 contrib/wsgiscope.bash-completion \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/wsgiscope
	install -d $(DESTDIR)$(MARKER_HOME)/auto
	install -m 0644 $(PYPKG)/*.py $(PYPKG)/*.pyi $(PYPKG)/py.typed $(PYPKG)/*.so \
		$(DESTDIR)$(MARKER_HOME)/
	install -m 0644 $(PYPKG)/auto/*.py $(DESTDIR)$(MARKER_HOME)/auto/

uninstall: ## takes away what install put there
	rm -f $(DESTDIR)$(PREFIX)/sbin/wsgiscope $(DESTDIR)$(PREFIX)/share/man/man8/wsgiscope.8 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/wsgiscope
	rm -rf $(DESTDIR)$(PREFIX)/lib/wsgiscope

clean: ## removes the build directory
	rm -rf $(O)

-include $(BPF_OBJ:.o=.d) $(CAST_OBJ:.o=.d) $(USER_OBJ:.o=.d)
