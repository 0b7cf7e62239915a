#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Every server of doc/servers.md on one Python, with the newest servers from PyPI in a virtual
# environment of it: run.sh NAME PYTHON. NAME is that of the folder below $MATRIX that is made and
# that gets the results; `debian` takes Debian's servers as well. Ends with 0 also where a cell did
# not hold: the table shows that (table.py). MATRIX_ONLY="wsgiref or tornado" runs these again,
# after all have been.
#
# WSGISCOPE is the tracer, MATRIX_MARKER the folder with this Python's marker, PYTEST how to call
# that, MATRIX_JOBS how many servers are asked at once.
set -eu

name=$1 python=$2
folder=$MATRIX/$name
venv=$folder/venv
SERVERS='gunicorn uwsgi mod_wsgi waitress tornado bjoern granian'
PROGRAMS='cheroot cherrypy django eventlet flask gevent setuptools twisted werkzeug'

mkdir -p "$folder"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
wanted=$SERVERS
[ "$name" = debian ] || wanted="$SERVERS $PROGRAMS"
for package in $wanted; do
	# What does not build on this Python is missing in the table, and its log says why.
	[ -e "$folder/$package.done" ] || {
		"$venv/bin/pip" -q install "$package" >"$folder/$package.log" 2>&1 &&
			touch "$folder/$package.done"
	} || printf 'matrix: %s cannot be installed on %s: see %s\n' "$package" "$name" \
		"$folder/$package.log" >&2
done
"$venv/bin/pip" -q freeze >"$folder/versions.txt"

export WSGISCOPE_MATRIX_VENV="$venv" PYTHONPATH="$MATRIX_MARKER"
[ "$name" = debian ] || export WSGISCOPE_SERVERS_PYTHON="$venv/bin/python"
xml=$folder/servers.xml
if [ -n "${MATRIX_ONLY:-}" ]; then
	xml=$folder/servers-again.xml
fi
rm -f "$xml" "$folder/servers-again.xml"
$PYTEST -n "${MATRIX_JOBS:-3}" --dist loadgroup --junitxml="$xml" \
	${MATRIX_ONLY:+-k "$MATRIX_ONLY"} tests/e2e/test_servers.py >"${xml%.xml}.log" 2>&1 ||
	tail -n 15 "${xml%.xml}.log" >&2
[ -e "$xml" ]
