# SPDX-License-Identifier: BSD-2-Clause
"""Servers whose processes hand requests on to others of theirs, and hide the client's descriptor: a
request comes out once, from the process that ran the application."""
import functools
import threading

import pytest

import client
import procs
import servers
from client import Connection, Request, fetch
from conftest import need_server
from tracer import Tracer

EACH = 12
CLIENTS = 4


def command_router(server):
    """uWSGI's own HTTP router before its workers."""
    return ["/usr/bin/uwsgi", "--plugin", "python3,http", "--http", server.bind, "--master",
            "--processes", "2", "--threads", "2", "--enable-threads", "--die-on-term",
            "--need-app", "--disable-logging", "--module", "matrix:application"]


def command_reads_first(children, group, extra=""):
    def command(server):
        path = server.environ["PYTHONPATH"]
        return servers.write_apache_config(server, children, group, (extra or "WSGIPythonPath %s")
                                           % path, script="reads-first.py")
    return command


def command_rewrites(server):
    """httpd makes another path of what the client asks for."""
    extra = ("LoadModule rewrite_module /usr/lib/apache2/modules/mod_rewrite.so\n"
             "RewriteEngine On\nRewriteRule ^/old/(.*)$ /list/$1 [PT]\n" + DAEMONS)
    return servers.write_apache_config(server, 1, "e2e", extra % server.environ["PYTHONPATH"])


DAEMONS = ("WSGIDaemonProcess e2e processes=2 threads=2 display-name=%%{GROUP} python-path=%s")
COMMANDS = {
    "uwsgi": command_router,
    "mod_wsgi-daemon": servers.command_apache_daemon,
    "rewrites": command_rewrites,
    "reads-first-embedded": command_reads_first(2, "%{GLOBAL}"),
    "reads-first-daemon": command_reads_first(1, "e2e", DAEMONS),
}
LIKE = {"rewrites": "mod_wsgi-daemon", "reads-first-embedded": "mod_wsgi-embedded",
        "reads-first-daemon": "mod_wsgi-daemon"}


class RelayServer(servers.Server):
    def __init__(self, name, variant):
        super().__init__(LIKE.get(name, name), variant)
        self.kind = self.kind._replace(command=COMMANDS[name])

    def workers(self):
        """Without uWSGI's router, which the others' parent has started last."""
        found = super().workers()
        return found[:-1] if self.kind.command is command_router and len(found) > 2 else found


@pytest.fixture(scope="module")
def relay(nothing_left):
    running = {}

    def get(name, variant):
        need_server(LIKE.get(name, name))
        if (name, variant) not in running:
            server = RelayServer(name, variant)
            server.start()
            running[name, variant] = server
        return running[name, variant]
    yield get
    for server in running.values():
        server.stop()


def ask(address, keep):
    """Requests of several clients at once, some of them the same path again; what they sent."""
    sent = []

    def run():
        with Connection(address) as connection:
            for index in range(EACH):
                request = Request("echo" if index % 3 == 2 else "slow" if index % 3 else "list",
                                  1, 10, keep=keep, method="POST" if index % 3 == 2 else "GET",
                                  body=b"b" * 3000 if index % 3 == 2 else None)
                if index % 4 == 0:
                    request.target = "/list/1/10/again"
                get = connection.fetch if keep else functools.partial(fetch, address)
                assert get(request).status == 200
                sent.append((request.method, request.target))
    threads = [threading.Thread(target=run) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent) == EACH * CLIENTS
    return sent


def wait_all(tracer, count):
    procs.until(lambda: len(tracer.records()) >= count, 8, 0.1)
    assert tracer.stop() == 0, tracer.stderr()
    return tracer.records()


@pytest.mark.parametrize("name", ["uwsgi", "mod_wsgi-daemon"])
def test_by_the_wire(wsgiscope, relay, name):
    server = relay(name, "plain")
    with Tracer("-p", server.pid, "--mode", "wire") as tracer:
        sent = ask(server.address, server.kind.keep)
        records = wait_all(tracer, len(sent))
    found = sorted((record["method"], record["path"]) for record in records)
    assert found == sorted(sent), tracer.stderr()
    assert {record["pid"] for record in records} <= set(server.workers())
    assert not tracer.losses(), tracer.stderr()


@pytest.mark.parametrize("name", ["uwsgi", "mod_wsgi-daemon", "reads-first-embedded",
                                  "reads-first-daemon"])
def test_by_both(wsgiscope, relay, name):
    server = relay(name, "marked")
    with Tracer("-p", server.pid, "--mode", "both") as tracer:
        sent = ask(server.address, server.kind.keep)
        records = wait_all(tracer, len(sent))
    found = sorted((record["method"], record["path"]) for record in records)
    assert found == sorted(sent), tracer.stderr()
    for record in records:
        assert record["mode"] == "marker" and record["write_bytes"] > 0, record
        assert record["request_bytes"] > 0, record
    assert not tracer.losses(), tracer.stderr()


@pytest.mark.parametrize("mode, variant", [("wire", "plain"), ("both", "marked")])
def test_rewritten(wsgiscope, relay, mode, variant):
    """The path that the application got, and no second record of what the client asked for."""
    server = relay("rewrites", variant)
    with Tracer("-p", server.pid, "--mode", mode) as tracer:
        sent = [Request("old", 1, 10), Request("list", 1, 10), Request("old", 2, 10)]
        for request in sent:
            assert fetch(server.address, request).status == 200
        records = wait_all(tracer, len(sent))
    assert [record["path"] for record in records] == [
        request.target.replace("/old/", "/list/") for request in sent], tracer.stderr()
    assert {record["pid"] for record in records} <= set(server.workers())
    assert not tracer.losses(), tracer.stderr()


@pytest.mark.parametrize("name", ["mod_wsgi-daemon", "mod_wsgi-embedded"])
def test_unread_body(wsgiscope, pool, name):
    """What a server takes in only to throw it away, before or behind its last word, is nothing."""
    server = pool(name, "plain")
    with Tracer("-p", server.pid, "--mode", "wire") as tracer:
        requests = [Request("list", 1, 10, method="POST", body=b"u" * 200_000) for _ in range(3)]
        for request in requests:
            with client.connect(server.address) as sock:
                sock.sendall(request.encode())
                while b" 200 " not in sock.recv(4096):
                    pass
                sock.sendall(b"more than was said")
                client.receive_rest(sock)
        assert fetch(server.address, Request("list")).status == 200
        records = wait_all(tracer, 4)
    assert len(records) == 4, tracer.stderr()
    assert not tracer.losses(), tracer.stderr()
