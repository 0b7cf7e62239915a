# SPDX-License-Identifier: BSD-2-Clause
"""A worker that forges names by the million (apps/liar.py): another path, application, method and
route with every request, 50,000 of them, and FORGED_NAMES (2,000,000) in the slow tests. What each
verb shows and what it says it lost are all that were told, no request is shown twice, and its
memory does not grow with the names."""
import os
import re
import subprocess
import threading

import pytest

import procs
from daemon import Daemon, total
from test_lies import Liar
from tracer import BINARY, Tracer, counted

COUNTS = [50_000, pytest.param(int(os.environ.get("FORGED_NAMES", "2000000")),
                               marks=pytest.mark.slow)]
RATE = 40_000  # a second: less than the tracer can take on a machine that has other things to do
SANITIZED = "WSGISCOPE_FINDINGS" in os.environ  # a sanitizer takes more than any limit here
RSS_LIMIT_KB = 64 * 1024
SERVE_LIMIT_KB = 160 * 1024  # with a page of 2,000 label sets, which is 23 MB
GROWTH_KB = 1024
BACK = pow(0x9e3779b97f4a7c15, -1, 2**64)
DIGITS = bytes.maketrans(b"abcdefghijklmnop", b"0123456789abcdef")


class Seen:
    """Which of the forged requests a stream of lines shows. It is read to its end, by a thread."""

    def __init__(self, stream, count):
        self.stream = stream
        self.seen = bytearray(count)
        self.twice, self.lost = 0, 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        rest = b""
        with self.stream:
            while piece := self.stream.read1(1 << 20):
                whole, _, rest = (rest + piece).rpartition(b"\n")
                self.lines(whole)
        assert not rest

    def lines(self, text):
        # Text output ends with its footer, JSON's is talk.
        self.lost += sum(map(int, re.findall(rb"^lost: [a-z_]+ (\d+)", text, re.M)))
        for name in re.findall(rb'(?:"path":"| )/forged/([a-p]{16})/x', text):
            number = int(name.translate(DIGITS), 16) * BACK % 2**64
            self.twice += self.seen[number]
            self.seen[number] = 1

    def shown(self):
        """Once the stream has ended."""
        self.thread.join()
        assert not self.twice
        return sum(self.seen)


class Piped(Tracer):
    """A tracer whose output goes through a pipe, as there is too much of it for a file."""

    def __init__(self, *args, count, **kwargs):
        super().__init__(*args, json_lines=False, **kwargs)
        self.count, self.seen = count, None
        os.mkfifo(self.paths[0])

    def __enter__(self):
        keep = os.open(self.paths[0], os.O_RDWR)  # so that neither end waits for the other
        try:
            self.seen = Seen(open(self.paths[0], "rb"), self.count)
            return super().__enter__()
        finally:
            os.close(keep)

    def stdout(self):
        return ""


class Memory:
    """The most that a process had in each half of what is told."""

    def __init__(self, pid):
        self.pid = pid
        self.warm = 0

    def tell(self, liar, count):
        """Told in two halves; how many requests in all."""
        told = liar.say("forged_names", 0, count // 2, RATE)
        self.warm = procs.memory_kb(self.pid, "VmHWM")
        return told + liar.say("forged_names", count // 2, count // 2, RATE)

    def check(self, limit_kb=RSS_LIMIT_KB, grown_kb=GROWTH_KB):
        most = procs.memory_kb(self.pid, "VmHWM")
        assert SANITIZED or most < limit_kb
        assert SANITIZED or most - self.warm < grown_kb


@pytest.fixture(scope="module")
def liar(marker, wsgiscope):
    with Liar(marker) as liar:
        yield liar


def check_told(told, shown, lost):
    """Some may be lost where the machine is slow, but for the most part they are looked at."""
    assert shown + lost == told, (shown, lost, told)
    assert shown > told / 2


@pytest.mark.parametrize("how", [["--json"], []], ids=["json", "text"])
@pytest.mark.parametrize("count", COUNTS)
def test_trace(liar, count, how):
    with Piped("-p", liar.pid, *how, count=count) as tracer:
        memory = Memory(tracer.pid)
        told = memory.tell(liar, count)
        memory.check()
        assert tracer.stop(seconds=60) == 0, tracer.stderr()
        shown = tracer.seen.shown()
        check_told(told, shown, tracer.lost_requests() + tracer.seen.lost)


@pytest.mark.parametrize("count", COUNTS)
def test_serve(liar, count):
    """Its page does not grow either; what has no room of its own is in it as other."""
    with Daemon("-p", liar.pid) as daemon:
        memory = Memory(daemon.pid)
        told = memory.tell(liar, count)
        memory.check()

        def counts():
            samples = daemon.samples()
            return [int(total(samples, name)) for name in
                    ("wsgi_requests_total", "wsgiscope_dropped_total")]

        # A page that took long to make is handed out for a while.
        procs.until(lambda: sum(counts()) == told, 60, 0.5)
        check_told(told, *counts())
        memory.check(SERVE_LIMIT_KB, grown_kb=SERVE_LIMIT_KB)
        samples = daemon.samples()
        assert (total(samples, "wsgiscope_label_sets") <=
                total(samples, "wsgiscope_label_sets_max"))
        assert total(samples, "wsgiscope_other_requests_total") > told / 4


@pytest.mark.parametrize("count", COUNTS)
def test_record(liar, count, tmp_path):
    """What is recorded is replayed, in no more memory."""
    path = tmp_path / "recording"
    with Tracer("-p", liar.pid, "-o", path, verb="record", json_lines=False) as tracer:
        memory = Memory(tracer.pid)
        told = memory.tell(liar, count)
        memory.check()
        assert tracer.stop(seconds=60) == 0, tracer.stderr()
    limit = [] if SANITIZED else ["prlimit", "--data=%d" % (RSS_LIMIT_KB * 1024)]
    command = limit + [BINARY, "replay", "--json", path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as replay:
        seen = Seen(replay.stdout, count)
        talk = replay.stderr.read().decode()
        shown = seen.shown()  # before the pipe is closed under its reader
    assert replay.returncode == 0, talk
    check_told(told, shown, sum(counted(talk, "lost").values()))
    path.unlink()
