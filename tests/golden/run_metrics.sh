#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# run_metrics.sh RECORDINGS METRICS: recordings as the page that Prometheus would get, against the
# files metrics-*.prom and metrics-*.om beside this script; and all of them, in both formats, as
# Prometheus' own readers see them. With UPDATE=1 it writes those files. Needs no root.
set -eu
recordings=$1
metrics=$2
here=$(dirname "$0")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0
cases=0

command -v promtool >/dev/null || {
	echo 'golden: promtool is missing: run contrib/debian-packages.sh test' >&2
	exit 1
}

fail()
{
	echo "golden: $*" >&2
	failures=$((failures + 1))
}

# NAME RECORDING ARGS...
check_page()
{
	expected=$here/$1
	recording=$recordings/$2.rec
	shift 2
	cases=$((cases + 1))
	"$metrics" "$@" "$recording" >"$scratch/page" || fail "$expected: exit status $?"
	if [ "${UPDATE:-0}" = 1 ]; then
		cp "$scratch/page" "$expected"
	elif ! diff -u "$expected" "$scratch/page" >&2; then
		fail "$expected: not what was expected"
	fi
}

# A page as both readers see it. promtool must have nothing to say, not even advice.
check_readers()
{
	"$metrics" "$@" >"$scratch/page" || fail "$*: exit status $?"
	promtool check metrics <"$scratch/page" >"$scratch/said" 2>&1 ||
		fail "$*: promtool: exit status $?"
	[ ! -s "$scratch/said" ] || fail "$*: promtool: $(cat "$scratch/said")"
	"$metrics" --openmetrics "$@" >"$scratch/page" || fail "$*: exit status $?"
	/usr/bin/python3 "$here/check_openmetrics.py" <"$scratch/page" || fail "$*: OpenMetrics"
}

# What is on a page is in doc/metrics.md.
check_documented()
{
	for name in $(sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' "$1"); do
		grep -q "\`$name[\`{]" "$here/../../doc/metrics.md" ||
			fail "$name: not in doc/metrics.md"
	done
}

check_page metrics-empty.prom empty
check_documented "$scratch/page"
check_page metrics-empty.om empty --openmetrics
check_page metrics-notes.om notes --openmetrics
few="--config $here/metrics.conf"
check_page metrics-notes.prom notes $few
check_page metrics-outcomes.prom outcomes $few
check_page metrics-hostile.prom hostile $few
check_page metrics-states.om states $few --openmetrics
for recording in "$recordings"/*.rec; do
	check_readers "$recording"
	check_readers $few "$recording"
done

[ "$failures" = 0 ] || exit 1
echo "golden: $cases pages of metrics, and $((2 * $(ls "$recordings" | wc -l))) read by others"
