#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether Flask and Django behave as they do without us: their own tests, of the releases
that are installed, once as they are and once under `wsgiscope run --trace`, with the marker around
every application.

Usage: check_frameworks.py WSGISCOPE MARKER FOLDER
The tests come with the sdists, which pip fetches from PyPI into FOLDER. Each test must have the
same outcome both times, and the tracer must have seen requests. Prints a table; exit status 1 if
something is not so. Needs root, for the tracer.
"""
import collections
import glob
import json
import os
import re
import subprocess
import sys
import tarfile
from importlib import metadata

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
TIMEOUT_S = 900

# Of Django, the parts that drive the handler or a server; all need no database but SQLite.
DJANGO_PARTS = ["handlers", "wsgi", "servers", "requests", "responses", "test_client",
                "test_client_regress", "httpwrappers", "middleware", "csrf_tests", "urlpatterns",
                "urlpatterns_reverse", "view_tests", "staticfiles_tests", "file_uploads",
                "sessions_tests", "signals", "conditional_processing", "gzip_tests"]

Suite = collections.namedtuple("Suite", "name package command directory outcomes")


def pytest_command(_folder):
    return [PYTHON, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rA", "tests"]


def pytest_outcomes(text):
    """{test: outcome} of -rA."""
    return {name: outcome for outcome, name in
            re.findall(r"^(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) (\S+)", text, re.M)}


def django_command(folder):
    parts = [part for part in DJANGO_PARTS if os.path.isdir(os.path.join(folder, "tests", part))]
    return [PYTHON, "-W", "ignore", "runtests.py", "--parallel", "1", "-v", "2", *parts]


def django_outcomes(text):
    found = re.findall(r"^(test\w+ \([\w.]+\))(?:.*?\.\.\. )(ok|FAIL|ERROR|skipped|expected failure"
                       r"|unexpected success)", text, re.M | re.S)
    return dict(found)


SUITES = [
    Suite("Flask", "Flask", pytest_command, "", pytest_outcomes),
    Suite("Django", "Django", django_command, "tests", django_outcomes),
]


def sources_fetch(suite, folder):
    """The unpacked sdist of the release that is installed; None: none is."""
    try:
        version = metadata.version(suite.package)
    except metadata.PackageNotFoundError:
        return None
    os.makedirs(folder, exist_ok=True)
    pattern = os.path.join(folder, "%s-%s*" % (suite.package, version))
    if not glob.glob(pattern + ".tar.gz"):
        subprocess.run([PYTHON, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:",
                        "--no-build-isolation", "--disable-pip-version-check", "-d", folder,
                        "%s==%s" % (suite.package, version)], check=True)
    (archive,) = glob.glob(pattern + ".tar.gz")
    target = archive[:-len(".tar.gz")]
    if not os.path.isdir(target):
        with tarfile.open(archive) as tar:
            tar.extractall(folder)
    return target


def suite_run(suite, folder, prefix, out):
    """(outcomes, what it printed); its stdout and stderr go to one file."""
    env = {**os.environ, "PYTHONPATH": os.path.join(HERE, "force"), "PYTHONDONTWRITEBYTECODE": "1"}
    with open(out, "w", encoding="utf-8") as stream:
        subprocess.run([*prefix, "sh", "-c", 'exec "$@" >"$0" 2>&1', out + ".tests",
                        *suite.command(folder)], cwd=os.path.join(folder, suite.directory), env=env,
                       stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
                       timeout=TIMEOUT_S, check=False)
    with open(out + ".tests", encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    with open(out, encoding="utf-8", errors="replace") as stream:
        return suite.outcomes(text), stream.read()


def records_of(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"time"')]


def suite_check(suite, wsgiscope, marker, folder):
    """The faults, after a row of the table."""
    sources = sources_fetch(suite, folder)
    if not sources:
        print("%-10s SKIPPED: not installed" % suite.name, flush=True)
        return []
    plain, _ = suite_run(suite, sources, [], sources + ".plain")
    prefix = [wsgiscope, "run", "--trace", "--json", "--marker", marker, "--"]
    forced, said = suite_run(suite, sources, prefix, sources + ".marked")
    records = records_of(said)
    counts = collections.Counter(plain.values())
    faults = ["%s: %s, marked %s" % (name, plain.get(name), forced.get(name))
              for name in sorted(plain.keys() | forced.keys())
              if plain.get(name) != forced.get(name)]
    if not plain or not records:
        faults.append("%d tests, %d requests traced" % (len(plain), len(records)))
    print("%-10s %-20s %6d %8d   %s" % (
        suite.name, os.path.basename(sources), len(plain), len(records),
        "FAILED" if faults else ", ".join("%d %s" % (count, outcome.lower())
                                          for outcome, count in counts.most_common())), flush=True)
    return faults


def main():
    if len(sys.argv) != 4:
        print("usage: check_frameworks.py WSGISCOPE MARKER FOLDER", file=sys.stderr)
        return 2
    wsgiscope, marker, folder = map(os.path.abspath, sys.argv[1:])
    print("%-10s %-20s %6s %8s   %s" % ("suite", "release", "tests", "requests", "both times"))
    faults = [fault for suite in SUITES for fault in suite_check(suite, wsgiscope, marker, folder)]
    for fault in faults:
        print("    " + fault)
    print("frameworks: %d faults" % len(faults) if faults else "frameworks: ok")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
