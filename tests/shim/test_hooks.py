# SPDX-License-Identifier: BSD-2-Clause
"""start_response, write() and wsgi.file_wrapper, as the application and the server see them."""

import gc
import io
import itertools
import time
import wsgiref.util

import pytest
from miniserver import Server, make_environ, nap, napped, near, serve
from wsgiscope import mark

SLEEP_S = 0.05


@pytest.mark.parametrize("status, number", [
    ("200 OK", 200), ("404 Not Found", 404), ("599", 599), ("20", 0), ("abc", 0), ("", 0),
    (b"200 OK", 0), (None, 0), ("2\u06600 OK", 0),
])
def test_status(traced, status, number):
    def app(environ, start_response):
        start_response(status, [])
        return []

    serve(mark(app))
    assert traced.end.status == number


def test_start_response_is_never_called(traced):
    serve(mark(lambda environ, start_response: []))
    assert traced.end.status == 0


def test_start_response_is_called_at_the_first_block(traced):
    @mark
    def app(environ, start_response):
        start_response("202 Accepted", [])
        yield b"x"

    server = Server(app)
    result = app(server.environ, server.start_response)
    assert server.calls == []
    assert list(result) == [b"x"]
    result.close()
    assert traced.end.status == 202


def test_start_response_again_with_exc_info(traced):
    error = (ValueError, ValueError("x"), None)

    def app(environ, start_response):
        start_response("200 OK", [("A", "b")])
        start_response("500 Oops", [], error)
        return [b"sorry"]

    server = Server(mark(app))
    server.run()
    assert server.calls == [("200 OK", [("A", "b")], None), ("500 Oops", [], error)]
    assert server.calls[1][2] is error
    assert traced.end.status == 500


def test_status_that_the_server_refuses_is_not_taken(traced):
    def start_response(status, headers, exc_info=None):
        if exc_info:
            raise exc_info[1]

    def app(environ, start_response):
        start_response("200 OK", [])
        try:
            raise KeyError("late")
        except KeyError as error:
            start_response("500 Oops", [], (KeyError, error, error.__traceback__))

    with pytest.raises(KeyError, match="late"):
        mark(app)(make_environ(), start_response)
    assert traced.end.status == 200 and traced.end.flags == {"EXC_CALL"}


def test_arguments_reach_the_server_as_they_are(traced):
    seen = []

    def start_response(*args, **kwargs):
        seen.append((args, kwargs))

    def app(environ, start_response):
        start_response(status="201 Created", headers=[], other=1)
        start_response("202 Accepted", response_headers=[])
        start_response()
        start_response(1, 2, 3, 4, 5)
        return []

    mark(app)(make_environ(), start_response)
    assert seen == [((), {"status": "201 Created", "headers": [], "other": 1}),
                    (("202 Accepted",), {"response_headers": []}), ((), {}), ((1, 2, 3, 4, 5), {})]


def test_status_by_keyword(traced):
    def app(environ, start_response):
        start_response(headers=[], status="201 Created")
        return []

    serve(mark(app))
    assert traced.end.status == 201


def test_start_response_looks_like_the_servers(traced):
    server = Server(None)

    def app(environ, start_response):
        assert start_response.__self__ is server
        assert start_response.__name__ == "start_response"
        assert callable(start_response) and not hasattr(start_response, "nothing")
        assert repr(start_response) == repr(server.start_response)
        return []

    server.app = mark(app)
    server.run()
    assert traced.end.flags == {"EXHAUSTED"}


def test_write_is_a_block(traced):
    def app(environ, start_response):
        write = start_response("200 OK", [])
        nap(SLEEP_S, "before")
        assert write(b"abc") is None
        write(b"de")
        return [b"f"]

    server = Server(mark(app), write_s=SLEEP_S)
    assert server.run() == [b"abc", b"de", b"f"]
    end = traced.end
    assert end.flags == {"WRITE", "EXHAUSTED"} and (end.blocks, end.bytes) == (3, 6)
    assert near(end.output_ns, napped["write"])
    assert near(end.first_block_ns - end.start_ns, napped["before"])


def test_write_has_block_marks(blocks_traced):
    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"abc")
        time.sleep(SLEEP_S)
        write(b"de")
        return []

    Server(mark(app), write_s=2 * SLEEP_S).run()
    assert [m.kind for m in blocks_traced.marks] == ["start", "block", "block", "end"]
    first, second = blocks_traced.of("block")
    assert (first.block_bytes, second.block_bytes) == (3, 2)
    assert first.block_app_ns < SLEEP_S * 1e9 <= second.block_app_ns
    assert second.block_output_ns >= 2 * SLEEP_S * 1e9


def test_write_that_fails(traced):
    def gone(data):
        raise BrokenPipeError

    def app(environ, start_response):
        start_response("200 OK", [])(b"abc")

    with pytest.raises(BrokenPipeError):
        mark(app)(make_environ(), lambda status, headers: gone)
    assert traced.end.flags == {"WRITE", "EXC_CALL"}
    assert (traced.end.exception, traced.end.blocks) == ("BrokenPipeError", 1)


