#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Installs the Debian packages that a purpose needs and that are missing; says which. Knows Debian
# 12 and 13. Starts no service, makes no database, removes nothing, touches nothing when nothing is
# missing.
#
#   contrib/debian-packages.sh [-n] build|demo|test|bench|pythons|vm|frameworks|matrix|all
#
# -n only says what is missing (exit 1 if anything is). A name with | in it is a choice: any
# installed one will do, else the first that this release has.
set -eu

BUILD='gcc libc6-dev make clang bpftool libbpf-dev libelf-dev zlib1g-dev libmicrohttpd-dev
	libcap-ng-dev libjansson-dev protobuf-c-compiler libprotobuf-c-dev python3 python3-dev'
DEMO='gunicorn python3-flask'
SERVERS='gunicorn python3-waitress uwsgi-core uwsgi-plugin-python3 apache2-bin
	libapache2-mod-wsgi-py3'
FRONTS='nginx-light uwsgi-plugin-gevent-python3 python3-cherrypy3'
ANALYZE='cppcheck clang-tidy python3-dbg valgrind python3-pytest'
FRAMEWORKS='python3-flask python3-django python3-bottle'
ADAPTERS='python3-cheroot python3-eventlet python3-tornado python3-twisted'
SUITES='python3-flask python3-django python3-werkzeug python3-pytest python3-pip python3-setuptools
	python3-wheel python3-blinker python3-dotenv python3-ephemeral-port-reserve python3-tz'
STATES='postgresql python3-psycopg2 python3-gevent'
WHEEL='python3-pip python3-setuptools python3-wheel python3-venv'
TOOLS='cppcheck python3-pytest python3-pytest-xdist python3-h11 libcmocka-dev clang-format llvm
	libclang-rt-dev|libclang-rt-14-dev|libclang-rt-19-dev mandoc strace valgrind procps
	util-linux systemd'
METRICS='prometheus python3-prometheus-client'
BROWSER='chromium chromium-driver python3-selenium'
BENCH='python3-wrapt python3-prometheus-client util-linux'
VM='qemu-system-x86 cpio'
ARM64='lld qemu-system-arm cpio'
MATRIX='python3-venv python3-pip apache2-dev libev-dev'
PYTHONS='debootstrap util-linux gunicorn uwsgi-core uwsgi-plugin-python3 musl-tools binutils
	libffi-dev python3-pip xz-utils'

say()
{
	printf 'packages: %s\n' "$*" >&2
}

usage()
{
	say "usage: $0 [-n] build|demo|test|bench|pythons|vm|frameworks|matrix|all"
	exit 2
}

wanted()
{
	case "$1" in
	build) echo $BUILD ;;
	demo) echo $BUILD $DEMO ;;
	test)
		echo $BUILD $SERVERS $FRONTS $ADAPTERS $FRAMEWORKS $STATES $WHEEL $TOOLS $METRICS \
			$BROWSER $BENCH
		;;
	bench) echo $BUILD $BENCH ;;
	pythons) echo $BUILD $PYTHONS strace ;;
	vm) echo $BUILD $VM ;;
	arm64) echo $BUILD $ARM64 ;;
	frameworks) echo $BUILD $SUITES ;;
	analyze) echo $BUILD $ANALYZE ;;
	matrix) echo $BUILD $SERVERS $FRONTS $ADAPTERS $FRAMEWORKS $STATES $TOOLS $MATRIX ;;
	all)
		echo $BUILD $DEMO $SERVERS $FRONTS $ADAPTERS $FRAMEWORKS $SUITES $STATES $WHEEL \
			$TOOLS $METRICS $BROWSER $BENCH $MATRIX $PYTHONS $VM
		;;
	*) usage ;;
	esac
}

installed()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The names, of those given, of which no choice is installed; each once.
missing()
{
	for name in "$@"; do
		found=
		for choice in $(echo "$name" | tr '|' ' '); do
			if installed "$choice"; then
				found=yes
			fi
		done
		[ -n "$found" ] || echo "$name"
	done | sort -u
}

# The first of name's choices that this release has; name's first choice if it has none, so that
# apt names what is wrong.
available()
{
	for choice in $(echo "$1" | tr '|' ' '); do
		if [ -n "$(apt-cache madison "$choice" 2>/dev/null)" ]; then
			echo "$choice"
			return
		fi
	done
	echo "${1%%|*}"
}

# Debian starts a service as its package is installed, unless this file says no. An existing one
# is the administrator's: it stays.
POLICY=/usr/sbin/policy-rc.d
policy_made=

policy_make()
{
	[ ! -e "$POLICY" ] || return 0
	policy_made=yes
	printf '#!/bin/sh\nexit 101\n' >"$POLICY"
	chmod 0755 "$POLICY"
}

# A newly installed PostgreSQL gets a database cluster, unless a file here says no: its packages
# read this directory and do not own it. Named to be read last, since the last word counts.
CLUSTER=/etc/postgresql-common/createcluster.d
cluster_made=

cluster_make()
{
	cluster_made=yes
	mkdir -p "$CLUSTER"
	echo 'create_main_cluster = false' >"$CLUSTER/zz-wsgiscope.conf"
}

# Of both, what was made here. rmdir leaves what others have put something into.
made_remove()
{
	[ -z "$policy_made" ] || rm -f "$POLICY"
	if [ -n "$cluster_made" ]; then
		rm -f "$CLUSTER/zz-wsgiscope.conf"
		rmdir "$CLUSTER" "${CLUSTER%/*}" 2>/dev/null || :
	fi
}

only_say=
if [ "${1:-}" = -n ]; then
	only_say=yes
	shift
fi
[ $# -eq 1 ] || usage
want=$(wanted "$1") || exit 2

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	say "this is not Debian: make sure of these, by the names that your system has: $want"
	exit 0
fi

lack=$(missing $want)
if [ -z "$lack" ]; then
	exit 0
fi
if [ -n "$only_say" ]; then
	say "missing:" $lack
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	say "missing:" $lack
	say "run as root: sudo $0 $1"
	exit 1
fi

export DEBIAN_FRONTEND=noninteractive
say "apt-get update"
if ! apt-get -qq update; then
	say "apt-get update failed: look at /etc/apt/sources.list and the network"
	exit 1
fi
install=
for name in $lack; do
	install="$install $(available "$name")"
done
say "apt-get install:$install"
trap made_remove EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
policy_make
cluster_make
if ! apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends install $install >&2; then
	say "apt-get could not install:$install"
	exit 1
fi
lack=$(missing $want)
if [ -n "$lack" ]; then
	say "still missing:" $lack
	exit 1
fi
say "installed:$install"
