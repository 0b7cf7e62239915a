# SPDX-License-Identifier: BSD-2-Clause
"""The client's connection from real servers, the route from real frameworks, hostile objects."""

import contextlib
import io
import os
import socket
import threading
import wsgiref.simple_server

import pytest
from miniserver import Server, make_environ, serve
from wsgiscope import mark

# --- the client's connection --------------------------------------------------------------------


class Peer:
    """An application that answers with the peer of the descriptor that the marks show."""

    def __init__(self, traced):
        self.traced = traced

    def __call__(self, environ, start_response):
        start = self.traced.of("start")[0]
        assert "CLIENT_FD" in start.flags
        with socket.socket(fileno=os.dup(start.fd)) as connection:
            body = b"%d" % connection.getpeername()[1]
        start_response("200 OK", [("Content-Type", "text/plain"),
                                  ("Content-Length", str(len(body)))])
        return [body]


def ask(port):
    """One request; True if the answer is the port that it was sent from."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
        own = client.getsockname()[1]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 OK" in head.splitlines()[0], answer
    return body == b"%d" % own


@contextlib.contextmanager
def running(target):
    thread = threading.Thread(target=target)
    thread.start()
    yield
    thread.join(10)
    assert not thread.is_alive()


def test_connection_of_wsgiref(traced, capsys):
    server = wsgiref.simple_server.make_server("127.0.0.1", 0, mark(Peer(traced)))
    with server, running(server.handle_request):
        assert ask(server.server_port)


def test_connection_of_django_runserver(traced, capsys):
    basehttp = pytest.importorskip("django.core.servers.basehttp")
    from django.conf import settings

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="none")
    server = basehttp.WSGIServer(("127.0.0.1", 0), basehttp.WSGIRequestHandler)
    server.set_app(mark(Peer(traced)))
    with server, running(server.handle_request):
        assert ask(server.server_port)


def test_connection_of_werkzeug(traced, capsys):
    serving = pytest.importorskip("werkzeug.serving")
    server = serving.make_server("127.0.0.1", 0, mark(Peer(traced)))
    with contextlib.closing(server.socket), running(server.handle_request):
        assert ask(server.server_port)


def test_connection_of_waitress(traced):
    waitress = pytest.importorskip("waitress.server")
    sockets = {}
    server = waitress.create_server(mark(Peer(traced)), host="127.0.0.1", port=0, threads=1,
                                    map=sockets, clear_untrusted_proxy_headers=True)

    def run():
        with contextlib.suppress(OSError, ValueError):
            server.asyncore.loop(timeout=0.05, map=sockets)

    with running(run):
        try:
            assert ask(server.effective_port)
        finally:
            server.task_dispatcher.shutdown()
            server.pull_trigger()
            for channel in list(sockets.values()):
                channel.close()


def test_connection_of_gunicorn(traced):
    """gunicorn puts the socket itself there; the whole server is in the end-to-end tests."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        serve(mark(lambda environ, start_response: []),
              environ=make_environ(**{"gunicorn.socket": ours}))
        assert traced.end.fd == ours.fileno() and "CLIENT_FD" in traced.end.flags


def named(module, name, **attributes):
    return type(name, (), dict(attributes, __module__=module))()


@pytest.mark.parametrize("module, name", [
    ("cheroot.server", "KnownLengthRFile"), ("cheroot.server", "ChunkedRFile"),
    ("gevent.pywsgi", "Input"), ("eventlet.wsgi", "Input"),
])
def test_connection_behind_rfile(traced, module, name):
    """Servers that are not in Debian's standard set: the shape of their wsgi.input."""
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb") as rfile:
        environ = make_environ(**{"wsgi.input": named(module, name, rfile=rfile)})
        serve(mark(lambda environ, start_response: []), environ=environ)
        assert traced.end.fd == ours.fileno()


@pytest.mark.parametrize("attributes", [
    lambda rfile: {"stream": rfile}, lambda rfile: {"_read": rfile.read, "limit": 0},
])
def test_connection_of_django_by_version(traced, attributes):
    """Its LimitedStream keeps the stream itself, since 4.2 the stream's methods."""
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb") as rfile:
        environ = make_environ(**{"wsgi.input": named(
            "django.core.handlers.wsgi", "LimitedStream", **attributes(rfile))})
        serve(mark(lambda environ, start_response: []), environ=environ)
        assert traced.end.fd == ours.fileno()


