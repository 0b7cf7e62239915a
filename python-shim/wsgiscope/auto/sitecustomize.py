# SPDX-License-Identifier: BSD-2-Clause
"""Stands first on PYTHONPATH (`wsgiscope run`, `python -m wsgiscope.run`): puts the hook in place,
takes this directory off sys.path, and runs the sitecustomize that would have run without it.

Runs in every Python that inherits PYTHONPATH, of any version: it must be silent there and cheap.
"""
import sys


def _hook():
    directory = __file__.rpartition("/")[0]
    try:
        if sys.version_info >= (3, 9) and "_wsgiscope_hook" not in sys.modules:
            import _wsgiscope_hook

            _wsgiscope_hook.install()
    except Exception as error:
        sys.stderr.write("wsgiscope: the application is not marked: %s: %s\n"
                         % (type(error).__name__, error))
    finally:
        sys.path[:] = [path for path in sys.path if path != directory]


def _next(own):
    """The next sitecustomize takes this one's place, its errors and all; else this one stays."""
    del sys.modules["sitecustomize"]
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
        sys.modules["sitecustomize"] = own


_hook()
_next(sys.modules["sitecustomize"])
