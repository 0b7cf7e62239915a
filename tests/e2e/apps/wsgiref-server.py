# SPDX-License-Identifier: BSD-2-Clause
"""wsgiref.simple_server with a thread per connection: wsgiref-server.py HOST PORT."""
import signal
import socketserver
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from matrix import application


class ThreadingServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class QuietHandler(WSGIRequestHandler):
    def log_message(self, format, *args):
        pass


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
make_server(sys.argv[1], int(sys.argv[2]), application, ThreadingServer,
            QuietHandler).serve_forever()
