# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures and rules of the end-to-end tests: what is needed is skipped by name where it is
missing, and such a skip is a failure where CI=true. Run from the checkout, as root:
WSGISCOPE=build/wsgiscope /usr/bin/python3 -m pytest tests/e2e"""
import os
import shutil
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "apps")]

import procs  # noqa: E402
import servers  # noqa: E402
import tracer as tracer_module  # noqa: E402
from mounts import pytest_sessionfinish, pytest_sessionstart  # noqa: E402,F401

PROGRAMS = {
    "gunicorn": "/usr/bin/gunicorn", "uwsgi": "/usr/bin/uwsgi",
    "mod_wsgi": "/usr/lib/apache2/modules/mod_wsgi.so", "waitress": "/usr/bin/waitress-serve",
    "wsgiref": servers.PYTHON,
}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = "a skip is a failure where CI=true: %s" % (report.longrepr,)


FAILED = os.environ.get("WSGISCOPE_FAILED")  # run.sh: where to tell what failed


def pytest_runtest_logreport(report):
    if FAILED and report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        with open(FAILED, "a", encoding="utf-8") as stream:
            once = "unnoticed" in report.keywords
            print("once" if once else report.when, report.nodeid, file=stream)


FINDINGS = os.environ.get("WSGISCOPE_FINDINGS")  # `make sanitize`: the sanitizers' folder


@pytest.fixture(autouse=True)
def no_findings():
    """What a sanitizer wrote while a test ran fails it, or one that ran beside it."""
    yield
    found = []
    for entry in os.scandir(FINDINGS) if FINDINGS else ():
        seen = os.path.join(os.path.dirname(FINDINGS), "seen-" + entry.name)
        try:
            os.rename(entry.path, seen)  # one of several workers gets it
        except FileNotFoundError:
            continue
        with open(seen, encoding="utf-8", errors="replace") as stream:
            found.append(stream.read())
    assert not found, "\n".join(found)


def need_server(kind):
    program = PROGRAMS[servers.KINDS[kind].record]
    if not os.path.exists(program):
        pytest.skip("%s is missing (apt-get install its Debian package)" % program)


@pytest.fixture(scope="session")
def marker():
    """The built marker package, on which the servers' PYTHONPATH points."""
    if not os.path.isdir(os.path.join(servers.marker_path(), "wsgiscope")):
        pytest.skip("the marker is not built in %s (make python)" % servers.marker_path())
    return servers.marker_path()


@pytest.fixture(scope="session")
def wsgiscope(marker):
    """The tracer's path, where it exists and this machine lets it attach."""
    if not os.path.exists(tracer_module.BINARY):
        pytest.skip("%s is not built (make)" % tracer_module.BINARY)
    if os.geteuid() != 0:
        pytest.skip("attaching needs root")
    if not os.path.exists(tracer_module.UPROBE_EVENTS):
        pytest.skip("tracefs is not mounted or has no uprobes (mount -t tracefs tracefs "
                    "/sys/kernel/tracing)")
    if not shutil.which("bpftool"):
        pytest.skip("bpftool is missing (apt-get install bpftool)")
    return tracer_module.BINARY


@pytest.fixture(scope="session", autouse=True)
def nothing_left():
    """The whole run leaves no process of its own behind."""
    yield
    assert procs.until(lambda: not children(), 5), [procs.cmdline(pid) for pid in children()]


def children():
    return [pid for pid in procs.tree(os.getpid()) if pid != os.getpid()]


@pytest.fixture
def folder(tmp_path):
    """A directory that every server's user can read."""
    for parent in (tmp_path, *tmp_path.parents):
        if parent.owner() == "root" and str(parent).startswith("/tmp/pytest"):
            parent.chmod(0o755)
    return tmp_path


@pytest.fixture(scope="session")
def pool(nothing_left):
    """Servers that tests share: pool(kind, variant) starts one at its first use."""
    running = {}

    def get(kind, variant="marked"):
        need_server(kind)
        if (kind, variant) not in running:
            server = servers.Server(kind, variant)
            server.start()
            running[kind, variant] = server
        return running[kind, variant]

    yield get
    for server in running.values():
        server.process.terminate()
    for server in running.values():
        server.stop()
