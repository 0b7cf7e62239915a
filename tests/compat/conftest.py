# SPDX-License-Identifier: BSD-2-Clause
"""The other programs that read our profiles, as `make compat` has installed them, and profiles of
a golden recording for them."""
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "browser"))

from chromium import browser  # noqa: E402, F401: a fixture

WSGISCOPE = os.environ["WSGISCOPE"]
RECORDINGS = pathlib.Path(os.environ["WSGISCOPE_RECORDINGS"])


@pytest.fixture(scope="session")
def programs():
    """The directory with the virtual environment and the node modules."""
    return pathlib.Path(os.environ["WSGISCOPE_COMPAT"])


@pytest.fixture
def profile(tmp_path):
    """Makes a profile of a recording in the format of the ending."""
    def make(ending, recording="stacks"):
        path = tmp_path / f"{recording}.{ending}"
        subprocess.run([WSGISCOPE, "replay", "--wall", "-o", path,
                        RECORDINGS / f"{recording}.rec"], check=True, stderr=subprocess.DEVNULL)
        return path

    return make
