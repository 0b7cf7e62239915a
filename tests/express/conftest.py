# SPDX-License-Identifier: BSD-2-Clause
"""What the end-to-end tests' own conftest.py does for a run."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))

from mounts import pytest_sessionfinish, pytest_sessionstart  # noqa: E402,F401
