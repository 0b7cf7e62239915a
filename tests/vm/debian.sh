#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# What a virtual machine needs of Debian, taken from the mirror that apt uses. Nothing of it is
# installed here: packages are unpacked, none of their scripts runs. No release of Debian has Linux
# 5.15: that kernel is Ubuntu's (jammy).
#
#   debian.sh kernel SUITE ARCH FOLDER           SUITE's kernel: FOLDER/vmlinuz, FOLDER/release
#   debian.sh root SUITE ARCH FOLDER PACKAGE...  packages and all that they depend on, unpacked
#
# A package with | in it is a choice: the first that SUITE has.
# ARCH is Debian's word: amd64, arm64. What is there already is not made again. Lists and packages
# are kept in $VM_CACHE.
set -eu
verb=$1 suite=$2 arch=$3 folder=$4
shift 4
cache=${VM_CACHE:?}/$suite-$arch
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

die()
{
	echo "vm: $*" >&2
	exit 1
}

# From apt's own sources, whatever they are on this machine.
mirror_find()
{
	apt-get indextargets --format '$(LABEL) $(SITE)' 'Created-By: Packages' |
		awk '$1 == "Debian" { print $2; exit }'
}

# Where Debian has no keyring of Ubuntu's packages, they are taken unchecked: what is taken is a
# kernel, for a virtual machine that ends with its test.
ubuntu_source()
{
	ubuntu=/usr/share/keyrings/ubuntu-archive-keyring.gpg
	check=trusted=yes
	[ ! -e $ubuntu ] || check=signed-by=$ubuntu
	echo "deb [$check] ${VM_UBUNTU:-http://archive.ubuntu.com/ubuntu} $suite main"
}

# apt for another release or machine, with files of its own. Its status file is empty: as if
# nothing was installed.
apt_for()
{
	program=$1
	shift
	set -- -q -o Dir::State::Lists="$cache/lists" -o Dir::State::Status="$cache/status" \
		-o Dir::Cache="$cache" -o Dir::Etc::SourceList="$cache/sources.list" \
		-o Dir::Etc::SourceParts=/dev/null -o APT::Architecture="$arch" \
		-o APT::Architectures="$arch" -o APT::Sandbox::User=root \
		-o Acquire::Languages=none -o Debug::NoLocking=1 "$@"
	for target in DEP-11 DEP-11-icons DEP-11-icons-small DEP-11-icons-hidpi; do
		set -- -o "Acquire::IndexTargets::deb::$target::DefaultEnabled=false" "$@"
	done
	"$program" "$@"
}

apt_setup()
{
	mkdir -p "$cache/lists/partial" "$cache/archives/partial"
	[ ! -e "$cache/ready" ] || return 0
	if [ "$suite" = jammy ]; then
		source=$(ubuntu_source)
	else
		mirror=$(mirror_find)
		[ -n "$mirror" ] || die "apt has no Debian mirror on its lists: apt-get update"
		source="deb [signed-by=$keyring] $mirror $suite main"
	fi
	: >"$cache/status"
	echo "$source" >"$cache/sources.list"
	apt_for apt-get update >"$cache/log" 2>&1 ||
		die "no lists of $suite for $arch: see $cache/log"
	touch "$cache/ready"
}

# The package with the kernel itself, behind those that only depend on it.
kernel_fetch()
{
	package=linux-image-$arch
	[ "$suite" != jammy ] || package=linux-image-generic
	while [ -n "$package" ]; do
		echo "vm: $package of $suite" >&2
		(cd "$cache/archives" && apt_for apt-get download "$package") >>"$cache/log" 2>&1 ||
			die "$package of $suite cannot be had: see $cache/log"
		deb=$(find "$cache/archives" -name "${package}_*.deb" | sort | tail -n 1)
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder.new" --wildcards \
			'*/vmlinuz*' 2>/dev/null || :
		image=$(find "$folder.new" -type f -name 'vmlinuz*' | head -n 1)
		[ -z "$image" ] || break
		package=$(dpkg-deb -f "$deb" Depends | tr ',|' '\n\n' |
			sed -n 's/^ *\(linux-\(image\|binary\)-[0-9][^ ]*\).*/\1/p' | head -n 1)
	done
	[ -n "${image:-}" ] || die "no kernel in $suite's linux-image-$arch"
	mv "$image" "$folder.new/vmlinuz"
	echo "${package#linux-*-}" >"$folder.new/release"
}

# The names, of each choice the first that the suite has; its last where it has none.
choices_take()
{
	for choice in "$@"; do
		taken=
		for name in $(echo "$choice" | tr '|' ' '); do
			[ -n "$taken" ] || [ -z "$(apt_for apt-cache madison "$name")" ] ||
				taken=$name
		done
		echo "${taken:-$name}"
	done
}

# base-files first: on a release with a merged /usr it has the links that the others go through.
root_unpack()
{
	(cd "$cache/archives" && rm -f ./*.deb)
	apt_for apt-get install -y --no-install-recommends --download-only base-files "$@" \
		>>"$cache/log" 2>&1 || die "Debian $suite lacks one of: $*: see $cache/log"
	for deb in "$cache"/archives/base-files_*.deb "$cache"/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder.new" --keep-directory-symlink \
			--exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' \
			--exclude='./usr/share/locale/*' --exclude='./usr/share/i18n/*' \
			--exclude='./usr/share/perl*' --exclude='./usr/lib/*/perl*' \
			--exclude='./usr/lib/*/gconv/*'
	done
}

# Two machines may want the same at once.
mkdir -p "$VM_CACHE"
exec 9>"$VM_CACHE/lock"
flock 9
case $verb in
kernel) [ ! -e "$folder/vmlinuz" ] || exit 0 ;;
root) [ "$(cat "$folder/.packages" 2>/dev/null)" != "$*" ] || exit 0 ;;
*) die "what is $verb?" ;;
esac
apt_setup
rm -rf "$folder" "$folder.new"
mkdir -p "$folder.new"
if [ "$verb" = kernel ]; then
	kernel_fetch
else
	root_unpack $(choices_take "$@")
	echo "$*" >"$folder.new/.packages"
fi
mv "$folder.new" "$folder"
