# SPDX-License-Identifier: BSD-2-Clause
"""A program that serves HTTP on a free port, its output in files, ended by SIGTERM: for what is no
Kind of servers.py. Knows nothing of the tracer."""
import http.client
import os
import shutil
import signal
import subprocess
import tempfile

import procs
from servers import APPS, PYTHON, free_port

UNAWARE = os.path.join(APPS, "unaware.py")


def environ(*path, **more):
    """An environment in which nothing is known of the marker, but what is said here."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **({"PYTHONPATH": ":".join([APPS, *path])}), **more}


class Program:
    """command: its words, with PORT for the port. Use as a context."""

    def __init__(self, command, env=None, cwd=None):
        self.port = free_port()
        self.command = [str(word).replace("PORT", str(self.port)) for word in command]
        self.env = environ() if env is None else env
        self.cwd = cwd
        self.directory = tempfile.mkdtemp(prefix="wsgiscope-program-")
        self.process = None

    def __enter__(self):
        with open(self.path("out"), "wb") as out, open(self.path("err"), "wb") as err:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=err, env=self.env, cwd=self.cwd,
                                            start_new_session=True)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        left = procs.wait_gone(procs.session(self.process.pid), 5)
        for pid in left:
            procs.send(pid, signal.SIGKILL)
        err = self.stderr()
        shutil.rmtree(self.directory)
        assert not left, "%s left %r\n%s" % (self.command, left, err[-2000:])

    @property
    def pid(self):
        return self.process.pid

    def path(self, name):
        return os.path.join(self.directory, name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as stream:
            return stream.read()

    def stdout(self):
        return self.read("out")

    def stderr(self):
        return self.read("err")

    def get(self, path):
        """(status, body)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def answers(self):
        try:
            return self.get("/")
        except (OSError, http.client.HTTPException):
            return None

    def wait_ready(self, seconds=20):
        """Until it answers, whatever."""
        found = procs.until(lambda: self.process.poll() is not None or self.answers(), seconds)
        assert found and self.process.poll() is None, self.stdout() + self.stderr()
        return self


def unaware(kind, *prefix, env=None):
    """A program of apps/unaware.py."""
    return Program([*prefix, PYTHON, UNAWARE, kind, "PORT"], env)