def test_write_that_is_none(traced):
    def app(environ, start_response):
        assert start_response("200 OK", []) is None
        return []

    mark(app)(make_environ(), lambda status, headers: None)
    assert traced.end.status == 200


def test_write_after_the_end_is_only_forwarded(traced):
    kept = []

    def app(environ, start_response):
        kept.append(start_response("200 OK", []))
        kept.append(start_response)
        return b"body"

    server = Server(None)
    mark(app)(server.environ, server.start_response)
    before = traced.end.blocks
    kept[0](b"late")
    kept[1]("500 Late", [])
    assert server.body == [b"late"] and len(server.calls) == 2
    assert before == traced.end.blocks == 1


# --- wsgi.file_wrapper --------------------------------------------------------------------------


def file_app(environ, start_response):
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](io.BytesIO(b"content"), 4)


def test_file_wrapper_that_is_a_type(traced):
    seen = []

    def app(environ, start_response):
        seen.append(environ["wsgi.file_wrapper"])
        return file_app(environ, start_response)

    environ = make_environ(**{"wsgi.file_wrapper": wsgiref.util.FileWrapper})
    result = mark(app)(environ, lambda *args: None)
    assert type(result) is wsgiref.util.FileWrapper
    assert seen == [wsgiref.util.FileWrapper]
    assert environ["wsgi.file_wrapper"] is wsgiref.util.FileWrapper
    assert list(result) == [b"cont", b"ent"]
    assert traced.of("end") == []
    time.sleep(SLEEP_S)
    environ.clear()
    end = traced.end
    assert end.flags == {"FILE_WRAPPER", "BLOCKS_UNSEEN", "END_INFERRED"}
    assert (end.blocks, end.bytes, end.status) == (0, 0, 200)
    assert end.application_ms >= SLEEP_S * 1e3


def test_file_wrapper_that_is_a_builtin(traced):
    """uWSGI's: returns its argument, and the server compares pointers."""
    sent = []

    def wrapper(file, size=0):
        sent.append(file)
        return file

    environ = make_environ(**{"wsgi.file_wrapper": wrapper})
    result = mark(file_app)(environ, lambda *args: None)
    assert result is sent[0] and type(result) is io.BytesIO
    assert environ["wsgi.file_wrapper"] is wrapper
    assert traced.of("end") == []
    del environ
    assert traced.end.flags == {"FILE_WRAPPER", "BLOCKS_UNSEEN", "END_INFERRED"}


def test_file_wrapper_that_was_called_for_nothing(traced):
    def wrapper(file):
        return file

    def app(environ, start_response):
        assert environ["wsgi.file_wrapper"].__name__ == "wrapper"
        environ["wsgi.file_wrapper"](io.BytesIO(b"content"))
        return [b"something else"]

    environ = make_environ(**{"wsgi.file_wrapper": wrapper})
    assert serve(mark(app), environ=environ) == [b"something else"]
    assert environ["wsgi.file_wrapper"] is wrapper
    assert traced.end.flags == {"EXHAUSTED"} and traced.end.bytes == 14


def test_file_wrapper_of_the_application_stays(traced):
    def own(file):
        return file

    def app(environ, start_response):
        environ["wsgi.file_wrapper"] = own
        raise ValueError

    environ = make_environ(**{"wsgi.file_wrapper": lambda file: file})
    with pytest.raises(ValueError):
        mark(app)(environ, lambda *args: None)
    assert environ["wsgi.file_wrapper"] is own


def test_environ_is_put_right_after_an_exception(traced):
    def wrapper(file):
        return file

    def app(environ, start_response):
        raise ValueError("the application's")

    environ = make_environ(**{"wsgi.file_wrapper": wrapper})
    with pytest.raises(ValueError, match="the application's"):
        mark(app)(environ, lambda *args: None)
    assert environ["wsgi.file_wrapper"] is wrapper


def test_file_in_a_generator_is_followed(traced):
    def app(environ, start_response):
        start_response("200 OK", [])
        yield from environ["wsgi.file_wrapper"](io.BytesIO(b"content"), 4)

    environ = make_environ(**{"wsgi.file_wrapper": wsgiref.util.FileWrapper})
    assert serve(mark(app), environ=environ) == [b"cont", b"ent"]
    assert traced.end.flags == {"EXHAUSTED", "CLOSED"} and traced.end.bytes == 7


def test_environ_in_a_cycle_is_collected(traced):
    environ = make_environ(**{"wsgi.file_wrapper": lambda file, size: file})
    environ["self"] = environ
    mark(file_app)(environ, lambda *args: None)
    del environ
    gc.collect()
    assert traced.end.flags == {"FILE_WRAPPER", "BLOCKS_UNSEEN", "END_INFERRED"}


def test_hooks_in_a_cycle_are_collected(traced):
    class Keeper:
        pass

    def app(environ, start_response):
        keeper = Keeper()
        keeper.sr, keeper.me, keeper.environ = start_response, keeper, environ
        keeper.write = start_response("200 OK", [])
        return itertools.chain([b"x"])

    serve(mark(app))
    gc.collect()
    assert not [o for o in gc.get_objects() if type(o).__name__ in ("Keeper", "Hook")]
