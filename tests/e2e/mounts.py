# SPDX-License-Identifier: BSD-2-Clause
"""Hooks of pytest for a conftest.py: tracefs is mounted for the run where it is not (the tracer
needs no mount; the tests look at it), by the process whose workers run the tests."""
import os
import subprocess

from tracer import UPROBE_EVENTS

TRACEFS = os.path.dirname(UPROBE_EVENTS)
mounted = []


def pytest_sessionstart(session):
    if (not hasattr(session.config, "workerinput") and os.geteuid() == 0 and
            not os.path.exists(UPROBE_EVENTS) and
            not subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACEFS],
                               check=False).returncode):
        mounted.append(TRACEFS)


def pytest_sessionfinish():
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)
