# SPDX-License-Identifier: BSD-2-Clause
"""16 MB in 4 blocks through small socket buffers on both sides: hundreds of partial writes a block,
with EAGAIN and poll between them, in a network namespace of its own, where the size of a socket's
buffer is the test's to say. What the calls returned is what counts."""
import ctypes
import fcntl
import socket
import struct
import threading

import pytest

import client
import table_servers
from conftest import need_server
from table_servers import TableServer
from tracer import Tracer

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
SEND_BUFFER = 16384
BLOCKS, BLOCK = 4, 4_000_000

COMMANDS = {
    "uwsgi": table_servers.uwsgi("--http-socket", "--threads", "2"),
    "waitress": table_servers.waitress(),
    "gevent": table_servers.unaware("gevent"),
    "tornado": table_servers.unaware("tornado"),
    "twisted": table_servers.unaware("twisted"),
    "mod_wsgi-embedded": table_servers.apache_embedded,
}


def enter_small_network():
    """The calling thread, and what it starts, get a loopback of their own."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket() as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
    with open("/proc/sys/net/ipv4/tcp_wmem", "w", encoding="ascii") as limits:
        limits.write("4096 %d %d" % (SEND_BUFFER, SEND_BUFFER))


def in_small_network(function):
    """What function() returns or raises, run by a thread in there."""
    result = []

    def run():
        try:
            enter_small_network()
            result.append((function(), None))
        except BaseException as error:
            result.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = result[0]
    if error:
        raise error
    return value


@pytest.mark.parametrize("kind", [
    "uwsgi", "waitress", "gevent", "tornado", pytest.param("twisted", marks=pytest.mark.slow),
    pytest.param("mod_wsgi-embedded", marks=pytest.mark.slow)])
def test_hundreds_of_partial_writes(wsgiscope, kind):
    if kind in ("uwsgi", "waitress", "mod_wsgi-embedded"):
        need_server(kind)
    else:
        pytest.importorskip(kind, reason="apt-get install python3-" + kind)

    def ask():
        with TableServer(kind, COMMANDS[kind]) as server, Tracer("-p", server.pid) as tracer:
            requests = [client.Request("list"), client.Request("gen", BLOCKS, BLOCK)]
            responses = []
            for request in requests:
                responses.append(client.fetch(server.address, request, rcvbuf=4096))
                tracer.wait([request.uid])
            return responses[-1], tracer.wait([requests[-1].uid])[requests[-1].uid]

    response, record = in_small_network(ask)
    assert len(response.body) == BLOCKS * BLOCK
    assert (record["blocks"], record["bytes"]) == (BLOCKS, BLOCKS * BLOCK), record
    assert record["write_bytes"] == len(response.raw), record
    assert record["write_calls"] >= BLOCKS * 100, record
    assert "writes_cut" not in record["notes"], record
