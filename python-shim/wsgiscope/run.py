# SPDX-License-Identifier: BSD-2-Clause
"""Runs a server with the marker put around the WSGI application that it loads; needs no root.

    python -m wsgiscope.run gunicorn shop:application

becomes that command, with the directory `auto` of this package first on PYTHONPATH. Its children
inherit that. `wsgiscope run` does the same, and traces it as well.
"""
import os
import sys

USAGE = "usage: python -m wsgiscope.run [--] COMMAND [ARGUMENT ...]"


def environment(environ):
    """A copy of the environment with the hook in it."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "auto")
    if environ.get("PYTHONPATH"):  # an empty one is none: it must not become the current directory
        path += os.pathsep + environ["PYTHONPATH"]
    return {**environ, "PYTHONPATH": path}


def main(arguments):
    if arguments[:1] in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not command or command[0].startswith("-"):
        print(USAGE, file=sys.stderr)
        return 2
    try:
        os.execvpe(command[0], command, environment(os.environ))
    except OSError as error:
        print("wsgiscope: cannot run %s: %s" % (command[0], error.strerror), file=sys.stderr)
        return 127 if isinstance(error, FileNotFoundError) else 126


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
