#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""capture.py CAPTURE NAME PYTHON...: makes images/NAME.image and images/NAME.expected of known.py
under that Python (a command). What is expected is what that Python says itself. For whoever adds a
version; the tests only read what lies there. Root, or a Python of one's own."""
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# The same path on every machine: it becomes a part of the images.
DIRECTORY = "/tmp/known"


def expected_write(path, threads):
    with open(path, "w", encoding="utf-8") as out:
        for thread in threads:
            out.write("thread %d\n" % thread["self"])
            for name, file, line in thread["frames"]:
                out.write("%s %s:%d\n" % (name, file, line))


def main():
    capture, name, *python = sys.argv[1:]
    image = os.path.join(HERE, "images", name)
    os.makedirs(DIRECTORY, exist_ok=True)
    shutil.copy(os.path.join(HERE, "known.py"), DIRECTORY)
    process = subprocess.Popen([*python, DIRECTORY + "/known.py"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        threads = []
        while (line := process.stdout.readline().strip()) != "ready":
            threads.append(json.loads(line))
        subprocess.run([capture, str(process.pid), image + ".image",
                        *(str(thread["self"]) for thread in threads)], check=True)
        expected_write(image + ".expected", threads)
    finally:
        process.stdin.close()
        process.wait()
        shutil.rmtree(DIRECTORY)


main()
