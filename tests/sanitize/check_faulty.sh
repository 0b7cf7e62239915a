#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# check_faulty.sh FAULTY KINDS FINDINGS: each fault of the program FAULTY that the sanitizers KINDS
# are for leaves a file in the folder FINDINGS and a bad exit status, as a tracer's would. Takes the
# files away again.
set -eu

fail()
{
	echo "sanitize: $*" >&2
	exit 1
}

case $2 in
thread) faults=race ;;
*) faults='overflow overrun leak' ;;
esac
for fault in $faults; do
	if "$1" "$fault" 2>/dev/null; then
		fail "$fault was not noticed: exit status 0"
	fi
	[ -n "$(ls -A "$3")" ] || fail "$fault left nothing in $3"
	rm -f "$3"/*
done
"$1" none || fail "a finding where there is no fault"
[ -z "$(ls -A "$3")" ] || fail "something in $3 where there is no fault"
