# SPDX-License-Identifier: BSD-2-Clause
"""A server that runs the application on one thread and closes its iterable on another:
PROGRAM ADDRESS PORT."""
import socketserver
import sys
import threading
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer, make_server

from states import application_marked


class Handler(ServerHandler):
    def close(self):
        closer = threading.Thread(target=super().close)
        closer.start()
        closer.join()


class RequestHandler(WSGIRequestHandler):
    def handle(self):
        self.raw_requestline = self.rfile.readline(65537)
        if self.parse_request():
            handler = Handler(self.rfile, self.wfile, self.get_stderr(), self.get_environ())
            handler.request_handler = self
            handler.run(self.server.get_app())


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


make_server(sys.argv[1], int(sys.argv[2]), application_marked, Server,
            RequestHandler).serve_forever()
