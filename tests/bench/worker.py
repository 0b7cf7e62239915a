# SPDX-License-Identifier: BSD-2-Clause
"""A process that is measured. Reads one JSON command a line, answers with one JSON line.

Started by bench.py, which decides who is attached while which command runs. Loads the real marker
and the loops of _bench; must not know what the numbers are compared with.
Usage: worker.py CPU (with the marker and _bench on PYTHONPATH)
"""
import ctypes
import io
import json
import os
import socket
import sys
from wsgiref.util import FileWrapper

import _bench
import middleware2015
import wsgiscope
import wsgiscope._marker

BLOCK = b"x" * 128
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "128")]
MARKS = ("wsgiscope_request_start", "wsgiscope_request_end")
SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>; Python has no name for it
STATSD_BUFFER_BYTES = 32 << 20


def list_app(environ, start_response):
    start_response("200 OK", HEADERS)
    return [BLOCK]


def blocks_app(count):
    """An application that yields count blocks."""

    def app(environ, start_response):
        start_response("200 OK", HEADERS)
        return blocks(count)

    return app


def blocks(count):
    for _ in range(count):
        yield BLOCK


def environ_make(client):
    """What gunicorn hands to an application for a browser's request."""
    return {
        "wsgi.errors": sys.stderr, "wsgi.version": (1, 0), "wsgi.multithread": True,
        "wsgi.multiprocess": True, "wsgi.run_once": False, "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True, "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http",
        "SERVER_SOFTWARE": "gunicorn/20.1.0", "gunicorn.socket": client, "REQUEST_METHOD": "GET",
        "QUERY_STRING": "", "RAW_URI": "/bench/issue/1", "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1:8000", "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64)",
        "HTTP_ACCEPT": "text/html,application/xhtml+xml", "HTTP_ACCEPT_LANGUAGE": "en",
        "HTTP_ACCEPT_ENCODING": "gzip, deflate", "HTTP_CONNECTION": "keep-alive",
        "HTTP_COOKIE": "session=0123456789abcdef", "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000",
        "PATH_INFO": "/bench/issue/1", "SCRIPT_NAME": "",
    }


class Worker:
    """The state behind the commands; each public method is one."""

    def __init__(self):
        self.client, self.peer = socket.socketpair()
        self.environ = environ_make(self.client)
        marker = ctypes.PyDLL(wsgiscope._marker.__file__)
        self.mark_addresses = [
            ctypes.cast(getattr(marker, name), ctypes.c_void_p).value for name in MARKS
        ]
        self.statsd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.statsd.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, STATSD_BUFFER_BYTES)
        self.statsd.bind(("127.0.0.1", 0))
        self.statsd.setblocking(False)
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        reports = {
            "middleware": middleware2015.report_nothing,
            "statsd": middleware2015.statsd_report(sender, self.statsd.getsockname()),
            "prometheus": middleware2015.prometheus_report(),
        }
        self.wraps = {"bare": lambda app: app, "marker": wsgiscope.mark}
        for name, report in reports.items():
            self.wraps[name] = lambda app, report=report: middleware2015.timed(app, report)
        self.apps = {}
        self.listener, self.accepted = None, None

    def application(self, wrap, blocks):
        """The application of so many blocks (0: a list of one), wrapped; made once."""
        key = (wrap, blocks)
        if key not in self.apps:
            app = blocks_app(blocks) if blocks else list_app
            self.apps[key] = self.wraps[wrap](app)
        return self.apps[key]

    def statsd_drain(self):
        try:
            while self.statsd.recv(512):
                pass
        except BlockingIOError:
            pass

    def loop(self, wrap, n, blocks=0, marks=False, write=False):
        start, end = self.mark_addresses if marks else (0, 0)
        fd, peer = (self.client.fileno(), self.peer.fileno()) if write else (-1, -1)
        app = self.application(wrap, blocks)
        _bench.loop(app, self.environ, n // 10 + 1, start, end, fd, peer)  # warms the caches
        result = _bench.loop(app, self.environ, n, start, end, fd, peer)
        if wrap == "statsd":
            self.statsd_drain()
        return result

    def send(self, n, tracked=False):
        start, end = self.mark_addresses if tracked else (0, 0)
        return _bench.send(self.client.fileno(), self.peer.fileno(), n, start, end)

    def turns(self, n, body=128, tracked=False):
        """On a TCP connection that was accepted, by a listener that is still there."""
        if not self.accepted:
            self.listener = socket.create_server(("127.0.0.1", 0))
            connected = socket.create_connection(self.listener.getsockname())
            self.accepted = (self.listener.accept()[0], connected)
            for end in self.accepted:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start, end = self.mark_addresses if tracked else (0, 0)
        server, client = (one.fileno() for one in self.accepted)
        return _bench.turns(server, client, n, body, start, end)

    def write(self, n):
        with open("/dev/null", "wb", buffering=0) as null:
            return _bench.write(null.fileno(), n)

    def getppid(self, n):
        return _bench.getppid(n)

    def threads(self, n):
        return _bench.threads(n)

    def forks(self, n):
        return _bench.forks(n)

    def switches(self, n, way="pipe", tracked=False):
        start, end = self.mark_addresses if tracked else (0, 0)
        return _bench.switches(way, n, start, end)

    def marks(self, n):
        return _bench.marks(n, *self.mark_addresses)

    def synthetic(self, rate, seconds, connections):
        pairs = [socket.socketpair() for _ in range(connections)]
        numbers = [(a.fileno(), b.fileno()) for a, b in pairs]
        return _bench.synthetic(*self.mark_addresses, rate, seconds, numbers)

    def marker_path(self):
        return wsgiscope._marker.__file__


def main():
    os.sched_setaffinity(0, {int(sys.argv[1])})
    worker = Worker()
    for line in sys.stdin:
        command = json.loads(line)
        result = getattr(worker, command.pop("op"))(**command)
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
