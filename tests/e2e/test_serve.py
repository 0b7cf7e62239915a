# SPDX-License-Identifier: BSD-2-Clause
"""The daemon, scraped while real servers are under load: what it counts is what clients sent, and
however they ask, whoever asks, it goes on and ends when it is told to."""
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

import client
import procs
import servers
from daemon import Daemon, StatsdReceiver, parse, total
from tracer import run

REQUESTS = "wsgi_requests_total"
OLDEST = "wsgi_oldest_request_age_seconds"
CAPACITY = "wsgi_capacity_utilization_ratio"
DURATION = "http_server_request_duration_seconds"


@pytest.fixture(scope="module")
def server(pool, wsgiscope):
    return pool("gunicorn-sync", "marked")


def send(server, number, **kwargs):
    sent = [client.Request(**{"way": "list", **kwargs}) for _ in range(number)]
    responses = client.load(server.address, sent)
    assert all(response.status for response in responses)
    return responses


class Scraper:
    """Scrapes all the time while the body runs; each counter must only rise."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.scrapes, self.errors = 0, []

    def run(self):
        last = {}
        while not self.stopping.wait(0.02):
            try:
                samples = self.daemon.samples()
            except Exception as error:  # pylint: disable=broad-except
                self.errors.append(error)
                return
            self.scrapes += 1
            for sample in samples:
                if not re.search("_(total|count|bucket)$", sample.name):
                    continue
                key = (sample.name, tuple(sorted(sample.labels.items())))
                if sample.value < last.get(key, 0):
                    self.errors.append((key, last[key], sample.value))
                last[key] = sample.value

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        assert not self.errors, self.errors[:3]


@pytest.mark.parametrize("kind", ["gunicorn-sync", "uwsgi"])
def test_counts_equal_the_clients(wsgiscope, pool, kind):
    """Scraped under load: in the end every request is counted once, by method, status and path."""
    server = pool(kind, "marked")
    with Daemon("-p", server.pid) as daemon, Scraper(daemon) as scraper:
        ok = send(server, 300, way="list", count=3, size=100)
        missing = send(server, 50, way="not_found", size=100)
        posted = send(server, 20, way="echo", method="POST", body=b"x" * 50)
        assert daemon.wait_total(370, REQUESTS) == 370
        samples = daemon.samples()
        assert total(samples, REQUESTS, http_response_status_code="200",
                     http_request_method="GET") == len(ok)
        assert total(samples, REQUESTS, http_response_status_code="404") == len(missing)
        assert total(samples, REQUESTS, http_request_method="POST") == len(posted)
        assert total(samples, DURATION + "_count") == 370
        assert total(samples, DURATION + "_bucket", le="+Inf") == 370
        assert total(samples, "http_server_response_body_size_bytes_sum",
                     http_response_status_code="200", http_request_method="GET") == 300 * 300
        assert total(samples, "wsgi_write_calls_total") >= 370
        assert total(samples, "wsgiscope_dropped_total") == 0
        assert total(samples, "wsgiscope_attached_processes") >= 2
        assert total(samples, "wsgi_request_threads") >= 1
    assert scraper.scrapes > 5
    assert daemon.lost_requests() == 0, daemon.stderr()
    assert not daemon.left_behind()


def test_in_flight(wsgiscope):
    """A request that hangs is active, and grows older from scrape to scrape, until its worker is
    killed."""
    from conftest import need_server
    need_server("gunicorn-sync")
    with servers.Server("gunicorn-sync") as server, Daemon("-p", server.pid) as daemon:
        request = client.Request("hang", 1, 100)
        with client.connect(server.address) as sock:
            sock.sendall(request.encode())
            assert sock.recv(100)
            began = time.monotonic()
            assert daemon.wait_total(1, "http_server_active_requests") == 1
            assert daemon.total("wsgi_request_threads") == 1
            first = daemon.total(OLDEST)
            assert procs.until(lambda: daemon.total(OLDEST) > first + 0.3, 5)
            assert daemon.total(OLDEST) <= time.monotonic() - began + 0.5
            assert procs.until(lambda: (daemon.total(CAPACITY) or 0) > 0.5, 10), (
                "its one thread is busy all the time")
            assert not daemon.total(REQUESTS)
            for pid in server.workers():
                os.kill(pid, signal.SIGKILL)
        assert daemon.wait_total(0, "http_server_active_requests") == 0
        assert daemon.wait_total(1, REQUESTS) == 1, "it is counted, as unclosed"
        assert daemon.wait_total(0, "wsgi_request_threads") == 0


def test_pages(server):
    with Daemon("-p", server.pid) as daemon:
        send(server, 3)
        assert daemon.wait_total(3, REQUESTS) == 3
        assert daemon.get("/healthz")[1] == "ok\n"
        index = daemon.get("/")[1]
        assert re.search(r"attached: \d+ processes", index), index
        assert "requests: 3" in index and "lost: nothing" in index
        headers, text = daemon.get()
        assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
        plain = {(each.name, str(each.labels)) for each in parse(text)}
        headers, text = daemon.get(Accept_Encoding="gzip")
        assert {(each.name, str(each.labels)) for each in parse(text)} == plain
        headers, text = daemon.get(Accept="application/openmetrics-text; version=1.0.0")
        assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert text.endswith("# EOF\n")
        assert f"{DURATION}_created" in text


def test_hostile_paths(server):
    """Quotes, newlines, what is no UTF-8, 8 kB: the page stays sound, every request is counted."""
    extras = ["%22%5C%0A%7D", "%FF%FE", "caf%C3%A9", "%1B%5B31m%07", "x" * 3900, "%0Awsgi_x%201"]
    with Daemon("-p", server.pid) as daemon:
        sent = [client.Request("list", 1, 10, extra=extra) for extra in extras]
        assert all(response.status == 200 for response in client.load(server.address, sent))
        assert daemon.wait_total(len(extras), REQUESTS) == len(extras)
        page = daemon.get()[1]
        checked = subprocess.run(["promtool", "check", "metrics"], input=page, text=True,
                                 capture_output=True, check=False)
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.parametrize("options", [[], ["--gc"]], ids=["", "gc"])
def test_collections(server, options):
    """Only where they are asked for."""
    with Daemon("-p", server.pid, *options) as daemon:
        send(server, 5)
        assert daemon.wait_total(5, REQUESTS) == 5
        assert (daemon.total("wsgi_gc_collections_total") is None) == (not options)


def test_exemplars(server):
    """The trace ID of a request, in OpenMetrics alone."""
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    header = ("traceparent", "00-%s-00f067aa0ba902b7-01" % trace_id)
    with Daemon("-p", server.pid) as daemon:
        send(server, 1, headers=[header])
        assert daemon.wait_total(1, REQUESTS) == 1
        page = daemon.get(Accept="application/openmetrics-text; version=1.0.0")[1]
        found = [line for line in page.splitlines() if trace_id in line]
        assert found and all(DURATION + "_bucket" in line for line in found), found
        assert trace_id not in daemon.get()[1]


def test_statsd(server):
    """The five names, their types, once a request; no datagram larger than an Ethernet takes."""
    with StatsdReceiver() as plain, StatsdReceiver() as tagged, \
            Daemon("-p", server.pid, "--statsd", plain, "--dogstatsd", tagged):
        send(server, 100, count=3, size=70)
        name = "wsgi.application.requests"
        for receiver in (plain, tagged):
            assert procs.until(lambda: len(receiver.values(name)[0]) == 100, 5)
            assert procs.until(lambda: len(receiver.lines) == 500, 5)
            assert receiver.values(name) == ([1] * 100, {"c"})
            assert receiver.values(name + ".application_time")[1] == {"ms"}
            assert all(0 < ms < 5000 for ms in receiver.values(name + ".application_time")[0])
            assert receiver.values(name + ".output_time")[1] == {"ms"}
            assert receiver.values(name + ".output_blocks") == ([3] * 100, {"h"})
            assert receiver.values(name + ".output_length") == ([210] * 100, {"h"})
            assert receiver.largest <= 1432
            assert receiver.datagrams < 100, "several requests share a datagram"
        assert all("|#method:GET,status:200" in line for line in tagged.lines)
        assert not any("#" in line for line in plain.lines)


def test_statsd_of_trace(server):
    from tracer import Tracer
    with StatsdReceiver() as receiver, Tracer("-p", server.pid, "--statsd", receiver) as tracer:
        sent = send(server, 10)
        assert len(tracer.wait([each.uid for each in sent])) == 10
        assert procs.until(lambda: len(receiver.lines) == 50, 5)


def test_statsd_dead_and_slow(server):
    """Nobody there, and one who never reads: the counts are right, what was refused is counted."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.bind(("127.0.0.1", 0))
        dead = "127.0.0.1:%d" % servers.free_port()
        with Daemon("-p", server.pid, "--statsd", dead, "--dogstatsd",
                    "127.0.0.1:%d" % slow.getsockname()[1]) as daemon:
            send(server, 200)
            assert daemon.wait_total(200, REQUESTS) == 200
            assert daemon.stop(signal.SIGTERM) == 0
        assert daemon.losses().get("statsd_unsent", 0) > 0
        assert daemon.lost_requests() == 0


