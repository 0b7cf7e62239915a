# SPDX-License-Identifier: BSD-2-Clause
"""A client that says exactly what it is told to, byte by byte if need be, and takes apart what
comes back with Python's own http.client: so that what wire mode says can be held against it. Knows
nothing of servers or the tracer."""
import http.client
import io
import socket
import time

import client


class Answer:
    """One response of a connection. raw: its bytes, with the interim ones (1xx) before it."""

    def __init__(self, status, raw, complete):
        self.status = status
        self.raw = raw
        self.complete = complete


class _Stream:
    def __init__(self, data):
        self.data = data

    def makefile(self, *_):
        return self.data


class _Kept(io.BytesIO):
    """http.client closes what it reads from at a response's end."""

    def close(self):
        pass


def answers(raw, methods):
    """The responses in what a connection gave, to requests of these methods; where their bytes
    end too early, the last one is not complete. What is no response ends it."""
    stream = _Kept(raw)
    found = []
    for method in methods:
        start = stream.tell()
        if start == len(raw):
            break
        response = http.client.HTTPResponse(_Stream(stream), method=method)
        complete = True
        try:
            response.begin()
            response.read()
        except http.client.IncompleteRead:
            complete = False
        except (http.client.HTTPException, ValueError):
            break
        found.append(Answer(response.status, raw[start:stream.tell()], complete))
    return found


def converse(address, pieces, methods=("GET",), quiet=None, timeout=20):
    """Sends the pieces one after the other (a number: a pause of so many seconds), then reads
    until as many complete answers came, or the server closed, or, where quiet is given, it said
    nothing for so long. The bytes that came and those that were sent."""
    got, sent = b"", 0
    with client.connect(address, timeout=timeout) as sock:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                if isinstance(piece, bytes):
                    sock.sendall(piece)
                    sent += len(piece)
                else:
                    time.sleep(piece)
        except OSError:  # it has had enough
            pass
        sock.settimeout(quiet or timeout)
        try:
            while not whole(got, methods):
                data = sock.recv(1 << 18)
                if not data:
                    break
                got += data
        except (ConnectionResetError, TimeoutError):
            if quiet is None and not got:
                raise
    return got, sent


def whole(raw, methods):
    """Every request has its answer, whose end needs no closing to be seen."""
    found = answers(raw, methods)
    return len(found) == len(methods) and found[-1].complete and ends_itself(found[-1].raw)


def ends_itself(raw):
    head = raw.partition(b"\r\n\r\n")[0].lower()
    return (b"\ncontent-length:" in head or b"\ntransfer-encoding:" in head
            or head[9:12] in (b"204", b"304"))


def bytewise(data):
    return [data[at:at + 1] for at in range(len(data))]
