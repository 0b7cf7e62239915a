# SPDX-License-Identifier: BSD-2-Clause
"""Only what pyproject.toml cannot say to the setuptools of Debian 12: the extension."""

from glob import glob

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "wsgiscope._marker",
            sources=sorted(glob("wsgiscope/*.c")),
            depends=["marks.h", *glob("wsgiscope/*.h")],
            include_dirs=["."],
            extra_compile_args=["-std=gnu11", "-fvisibility=hidden"],
        )
    ]
)
