# SPDX-License-Identifier: BSD-2-Clause
"""The least that a WSGI server does, so that a test says what the application and the server do."""

import io
import time


# Seconds really slept, by what for: a busy machine sleeps longer than it was asked to.
napped = {}


def nap(seconds, what):
    begin = time.monotonic_ns()
    time.sleep(seconds)
    napped[what] = napped.get(what, 0.0) + (time.monotonic_ns() - begin) / 1e9


def near(ns, seconds):
    """ns is what the marks say, seconds what the naps took; between the two lies little code."""
    return seconds * 1e9 <= ns < seconds * 1e9 + 30e6


def make_environ(**more):
    environ = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(), "wsgi.multithread": False, "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    environ.update(more)
    return environ


class Server:
    """Serves one request; body is what was written, by write() and by the iterable."""

    def __init__(self, app, environ=None, write_s=0.0):
        self.app = app
        self.environ = make_environ() if environ is None else environ
        self.write_s = write_s
        self.body = []
        self.calls = []

    def write(self, data):
        if self.write_s:
            nap(self.write_s, "write")
        self.body.append(data)

    def start_response(self, status, headers, exc_info=None):
        self.calls.append((status, headers, exc_info))
        return self.write

    def run(self):
        result = self.app(self.environ, self.start_response)
        try:
            for block in result:
                self.write(block)
        finally:
            if hasattr(result, "close"):
                result.close()
        return self.body


def serve(app, **options):
    return Server(app, **options).run()