def test_port_taken(server):
    with Daemon("-p", server.pid) as daemon:
        result = run("serve", "--listen", "%s:%d" % daemon.address)
        assert result.returncode == 1
        assert len(result.stderr.splitlines()) == 1, result.stderr
        assert re.search("in use.*--listen", result.stderr)
        assert daemon.get("/healthz")[1] == "ok\n"


@pytest.mark.parametrize("arguments, status, said", [
    (["--listen", "9748"], 2, "HOST:PORT"),
    (["--statsd", "localhost"], 2, "HOST:PORT"),
    (["--listen", "192.0.2.1:0"], 1, "no interface"),
    (["--statsd", "nobody.invalid:1"], 1, "nobody.invalid"),
    (["--config", "/nothing/there"], 1, "/nothing/there"),
])
def test_wrong_usage(wsgiscope, server, arguments, status, said):
    if "--listen" not in arguments:
        arguments = arguments + ["--listen", "127.0.0.1:0"]
    result = run("serve", "-p", server.pid, *arguments)
    lines = [line for line in result.stderr.splitlines()
             if "attached to" not in line and "warning" not in line]
    assert result.returncode == status and result.stdout == ""
    assert len(lines) == 1 and said in lines[0], result.stderr


def test_listening_to_all_is_warned_of(server):
    with Daemon("-p", server.pid, listen="0.0.0.0:0") as daemon:
        assert "warning: --listen 0.0.0.0:0" in daemon.stderr()


