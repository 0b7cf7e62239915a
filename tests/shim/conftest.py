# SPDX-License-Identifier: BSD-2-Clause
"""Builds the marker for this Python by the project's own Makefile and attaches a tracer to it."""

import os
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SHIM = os.path.join(ROOT, "python-shim")

BUILD = tempfile.mkdtemp(prefix="wsgiscope-shim-")


def pytest_configure(config):
    subprocess.run(
        ["make", "-s", "-C", ROOT, "O=" + BUILD, "PYTHON=" + sys.executable, "python"], check=True)
    subprocess.run(
        [os.environ.get("CC", "cc"), "-O2", "-Wall", "-Wextra", "-fPIC", "-shared", "-I", SHIM,
         os.path.join(HERE, "capture.c"), "-o", os.path.join(BUILD, "capture.so")], check=True)
    sys.path.insert(0, os.path.join(BUILD, "python"))
    sys.path.insert(0, HERE)


def pytest_unconfigure(config):
    shutil.rmtree(BUILD, ignore_errors=True)


@pytest.fixture(scope="session")
def process_tracer():
    from wsgiscope import _marker

    import marktracer

    return marktracer.Tracer(_marker.__file__, os.path.join(BUILD, "capture.so"))


@pytest.fixture(autouse=True)
def no_naps():
    import miniserver

    miniserver.napped.clear()


@pytest.fixture
def detached(process_tracer):
    """The marks are watched, but no semaphore is raised."""
    process_tracer.attach()
    yield process_tracer
    process_tracer.detach()


@pytest.fixture
def traced(process_tracer):
    process_tracer.attach("start", "end")
    yield process_tracer
    process_tracer.detach()


@pytest.fixture
def blocks_traced(process_tracer):
    process_tracer.attach("start", "block", "end")
    yield process_tracer
    process_tracer.detach()
