# SPDX-License-Identifier: BSD-2-Clause
"""How deep the BPF programs' stacks go: bpf_stack.py OBJECT...; exit 1 if one is too deep.

Before Linux 6.13 the verifier adds up the frames of functions that call one another, each rounded
up to 32 bytes, and allows 512 in all (check_max_stack_depth() in kernel/bpf/verifier.c). Newer
kernels allow more, so that only the oldest that we support would tell."""
import collections
import re
import subprocess
import sys

ALLOWED, ROUND = 512, 32


def disassembled(objects):
    for path in objects:
        yield from subprocess.run(["llvm-objdump", "-dr", path], check=True, text=True,
                                  stdout=subprocess.PIPE).stdout.splitlines()


def read(lines):
    """{function: bytes of its frame}, {function: those that it calls}."""
    frames, calls, function, before = {}, collections.defaultdict(set), None, ""
    for line in lines:
        if (found := re.match(r"[0-9a-f]+ <(.*)>:", line)) and not found[1].startswith("LBB"):
            function = found[1]
            frames[function] = 0
        elif found := re.search(r"R_BPF_64_32\s+(\w+)", line):
            calls[function].add(found[1])
        elif (found := re.search(r"r10 - (0x[0-9a-f]+|\d+)", line)) or (
                before.endswith("= r10") and
                (found := re.search(r"r\d+ \+= -(0x[0-9a-f]+|\d+)", line))):
            frames[function] = max(frames[function], int(found[1], 0))
        before = line
    return frames, calls


def deepest(function, frames, calls):
    """(bytes, the functions from this one down)."""
    own = max(ROUND, -(-frames[function] // ROUND) * ROUND)
    below = [deepest(called, frames, calls) for called in calls[function] if called in frames]
    deep, path = max(below, default=(0, []))
    return own + deep, [function, *path]


def main(objects):
    frames, calls = read(disassembled(objects))
    assert len(frames) > 20 and any(calls.values()), "nothing was disassembled"
    found = sorted((deepest(function, frames, calls) for function in frames), reverse=True)
    too_deep = [each for each in found if each[0] > ALLOWED]
    for deep, path in too_deep or found[:1]:
        print("bpf-stack: %d of %d bytes: %s" % (deep, ALLOWED, ", ".join(
            "%s %d" % (function, frames[function]) for function in path)))
    return 1 if too_deep else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
