#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Every server of doc/servers.md on one Python, with the newest servers from PyPI in a virtual
# environment of it: run.sh NAME PYTHON. NAME is that of the folder below $MATRIX that is made and
# that gets the results; `debian` takes Debian's servers as well. Ends with 0 also where a cell did
# not hold: the table shows that (table.py). MATRIX_ONLY="wsgiref or tornado" runs these again,
# after all have been.
#
# PYTHON may live in another root folder, of which its own path is a way in
# (tests/pythons/pythons.sh): so the environment's programs are started by it, each by a script of
# its name in NAME/bin.
#
# WSGISCOPE is the tracer, MATRIX_MARKER the folder with this Python's marker, PYTEST how to call
# that, MATRIX_JOBS how many servers are asked at once.
set -eu

name=$1 python=$2
folder=$MATRIX/$name
venv=$folder/venv
SERVERS='gunicorn uwsgi mod_wsgi waitress tornado flask werkzeug bjoern granian'
PROGRAMS='cheroot cherrypy django eventlet gevent setuptools twisted'
BECOME='import os, sys; os.execv(sys.argv[1], sys.argv[1:])'

# Below another root there is not what this machine's registries are trusted by.
if [ -e "${PIP_CERT:-}" ]; then
	mkdir -p "$folder"
	cp "$PIP_CERT" "$folder/certificates.pem"
	export PIP_CERT="$folder/certificates.pem" REQUESTS_CA_BUNDLE="$folder/certificates.pem"
fi

venv_run()
{
	program=$1
	shift
	"$python" -c "$BECOME" "$venv/bin/$program" "$@"
}

mkdir -p "$folder/bin"
[ -e "$venv/pyvenv.cfg" ] || "$python" -m venv "$venv"
wanted=$SERVERS
[ "$name" = debian ] || wanted="$SERVERS $PROGRAMS"
for package in $wanted; do
	# What does not build on this Python is missing in the table, and its log says why.
	[ -e "$folder/$package.done" ] || {
		venv_run python -m pip -q install "$package" >"$folder/$package.log" 2>&1 &&
			touch "$folder/$package.done"
	} || printf 'matrix: %s cannot be installed on %s: see %s\n' "$package" "$name" \
		"$folder/$package.log" >&2
done
venv_run python -m pip -q freeze >"$folder/versions.txt"
for program in "$venv"/bin/*; do
	way=$folder/bin/${program##*/}
	printf "#!/bin/sh\nexec '%s' -c '%s' '%s' \"\$@\"\n" "$python" "$BECOME" "$program" >"$way"
	chmod +x "$way"
done

export WSGISCOPE_MATRIX_VENV="$folder" PYTHONPATH="$MATRIX_MARKER"
[ "$name" = debian ] || export WSGISCOPE_SERVERS_PYTHON="$folder/bin/python"
xml=$folder/servers.xml
if [ -n "${MATRIX_ONLY:-}" ]; then
	xml=$folder/servers-again.xml
fi
rm -f "$xml" "$folder/servers-again.xml"
$PYTEST -n "${MATRIX_JOBS:-3}" --dist loadgroup --junitxml="$xml" \
	${MATRIX_ONLY:+-k "$MATRIX_ONLY"} tests/e2e/test_servers.py >"${xml%.xml}.log" 2>&1 ||
	tail -n 15 "${xml%.xml}.log" >&2
[ -e "$xml" ]
