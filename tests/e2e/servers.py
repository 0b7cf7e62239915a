# SPDX-License-Identifier: BSD-2-Clause
"""The real servers: how each is started on a free loopback port, and what is true of it.

Each kind is a table row and a function that makes its command. A Server owns its directory, its
log and its processes, and stops them by PID. Knows nothing of the tracer."""
import collections
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import client
import procs
from oracle import OracleLog

HERE = os.path.dirname(os.path.abspath(__file__))
APPS = os.path.join(HERE, "apps")
ROOT = os.path.dirname(os.path.dirname(HERE))
UNSHARE = "/usr/bin/unshare"
PYTHON = "/usr/bin/python3"

FILE_BYTES = 2_500_000


def marker_path():
    """Where the built marker lies: of PYTHONPATH the first that has it, else build/python."""
    for path in os.environ.get("PYTHONPATH", "").split(":"):
        if path and os.path.isdir(os.path.join(path, "wsgiscope")):
            return os.path.abspath(path)
    return os.path.join(ROOT, "build/python")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def command_gunicorn(server, *options):
    return ["/usr/bin/gunicorn", "--bind", server.bind, "--workers", "2", "--graceful-timeout",
            "2", *options, *server.options, "matrix:application"]


def command_gunicorn_sync(server):
    return command_gunicorn(server)


def command_gunicorn_gthread(server):
    return command_gunicorn(server, "--worker-class", "gthread", "--threads", "2")


def command_uwsgi(server):
    return ["/usr/bin/uwsgi", "--plugin", "python3", "--http-socket", server.bind, "--master",
            "--processes", "2", "--threads", "2", "--enable-threads", "--die-on-term",
            "--need-app", "--disable-logging", "--module", "matrix:application", *server.options]


def command_waitress(server):
    return ["/usr/bin/waitress-serve", "--listen=" + server.bind, "--threads=4", *server.options,
            "matrix:application"]


def command_wsgiref(server):
    return [PYTHON, os.path.join(APPS, "wsgiref-server.py"), *server.bind.split(":")]


APACHE_CONFIG = """
ServerRoot {directory}
PidFile {directory}/apache.pid
ServerName localhost
Listen {bind}
User www-data
Group www-data
ErrorLog {log}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule wsgi_module /usr/lib/apache2/modules/mod_wsgi.so
ServerLimit {children}
StartServers {children}
ThreadsPerChild 4
ThreadLimit 4
MaxRequestWorkers {threads}
MinSpareThreads 1
MaxSpareThreads {threads}
KeepAlive On
KeepAliveTimeout 5
WSGISocketPrefix {directory}/wsgi
WSGIRestrictEmbedded Off
{extra}
WSGIScriptAlias / {script} process-group={group} application-group=e2e
WSGIImportScript {script} process-group={group} application-group=e2e
<Directory {apps}>
    Require all granted
</Directory>
"""


def write_apache_config(server, children, group, extra, script="matrix.py"):
    path = os.path.join(server.directory, "httpd.conf")
    with open(path, "w", encoding="ascii") as config:
        config.write(APACHE_CONFIG.format(
            directory=server.directory, bind=server.bind, log=server.log_path, apps=APPS,
            children=children, threads=4 * children, group=group,
            script=os.path.join(APPS, script), extra=extra))
    return ["/usr/sbin/apache2", "-f", path, "-DFOREGROUND"]


def command_apache_embedded(server):
    return write_apache_config(server, 2, "%{GLOBAL}",
                               "WSGIPythonPath %s" % server.environ["PYTHONPATH"])


def command_apache_daemon(server):
    return write_apache_config(
        server, 1, "e2e", "WSGIDaemonProcess e2e processes=2 threads=2 "
        "display-name=%%{GROUP} python-path=%s" % server.environ["PYTHONPATH"])


# record: the name in the tracer's records. family: of the socket that the workers write to.
# workers: processes that run the application. is_worker: which of the tree they are.
# direct: the worker writes to the client itself, so that the client's bytes are its write bytes.
# keep: keeps connections open. late: may write after close(). sendfile: has a fast path for
# wsgi.file_wrapper. wrapper: has wsgi.file_wrapper. one: the Content-Length that it derives from
# a list of one. framing: the chunks that a client sees depend on timing.
Kind = collections.namedtuple(
    "Kind", "name command record family workers direct keep late sendfile wrapper one framing")

