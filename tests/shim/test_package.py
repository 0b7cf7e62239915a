# SPDX-License-Identifier: BSD-2-Clause
"""The wheel and the sdist, from a copy of python-shim, with no network."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHIM = os.path.join(ROOT, "python-shim")
BACKEND = "import setuptools.build_meta as b, sys; print(getattr(b, sys.argv[1])(sys.argv[2]))"


@pytest.fixture
def source(tmp_path):
    pytest.importorskip("setuptools")
    pytest.importorskip("wheel")
    shutil.copytree(SHIM, tmp_path / "source")
    return tmp_path / "source"


def build_wheel(source, out):
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps",
                    "--disable-pip-version-check", "-w", out, source], check=True)
    wheels = [name for name in os.listdir(out) if name.endswith(".whl")]
    assert len(wheels) == 1
    return os.path.join(out, wheels[0])


def check_wheel(wheel, target):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(target)
    assert {"wsgiscope/__init__.py", "wsgiscope/__init__.pyi", "wsgiscope/py.typed"} <= names
    assert len([name for name in names if name.endswith(".so")]) == 1
    assert not [name for name in names if name.endswith((".c", ".h"))]
    code = ("import sys; sys.path.insert(0, %r); import wsgiscope; "
            "print(wsgiscope.__file__, wsgiscope.mark(len)([1, 2]))" % str(target))
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.split() == [str(target / "wsgiscope" / "__init__.py"), "2"]


def test_wheel(source, tmp_path):
    check_wheel(build_wheel(source, str(tmp_path / "wheels")), tmp_path / "target")


def test_sdist_is_enough_to_build_a_wheel(source, tmp_path):
    out = tmp_path / "dist"
    out.mkdir()
    subprocess.run([sys.executable, "-W", "ignore", "-c", BACKEND, "build_sdist", str(out)],
                   check=True, cwd=source, capture_output=True)
    (sdist,) = out.iterdir()
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert (unpacked / "marks.h").exists()
    check_wheel(build_wheel(unpacked, str(tmp_path / "wheels")), tmp_path / "target")


def test_versions_agree():
    import re

    import wsgiscope

    with open(os.path.join(ROOT, "Makefile")) as file:
        assert re.search(r"^VERSION := (.*)$", file.read(), re.M)[1] == wsgiscope.__version__
