# SPDX-License-Identifier: BSD-2-Clause
"""An HTTP/1.1 client on raw sockets: the exact bytes of a response, slow readers, clients that
vanish, and a load generator that counts every request. An address is (host, port) or a path of
a UNIX socket. Knows nothing of servers or the tracer."""
import itertools
import os
import re
import socket
import struct
import threading
import time

_serial = itertools.count()


def new_uid():
    """A path's last segment: unique over all runs, so that a record finds its request."""
    return "u%05x%04x%06x" % (os.getpid(), time.monotonic_ns() >> 20 & 0xffff, next(_serial))


class Request:
    """What is sent: method and /WAY/COUNT/SIZE[/EXTRA]/UID."""

    def __init__(self, way, count=1, size=10, method="GET", extra="", body=None, keep=False,
                 headers=()):
        self.uid = new_uid()
        self.way = way
        self.method = method
        self.target = "/".join(["", way, str(count), str(size)] + ([extra] if extra else [])
                               + [self.uid])
        self.body = body
        self.keep = keep
        self.headers = list(headers)

    def encode(self):
        lines = ["%s %s HTTP/1.1" % (self.method, self.target), "Host: localhost"]
        if not self.keep:
            lines.append("Connection: close")
        if self.body is not None:
            lines.append("Content-Length: %d" % len(self.body))
        lines += ["%s: %s" % header for header in self.headers]
        return "\r\n".join(lines + ["", ""]).encode("latin-1") + (self.body or b"")


class Response:
    """raw: the bytes of this response as they came, nothing else. status None: no status line.
    sent_ns, gone_ns: around the sending of the request; over loopback it arrives in between."""

    def __init__(self, request, raw, sent_ns, done_ns, gone_ns=None):
        self.request = request
        self.uid = request.uid
        self.raw = raw
        self.sent_ns = sent_ns
        self.done_ns = done_ns
        self.gone_ns = gone_ns
        head, _, self.payload = raw.partition(b"\r\n\r\n")
        match = re.match(rb"HTTP/1\.[01] (\d{3})", head)
        self.status = int(match.group(1)) if match else None
        self.headers = {}
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            self.headers[name.strip().lower().decode()] = value.strip().decode("latin-1")

    @property
    def chunked(self):
        return self.headers.get("transfer-encoding", "").lower() == "chunked"

    @property
    def body(self):
        return dechunk(self.payload)[0] if self.chunked else self.payload

    def normal(self, chunks=True):
        """The bytes for a comparison with another run: without the date. chunks False: without
        the framing either, but with whether it ended properly."""
        raw = re.sub(rb"(?mi)^(Date|Last-Modified): [^\r]*", rb"\1: -", self.raw)
        raw = raw.replace(self.uid.encode(), b"UID")
        if not chunks and self.chunked:
            body, ended = dechunk(self.payload)
            return raw.partition(b"\r\n\r\n")[0], body, ended
        return raw


def dechunk(payload):
    """The body of a chunked payload, and whether its end marker came."""
    body = b""
    while payload:
        line, found, rest = payload.partition(b"\r\n")
        if not found:
            return body, False
        size = int(line.split(b";")[0], 16)
        if size == 0:
            return body, True
        body += rest[:size]
        payload = rest[size + 2:]
    return body, False


def connect(address, rcvbuf=None, timeout=30):
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX)
    else:
        sock = socket.socket(socket.AF_INET)
    if rcvbuf:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    sock.settimeout(timeout)
    sock.connect(address)
    return sock


def receive_rest(sock, pace=None):
    """All bytes until the peer closes. pace: (bytes, seconds): a pause after each so many."""
    pieces = []
    due = pace[0] if pace else None
    while True:
        try:
            piece = sock.recv(1 << 18)
        except ConnectionResetError:
            break
        if not piece:
            break
        pieces.append(piece)
        if pace:
            due -= len(piece)
            if due <= 0:
                due = pace[0]
                time.sleep(pace[1])
    return b"".join(pieces)


def fetch(address, request, rcvbuf=None, pace=None, timeout=30):
    """One request on its own connection, read until the server closes it."""
    with connect(address, rcvbuf, timeout) as sock:
        sent_ns = time.monotonic_ns()
        sock.sendall(request.encode())
        gone_ns = time.monotonic_ns()
        raw = receive_rest(sock, pace)
        return Response(request, raw, sent_ns, time.monotonic_ns(), gone_ns)


def fetch_and_leave(address, request, after=1, rcvbuf=4096):
    """Reads `after` bytes, then resets the connection. The bytes read."""
    with connect(address, rcvbuf) as sock:
        sock.sendall(request.encode())
        data = b""
        while len(data) < after:
            piece = sock.recv(after - len(data))
            if not piece:
                break
            data += piece
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return data


class Connection:
    """Keep-alive: several requests on one connection, each response by its framing. Where the
    server says that it closes, the next request takes a new one. retries: a request that got not
    one byte on a connection that had been used before is sent again on a new one (RFC 9112, 9.3.1):
    servers close idle connections when they like, httpd when all its threads are busy."""

    def __init__(self, address, retries=False):
        self.address = address
        self.retries = retries
        self.sock = connect(address)
        self.buffer = b""
        self.used = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def reconnect(self):
        self.sock.close()
        self.sock, self.buffer, self.used = connect(self.address), b"", False

    def fetch(self, request):
        try:
            response = self.fetch_once(request)
        except ConnectionError:
            if not self.retries or not self.used or self.buffer:
                raise
            response = None
        if not response or (not response.raw and self.retries and self.used):
            self.reconnect()
            response = self.fetch_once(request)
        self.used = True
        if response.headers.get("connection", "").lower() == "close":
            self.reconnect()
        return response

    def fetch_once(self, request):
        sent_ns = time.monotonic_ns()
        self.sock.sendall(request.encode())
        gone_ns = time.monotonic_ns()
        length = None
        while (length := self.response_length(request)) is None:
            piece = self.sock.recv(1 << 18)
            if not piece:
                length = len(self.buffer)
                break
            self.buffer += piece
        raw, self.buffer = self.buffer[:length], self.buffer[length:]
        return Response(request, raw, sent_ns, time.monotonic_ns(), gone_ns)

    def response_length(self, request):
        """Of the first whole response in the buffer, None while it is not whole."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        end += 4
        head = Response(request, self.buffer[:end], 0, 0)
        if request.method == "HEAD" or head.status in (204, 304):
            return end
        if head.chunked:
            while True:
                line = self.buffer.find(b"\r\n", end)
                if line < 0:
                    return None
                size = int(self.buffer[end:line].split(b";")[0], 16)
                end = line + 2 + size + 2
                if end > len(self.buffer):
                    return None
                if size == 0:
                    return end
        end += int(head.headers["content-length"])
        return end if len(self.buffer) >= end else None


def load(address, requests, threads=4, stop=None):
    """Sends all requests over `threads` clients, a connection each; the responses in the order of
    the requests. stop: an Event that ends it early (the rest are None)."""
    responses = [None] * len(requests)
    errors = []
    queue = iter(enumerate(requests))
    lock = threading.Lock()

    def work():
        while not (stop and stop.is_set()):
            with lock:
                index, request = next(queue, (None, None))
            if request is None:
                return
            try:
                responses[index] = fetch(address, request)
            except OSError as error:
                errors.append((request.target, error))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors, errors
    return responses
