#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Pythons of other Debian releases, each in a root folder of its own below build/pythons.
#
#   pythons.sh make VERSION...            makes what is not there yet; a second time it does nothing
#   pythons.sh run VERSION COMMAND...     becomes COMMAND inside that folder
#   pythons.sh versions                   what it can make
#
# build/pythons/bin/pythonVERSION and ccVERSION are `run` in one word, for whoever wants the path of
# an interpreter: make python PYTHON=build/pythons/bin/python3.9 CC=build/pythons/bin/cc3.9 O=...
# PYTHONS=dir puts all of it elsewhere. Needs root, debootstrap and the mirror that apt uses.
#
# In each folder, /unstripped has that release's interpreter and libpython with all their symbols.
#
# What `run` starts is a process of this host like any other: same PID namespace, same network, the
# PID of the caller's child. It sees the checkout, /tmp, /dev and /proc at their usual paths. They
# are mounted in a mount namespace of its own, which ends with it: no mount can stay behind.
set -eu
checkout=$(cd "$(dirname "$0")/../.." && pwd -P)
pythons=${PYTHONS:-$checkout/build/pythons}

# VERSION SUITE...: the releases that have it, the first one that the mirror knows is taken.
releases()
{
	cat <<-END
	3.9 bullseye
	3.11 bookworm
	3.13 trixie
	3.14 forky sid
	3.15 forky sid
	END
}

# Besides the interpreter: its symbols, what builds the marker for it, the servers that embed or run
# it, and what PyPI's need to be built. The compiler is that release's, since what links with this
# host's libc may not load with an older one.
packages()
{
	echo "python3 python$1-dbg elfutils libpython$1-dev gcc libc6-dev" \
		"gunicorn uwsgi-core uwsgi-plugin-python3 libapache2-mod-wsgi-py3" \
		"python$1-venv apache2-dev libev-dev"
}

say()
{
	echo "pythons: $*" >&2
}

die()
{
	say "$*"
	exit 1
}

suites_of()
{
	releases | awk -v version="$1" '$1 == version { $1 = ""; print }'
}

# From apt's own sources, whatever they are on this machine.
mirror_find()
{
	apt-get indextargets --format '$(LABEL) $(SITE)' 'Created-By: Packages' |
		awk '$1 == "Debian" { print $2; exit }'
}

# debootstrap knows a newer release only by a script of its name; they are all alike by now.
script_of()
{
	scripts=/usr/share/debootstrap/scripts
	[ -e "$scripts/$1" ] && echo "$scripts/$1" || echo "$scripts/sid"
}

# root_make DEBOOTSTRAP SUITE FOLDER MIRROR SCRIPT PACKAGES
# In a mount namespace of its own, so that what debootstrap or a package mounts goes with it.
root_make()
{
	unshare --mount --propagation private sh -eu -c '
		"$1" --variant=minbase "$2" "$3" "$4" "$5"
		mount --bind /proc "$3/proc"
		export DEBIAN_FRONTEND=noninteractive LC_ALL=C
		chroot "$3" apt-get -qq -y --no-install-recommends install $6
		chroot "$3" apt-get clean
	' sh "$@"
}

# root_unstrip FOLDER VERSION
# Debian strips what it builds, and has what it stripped off in python3.X-dbg.
root_unstrip()
{
	chroot "$1" sh -eu -c '
		mkdir /unstripped
		for file in "/usr/bin/python$1" /usr/lib/*/"libpython$1.so.1.0"; do
			eu-unstrip -e "$file" -o "/unstripped/${file##*/}"
			nm "/unstripped/${file##*/}" | grep " _PyRuntime$"
		done
	' sh "$2"
}

# wrapper_make NAME VERSION COMMAND
wrapper_make()
{
	mkdir -p "$pythons/bin"
	cat >"$pythons/bin/$1" <<-END
	#!/bin/sh
	PYTHONS='$pythons' exec '$checkout/tests/pythons/pythons.sh' run $2 $3 "\$@"
	END
	chmod +x "$pythons/bin/$1"
}

python_make()
{
	version=$1
	root=$pythons/$version
	packages=$(packages "$version")
	suites=$(suites_of "$version")
	[ -n "$suites" ] || die "no release with Python $version is known: add a line to releases()"
	if [ "$(cat "$root/.made" 2>/dev/null)" = "$packages" ]; then
		say "$version is there: $root"
		return
	fi
	debootstrap=$(command -v debootstrap || echo /usr/sbin/debootstrap)
	[ -x "$debootstrap" ] || die "debootstrap is missing: apt-get install debootstrap"
	[ "$(id -u)" = 0 ] || die "making $root needs root"
	mirror=$(mirror_find)
	[ -n "$mirror" ] || die "apt has no Debian mirror on its lists: apt-get update"

	rm -rf "$root" "$root.new"
	mkdir -p "$root.new"
	for suite in $suites; do
		say "$version: Debian $suite into $root (some minutes, log $pythons/$version.log)"
		if root_make "$debootstrap" "$suite" "$root.new" "$mirror" "$(script_of "$suite")" \
			"$packages" >"$pythons/$version.log" 2>&1 &&
			root_unstrip "$root.new" "$version" >>"$pythons/$version.log" 2>&1; then
			mkdir -p "$root.new$checkout"
			echo "$packages" >"$root.new/.made"
			mv "$root.new" "$root"
			return
		fi
		tail -n 5 "$pythons/$version.log" >&2
		rm -rf "$root.new"
	done
	die "no Python $version from:$suites. The log says why: $pythons/$version.log"
}

pythons_make()
{
	mkdir -p "$pythons"
	exec 9>"$pythons/.lock"
	flock 9
	for version in "$@"; do
		# Nothing that a package starts may hold the lock.
		python_make "$version" 9>&-
		wrapper_make "python$version" "$version" "python$version"
		wrapper_make "cc$version" "$version" gcc
	done
}

python_run()
{
	root=$pythons/$1
	shift
	[ -e "$root/.made" ] || die "$root is not there: $0 make ${root##*/}"
	exec unshare --mount --propagation private sh -eu -c '
		root=$1 checkout=$2 directory=$PWD
		shift 2
		for path in /proc /dev /tmp; do
			mount --rbind "$path" "$root$path"
		done
		mount --bind "$checkout" "$root$checkout"
		exec chroot "$root" sh -c "cd \"\$0\" 2>/dev/null || cd /; exec \"\$@\"" \
			"$directory" "$@"
	' sh "$root" "$checkout" "$@"
}

verb=${1:-}
[ -z "$verb" ] || shift
case $verb in
make) pythons_make "$@" ;;
run) python_run "$@" ;;
versions) releases | awk '{ print $1 }' ;;
*)
	sed -n 's/^# \{0,1\}//; 4,8p' "$0" >&2
	exit 2
	;;
esac
