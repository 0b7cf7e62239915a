#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# All end-to-end tests, with the pytest command that is given: first those that wait most of the
# time, E2E_JOBS files at once, then those marked `alone`. Then whatever failed, three times more
# with nothing beside it: a bound that this machine's noise broke holds then, and what is broken
# does not. It is named at the end either way. More than three failures (a fixture that many tests
# of a file share is one), one in a test's teardown (something was left behind), one of a test
# marked `unnoticed` or a run that ended early are not looked at again.
set -u
folder=$(dirname "$0")
WSGISCOPE_FAILED=$(mktemp)  # conftest.py: a line a failure, its phase and the test
export WSGISCOPE_FAILED
trap 'rm -f "$WSGISCOPE_FAILED"' EXIT

worst=0
run() {
	"$@"
	status=$?
	[ "$status" -le "$worst" ] || worst=$status
}

run "$@" --durations=20 -n "${E2E_JOBS:-3}" --dist loadfile -m 'not slow and not alone' "$folder"
run "$@" --durations=20 -m 'not slow and alone' "$folder"
[ "$worst" -ne 0 ] || exit 0

# pytest names a test from its own root, which is where pytest.ini is.
again=$(sed -n "s,^\(setup\|call\) ,$folder/,p" "$WSGISCOPE_FAILED" | sort -u)
causes=$(sed -n 's/^setup \([^:]*\)::.*/\1/p; s/^call //p' "$WSGISCOPE_FAILED" | sort -u)
if [ "$worst" -ne 1 ] || grep -qv '^\(setup\|call\) ' "$WSGISCOPE_FAILED" ||
		[ "$(printf '%s\n' "$causes" | wc -l)" -gt 3 ]; then
	exit "$worst"
fi
for _ in 1 2 3; do
	printf '%s\n' "$again" | tr '\n' '\0' | xargs -0 "$@" || exit 1
done
printf 'NOT STABLE, failed once and then passed three times:\n%s\n' "$again"
