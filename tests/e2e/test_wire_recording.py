# SPDX-License-Identifier: BSD-2-Clause
"""A recording of connections holds the requests that they showed, and nothing else of what clients
and workers sent: no credential, no cookie, no query, no body. Its replay is what trace showed."""
import json
import socket
import struct

import pytest

import client
import servers
from client import Request
from test_record_replay import comparable
from tracer import Tracer, run

SECRETS = ["cookie", "credential", "query", "body", "trailer"]


def hidden(what):
    """A word that may not be found again."""
    return "hidden-%s-of-%s" % (what, "x" * 12)


def requests():
    headers = [("Cookie", "session=" + hidden("cookie")),
               ("Authorization", "Bearer " + hidden("credential")), ("X-Request-Start", "t=1")]
    made = [Request("list", 3, 100, headers=headers), Request("slow", 1, 50, headers=headers),
            Request("echo", method="POST", body=hidden("body").encode() * 30, headers=headers),
            Request("echo", method="POST", body=hidden("body").encode() * 3000, headers=headers)]
    for request in made[:2]:
        request.target += "?token=" + hidden("query")
    return made


def send(address, request, pieces):
    """pieces: how many bytes at a time, so that a head comes in several reads."""
    data = request.encode()
    with client.connect(address) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), pieces):
            sock.sendall(data[at:at + pieces])
        return client.receive_rest(sock)


def uwsgi_packet(request):
    """The same as a front end hands it to uWSGI."""
    path, _, query = request.target.partition("?")
    items = {"REQUEST_METHOD": request.method, "PATH_INFO": path, "QUERY_STRING": query,
             "REQUEST_URI": request.target, "SERVER_PROTOCOL": "HTTP/1.1",
             "CONTENT_LENGTH": str(len(request.body or b"")), "SERVER_NAME": "localhost",
             "SERVER_PORT": "80"}
    for name, value in request.headers:
        items["HTTP_" + name.upper().replace("-", "_")] = value
    data = b"".join(struct.pack("<H", len(word)) + word.encode()
                    for item in items.items() for word in item)
    return struct.pack("<BHB", 0, len(data), 0) + data + (request.body or b"")


def record(tmp_path, pids, talk):
    """(what trace showed, what replay shows, the recording's bytes) of what was talked."""
    path = tmp_path / "recording"
    words = [word for pid in pids for word in ("-p", pid)] + ["--mode", "wire"]
    with Tracer(*words) as tracer, \
            Tracer(*words, "-o", path, verb="record", json_lines=False) as recorder:
        sent = talk()
        live = tracer.wait([uid_of(request) for request in sent])
        assert recorder.stop() == 0, recorder.stderr()
        assert tracer.stop() == 0, tracer.stderr()
    assert len(live) == len(sent), tracer.stderr()
    replayed = run("replay", "--json", path)
    assert replayed.returncode == 0, replayed.stderr
    found = [json.loads(line) for line in replayed.stdout.splitlines()]
    return live, [each for each in found if "method" in each], path.read_bytes()


def uid_of(request):
    return request.target.partition("?")[0].rsplit("/", 1)[-1]


def check(live, found, data):
    for secret in SECRETS:
        assert hidden(secret).encode() not in data, secret
    for word in (b"hidden-", b"Cookie", b"Bearer", b"?token", b"HTTP/1.1 200"):
        assert word not in data, word
    assert len(found) == len(live)
    for each in found:
        other = live[each["path"].rsplit("/", 1)[-1]]
        # Each tracer counts its turns itself, and sees for itself how long they were queued.
        own = {"id": 0, "application_ms": 0, "queue_source": None}
        assert {**comparable(each), **own} == {**comparable(other), **own}
        assert {each["queue_source"], other["queue_source"]} <= {None, "socket"} or \
            each["queue_source"] == other["queue_source"]


@pytest.mark.parametrize("name", ["gunicorn-gthread", "uwsgi", "waitress"])
def test_http(wsgiscope, pool, tmp_path, name):
    server = pool(name, "plain")

    def talk():
        sent = requests()
        for request in sent:
            assert b" 200 " in send(server.address, request, 40)[:20]
        return sent
    check(*record(tmp_path, [server.pid], talk))


def test_uwsgi_protocol(wsgiscope, tmp_path):
    port = servers.free_port()
    with servers.Server("uwsgi", "plain", ["--uwsgi-socket", "127.0.0.1:%d" % port]) as server:
        def talk():
            sent = requests()
            for request in sent:
                with client.connect(("127.0.0.1", port)) as sock:
                    sock.sendall(uwsgi_packet(request))
                    assert b" 200 " in client.receive_rest(sock)[:20]
            return sent
        check(*record(tmp_path, [server.pid], talk))


def test_daemon_of_mod_wsgi(wsgiscope, pool, tmp_path):
    server = pool("mod_wsgi-daemon", "plain")

    def talk():
        sent = requests()
        for request in sent:
            assert b" 200 " in send(server.address, request, 40)[:20]
        return sent
    check(*record(tmp_path, server.workers(), talk))
