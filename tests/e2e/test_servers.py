# SPDX-License-Identifier: BSD-2-Clause
"""Each cell of the table in doc/servers.md, against the live server: one start of each, all
requests before two tracers at once (table_run.py), a check for each word (table_checks.py). Those
of PyPI run where WSGISCOPE_MATRIX_VENV names their virtual environment (`make matrix`)."""
import importlib.util
import os

import pytest

import server_table
from server_table import BY_NAME, CHECKS, ROWS
from table_run import measure
from table_servers import TableServer

NAMES = [row.name for row in ROWS if not row.pypi or os.environ.get("WSGISCOPE_MATRIX_VENV")]


def need(row):
    there = (os.path.exists(row.needs) if row.needs.startswith("/")
             else importlib.util.find_spec(row.needs))
    if not there:
        pytest.skip("%s is missing" % row.needs)


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
