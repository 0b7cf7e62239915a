#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Boots one of Debian's kernels in a virtual machine with a root of the packages that are needed and
# this checkout's build, and runs the smoke test of every verb in it (smoke.py).
#
#   tests/vm/run.sh [-a ARCH] KERNEL               5.10, 5.15, 6.1, 6.12 or newest
#   tests/vm/run.sh [-a ARCH] -c COMMAND KERNEL    that shell command instead, and what it prints
#
# VM_BUILD is where the program and the marker are (build), VM_GOLDEN where the golden recordings
# are (build/san/tests/golden/recordings), VM_DIR where all of this lies (build/vm), VM_SECONDS the
# time limit (1500), VM_PATIENCE that of one step (300). The results: VM_DIR/KERNEL.result, a line
# "verb<TAB>ok|refused|failed<TAB>reason" each. Exit 1 where a verb failed, or was refused by a
# kernel that is to be worked with. Needs qemu and Debian's mirror; no root; no network for the
# machine itself.
set -eu
cd "$(dirname "$0")/../.."

PACKAGES='busybox-static python3 gunicorn libbpf1 libelf1|libelf1t64 zlib1g
	libmicrohttpd12|libmicrohttpd12t64 libcap-ng0 libjansson4 libprotobuf-c1'

say()
{
	echo "vm: $*" >&2
}

die()
{
	say "$*"
	exit 1
}

arch=$(dpkg --print-architecture)
command=
while getopts a:c: option; do
	case $option in
	a) arch=$OPTARG ;;
	c) command=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -eq 1 ] || die "usage: $0 [-a ARCH] [-c COMMAND] KERNEL"
kernel=$1
may_refuse=
case $kernel in
5.10) suite=bullseye may_refuse=yes ;;
5.15) suite=jammy ;;
6.1) suite=bookworm ;;
6.12) suite=trixie ;;
newest) suite=sid ;;
*) die "kernel $kernel is not known: 5.10, 5.15, 6.1, 6.12 or newest" ;;
esac

build=${VM_BUILD:-build}
golden=${VM_GOLDEN:-build/san/tests/golden/recordings}
dir=${VM_DIR:-build/vm}
seconds=${VM_SECONDS:-1500}
SMOKE=SMOKE_PATIENCE=${VM_PATIENCE:-300} # the kernel hands it to init as its environment
name=$kernel
[ "$arch" = "$(dpkg --print-architecture)" ] || name=$kernel-$arch
VM_CACHE=$(mkdir -p "$dir/cache" && cd "$dir/cache" && pwd)
export VM_CACHE
. /etc/os-release
root=$dir/root-$VERSION_CODENAME-$arch
image=$dir/$name.cpio.gz
log=$dir/$name.log
result=$dir/$name.result

# The machine, and what differs between architectures. arm64's kernel signs return addresses: with
# the architecture's cipher, which an emulator computes bit by bit, that is most of its time.
case $arch in
amd64) qemu='qemu-system-x86_64 -M q35' cpu=max console=ttyS0 ;;
arm64) qemu='qemu-system-aarch64 -M virt' cpu=max,pauth-impdef=on console=ttyAMA0 ;;
*) die "no machine is known for $arch" ;;
esac
command -v "${qemu%% *}" >/dev/null || die "${qemu%% *} is missing: contrib/debian-packages.sh vm"

image_make()
{
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	cp -a "$root/." "$work"
	mkdir -p "$work/smoke" "$work/wsgiscope"
	cp tests/vm/init "$work/init"
	cp tests/vm/smoke.py tests/e2e/apps/shop.py "$golden/blocks.rec" tests/golden/blocks.json \
		"$work/smoke"
	cp -r "$build/wsgiscope" "$build/python" "$work/wsgiscope"
	chmod 0755 "$work/init"
	[ -z "$command" ] || printf '%s\n' "$command" >"$work/smoke/command"
	(cd "$work" && find . | cpio --quiet -o -H newc -R 0:0) | gzip -1 >"$image"
	rm -rf "$work"
	trap - EXIT
}

# boot ACCELERATOR SECONDS
boot()
{
	timeout "$2" $qemu -accel "$1" -cpu $cpu -m 1536 -smp 1 -nodefaults -no-reboot \
		-display none -serial stdio -kernel "$dir/kernel-$kernel-$arch/vmlinuz" \
		-initrd "$image" -append "console=$console quiet panic=-1 $SMOKE" \
		</dev/null >"$log" 2>"$log.qemu" || :
}

tests/vm/debian.sh kernel "$suite" "$arch" "$dir/kernel-$kernel-$arch"
tests/vm/debian.sh root "$VERSION_CODENAME" "$arch" "$root" $PACKAGES
image_make
rm -f "$result"

# A /dev/kvm that is there need not work: it has a minute to bring the kernel up.
accelerator=tcg
if [ -w /dev/kvm ] && [ "$arch" = "$(dpkg --print-architecture)" ] &&
	[ "$(cat "$dir/kvm" 2>/dev/null)" != broken ]; then
	VM_TRY=1 boot kvm 60
	if grep -q '^vm: up' "$log"; then
		accelerator=kvm
	else
		say "/dev/kvm does not bring a kernel up: emulating in software"
		echo broken >"$dir/kvm"
	fi
fi
say "Linux $(cat "$dir/kernel-$kernel-$arch/release") by $accelerator, $seconds s at most"
boot $accelerator "$seconds"
if [ -n "$command" ]; then
	tr -d '\r' <"$log"
	exit 0
fi
tr -d '\r' <"$log" | sed -n 's/^RESULT\t//p' >"$result.new"
grep -q '^vm: smoke test ended with 0' "$log" ||
	printf 'end\tfailed\tthe machine did not come to its end: see %s\n' "$log" >>"$result.new"
mv "$result.new" "$result"
cat "$result"
! grep -q '	failed	' "$result" || exit 1
[ -n "$may_refuse" ] || ! grep -q '	refused	' "$result"