def test_connection_of_twisted(traced):
    ours, theirs = socket.socketpair()

    class Transport:
        def getHandle(self):
            return ours

    class Response:
        __module__ = "twisted.web.wsgi"
        request = type("Request", (), {"transport": Transport()})

        def start_response(self, status, headers, exc_info=None):
            pass

    Response.__name__ = "_WSGIResponse"
    with ours, theirs:
        mark(lambda environ, start_response: [])(make_environ(), Response().start_response)
        assert traced.of("start")[0].fd == ours.fileno()


TORNADO = """
def handle(request, application, environ, between):
    def start_response(status, headers, exc_info=None):
        return lambda data: None
    return between(application, environ, start_response)
"""


@pytest.mark.parametrize("between", [
    lambda call, *args: call(*args),
    lambda call, *args: (lambda: call(*args))(),
])
def test_connection_of_tornado(traced, between):
    """Its frame has the request, with functions of an executor between it and the application."""
    ours, theirs = socket.socketpair()
    names = {"__name__": "tornado.wsgi"}
    exec(TORNADO, names)
    stream = type("Stream", (), {"socket": ours})()
    connection = type("Connection", (), {"stream": stream})()
    request = type("Request", (), {"connection": connection})()
    application = mark(lambda environ, start_response: [])
    with ours, theirs:
        names["handle"](request, application, make_environ(), between)
        assert traced.of("start")[0].fd == ours.fileno()
    connection.stream = None
    names["handle"](request, application, make_environ(), between)
    assert traced.of("start")[1].fd == -1


@pytest.mark.parametrize("module, handler", [("tornado.wsgi", "tornado.web"), ("shop", "shop")])
def test_another_frame_is_left_alone(traced, module, handler):
    names = {"__name__": handler}
    line = "    start_response.__module__ = %r\n    return between" % module
    exec(TORNADO.replace("    return between", line), names)
    names["handle"](Raises(), mark(lambda environ, start_response: []), make_environ(),
                    lambda call, *args: call(*args))
    assert traced.of("start")[0].fd == -1


def never_called(*args):
    raise AssertionError("not this object's")


class Raises:
    def __getattr__(self, name):
        raise RuntimeError(name)

    def fileno(self):
        raise OSError("closed")


class Says:
    def __init__(self, number):
        self.number = number

    def fileno(self):
        return self.number


