# SPDX-License-Identifier: BSD-2-Clause
"""Threads, forks, sub-interpreters, and that nothing is left behind."""

import gc
import importlib.util
import os
import resource
import subprocess
import sys
import threading
import time

import pytest
from miniserver import Server, make_environ, serve
from wsgiscope import _marker, mark

# --- threads ------------------------------------------------------------------------------------


def test_requests_of_many_threads_are_kept_apart(traced):
    def app(environ, start_response):
        count = int(environ["PATH_INFO"][1:])
        start_response("%d Fine" % (200 + count), [])
        for _ in range(count):
            time.sleep(0.0005)
            yield b"x" * count

    marked = mark(app)
    barrier = threading.Barrier(8)

    def client(first):
        barrier.wait()
        for count in range(first, 40, 8):
            serve(marked, environ=make_environ(PATH_INFO="/%d" % count))

    threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ends = traced.of("end")
    assert len(traced.of("start")) == len({end.id for end in ends}) == 40
    for end in ends:
        count = int(end.path[1:])
        assert (end.status, end.blocks, end.bytes) == (200 + count, count, count * count)
        assert end.flags == {"EXHAUSTED", "CLOSED"}


def test_interleaved_requests_of_one_thread(traced):
    """As greenlets do it."""
    def app(environ, start_response):
        for _ in range(3):
            yield environ["PATH_INFO"].encode()

    marked = mark(app)
    results = [marked(make_environ(PATH_INFO="/" + "x" * i), lambda *args: None)
               for i in range(4)]
    for _ in range(3):
        for i, result in enumerate(results):
            assert next(result) == b"/" + b"x" * i
    for result in reversed(results):
        result.close()
    assert sorted((len(end.path), end.blocks, end.bytes) for end in traced.of("end")) == [
        (i + 1, 3, 3 * (i + 1)) for i in range(4)]


# --- fork ---------------------------------------------------------------------------------------


def in_child(work):
    """What work() returns, a str, in a forked child."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writer, work().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


def test_child_does_not_end_its_parents_requests(traced):
    result = mark(lambda environ, start_response: (b for b in [b"1", b"2"]))(
        make_environ(), lambda *args: None)
    iterator = iter(result)
    next(iterator)

    def work():
        nonlocal result, iterator
        rest = list(iterator)
        result.close()
        result = iterator = None
        gc.collect()
        return "%r %d" % (rest, traced.count.value)

    assert in_child(work) == "[b'2'] 1"
    assert list(iterator) == [b"2"]
    result.close()
    assert traced.end.blocks == 2 and traced.end.flags == {"EXHAUSTED", "CLOSED"}


def test_fork_in_the_call(traced):
    answers = []

    def app(environ, start_response):
        def work():
            write = start_response("500 Child", [])
            write(b"x")
            return "%d" % traced.count.value

        answers.append(in_child(work))
        start_response("200 OK", [])
        return [b"parent"]

    serve(mark(app))
    assert answers == ["1"]
    assert (traced.end.status, traced.end.blocks) == (200, 1)


def test_child_has_requests_of_its_own(traced):
    def work():
        serve(mark(lambda environ, start_response: [b"x"]))
        return " ".join("%s:%d" % (m.kind, m.pid == os.getpid()) for m in traced.marks)

    assert in_child(work) == "start:1 end:1"
    assert traced.marks == []


# --- interpreters and modules -------------------------------------------------------------------

INTERPRETER = """
import sys
sys.path[:] = %r
from miniserver import serve
from wsgiscope import mark

@mark(name="sub")
def app(environ, start_response):
    start_response("200 OK", [])
    yield b"one"
    yield b"three"

