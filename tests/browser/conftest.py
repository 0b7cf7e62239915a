# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the SVG share: a browser, and SVGs of the golden recordings."""
import os
import pathlib
import subprocess

import pytest

from chromium import browser  # noqa: F401: a fixture

WSGISCOPE = os.environ["WSGISCOPE"]
RECORDINGS = pathlib.Path(os.environ["WSGISCOPE_RECORDINGS"])


@pytest.fixture(scope="session")
def svg(tmp_path_factory):
    """Makes the SVG of a recording, with more options: its file URL."""
    directory = tmp_path_factory.mktemp("svg")

    def make(recording, *options):
        path = directory / f"{recording}{len(list(directory.iterdir()))}.svg"
        subprocess.run([WSGISCOPE, "replay", "-o", path, *options,
                        RECORDINGS / f"{recording}.rec"], check=True, stderr=subprocess.DEVNULL)
        return path.as_uri()

    return make


@pytest.fixture(scope="session")
def diff_svg(tmp_path_factory):
    """The file URL of the comparison of two recordings."""
    path = tmp_path_factory.mktemp("diff") / "diff.svg"
    subprocess.run([WSGISCOPE, "flame", "-o", path, "--diff", RECORDINGS / "stacks.rec",
                    RECORDINGS / "stacks-after.rec"], check=True, stderr=subprocess.DEVNULL)
    return path.as_uri()
