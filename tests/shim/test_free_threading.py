# SPDX-License-Identifier: BSD-2-Clause
"""Several threads in one request, with a GIL and without: nothing is lost, counted twice or freed
too early, and a Python without a GIL stays without."""

import subprocess
import sys
import threading

import pytest
from miniserver import make_environ
from wsgiscope import _marker, mark

THREADS, ROUNDS = 8, 40

IMPORT = """
import sys
sys.path[:] = %r
enabled = getattr(sys, "_is_gil_enabled", lambda: None)
before = enabled()
import wsgiscope
assert enabled() is before, (before, enabled())
"""


def together(work):
    """work(number) in THREADS threads at once; what they raised."""
    barrier, raised = threading.Barrier(THREADS), []

    def run(number):
        barrier.wait()
        try:
            work(number)
        except Exception as error:  # a test says which are right
            raised.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_import_leaves_the_gil_as_it_is():
    done = subprocess.run([sys.executable, "-W", "error", "-c", IMPORT % (sys.path,)],
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_writes_of_many_threads_are_all_counted(traced):
    writes = 50

    def app(environ, start_response):
        write = start_response("200 OK", [])
        assert together(lambda number: [write(b"xyz") for _ in range(writes)]) == []
        return []

    taken = []
    mark(app)(make_environ(), lambda *args: taken.append)
    assert len(taken) == THREADS * writes
    assert (traced.end.blocks, traced.end.bytes) == (len(taken), 3 * len(taken))


def test_close_by_many_threads_is_one_end(traced):
    class Answer:
        def __iter__(self):
            return iter([b"x"])

        def close(self):
            pass

    for _ in range(ROUNDS):
        answer = mark(lambda environ, start_response: Answer())(make_environ(), None)
        assert together(lambda number: answer.close()) == []
    assert len(traced.of("end")) == len({end.id for end in traced.of("end")}) == ROUNDS


@pytest.mark.parametrize("make", [
    lambda: [b"%d" % i for i in range(200)],
    lambda: iter([b"%d" % i for i in range(200)]),
    lambda: tuple(b"%d" % i for i in range(200)),
], ids=["list", "iterator", "tuple"])
def test_one_iterable_taken_by_many_threads(traced, make):
    """What each of them gets is Python's affair; that it is some of the blocks is ours."""
    blocks = set(make())
    for _ in range(ROUNDS):
        answer = mark(lambda environ, start_response: make())(make_environ(), None)
        iterator, got = iter(answer), [()] * THREADS

        def work(number):
            got[number] = list(iterator)

        assert together(work) == []
        assert set().union(*got) == blocks
        del iterator, answer, work
    assert len(traced.of("end")) == len({end.id for end in traced.of("end")}) == ROUNDS


def test_a_list_that_shrinks_meanwhile(traced):
    for _ in range(ROUNDS):
        answer = mark(lambda environ, start_response: [b"x"] * 500)(make_environ(), None)

        def work(number):
            if number:
                assert set(answer) <= {b"x"}
            else:
                while answer:
                    answer.pop()

        assert together(work) == []
        del answer
    assert len(traced.of("end")) == ROUNDS


def test_start_response_of_many_threads(traced):
    """Each of them would set the route, once; and put its text beside the others."""
    class Rule:
        rule = "/r/" + "x" * 60

    class Routed:
        url_rule = Rule

    environ = make_environ(**{"werkzeug.request": Routed})

    def app(environ, start_response):
        assert together(lambda number: start_response("20%d OK" % number, [])) == []
        return [b"x"]

    for _ in range(ROUNDS):
        list(mark(app)(dict(environ), lambda *args: None))
    ends = traced.of("end")
    assert {end.route for end in ends} == {Rule.rule} and len(ends) == ROUNDS
    assert {end.status for end in ends} <= {200 + number for number in range(THREADS)}


def test_servers_types_known_by_turns(traced):
    """The type of wsgi.input that shows nothing is remembered for all threads."""
    kinds = [type("Input%d" % number, (), {}) for number in range(THREADS)]
    application = mark(lambda environ, start_response: [b"x"])

    def work(number):
        for _ in range(ROUNDS):
            list(application(make_environ(**{"wsgi.input": kinds[number]()}), None))

    assert together(work) == []
    assert {end.fd for end in traced.of("end")} == {-1}
    assert len(traced.of("end")) == THREADS * ROUNDS
    assert _marker.mark(len)([b"x"]) == 1
