# SPDX-License-Identifier: BSD-2-Clause
"""How each server of doc/servers.md is started, with one process that runs the application
`matrix`.

Adds to servers.py what the table needs beyond its KINDS: servers behind a router or nginx, of
greenlets, of programs, and those of PyPI. Knows nothing of the tracer, nor of what is true of each
(server_table.py)."""
import contextlib
import os
import subprocess

import client
import procs
import servers

UWSGI = ["/usr/bin/uwsgi", "--plugin", "python3,http", "--die-on-term", "--need-app",
         "--disable-logging", "--master", "--processes", "1", "--enable-threads",
         "--buffer-size", "8192"]
UNAWARE = os.path.join(servers.APPS, "unaware.py")


# Those of another Python, by `make matrix`: beside it. Debian's uWSGI and mod_wsgi have their own.
PYTHON = os.environ.get("WSGISCOPE_SERVERS_PYTHON", servers.PYTHON)
GUNICORN = os.path.join(os.path.dirname(PYTHON), "gunicorn")
WAITRESS = os.path.join(os.path.dirname(PYTHON), "waitress-serve")


def pypi(name):
    """What `make matrix` has installed from PyPI: a program of its virtual environment."""
    return os.path.join(os.environ.get("WSGISCOPE_MATRIX_VENV", "/nonexistent"), "bin", name)


def gunicorn(*options, program=GUNICORN):
    return lambda server: [program, "--bind", server.bind, "--workers", "1", "--graceful-timeout",
                           "2", *options, "matrix:application"]


def uwsgi(socket, *options, program=None):
    """socket: the option that says how it is asked."""
    words = [program, *UWSGI[3:]] if program else UWSGI
    return lambda server: [*words, socket, server.bind, "--module", "matrix:application", *options]


def waitress(program=WAITRESS):
    return lambda server: [program, "--listen=" + server.bind, "--threads=4", "matrix:application"]


def unaware(kind, python=PYTHON):
    return lambda server: [python, UNAWARE, kind, server.port, "matrix:application"]


def flask(*options, python=PYTHON):
    return lambda server: [python, "-m", "flask", "--app", "flask_matrix", "run", "-p",
                           server.port, *options]


def django(*options):
    return lambda server: [PYTHON, "-m", "django_site", "runserver", *options, server.bind]


def apache_embedded(server):
    return servers.write_apache_config(server, 1, "%{GLOBAL}",
                                       "WSGIPythonPath %s" % server.environ["PYTHONPATH"])


def apache_daemon(server):
    return servers.write_apache_config(
        server, 1, "e2e", "WSGIDaemonProcess e2e processes=1 threads=4 display-name=%%{GROUP} "
        "python-path=%s" % server.environ["PYTHONPATH"])


def mod_wsgi_express(server):
    return [pypi("mod_wsgi-express"), "start-server", "--port", server.port, "--host", "127.0.0.1",
            "--processes", "1", "--threads", "4", "--user", "www-data", "--group", "www-data",
            "--server-root", os.path.join(server.directory, "express"), "--log-to-terminal",
            "--python-path", server.environ["PYTHONPATH"], "--application-type", "module",
            "matrix"]


def granian(server):
    return [pypi("granian"), "--interface", "wsgi", "--host", "127.0.0.1", "--port", server.port,
            "--workers", "1", "--no-ws", "matrix:application"]


NGINX_CONFIG = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {log};
user www-data;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    scgi_temp_path {directory}/nginx-scgi;
    server {{
        listen {listen};
        location / {{
            include /etc/nginx/uwsgi_params;
            uwsgi_param HTTP_X_REQUEST_START "t=$msec";
            uwsgi_pass unix:{socket};
        }}
    }}
}}
"""


class TableServer(servers.Server):
    """One of the table. start: its command, as of this server; unix: it is asked over a socket in
    the file system; nginx: by an nginx in front of it."""

    def __init__(self, name, start, unix=False, nginx=False, variant="oracle", environ=()):
        kind = servers.Kind(name, start, None, None, 1, *[None] * 7)
        super().__init__(kind, variant, environ={"DJANGO_APPLICATION": "matrix.application",
                                                 **dict(environ)})
        self.front = None
        self.nginx = nginx
        self.serving = set()
        if unix or nginx:
            self.bind = os.path.join(self.directory, "http.sock")
            if unix:
                self.address = self.bind

    @property
    def port(self):
        return str(self.address[1])

    def start(self):
        if self.nginx:
            os.chmod(self.directory, 0o777)
            self.start_nginx()
        super().start()

    def start_nginx(self):
        path = os.path.join(self.directory, "nginx.conf")
        with open(path, "w", encoding="ascii") as config:
            config.write(NGINX_CONFIG.format(
                directory=self.directory, log=os.path.join(self.directory, "nginx.log"),
                listen="%s:%d" % self.address, socket=self.bind))
        with open(os.path.join(self.directory, "nginx.out"), "wb") as out:
            self.front = subprocess.Popen(["/usr/sbin/nginx", "-c", path], stdout=out, stderr=out,
                                          stdin=subprocess.DEVNULL)

    def wait_ready(self, seconds=30):
        """Until it answers; who has answered is what runs the application."""
        def answers():
            assert self.process.poll() is None, self.log()[-4000:]
            with contextlib.suppress(OSError):
                response = client.fetch(self.address, client.Request("pid"), timeout=5)
                if response.status == 200 and response.body.isdigit():
                    self.serving.add(int(response.body))
                    return True
            return False

        assert procs.until(answers, seconds, 0.05), "not ready:\n" + self.log()[-4000:]
        self.oracle.read()

    def workers(self):
        self.tree.update(procs.tree(self.pid))
        return sorted(pid for pid in self.serving if procs.alive(pid))

    def stop(self):
        if self.front:
            self.front.terminate()
            self.front.wait(10)
        return super().stop()
