# SPDX-License-Identifier: BSD-2-Clause
"""A steady stream of mixed requests at one server, that can be paused. Every answer must be there,
and the same as the first of its kind."""
import itertools
import threading
import time

import client

# (way, blocks, bytes): what an application can do, and how often by how often it is here.
MIX = [("list", 1, 200), ("gen", 3, 2000), ("closing", 2, 500), ("list", 1, 5000),
       ("write", 2, 300), ("not-found", 1, 100), ("chunks", 4, 1000), ("list", 1, 200),
       ("raise-first", 1, 100), ("slow", 1, 100), ("stream", 3, 100), ("file", 1, 1),
       ("gen-nothing", 1, 1), ("raise-later", 2, 100), ("sized", 1, 1000), ("echo", 1, 1)]


class Traffic:
    """rate: requests a second. done: answers that came. wrong: what was not as it must be, as
    lines. Begins paused; close() ends it."""

    def __init__(self, server, rate):
        self.server = server
        self.pause_s = 1 / rate
        self.done, self.wrong = 0, []
        self.first = {}
        self.going, self.idle = threading.Event(), threading.Event()
        self.closing = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def resume(self):
        self.idle.clear()
        self.going.set()

    def pause(self):
        """Returns when no request is under way."""
        self.going.clear()
        self.idle.wait(60)

    def close(self):
        self.closing = True
        self.going.set()
        self.thread.join()

    def run(self):
        mix = itertools.cycle(MIX)
        due = time.monotonic()
        while not self.closing:
            if not self.going.is_set():
                self.idle.set()
                self.going.wait()
                due = time.monotonic()
                continue
            self.ask(*next(mix))
            due += self.pause_s
            time.sleep(max(0, due - time.monotonic()))

    def ask(self, way, blocks, size):
        request = client.Request(way, blocks, size, body=b"x" * 300 if way == "echo" else None,
                                 method="POST" if way == "echo" else "GET")
        try:
            response = client.fetch(self.server.address, request)
        except OSError as error:
            self.wrong.append("%s: /%s: %s" % (self.server.kind.name, way, error))
            return
        self.done += 1
        if response.status is None:
            self.wrong.append("%s: /%s: no answer" % (self.server.kind.name, way))
            return
        normal = response.normal(not self.server.kind.framing)
        if normal != self.first.setdefault((way, blocks, size), normal):
            self.wrong.append("%s: /%s: another answer than before" % (
                self.server.kind.name, way))
