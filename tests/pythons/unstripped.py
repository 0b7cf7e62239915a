#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Links a Python with all its symbols from the libpython.a of the one that runs this: Debian's own
binaries have none but what others link with. Usage: unstripped.py DIRECTORY, which gets a pythonX.Y
(before 3.11 only the name tells the version); run it with PYTHONHOME."""
import ctypes.util
import os
import subprocess
import sys
import sysconfig

MAIN = """#include <Python.h>
int main(int argc, char **argv)
{
	return Py_BytesMain(argc, argv);
}
"""


def words(*names):
    return [word for name in names for word in (sysconfig.get_config_var(name) or "").split()]


def library(word):
    """-lNAME by its run-time name: the package that has the plain one may not be there."""
    found = word.startswith("-l") and ctypes.util.find_library(word[2:])
    return "-l:" + found if found else word


def libraries():
    """What the build took from its own tree is not there: from 3.13 on the hashes of _sha2."""
    return [library(word) for word in words("LIBS", "SYSLIBS", "MODLIBS") if word[0] == "-"]


def main():
    out = os.path.join(sys.argv[1], "python%d.%d" % sys.version_info[:2])
    archive = os.path.join(*words("LIBPL", "LIBRARY"))
    os.makedirs(os.path.dirname(out), exist_ok=True)
    # Not position-independent, as the archive's objects are not.
    subprocess.run(["cc", "-no-pie", "-I" + sysconfig.get_path("include"), "-x", "c", "-", "-x",
                    "none", "-o", out, *words("LINKFORSHARED"), archive,
                    *libraries(),
                    "-Wl,--unresolved-symbols=ignore-in-object-files"],
                   input=MAIN, text=True, check=True)
    works = subprocess.run([out, "-c", "import ssl\ntry: from _sha2 import sha512\n"
                            "except ImportError: pass\nelse: sha512(b'')"], check=False,
                           env=dict(os.environ, PYTHONHOME="/usr"), stderr=subprocess.DEVNULL)
    if works.returncode:
        os.unlink(out)
        print(f"{out}: this release's libpython.a is not whole, left out", file=sys.stderr)


if __name__ == "__main__":
    main()
