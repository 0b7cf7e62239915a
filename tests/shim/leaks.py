# SPDX-License-Identifier: BSD-2-Clause
"""leaks.py REQUESTS: so many requests of every kind through the marker, half of them with its
semaphores raised, as a tracer raises them. Fails where objects, blocks of memory, references (a
debug build counts them) or resident memory grow with the requests. PYTHONPATH has the marker.

Under valgrind, which counts for itself, WSGISCOPE_LEAKS=valgrind leaves the judging to it."""
import ctypes
import gc
import itertools
import os
import sys

from wsgiscope import _marker, mark

import marktracer
from miniserver import Server, make_environ

GROWTH_KB = 512  # of noise
VALGRIND = os.environ.get("WSGISCOPE_LEAKS") == "valgrind"


class Own:
    """An iterable of its own that fails in the end."""

    def __iter__(self):
        return iter([b"x"])

    def close(self):
        raise ValueError


def raising(environ, start_response):
    raise ValueError


def late(environ, start_response):
    write = start_response("200 OK", [])
    write(b"x")
    yield b"y"
    raise ValueError


def generated(environ, start_response):
    start_response("200 OK", [])
    yield b"x"
    yield b"y"


def answered(environ, start_response):
    start_response("404 Not Found", [])
    return environ["answer"]


ANSWERS = [[b"x"], (b"x",), b"x", "x", None, Own(), iter([b"x"]), bytearray(b"x")]
LONG = "/" + "\u0100" * 300


def kinds():
    """(application, environ) of one request each, without end."""
    applications = [mark(each) for each in (raising, late, generated)]
    other = mark(answered, name="leaks")
    for index in itertools.count():
        for application in applications:
            yield application, make_environ(PATH_INFO=LONG if index % 7 == 0 else "/p")
        for answer in ANSWERS:
            yield other, make_environ(answer=answer, HTTP_TRACEPARENT="00-1-1-01",
                                      **{"wsgi.file_wrapper": bytearray})


def semaphores():
    base = marktracer.read_base(_marker.__file__)
    return [ctypes.c_uint16.from_address(base + semaphore)
            for _, semaphore, _ in marktracer.read_notes(_marker.__file__).values()]


def serve(requests, count, raised):
    for each in raised:
        each.value = 1
    for application, environ in itertools.islice(requests, count):
        try:
            Server(application, environ=environ).run()
        except (TypeError, ValueError):
            pass
    for each in raised:
        each.value = 0


def resident_kb():
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


def state():
    gc.collect()
    references = sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else 0
    return {"objects": len(gc.get_objects()), "blocks": sys.getallocatedblocks(),
            "references": references, "resident kB": resident_kb()}


def main():
    count = int(sys.argv[1])
    requests, raised = kinds(), semaphores()
    for each in ([], raised) if VALGRIND else ([], raised, [], raised):
        serve(requests, max(count // 20, 200), each)
    before = state()
    serve(requests, count // 2, [])
    serve(requests, count - count // 2, raised)
    after = state()
    grown = {name: after[name] - before[name] for name in before}
    print("leaks: %d requests; growth: %s" % (
        count, ", ".join("%s %d" % each for each in grown.items())))
    limits = {"objects": 50, "blocks": 200, "references": 500, "resident kB": GROWTH_KB}
    if not VALGRIND and any(grown[name] > limits[name] for name in grown):
        sys.exit("leaks: it grows")


if __name__ == "__main__":
    main()
