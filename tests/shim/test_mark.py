# SPDX-License-Identifier: BSD-2-Clause
"""The mark object: it is called as the application is, and looks like it."""

import gc
import inspect
import subprocess
import weakref

import marktracer
import pytest
from miniserver import make_environ, serve
from wsgiscope import _marker, mark


def hello(environ, start_response):
    """Says hello."""
    start_response("200 OK", [])
    return [b"hello"]


def test_file_has_marks_for_any_usdt_tool():
    notes = marktracer.read_notes(_marker.__file__)
    assert sorted(notes) == ["request_block", "request_end", "request_start"]
    assert len({semaphore for _, semaphore, _ in notes.values()}) == 3
    symbols = {}
    for line in subprocess.run(["nm", "-D", "--defined-only", _marker.__file__], check=True,
                               capture_output=True, text=True).stdout.splitlines():
        address, kind, name = line.split()
        symbols[name] = (int(address, 16), kind)
    for added in ("_init", "_fini"):  # by musl, to every library
        symbols.pop(added, None)
    assert set(symbols) == {"PyInit__marker", "wsgiscope_marks_version"} | {
        "wsgiscope_" + name for name in notes}
    for name, (address, semaphore, arguments) in notes.items():
        assert symbols["wsgiscope_" + name] == (address, "T")
        words = arguments.split()
        assert words[0] in ("8@%rdi", "8@x0")
        assert len(words) == (4 if name == "request_start" else 1)
        assert semaphore % 2 == 0
    assert symbols["wsgiscope_marks_version"][1] == "R"


@pytest.mark.parametrize("name", ["request_start", "request_block", "request_end"])
def test_mark_is_one_short_nop_and_a_return(name):
    text = subprocess.run(["objdump", "-d", "--disassemble=wsgiscope_" + name, _marker.__file__],
                          check=True, capture_output=True, text=True).stdout
    code = text.partition("<wsgiscope_%s>:\n" % name)[2].split("\n\n")[0].splitlines()
    words = [line.split("\t")[1:] for line in code]
    assert [[word.strip() for word in line] for line in words] in (
        [["90", "nop"], ["c3", "ret"]], [["d503201f", "nop"], ["d65f03c0", "ret"]])


def test_detached_answer_is_the_applications_own(detached):
    answer = [b"x"]
    environ = make_environ()
    before = dict(environ)
    seen = []

    def app(environ, start_response):
        seen.append((environ, start_response))
        return answer

    def start_response(status, headers, exc_info=None):
        pass

    assert mark(app)(environ, start_response) is answer
    assert seen[0][0] is environ and seen[0][1] is start_response
    assert environ == before and detached.marks == []


@pytest.mark.parametrize("kinds, fired", [(["start"], ["start"]), (["end"], []),
                                          (["start", "end"], ["start", "end"])])
def test_a_request_is_followed_from_its_start_only(process_tracer, kinds, fired):
    process_tracer.attach(*kinds)
    serve(mark(hello))
    process_tracer.detach()
    assert [m.kind for m in process_tracer.marks] == fired


def test_struct_is_complete(traced):
    serve(mark(hello, name="shop"), environ=make_environ(
        REQUEST_METHOD="POST", SCRIPT_NAME="/mount", PATH_INFO="/caf\xc3\xa9",
        HTTP_X_REQUEST_START="t=1.5", HTTP_TRACEPARENT="00-ab-cd-01"))
    end = traced.end
    start = traced.of("start")[0]
    for seen in (start, end):
        assert (seen.version, seen.size) == (2, 360)
        assert seen.text == b"POST/mount/caf\xc3\xa9t=1.500-ab-cd-01shop"
        assert seen.text_bytes == len(seen.text)
        assert (seen.method, seen.script, seen.path) == ("POST", "/mount", "/caf\xc3\xa9")
        assert (seen.queue, seen.traceparent, seen.app) == ("t=1.5", "00-ab-cd-01", "shop")
        assert seen.fd == -1 and seen.route is None and seen.exception is None
    assert (start.status, start.blocks, start.first_block_ns) == (0, 0, 0)
    assert (end.status, end.blocks, end.bytes) == (200, 1, 5)
    assert end.start_ns <= end.first_block_ns <= end.end_ns


def test_what_does_not_fit_beside_is_left_where_it_lies(traced):
    path = "/" + "p" * 121
    serve(mark(hello, name="shop"), environ=make_environ(
        REQUEST_METHOD="POST", SCRIPT_NAME="/s", PATH_INFO=path, HTTP_X_REQUEST_START="t=1.5"))
    assert (traced.end.path, traced.end.queue, traced.end.app) == (path, "t=1.5", "shop")
    assert traced.end.text == ("POST/s" + path).encode()  # full to the last byte


@pytest.mark.parametrize("path", ["/\u0416", "/\U0001f40d", "/" + "x" * 300, ""])
def test_path_is_shown_as_it_lies_in_memory(traced, path):
    serve(mark(hello), environ=make_environ(PATH_INFO=path))
    assert traced.end.path == path


def test_strings_outlive_what_the_application_does_to_the_environ(traced):
    def app(environ, start_response):
        environ.clear()
        gc.collect()
        start_response("204 No Content", [])
        return []

    serve(mark(app), environ=make_environ(PATH_INFO="/" + "gone" * 20))
    assert traced.end.path == "/" + "gone" * 20


def test_values_that_are_no_strings_are_absent(traced):
    serve(mark(hello), environ=make_environ(PATH_INFO=b"/bytes", SCRIPT_NAME=None,
                                            HTTP_X_QUEUE_START=7))
    assert (traced.end.path, traced.end.script, traced.end.queue) == (None, None, None)


