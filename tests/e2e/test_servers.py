# SPDX-License-Identifier: BSD-2-Clause
"""Each cell of the table in doc/servers.md, against the live server: one start of each, all
requests before two tracers at once (table_run.py), a check for each word (table_checks.py). Those
of PyPI run where WSGISCOPE_MATRIX_VENV names their virtual environment (`make matrix`)."""
import functools
import os
import subprocess

import pytest

import server_table
import servers
import table_servers
from server_table import BY_NAME, CHECKS, ROWS
from table_run import measure
from table_servers import TableServer

# One process starts a server and asks for all its cells (pytest -n, --dist loadgroup).
NAMES = [pytest.param(row.name, marks=pytest.mark.xdist_group(row.name)) for row in ROWS
         if not row.pypi or os.environ.get("WSGISCOPE_MATRIX_VENV")]


@functools.lru_cache(None)
def has_module(python, name):
    return not subprocess.run([python, "-c", "import " + name], check=False,
                              stderr=subprocess.DEVNULL).returncode


def need(row):
    if table_servers.PYTHON != servers.PYTHON and not row.pypi:
        if row.server in ("uwsgi", "mod_wsgi"):
            pytest.skip("Debian's is for Debian's Python")
        if row.name in server_table.NEWEST_ONLY:
            pytest.skip("the newest is what there is: it has its own row")
    python = table_servers.pypi("python") if row.pypi else table_servers.PYTHON
    there = (os.path.exists(row.needs) if row.needs.startswith("/")
             else has_module(python, row.needs))
    if not there:
        pytest.skip("%s is not installed" % os.path.basename(row.needs))


@pytest.fixture(scope="module", params=NAMES)
def measured(request, wsgiscope):
    row = BY_NAME[request.param]
    need(row)
    with TableServer(row.name, row.command, **row.ways) as server:
        return row, measure(server, row.cells["file"] == "sendfile")


@pytest.mark.parametrize("column", CHECKS)
def test_cell(measured, column):
    row, run = measured
    CHECKS[column][row.cells[column]](run)


def test_server_is_named(measured):
    row, run = measured
    assert {each.marker["server"] for each in run.of("list", "gen")} == {row.server}


def test_the_page_says_it():
    with open(server_table.PAGE, encoding="utf-8") as stream:
        text = stream.read()
    assert server_table.page(text) == text, "make servers-doc"
