# SPDX-License-Identifier: BSD-2-Clause
"""Exceptions on every way out of an application, and what wsgiref.validate has to say."""

import traceback
import wsgiref.validate

import pytest
from answers import BLOCKS, Iterable, Iterator, answering, call
from miniserver import Server, serve
from wsgiscope import mark


class Oops(Exception):
    pass


def frames(error):
    return [frame.name for frame in traceback.extract_tb(error.value.__traceback__)][1:]


def test_exception_in_the_call(traced):
    def app(environ, start_response):
        start_response("200 OK", [])
        raise Oops("call")

    with pytest.raises(Oops, match="call") as error:
        serve(mark(app))
    assert frames(error) == ["serve", "run", "app"]
    assert traced.end.flags == {"EXC_CALL"}
    assert (traced.end.exception, traced.end.status) == ("Oops", 200)


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt, StopIteration, GeneratorExit])
def test_exceptions_that_are_no_errors_go_through(traced, exception):
    def app(environ, start_response):
        raise exception

    with pytest.raises(exception):
        serve(mark(app))
    assert (traced.end.flags, traced.end.exception) == ({"EXC_CALL"}, exception.__name__)


@pytest.mark.parametrize("before", [0, 2])
def test_exception_in_the_iteration_of_what_has_close(traced, before):
    def app(environ, start_response):
        for _ in range(before):
            yield b"x"
        raise Oops("iter")

    with pytest.raises(Oops, match="iter") as error:
        serve(mark(app))
    assert frames(error) == ["serve", "run", "app"]
    assert traced.end.flags == {"EXC_ITER", "CLOSED"}
    assert (traced.end.exception, traced.end.blocks) == ("Oops", before)


def test_exception_in_the_iteration_of_what_has_no_close(traced):
    def fail(block):
        raise Oops

    result = call(answering(lambda: map(fail, BLOCKS)))
    with pytest.raises(Oops):
        next(iter(result))
    assert traced.end.flags == {"EXC_ITER"} and traced.end.exception == "Oops"


def test_exception_in_iter(traced):
    class Bad:
        def __iter__(self):
            raise Oops

    with pytest.raises(Oops) as error:
        serve(answering(Bad()))
    assert frames(error) == ["serve", "run", "__iter__"]
    assert (traced.end.flags, traced.end.exception) == ({"EXC_ITER"}, "Oops")


def test_exception_in_close(traced):
    class Bad(Iterable):
        def close(self):
            raise Oops("close")

    with pytest.raises(Oops, match="close") as error:
        serve(answering(Bad([b"x"])))
    assert frames(error) == ["serve", "run", "close"]
    assert traced.end.flags == {"EXHAUSTED", "CLOSED", "EXC_CLOSE"}
    assert traced.end.exception == "Oops"


def test_the_first_exception_counts(traced):
    class Second(Exception):
        pass

    class Bad(Iterator):
        def __next__(self):
            raise Oops

        def close(self):
            raise Second

    result = call(answering(Bad([])))
    with pytest.raises(Oops):
        next(result)
    with pytest.raises(Second):
        result.close()
    assert traced.end.flags == {"EXC_ITER", "EXC_CLOSE", "CLOSED"}
    assert traced.end.exception == "Oops"


def test_server_that_fails_in_writing(traced):
    class Gone(Server):
        def write(self, data):
            if self.body:
                raise BrokenPipeError
            super().write(data)

    with pytest.raises(BrokenPipeError):
        Gone(answering(lambda: (b for b in BLOCKS))).run()
    assert traced.end.flags == {"CLOSED"}
    assert (traced.end.blocks, traced.end.exception) == (2, None)


def test_exception_in_flight_survives_the_dropping_of_a_result(traced):
    def drop():
        result = call(answering(lambda: (b for b in BLOCKS)))
        next(iter(result))
        raise Oops

    def drop_while_unwinding():
        try:
            drop()
        except Oops as error:
            error.with_traceback(None)
            raise

    with pytest.raises(Oops):
        drop_while_unwinding()
    assert (traced.end.flags, traced.end.exception) == ({"UNCLOSED"}, None)


# --- wsgiref.validate, around and inside --------------------------------------------------------


def plain(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"one", b"two"]


def streamed(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one"
    yield b"two"


def written(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"one")
    return [b"two"]


@pytest.mark.parametrize("app", [plain, streamed, written])
@pytest.mark.parametrize("wrap", [
    lambda app: wsgiref.validate.validator(mark(app)),
    lambda app: mark(wsgiref.validate.validator(app)),
    lambda app: wsgiref.validate.validator(mark(wsgiref.validate.validator(app))),
])
def test_validate_has_no_complaint(traced, app, wrap):
    assert serve(wrap(app)) == [b"one", b"two"]
    assert (traced.end.blocks, traced.end.bytes, traced.end.status) == (2, 6, 200)
