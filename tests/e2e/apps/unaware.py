# SPDX-License-Identifier: BSD-2-Clause
"""Servers that a program starts itself, with an application that knows nothing of any marker:
unaware.py KIND PORT, or with another one: unaware.py KIND PORT MODULE:NAME. A line "ready" on
stdout when it listens."""
import importlib
import sys
import time


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/raise"):
        raise ValueError(path)
    if path.startswith("/slow"):
        time.sleep(0.2)
    body = b"unaware " * 10
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]


def ready():
    print("ready", flush=True)


def serve_bjoern(port):
    import bjoern
    ready()
    bjoern.run(application, "127.0.0.1", port)


def serve_cheroot(port):
    from cheroot.wsgi import Server
    server = Server(("127.0.0.1", port), application, numthreads=4)
    server.prepare()
    ready()
    server.serve()


def serve_cherrypy(port):
    import cherrypy
    cherrypy.config.update({"server.socket_port": port, "engine.autoreload.on": False,
                            "log.screen": False})
    cherrypy.tree.graft(application, "/")
    cherrypy.engine.start()
    ready()
    cherrypy.engine.block()


def serve_eventlet(port):
    import eventlet
    from eventlet import wsgi
    eventlet.monkey_patch()
    sock = eventlet.listen(("127.0.0.1", port))
    ready()
    wsgi.server(sock, application, log_output=False)


def serve_gevent(port):
    from gevent import monkey
    monkey.patch_all()
    from gevent.pywsgi import WSGIServer
    server = WSGIServer(("127.0.0.1", port), application, log=None)
    server.start()
    ready()
    server.serve_forever()


def serve_tornado(port):
    from tornado import httpserver, ioloop, wsgi
    httpserver.HTTPServer(wsgi.WSGIContainer(application)).listen(port, "127.0.0.1")
    ready()
    ioloop.IOLoop.current().start()


def serve_twisted(port):
    from twisted.internet import reactor
    from twisted.python import log
    from twisted.web import server, wsgi
    log.startLogging(sys.stderr)
    resource = wsgi.WSGIResource(reactor, reactor.getThreadPool(), application)
    reactor.listenTCP(port, server.Site(resource), interface="127.0.0.1")
    reactor.callWhenRunning(ready)
    reactor.run()


def serve_waitress(port):
    import waitress
    server = waitress.create_server(application, host="127.0.0.1", port=port)
    ready()
    server.run()


def serve_werkzeug(port):
    from werkzeug.serving import make_server
    server = make_server("127.0.0.1", port, application, threaded=True)
    ready()
    server.serve_forever()


def serve_wsgiref(port):
    from wsgiref.simple_server import make_server
    server = make_server("127.0.0.1", port, application)
    ready()
    server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) > 3:
        module, _, name = sys.argv[3].partition(":")
        application = getattr(importlib.import_module(module), name)
    globals()["serve_" + sys.argv[1]](int(sys.argv[2]))