@pytest.mark.parametrize("more", [
    {}, {"gunicorn.socket": None}, {"gunicorn.socket": Raises()}, {"gunicorn.socket": Says(-1)},
    {"gunicorn.socket": Says("7")}, {"gunicorn.socket": Says(2**70)},
    {"gunicorn.socket": Says(2**31)}, {"waitress.client_disconnected": Raises()},
    {"waitress.client_disconnected": never_called}, {"wsgi.input": None},
    {"wsgi.input": named("mod_wsgi", "Input", fileno=never_called)},
    {"wsgi.input": named("my.app", "_Input", fileno=never_called)},
    {"wsgi.input": named("gevent.pywsgi", "Input")},
    {"wsgi.input": named("gevent.pywsgi", "Input", rfile=Says(7))},
    {"wsgi.input": named("django.core.handlers.wsgi", "LimitedStream", _read=never_called)},
    {"wsgi.input": named("django.core.handlers.wsgi", "LimitedStream", _read=Says(7).fileno)},
    {"wsgi.input": named("uwsgi", "_Input", fileno=lambda self: 1 // 0)},
])
def test_no_connection(traced, more):
    for _ in range(2):  # the second finds what the first has remembered
        serve(mark(lambda environ, start_response: []), environ=make_environ(**more))
    for end in traced.of("end"):
        assert end.fd == -1 and "CLIENT_FD" not in end.flags


def test_file_as_input_is_no_connection(traced, tmp_path):
    path = tmp_path / "body"
    path.write_bytes(b"body")
    with open(path, "rb") as file:
        serve(mark(lambda environ, start_response: []),
              environ=make_environ(**{"wsgi.input": file}))
    assert traced.end.fd == -1


# --- the route ----------------------------------------------------------------------------------


def test_route_of_flask(traced):
    flask = pytest.importorskip("flask")
    app = flask.Flask("shop")

    @app.route("/item/<int:number>")
    def item(number):
        return str(number)

    @app.route("/stream/<name>")
    def stream(name):
        return flask.Response(part for part in ["a", "b"])

    @app.route("/file/<name>")
    def file(name):
        return flask.send_file(io.BytesIO(b"content"), "text/plain")

    app.wsgi_app = mark(app.wsgi_app)
    for path, route in [("/item/7", "/item/<int:number>"), ("/stream/x", "/stream/<name>"),
                        ("/file/x", "/file/<name>"), ("/nothing", None)]:
        serve(app, environ=make_environ(PATH_INFO=path))
        assert traced.of("end")[-1].route == route
    assert [end.status for end in traced.of("end")] == [200, 200, 200, 404]


def test_route_of_bottle(traced):
    bottle = pytest.importorskip("bottle")
    app = bottle.Bottle()
    app.route("/item/<number:int>", callback=str)
    app.route("/broken/<name>", callback=lambda name: 1 // 0)
    for path, route in [("/item/7", "/item/<number:int>"), ("/nothing", None),
                        ("/broken/x", "/broken/<name>")]:
        serve(mark(app), environ=make_environ(PATH_INFO=path))
        assert traced.of("end")[-1].route == route


DJANGO = '''
import io
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path
urlpatterns = [
    path("item/<int:number>/", lambda request, number: HttpResponse(str(number))),
    path("stream/<name>/", lambda request, name: StreamingHttpResponse(iter([b"a", b"b"]))),
    path("file/<name>/", lambda request, name: FileResponse(io.BytesIO(b"content"))),
]
'''

DJANGO_PATHS = [("/item/7/", "item/<int:number>/", 200), ("/stream/x/", "stream/<name>/", 200),
                ("/file/x/", "file/<name>/", 200), ("/nothing", None, 404)]


@pytest.fixture
def django_app(tmp_path, monkeypatch):
    pytest.importorskip("django")
    from django.conf import settings

    (tmp_path / "shim_django_urls.py").write_text(DJANGO)
    monkeypatch.syspath_prepend(tmp_path)
    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="none")
    from django.core.wsgi import get_wsgi_application
    from django.test import override_settings

    with override_settings(ROOT_URLCONF="shim_django_urls"):
        yield get_wsgi_application()


@pytest.mark.parametrize("path, route, status", DJANGO_PATHS)
@pytest.mark.parametrize("wrapper", ["none", "type", "builtin"])
def test_route_of_django(traced, django_app, path, route, status, wrapper):
    from wsgiref.util import FileWrapper

    environ = make_environ(PATH_INFO=path)
    if wrapper == "type":
        environ["wsgi.file_wrapper"] = FileWrapper
    if wrapper == "builtin":
        environ["wsgi.file_wrapper"] = lambda file, size=0: file
    server = Server(mark(django_app), environ=environ)
    server.run()
    server.environ = environ = None
    assert (traced.end.route, traced.end.status) == (route, status)


def test_hostile_framework_attributes(traced):
    class Closers(list):
        def __getitem__(self, i):
            raise RuntimeError

    class Answer:
        _resource_closers = [len, None, Raises().fileno]

        def __iter__(self):
            return iter([b"x"])

    @mark
    def app(environ, start_response):
        start_response("200 OK", [])
        return Answer()

    for value in (Raises(), 7, None, type("R", (), {"url_rule": Raises()})(),
                  type("R", (), {"url_rule": type("U", (), {"rule": 7})})()):
        assert serve(app, environ=make_environ(**{"werkzeug.request": value})) == [b"x"]
    Answer.close = lambda self: None
    for closers in (Closers(), None, 7, Answer._resource_closers):
        Answer._resource_closers = closers
        assert serve(app) == [b"x"]
    assert all(end.route is None for end in traced.of("end"))


def test_frameworks_are_never_imported():
    import subprocess
    import sys

    code = ("import sys; sys.path[:] = %r; before = set(sys.modules); import wsgiscope; "
            "print(sorted(name for name in set(sys.modules) - before "
            "if not name.startswith('encodings.')))" % (sys.path,))
    out = subprocess.run([sys.executable, "-S", "-c", code], check=True, capture_output=True,
                         text=True).stdout
    assert out.strip() == "['wsgiscope', 'wsgiscope._marker']"
