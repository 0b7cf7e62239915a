# SPDX-License-Identifier: BSD-2-Clause
# Kernels that are not this machine's: whether older ones allow the BPF programs' stacks, and every
# verb on Debian's, in virtual machines. Included by tests.mk. The latter is not a part of
# `make test`: each kernel takes some minutes, and the first run downloads some 350 MB.
# VM_KERNELS="6.1 newest" takes only these. The results: $(O)/vm/KERNEL.result, a line
# "verb<TAB>ok|refused|failed<TAB>reason" each.

.PHONY: vm bpf-stack arm64 vm-arm64

VM_KERNELS ?= 5.10 5.15 6.1 6.12 newest

bpf-stack: $(BPF_OBJ) $(CAST_OBJ) ## whether older kernels allow the BPF programs' stacks
	$(Q)$(PYTHON) tests/bpf_stack.py $(BPF_OBJ)
	$(Q)$(PYTHON) tests/bpf_stack.py $(CAST_OBJ)

vm: ## every verb on Debian's kernels, in virtual machines (minutes each)
	$(Q)contrib/debian-packages.sh vm
	$(Q)+$(MAKE) --no-print-directory $(VM_KERNELS:%=vm-%)

vm-%: all $(SAN_O)/tests/golden/recordings/.made
	$(call say,VM,$*)
	$(Q)VM_BUILD=$(O) VM_DIR=$(O)/vm VM_GOLDEN=$(SAN_O)/tests/golden/recordings \
		tests/vm/run.sh $*

# --- arm64, from any machine: by clang, with a folder of Debian's arm64 packages -----------------

DEBIAN_SUITE := $(shell . /etc/os-release 2>/dev/null && echo $$VERSION_CODENAME)
ARM64_ROOT   := $(abspath $(O))/vm/sysroot-$(DEBIAN_SUITE)-arm64
ARM64_DEV    := libc6-dev libgcc-12-dev|libgcc-14-dev libbpf-dev libelf-dev zlib1g-dev \
	libmicrohttpd-dev libcap-ng-dev libjansson-dev libprotobuf-c-dev libpython3-dev
ARM64_KERNEL ?= 6.1

arm64: ## the program, the BPF programs and the marker for arm64, in build/arm64 (no root)
	$(Q)contrib/debian-packages.sh arm64
	$(Q)mkdir -p $(O)/vm/cache
	$(Q)VM_CACHE=$(abspath $(O))/vm/cache tests/vm/debian.sh root $(DEBIAN_SUITE) arm64 \
		$(ARM64_ROOT) $(foreach choice,$(ARM64_DEV),"$(choice)")
	$(Q)+$(MAKE) --no-print-directory all O=$(O)/arm64 ARCH=arm64 LDFLAGS=-fuse-ld=lld \
		CC="$(CLANG) --target=aarch64-linux-gnu --sysroot=$(ARM64_ROOT)" \
		MULTIARCH=$(ARM64_ROOT)/usr/include/aarch64-linux-gnu \
		PY_INCLUDE=$(ARM64_ROOT)$(PY_INCLUDE) \
		PY_SUFFIX=$(subst x86_64,aarch64,$(PY_SUFFIX))

vm-arm64: arm64 $(SAN_O)/tests/golden/recordings/.made ## every verb on arm64, emulated (slow)
	$(call say,VM,$(ARM64_KERNEL)-arm64)
	$(Q)VM_BUILD=$(O)/arm64 VM_DIR=$(O)/vm VM_GOLDEN=$(SAN_O)/tests/golden/recordings \
		VM_SECONDS=3600 VM_PATIENCE=1200 tests/vm/run.sh -a arm64 $(ARM64_KERNEL)
