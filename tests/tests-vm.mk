# SPDX-License-Identifier: BSD-2-Clause
# Kernels that are not this machine's: whether older ones allow the BPF programs' stacks, and every
# verb on Debian's, in virtual machines. Included by tests.mk. The latter is not a part of
# `make test`: each kernel takes some minutes, and the first run downloads some 350 MB.
# VM_KERNELS="6.1 newest" takes only these. The results: $(O)/vm/KERNEL.result, a line
# "verb<TAB>ok|refused|failed<TAB>reason" each.

.PHONY: vm bpf-stack

VM_KERNELS ?= 5.10 6.1 6.12 newest

bpf-stack: $(BPF_OBJ) ## whether older kernels allow the BPF programs' stacks
	$(Q)$(PYTHON) tests/bpf_stack.py $(BPF_OBJ)

vm: ## every verb on Debian's kernels, in virtual machines (minutes each)
	$(Q)contrib/debian-packages.sh vm
	$(Q)+$(MAKE) --no-print-directory $(VM_KERNELS:%=vm-%)

vm-%: all $(SAN_O)/tests/golden/recordings/.made
	$(call say,VM,$*)
	$(Q)VM_BUILD=$(O) VM_DIR=$(O)/vm VM_GOLDEN=$(SAN_O)/tests/golden/recordings \
		tests/vm/run.sh $*
