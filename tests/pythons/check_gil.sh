#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# check_gil.sh TEST_GIL_LIVE [VERSION...]: the test program against the Pythons of other Debian
# releases, all that pythons.sh can make or those named, besides this host's own. Makes what is
# missing. Needs root.
set -eu
test=$1
shift
here=$(cd "$(dirname "$0")" && pwd -P)
bin=${PYTHONS:-$here/../../build/pythons}/bin
[ $# -gt 0 ] || set -- $("$here/pythons.sh" versions)
"$here/pythons.sh" make "$@"
for version in "$@"; do
	set -- "$@" "$bin/python$version"
	shift
done
exec "$test" /usr/bin/python3 "$@"