def test_queue_header_has_two_names(traced):
    serve(mark(hello), environ=make_environ(HTTP_X_QUEUE_START="t=2"))
    assert traced.end.queue == "t=2"


def test_mark_looks_like_the_application():
    marked = mark(hello)
    assert marked.__wrapped__ is hello
    assert (marked.__name__, marked.__doc__) == ("hello", "Says hello.")
    assert marked.__module__ == hello.__module__
    assert inspect.signature(marked) == inspect.signature(hello)
    assert inspect.isfunction(marked) and callable(marked)
    assert "hello" in repr(marked) and "wsgiscope" in repr(marked)
    with pytest.raises(AttributeError, match="function.*nothing"):
        marked.nothing
    marked.extra = 1
    assert hello.extra == 1
    del marked.extra
    assert not hasattr(hello, "extra")
    assert weakref.ref(marked)() is marked


def test_flask_application_stays_one():
    flask = pytest.importorskip("flask")
    app = flask.Flask("shop")
    marked = mark(app)
    assert isinstance(marked, flask.Flask)
    assert marked.config is app.config and marked.run == app.run
    marked.wsgi_app = mark(marked.wsgi_app)
    assert app.wsgi_app is marked.wsgi_app
    assert marked.test_client().get("/nothing").status_code == 404


def test_decorator_of_functions_with_and_without_name(traced):
    @mark
    def one(environ, start_response):
        return [b"1"]

    @mark(name="two")
    def two(environ, start_response):
        return [b"2"]

    assert serve(one) == [b"1"] and serve(two) == [b"2"]
    assert [end.app for end in traced.of("end")] == [None, "two"]


def test_decorator_of_methods(traced):
    class App:
        body = b"body"

        @mark
        def __call__(self, environ, start_response):
            return [self.body]

        @mark
        def handle(self, environ, start_response):
            return [self.body + b"!"]

        @mark
        @classmethod
        def of_class(cls, environ, start_response):
            return [cls.body + b"?"]

        @mark
        @staticmethod
        def free(environ, start_response):
            return [b"free"]

    app = App()
    assert [serve(a) for a in (app, app.handle, App.of_class, app.of_class, app.free, App.free)] \
        == [[b"body"], [b"body!"], [b"body?"], [b"body?"], [b"free"], [b"free"]]
    assert App.handle is App.__dict__["handle"]
    assert len(traced.of("end")) == 6


def test_application_kept_in_a_class_is_not_bound(traced):
    class Application:
        def __call__(self, environ, start_response):
            return [b"x"]

    class Server:
        application = mark(Application())

    assert serve(Server().application) == [b"x"]
    assert len(traced.of("end")) == 1


def test_class_as_application(traced):
    @mark
    class App:
        def __init__(self, environ, start_response):
            start_response("200 OK", [])

        def __iter__(self):
            yield b"of a class"

    class Child(App):
        pass

    assert serve(App) == [b"of a class"]
    assert traced.end.bytes == 10
    assert isinstance(Child({}, lambda *args: None), App) and issubclass(Child, App)


@pytest.mark.parametrize("args, kwargs", [
    ((), {}), ((1,), {}), (({},), {}), (({}, 2, 3, 4), {}), ((1, 2), {}), ((1, 2), {"k": 3}),
    (({}, 2), {"k": 3}), ((), {"environ": {}, "start_response": 2}),
])
def test_odd_calls_go_through_unchanged(traced, args, kwargs):
    answer = object()
    calls = []

    def app(*args, **kwargs):
        calls.append((args, kwargs))
        return answer

    assert mark(app)(*args, **kwargs) is answer
    assert calls == [(args, kwargs)] and traced.marks == []


def test_wrong_use_is_refused():
    with pytest.raises(TypeError, match="WSGI application"):
        mark(None)
    with pytest.raises(TypeError, match="name of an application"):
        mark(hello, name=7)
    with pytest.raises(TypeError):
        type(mark(hello))()


def test_nested_marks_count_once(traced):
    inner = mark(hello, name="inner")
    outer = mark(lambda environ, start_response: inner(environ, start_response), name="outer")
    assert serve(outer) == [b"hello"]
    assert traced.end.app == "outer"
    assert "NESTED" in traced.end.flags
    assert (traced.end.blocks, traced.end.status) == (1, 200)


def test_environ_used_again_after_its_request_counts_again(traced):
    environ = make_environ()
    app = mark(hello)
    for _ in range(3):
        serve(app, environ=environ)
    ends = traced.of("end")
    assert len({end.id for end in ends}) == 3
    assert all("NESTED" not in end.flags for end in ends)


def test_environ_of_another_tracer_copy_is_left_alone(traced):
    foreign = object()
    environ = make_environ(**{"wsgiscope.request": foreign})
    assert serve(mark(hello), environ=environ) == [b"hello"]
    assert environ["wsgiscope.request"] is foreign and traced.marks == []


def test_tracer_that_leaves_during_a_request(process_tracer):
    process_tracer.attach("start", "end")
    result = mark(hello)(make_environ(), lambda *args: None)
    process_tracer.detach()
    assert list(result) == [b"hello"]
    assert [m.kind for m in process_tracer.marks] == ["start"]


def test_tracer_that_comes_during_a_request(process_tracer):
    def app(environ, start_response):
        process_tracer.attach("start", "end")
        return answer

    answer = [b"x"]
    process_tracer.attach()
    assert mark(app)(make_environ(), lambda *args: None) is answer
    process_tracer.detach()
    assert process_tracer.marks == []
