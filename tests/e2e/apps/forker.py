# SPDX-License-Identifier: BSD-2-Clause
"""Forks children that serve one request at once and end: a line "COUNT SECONDS" asks for so many,
each of whose requests takes so long; the paths that were served are the answer."""
import itertools
import os
import sys
import time

from wsgiscope import mark

AT_ONCE = 16
serial = itertools.count()


@mark
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    time.sleep(environ["forker.seconds"])
    return [b"ok"]


def child(path, seconds):
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path,
               "forker.seconds": seconds}
    for _ in application(environ, lambda status, headers, exc_info=None: None):
        pass


def fork(count, seconds):
    paths = ["/forked/%d" % next(serial) for _ in range(count)]
    running = 0
    for path in paths:
        if running == AT_ONCE:
            os.wait()
            running -= 1
        if not os.fork():
            child(path, seconds)
            os._exit(0)
        running += 1
    for _ in range(running):
        os.wait()
    return paths


for line in sys.stdin:
    number, each = line.split()
    print(*fork(int(number), float(each)), flush=True)