def test_hundred_scrapers(server):
    """All at once: each gets the whole page."""
    with Daemon("-p", server.pid) as daemon:
        send(server, 20)
        assert daemon.wait_total(20, REQUESTS) == 20
        pages, start = [], threading.Barrier(100)

        def scrape():
            start.wait()
            pages.append(daemon.total(REQUESTS))

        threads = [threading.Thread(target=scrape) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert pages == [20] * 100


def test_slow_loris(server):
    """Two hundred who send a byte now and then do not keep Prometheus out, and none stays."""
    with Daemon("-p", server.pid) as daemon:
        socks = []
        try:
            for _ in range(200):
                sock = socket.create_connection(daemon.address)
                sock.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
                socks.append(sock)
            answered = 0
            for _ in range(30):
                for sock in socks:
                    try:
                        sock.send(b"a", socket.MSG_DONTWAIT)
                    except OSError:
                        pass
                try:
                    answered += daemon.get("/healthz")[1] == "ok\n"
                except OSError:
                    pass
                time.sleep(0.5)
            assert answered >= 25
            open_fds = len(os.listdir("/proc/%d/fd" % daemon.pid))
            assert procs.until(lambda: all(map(is_closed, socks)), 15), "some were never ended"
            assert len(os.listdir("/proc/%d/fd" % daemon.pid)) <= open_fds
        finally:
            for sock in socks:
                sock.close()


def is_closed(sock):
    sock.setblocking(False)
    try:
        return not sock.recv(65536)
    except BlockingIOError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize("request_bytes", [
    b"", b"\0" * 100, b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 500,
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000,
    b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999999999999\r\n\r\nx",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzzzzz\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: " + b"*/*;q=0.1," * 900 + b"\r\n\r\n",
], ids=lambda value: repr(value[:24]))
def test_mad_clients(mad_daemon, request_bytes):
    """It never sends a page for what is no request, and it goes on."""
    with socket.create_connection(mad_daemon.address, timeout=15) as sock:
        try:
            sock.sendall(request_bytes)
            sock.shutdown(socket.SHUT_WR)
            answer = sock.recv(65536)
        except OSError:
            answer = b""
    assert not answer or re.match(rb"HTTP/1\.[01] (4\d\d|200|5\d\d) ", answer), answer[:100]
    if b"Accept:" not in request_bytes:
        assert not re.match(rb"HTTP/1\.[01] 200", answer)
    assert mad_daemon.get("/healthz")[1] == "ok\n"


@pytest.fixture(scope="module")
def mad_daemon(server):
    with Daemon("-p", server.pid) as daemon:
        yield daemon


def test_reload(server, tmp_path):
    """SIGHUP: good settings hold from then on; bad ones are said, with line and column, and the
    old ones stay."""
    config = tmp_path / "wsgiscope.conf"
    config.write_text("# nothing yet\n", encoding="utf-8")
    with Daemon("-p", server.pid, "--config", config) as daemon:
        send(server, 5)
        assert daemon.wait_total(5, REQUESTS) == 5
        config.write_text("path /list/{rest...}\n", encoding="utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        assert procs.until(lambda: "read again" in daemon.stderr(), 5)
        send(server, 7)
        assert daemon.wait_total(7, REQUESTS, path_group="/list/{rest...}") == 7
        config.write_text("path /list/{rest...}\nseries many\n", encoding="utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        assert procs.until(lambda: "not taken over" in daemon.stderr(), 5)
        assert re.search(r"wsgiscope\.conf:2:8: ", daemon.stderr()), daemon.stderr()
        send(server, 2)
        assert daemon.wait_total(9, REQUESTS, path_group="/list/{rest...}") == 9
        assert daemon.wait_total(14, REQUESTS) == 14


def test_wrong_config(server, tmp_path):
    """At the start it is an error, before anything is attached."""
    config = tmp_path / "wsgiscope.conf"
    config.write_text("series 2000\npath no-slash\n", encoding="utf-8")
    result = run("serve", "-p", server.pid, "--listen", "127.0.0.1:0", "--config", config)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert re.search(r"wsgiscope\.conf:2:6: ", result.stderr), result.stderr


def test_ends_within_a_second(server):
    """With a scraper connected and requests in flight; the port is free again at once, and the
    kernel is as it was soon after."""
    for _ in range(3):
        with Daemon("-p", server.pid) as daemon:
            send(server, 10)
            idle = socket.create_connection(daemon.address)
            began = time.monotonic()
            assert daemon.stop(signal.SIGTERM) == 0
            took = time.monotonic() - began
            idle.close()
            assert "lost: nothing" in daemon.stderr() or "in_flight" in daemon.stderr()
        assert took < 1, "SIGTERM took %.2f s" % took
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(daemon.address)
        assert not daemon.left_behind()


def test_killed(server):
    """SIGKILL: nothing of it is left in the kernel, and the workers go on."""
    with Daemon("-p", server.pid) as daemon:
        daemon.process.kill()
        daemon.process.wait()
    assert not daemon.left_behind()
    send(server, 3)


KEPT = {"bpf", "perfmon", "sys_ptrace", "dac_read_search", "checkpoint_restore"}


def capabilities(pid, which):
    with open("/proc/%d/status" % pid, encoding="ascii") as stream:
        mask = re.search(rf"^{which}:\s*(\w+)", stream.read(), re.M)[1]
    names = subprocess.run(["capsh", "--decode=" + mask], capture_output=True, text=True,
                           check=True).stdout
    return {name.removeprefix("cap_") for name in re.findall(r"cap_\w+", names)}


def test_capabilities_after_setup(server):
    """It keeps what re-attaching needs, in every set, and can get nothing back; the process that
    cleans up after it has none at all."""
    with Daemon("-p", server.pid) as daemon:
        for which in ("CapEff", "CapPrm", "CapBnd"):
            assert capabilities(daemon.pid, which) == KEPT
        for which in ("CapInh", "CapAmb"):
            assert capabilities(daemon.pid, which) == set()
        with open("/proc/%d/status" % daemon.pid, encoding="ascii") as stream:
            assert "NoNewPrivs:\t1" in stream.read()
        guards = [pid for pid in procs.tree(daemon.pid) if pid != daemon.pid]
        assert guards
        for guard in guards:
            assert capabilities(guard, "CapEff") == set()
            assert capabilities(guard, "CapPrm") == set()


@pytest.mark.parametrize("kind", ["gunicorn-sync", "uwsgi"])
def test_attaches_again_without_the_rest(wsgiscope, kind):
    """With the capabilities that are left: workers that come after are covered from their first
    request, of servers run by another user, too."""
    from conftest import need_server
    need_server(kind)
    with servers.Server(kind) as server, Daemon("-p", server.pid) as daemon:
        send(server, 5)
        os.kill(server.pid, signal.SIGHUP)
        old = server.workers()
        assert not procs.wait_gone(old, 15)
        assert procs.until(lambda: len(server.workers()) == server.kind.workers, 10)
        send(server, 20)
        assert daemon.wait_total(25, REQUESTS) == 25
        assert daemon.total("wsgiscope_dropped_total") == 0
        assert daemon.stop() == 0
    assert not daemon.left_behind()


def test_later_servers_of_other_users(wsgiscope, tmp_path):
    """All workers of the host, after capabilities were given up: servers that start later, one of
    them as another user, are covered from their first request."""
    from conftest import need_server
    kinds = ["waitress", "mod_wsgi-daemon"]
    for kind in kinds:
        need_server(kind)
    word = "e2e-%d" % os.getpid()
    group = "/list/{count}/{size}/%s/{uid}" % word
    config = tmp_path / "wsgiscope.conf"
    config.write_text("path %s\n" % group, encoding="utf-8")
    with Daemon("--config", config) as daemon:
        counted = 0
        for kind in kinds:
            with servers.Server(kind) as server:
                send(server, 20, extra=word)
                counted += 20
                assert daemon.wait_total(counted, REQUESTS, path_group=group) == counted, kind
        assert daemon.stop() == 0
    assert not daemon.left_behind()


def test_marker_shared_with_others(wsgiscope):
    """Where a server that is not traced has the same marker, it is armed by process: workers that
    end must not take the probes of those that go on along (the kernel may swap the perf events of
    siblings)."""
    from conftest import need_server
    need_server("gunicorn-sync")
    need_server("waitress")
    with servers.Server("waitress"), servers.Server("gunicorn-sync") as server, \
            Daemon("-p", server.pid) as daemon:
        sent = 0
        for _ in range(6):
            old = server.workers()
            os.kill(old[0], signal.SIGTERM)
            until = time.monotonic() + 1.2
            while time.monotonic() < until:
                send(server, 4, way="stream", count=3)
                sent += 4
        assert daemon.wait_total(sent, REQUESTS) == sent
        assert daemon.total("wsgiscope_dropped_total") == 0
