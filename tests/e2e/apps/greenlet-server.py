# SPDX-License-Identifier: BSD-2-Clause
"""A server of greenlets, all on one thread: greenlet-server.py gevent|eventlet HOST PORT."""
import signal
import sys


def serve_gevent(host, port):
    from gevent import monkey
    monkey.patch_all()
    from gevent.pywsgi import WSGIServer
    from matrix import application
    WSGIServer((host, port), application, log=None).serve_forever()


def serve_eventlet(host, port):
    import eventlet
    eventlet.monkey_patch()
    from eventlet import wsgi
    from matrix import application
    wsgi.server(eventlet.listen((host, port)), application, log_output=False)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
{"gevent": serve_gevent, "eventlet": serve_eventlet}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