KINDS = {kind.name: kind for kind in [
    Kind("gunicorn-sync", command_gunicorn_sync, "gunicorn", "inet", 2, True, False, False, True,
         True, False, False),
    Kind("gunicorn-gthread", command_gunicorn_gthread, "gunicorn", "inet", 2, True, True, False,
         True, True, False, False),
    Kind("uwsgi", command_uwsgi, "uwsgi", "inet", 2, True, False, False, True, True, False,
         False),
    Kind("uwsgi-unix", command_uwsgi, "uwsgi", "unix", 2, True, False, False, True, True, False,
         False),
    Kind("mod_wsgi-embedded", command_apache_embedded, "mod_wsgi", "inet", 2, True, True, True,
         False, True, False, False),
    Kind("mod_wsgi-daemon", command_apache_daemon, "mod_wsgi", "unix", 2, False, True, True,
         False, True, False, True),
    Kind("waitress", command_waitress, "waitress", "inet", 1, True, True, True, False, True, True,
         False),
    Kind("wsgiref", command_wsgiref, "wsgiref", "inet", 1, True, False, False, False, True, True,
         False),
]}


class Server:
    """kind: a Kind, or the name of one of KINDS. variant: matrix.wrap(). options: further
    command-line options. prefix: what becomes the server's command, as `wsgiscope run --`. Use as
    a context."""

    def __init__(self, kind, variant="marked", options=(), environ=(), prefix=()):
        self.kind = kind if isinstance(kind, Kind) else KINDS[kind]
        self.variant = variant
        self.options = list(options)
        self.prefix = list(prefix)
        self.process = None
        self.tree = set()
        self.directory = tempfile.mkdtemp(prefix="wsgiscope-e2e-")
        os.chmod(self.directory, 0o755)
        self.log_path = os.path.join(self.directory, "server.log")
        self.oracle = OracleLog(os.path.join(self.directory, "oracle.log"))
        self.file_path = os.path.join(self.directory, "file")
        self.environ = self.make_environ(dict(environ))
        if self.kind.name == "uwsgi-unix":
            self.address = self.bind = os.path.join(self.directory, "http.sock")
        else:
            self.address = ("127.0.0.1", free_port())
            self.bind = "%s:%d" % self.address

    def make_environ(self, extra):
        path = [HERE, APPS] + ([marker_path()] if self.variant not in ("plain", "oracle-only")
                               else [])
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
                "PYTHONPATH": ":".join(path), "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONUNBUFFERED": "1", "E2E_APP": self.variant,
                "E2E_ORACLE": self.oracle.path, "E2E_FILE": self.file_path, **extra}

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        pattern = bytes(range(256))
        with open(self.file_path, "wb") as stream:
            stream.write((pattern * (FILE_BYTES // 256 + 1))[:FILE_BYTES])
        for path in (self.oracle.path, self.log_path):
            with open(path, "wb"):
                os.chown(path, pwd.getpwnam("www-data").pw_uid, -1)
                os.chmod(path, 0o666)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.prefix + self.kind.command(self), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=self.environ, cwd=self.directory, start_new_session=True)
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def wait_ready(self, seconds=20):
        """Until it answers and all its workers have loaded the application."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None or "Failed to exec Python script" in self.log():
                break
            try:
                response = client.fetch(self.address, client.Request("pid"), timeout=5)
            except OSError:
                response = None
            if response and response.status == 200 and len(self.workers()) == self.kind.workers:
                self.oracle.read()
                return
            time.sleep(0.02)
        raise RuntimeError("%s is not ready:\n%s" % (self.kind.name, self.log()[-4000:]))

    def workers(self):
        """The processes that run the application, marked or not."""
        module = "_marker" if self.variant not in ("plain", "oracle-only") else "python3"
        found = [pid for pid in procs.tree(self.pid) if procs.maps(pid, module)]
        self.tree.update(procs.tree(self.pid))
        if self.kind.workers > 1:
            found = [pid for pid in found if pid != self.pid]
        if self.kind.name == "mod_wsgi-daemon":
            found = [pid for pid in found if b"(wsgi:e2e)" in procs.cmdline(pid)]
        if self.kind.name == "uwsgi" or self.kind.name == "uwsgi-unix":
            found = [pid for pid in found if procs.parent(pid) == self.pid]
        return sorted(found)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as stream:
            return stream.read()

    def end_ask(self):
        """SIGTERM; how long to wait for it. unshare hands no signal on, and the first process of a
        PID namespace ends by none that it has no handler for."""
        tree = procs.tree(self.pid)
        self.tree.update(tree)
        inside = self.process.args[0] == UNSHARE
        if self.process.poll() is None:
            for pid in tree[1:2] if inside else [self.pid]:
                procs.send(pid, signal.SIGTERM)
        return 1 if inside else 10

    def stop(self):
        """Ends it with SIGTERM and says what it logged; nothing of it is left, or it fails."""
        try:
            self.process.wait(self.end_ask())
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        left = procs.wait_gone(procs.session(self.pid), 5)
        for pid in left:
            procs.send(pid, signal.SIGKILL)
        log = self.log()
        shutil.rmtree(self.directory)
        assert not left, "%s left %r:\n%s" % (self.kind.name, left, log[-4000:])
        return log
