#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh RECORDINGS REPLAY...: replays each recording by the command REPLAY and compares with the
# expected files beside this script; then damages recordings and looks at what is said. With
# UPDATE=1 it writes the expected files instead. Needs no root.
set -eu
recordings=$1
shift
here=$(dirname "$0")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

fail()
{
	echo "golden: $*" >&2
	failures=$((failures + 1))
}

# Globs stand as they are in the list of cases.
set -f
check_case()
{
	expected=$here/$1
	recording=$recordings/$2.rec
	shift 2
	if ! TZ=UTC $replay "$@" "$recording" >"$scratch/out" 2>"$scratch/err"; then
		fail "$expected: exit status $?"
		cat "$scratch/err" >&2
	fi
	if [ "${UPDATE:-0}" = 1 ]; then
		cp "$scratch/out" "$expected"
	elif ! diff -u "$expected" "$scratch/out" >&2; then
		fail "$expected: not what was expected"
	fi
	case $expected in
	*.json)
		/usr/bin/python3 "$here/check_json.py" <"$scratch/out" || fail "$expected: not JSON"
		grep -q '^wsgiscope: lost: ' "$scratch/err" || fail "$expected: no totals on stderr"
		;;
	esac
}

replay="$*"
while read -r line; do
	case $line in
	'#'* | '') ;;
	*) check_case $line ;;
	esac
done <"$here/cases"

# refused FILE TEXT: one line on stderr that says TEXT, exit status 1.
check_refused()
{
	status=0
	$replay "$1" >"$scratch/out" 2>"$scratch/err" || status=$?
	[ "$status" = 1 ] || fail "$1: exit status $status, not 1"
	[ "$(wc -l <"$scratch/err")" = 1 ] || fail "$1: $(cat "$scratch/err")"
	grep -q "$2" "$scratch/err" || fail "$1: $(cat "$scratch/err")"
}

whole=$recordings/outcomes.rec
: >"$scratch/empty"
check_refused "$scratch/empty" 'not a recording'
head -c 4096 /dev/zero >"$scratch/foreign"
check_refused "$scratch/foreign" 'not a recording'
head -c 20 "$whole" >"$scratch/header"
check_refused "$scratch/header" 'cut off at byte 0'
{ head -c 12 "$whole"; printf '\007\000\000\000'; tail -c +17 "$whole"; } >"$scratch/future"
check_refused "$scratch/future" 'version 7, and this wsgiscope knows version 6: .* a newer'
{ head -c 12 "$whole"; printf '\004\000\000\000'; tail -c +17 "$whole"; } >"$scratch/past"
check_refused "$scratch/past" 'version 4, and this wsgiscope knows version 6: .* that recorded it'
{ head -c 8 "$whole"; printf '\001\002\003\004'; tail -c +13 "$whole"; } >"$scratch/order"
check_refused "$scratch/order" 'other byte order'
check_refused "$scratch" 'Is a directory'
check_refused "$scratch/absent" 'No such file'

# Cut in the middle: what came before is shown all the same.
head -c 1000 "$whole" >"$scratch/cut"
check_refused "$scratch/cut" 'cut off at byte'
grep -q /raises/in/call "$scratch/out" || fail 'a cut recording lost whole records'

# A reader who leaves is no error; a full disk is one line and exit status 1.
$replay "$recordings/many.rec" 2>"$scratch/err" | head -n 1 >/dev/null
[ ! -s "$scratch/err" ] || fail "head: $(cat "$scratch/err")"
status=0
$replay "$whole" >/dev/full 2>"$scratch/err" || status=$?
[ "$status" = 1 ] || fail "/dev/full: exit status $status"
grep -q 'No space left' "$scratch/err" || fail "/dev/full: $(cat "$scratch/err")"
[ "$(wc -l <"$scratch/err")" = 1 ] || fail "/dev/full: $(cat "$scratch/err")"

[ "$failures" = 0 ] || exit 1
echo "golden: $(grep -c '^[a-z]' "$here/cases") cases with $1"
