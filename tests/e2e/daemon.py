# SPDX-License-Identifier: BSD-2-Clause
"""Runs `wsgiscope serve`, reads its pages as Prometheus would, and can be asked for sums over its
metrics. A receiver of StatsD's datagrams, that counts them. Knows nothing of servers."""
import collections
import gzip
import http.client
import re
import socket
import threading
import urllib.request

import procs
from tracer import Tracer

SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: # .*)?$')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)')

Sample = collections.namedtuple("Sample", "name labels value")


def unescape(text):
    return re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), text)


def parse(page):
    """The samples of a page in Prometheus' text format; every line must be one, or a comment."""
    samples = []
    for line in page.splitlines():
        if not line or line.startswith("#"):
            continue
        match = SAMPLE.match(line)
        assert match, line
        labels = {name: unescape(value) for name, value in LABEL.findall(match[2] or "")}
        samples.append(Sample(match[1], labels, float(match[3])))
    return samples


def total(samples, metric, **labels):
    """The sum of a metric's samples that have these labels; None: there is none."""
    values = [sample.value for sample in samples if sample.name == metric
              and all(sample.labels.get(name) == value for name, value in labels.items())]
    return sum(values) if values else None


class Daemon(Tracer):
    """A running `serve` on a port of its own. Use as a context."""

    def __init__(self, *args, listen="127.0.0.1:0", **kwargs):
        super().__init__("--listen", listen, *args, verb="serve", json_lines=False, **kwargs)
        self.address = None

    def __enter__(self):
        super().__enter__()
        try:
            self.wait_serving()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_serving(self, seconds=10):
        found = procs.until(lambda: re.search(r"serving on http://(\S+):(\d+)/", self.stderr())
                            or self.process.poll() is not None, seconds)
        assert found and found is not True, self.stderr()
        self.address = (found[1], int(found[2]))

    @property
    def url(self):
        return "http://%s:%d" % self.address

    def get(self, path="/metrics", **headers):
        """(headers, text) of a page, unpacked."""
        request = urllib.request.Request(
            self.url + path, headers={name.replace("_", "-"): value
                                      for name, value in headers.items()})
        with urllib.request.urlopen(request, timeout=10) as response:
            body = response.read()
            if response.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            return response.headers, body.decode("utf-8")

    def samples(self):
        return parse(self.get()[1])

    def total(self, metric, **labels):
        return total(self.samples(), metric, **labels)

    def wait_total(self, wanted, metric, seconds=10, **labels):
        """Until the sum is that; the sum."""
        procs.until(lambda: self.total(metric, **labels) == wanted, seconds, 0.1)
        return self.total(metric, **labels)

    def raw(self, data, timeout=5):
        """All that comes back for some bytes, until the daemon closes."""
        with socket.create_connection(self.address, timeout=timeout) as sock:
            sock.sendall(data)
            pieces = []
            try:
                while piece := sock.recv(65536):
                    pieces.append(piece)
            except ConnectionResetError:
                pass
            return b"".join(pieces)

    def connection(self, timeout=10):
        return http.client.HTTPConnection(*self.address, timeout=timeout)


class StatsdReceiver:
    """A socket that reads what StatsD would get: .lines, in order. Use as a context."""

    def __init__(self, address=("127.0.0.1", 0)):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE: nothing is lost
        self.sock.bind(address)
        self.sock.settimeout(0.2)
        self.address = self.sock.getsockname()
        self.lines, self.largest, self.datagrams = [], 0, 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __str__(self):
        return "%s:%d" % self.address

    def run(self):
        while not self.stopping.is_set():
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                continue
            self.datagrams += 1
            self.largest = max(self.largest, len(data))
            self.lines += data.decode("utf-8").split("\n")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        self.sock.close()

    def values(self, name):
        """[value] of a metric, and the set of its types."""
        found = [re.match(re.escape(name) + r":([\d.]+)\|(\w+)", line) for line in self.lines]
        found = [match for match in found if match]
        return [float(match[1]) for match in found], {match[2] for match in found}