assert serve(app) == [b"one", b"three"]
assert serve(mark(lambda e, s: [b"list"])) == [b"list"]
unfinished = app({}, None)
keep = {}
keep["wsgi.file_wrapper"] = bytearray
keep["answer"] = mark(lambda e, s: bytearray())(keep, None)
"""


def run_interpreter(code):
    interpreters = pytest.importorskip(
        "_xxsubinterpreters" if sys.version_info < (3, 13) else "_interpreters")
    interpreter = interpreters.create()
    try:
        error = interpreters.run_string(interpreter, code)
        assert not error, error
    finally:
        interpreters.destroy(interpreter)


def test_sub_interpreters(traced):
    for _ in range(3):
        run_interpreter(INTERPRETER % (sys.path,))
        serve(mark(lambda environ, start_response: [b"main"]))
    ends = traced.of("end")
    assert len(traced.of("start")) == 15
    assert len({end.id for end in ends}) == len(ends)
    assert [end.bytes for end in ends if end.app == "sub" and end.blocks] == [8, 8, 8]
    assert [end.bytes for end in ends if end.flags == {"EXHAUSTED"}] == [4] * 6


def test_sub_interpreter_finds_the_same_types_of_its_own():
    run_interpreter(
        "import sys; sys.path[:] = %r\nfrom wsgiscope import _marker, mark\n"
        "assert id(type(mark(len))) != %d" % (sys.path, id(type(mark(len)))))


def test_module_loaded_twice_has_two_states(traced):
    spec = importlib.util.spec_from_file_location("wsgiscope._marker", _marker.__file__)
    second = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(second)
    assert type(second.mark(len)) is not type(_marker.mark(len))
    inner = second.mark(lambda environ, start_response: [b"x"])
    assert serve(mark(inner)) == [b"x"]
    assert traced.end.blocks == 1


# --- leaks --------------------------------------------------------------------------------------


def raising(environ, start_response):
    raise ValueError


def late(environ, start_response):
    write = start_response("200 OK", [])
    write(b"x")
    yield b"y"
    raise ValueError


def fine(environ, start_response):
    start_response("200 OK", [])
    return ANSWERS[environ["answer"]]


class Own:
    def __iter__(self):
        return iter([b"x"])

    def close(self):
        raise ValueError


ANSWERS = {"list": [b"x"], "tuple": (b"x",), "bytes": b"x", "str": "x", "none": None, "own": Own(),
           "file": bytearray(b"x")}


def one_of_each(marks):
    for app in marks[:2]:
        try:
            serve(app)
        except ValueError:
            pass
    for answer in ANSWERS:
        environ = make_environ(answer=answer, **{"wsgi.file_wrapper": bytearray})
        try:
            Server(marks[2], environ=environ).run()
        except (TypeError, ValueError):
            pass


@pytest.mark.parametrize("kinds", [[], ["start", "end"], ["start", "block", "end"]])
def test_no_object_and_no_memory_is_left(process_tracer, kinds):
    """The log of capture.c is soon full; the marks go on firing."""
    marks = [mark(app) for app in (raising, late, fine)]
    process_tracer.attach(*kinds)
    for _ in range(500):
        one_of_each(marks)
    gc.collect()
    before = len(gc.get_objects()), sys.getallocatedblocks(), \
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(4000):
        one_of_each(marks)
    gc.collect()
    after = len(gc.get_objects()), sys.getallocatedblocks(), \
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    process_tracer.detach()
    process_tracer.count.value = 0
    assert after[0] - before[0] < 50
    assert after[1] - before[1] < 200
    assert after[2] - before[2] < 1024  # KiB, over 36,000 requests


def test_marks_themselves_are_freed():
    class App:
        def __call__(self, environ, start_response):
            return []

    def count():
        gc.collect()
        return sum(type(o) is type(mark(len)) for o in gc.get_objects())

    before = count()
    for _ in range(100):
        app = App()
        app.self = mark(app)
    del app
    assert count() == before


def test_module_is_freed_with_its_types():
    code = """
import gc, sys, weakref
sys.path[:] = %r
import wsgiscope
kind = weakref.ref(type(wsgiscope.mark(len)))
del wsgiscope, sys.modules["wsgiscope"], sys.modules["wsgiscope._marker"]
gc.collect()
sys.exit(kind() is not None)
""" % (sys.path,)
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
