# SPDX-License-Identifier: BSD-2-Clause
"""A real Prometheus scrapes a real gunicorn and a real uWSGI under load, while their workers are
ended, killed, reloaded and recycled. What it then knows is what the clients counted; the dashboard
and the rules work on it."""
import collections
import json
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

import client
import procs
import servers
from daemon import Daemon
from prometheus import PROGRAM, RULES, Prometheus
from servers import ROOT

DASHBOARD = os.path.join(ROOT, "contrib/grafana/wsgiscope.json")
LOAD_S = 20
BOUNDS = [0, .005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10]


@pytest.fixture(scope="module")
def prometheus_program():
    if not os.path.exists(PROGRAM):
        pytest.skip("%s is missing (apt-get install prometheus)" % PROGRAM)


class Load:
    """Requests one after the other, until stopped: counts what was answered, with which status,
    how long the slow ones took, and what was not answered."""

    def __init__(self, server, seed):
        self.server = server
        self.random = random.Random(seed)
        # uWSGI answers nothing for what raises: there the application makes its own error page.
        self.failing = "twice" if server.kind.record == "uwsgi" else "raise_call"
        self.statuses = collections.Counter()
        self.seconds = []
        self.unanswered = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def request(self):
        way = self.random.choice(["stream", "stream", "list", "not_found", self.failing])
        count = self.random.randrange(1, 40) if way == "stream" else 3
        return client.Request(way, count, 100)

    def run(self):
        while not self.stopping.is_set():
            request = self.request()
            try:
                response = client.fetch(self.server.address, request, timeout=20)
            except OSError:
                self.unanswered += 1
                continue
            if response.status is None:
                self.unanswered += 1  # its worker was killed meanwhile
                continue
            self.statuses[response.status] += 1
            if request.way == "stream":
                self.seconds.append((response.done_ns - response.sent_ns) / 1e9)

    def stop(self):
        self.stopping.set()
        self.thread.join()


def worker_of(server):
    workers = server.workers()
    return workers[0] if workers else None


def disturb(gunicorn, uwsgi, seconds):
    """Ends, kills and reloads workers for so long. How many were killed."""
    killed = 0
    deadline = time.monotonic() + seconds
    steps = ["term", "hup-gunicorn", "term", "kill", "hup-uwsgi", "term"]
    while time.monotonic() < deadline:
        step = steps[0]
        steps = steps[1:] + steps[:1]
        pid = worker_of(gunicorn)
        if step == "term" and pid:
            procs.send(pid, signal.SIGTERM)
        elif step == "kill" and pid:
            killed += procs.send(pid, signal.SIGKILL)
        elif step == "hup-gunicorn":
            os.kill(gunicorn.pid, signal.SIGHUP)
        elif step == "hup-uwsgi":
            os.kill(uwsgi.pid, signal.SIGHUP)
        time.sleep(2)
    return killed


class Scene(collections.namedtuple("Scene", "daemon prometheus loads killed")):
    """What there is once the load is over."""

    def answered(self):
        return sum(sum(load.statuses.values()) for load in self.loads)

    def unanswered(self):
        return sum(load.unanswered for load in self.loads)


def own_marker(tmp_path_factory):
    """A path for Python with a copy of the marker that no other server has: it is then armed as a
    whole, as it would be without -p, and a uWSGI that execs itself is covered from its first
    request."""
    path = tmp_path_factory.mktemp("marker")
    shutil.copytree(os.path.join(servers.marker_path(), "wsgiscope"), path / "wsgiscope")
    os.chmod(path, 0o755)
    return ":".join([servers.HERE, servers.APPS, str(path)])


@pytest.fixture(scope="module")
def scene(wsgiscope, marker, prometheus_program, tmp_path_factory):
    """Both servers, the daemon and Prometheus, after the load."""
    from conftest import need_server
    need_server("gunicorn-sync")
    need_server("uwsgi")
    environ = {"PYTHONPATH": own_marker(tmp_path_factory)}
    with servers.Server("gunicorn-sync", options=["--max-requests", "60"],
                        environ=environ) as gunicorn, \
            servers.Server("uwsgi", options=["--max-requests", "150"], environ=environ) as uwsgi, \
            Daemon("-p", gunicorn.pid, "-p", uwsgi.pid) as daemon, \
            Prometheus("%s:%d" % daemon.address) as prometheus:
        loads = [Load(server, seed) for server in (gunicorn, uwsgi) for seed in (1, 2)]
        try:
            killed = disturb(gunicorn, uwsgi, LOAD_S)
        finally:
            for load in loads:
                load.stop()
        found = Scene(daemon, prometheus, loads, killed)
        wait_scraped(found)
        yield found


def wait_scraped(scene):
    """Until the daemon's count stands still, and Prometheus has it."""
    seen = []

    def still():
        seen.append(scene.daemon.total("wsgi_requests_total"))
        return len(seen) > 20 and len(set(seen[-20:])) == 1

    assert procs.until(still, 20, 0.1)
    assert procs.until(lambda: scene.prometheus.value("sum(wsgi_requests_total)") == seen[-1], 5)


def test_counters_equal_the_clients(scene):
    """Every answered request is counted once; of those that were not answered only such as had
    begun, as unclosed; and nothing was lost."""
    value = scene.prometheus.value
    lost = value('sum(wsgiscope_dropped_total{reason!="in_flight"})')
    counted = value("sum(wsgi_requests_total)")
    unclosed = value('sum(wsgi_requests_total{error_type="unclosed"})') or 0
    assert scene.killed > 0 and scene.answered() > 300
    assert counted - unclosed + lost <= scene.answered() <= counted + lost
    assert unclosed <= scene.killed
    assert counted + lost <= scene.answered() + scene.unanswered()
    assert lost == 0
    if not scene.unanswered():
        assert counted == scene.answered()


def test_counters_by_status(scene):
    statuses = collections.Counter()
    for load in scene.loads:
        statuses += load.statuses
    found = {labels.get("http_response_status_code", ""): count for labels, count in
             scene.prometheus.query("sum by (http_response_status_code) (wsgi_requests_total)")}
    assert found["404"] == statuses[404]
    assert found["500"] == statuses[500]
    raised = scene.prometheus.value('sum(wsgi_requests_total{error_type=~".*Boom"})')
    assert raised == sum(load.statuses[500] for load in scene.loads
                         if load.failing == "raise_call")
    answered = statuses[200]
    unclosed = scene.prometheus.value('sum(wsgi_requests_total{error_type="unclosed"})') or 0
    assert answered <= found["200"] <= answered + unclosed


def test_counters_only_rise(scene):
    """In what Prometheus kept of the whole run, across every restart of a worker."""
    for name in ("wsgi_requests_total", "wsgi_write_bytes_total",
                 "http_server_request_duration_seconds_count", "wsgiscope_events_total"):
        series = scene.prometheus.range(name, LOAD_S + 15)
        assert series
        for labels, values in series:
            assert values == sorted(values), (name, labels)
    assert scene.prometheus.value('resets(process_start_time_seconds{job="wsgiscope"}[1m])') == 0


def test_quantiles(scene):
    """Of the streams: within the error that a bucket's width allows of what the clients saw. On
    one connection a request, a client's time is the application's and a little more."""
    seconds = sorted(second for load in scene.loads for second in load.seconds)
    for quantile in (0.5, 0.9, 0.95):
        found = scene.prometheus.value(
            'histogram_quantile(%s, sum by (le) (http_server_request_duration_seconds_bucket{'
            'path_group=~"/stream/.*"}))' % quantile)
        truth = seconds[int(quantile * len(seconds))]
        index = next(i for i, bound in enumerate(BOUNDS) if truth <= bound)
        width = BOUNDS[index] - BOUNDS[index - 1]
        assert abs(found - truth) <= width, (quantile, found, truth)


def test_page_is_sound(scene):
    """promtool, and Prometheus itself, find nothing to say against the page."""
    page = scene.daemon.get()[1]
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, text=True,
                             capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    target = scene.prometheus.api("targets")["activeTargets"][0]
    assert (target["health"], target["lastError"]) == ("up", "")
    bad = [line for line in scene.prometheus.log().splitlines()
           if re.search("level=(warn|error)", line) and "scrape" in line]
    assert not bad, bad[:3]


def test_rules(scene):
    """They load, none fails, and each recording rule has made something."""
    checked = subprocess.run(["promtool", "check", "rules", RULES], text=True,
                             capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    rules = [rule for group in scene.prometheus.api("rules")["groups"] for rule in group["rules"]]
    assert len(rules) > 10
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}
    for rule in rules:
        if rule["type"] == "recording":
            assert scene.prometheus.query(rule["name"]), rule["name"]
    firing = {rule["name"] for rule in rules if rule.get("state") in ("firing", "pending")}
    assert "WsgiscopeLoses" not in firing and "WsgiscopeSeesNobody" not in firing
    assert "WsgiRequestsFail" in firing, "a fifth of the requests raise"


def expressions():
    """(panel, expression) of everything that the dashboard asks for."""
    with open(DASHBOARD, encoding="utf-8") as stream:
        dashboard = json.load(stream)
    found = [(panel["title"], target["expr"]) for panel in dashboard["panels"]
             for target in panel.get("targets", [])]
    found += [(note["name"], note["expr"]) for note in dashboard["annotations"]["list"]]
    return found


# Nothing of this has happened.
EMPTY = {"wsgiscope restarted"}


def test_dashboard(scene):
    """Every query runs without an error, and has data where something has happened."""
    asked = expressions()
    assert len(asked) > 20
    for panel, expression in asked:
        for name, value in (("$__rate_interval", "20s"), ("$instance", ".*"),
                            ("$application", ".*")):
            expression = expression.replace(name, value)
        assert "$" not in expression, expression
        series = scene.prometheus.range(expression, LOAD_S)
        values = [value for _, all_values in series for value in all_values]
        assert bool(values) == (panel not in EMPTY), (panel, expression)
        assert not [value for value in values if value < 0], expression


def test_dashboard_shows_what_it_is_for():
    """The panels that were asked for, on metrics that exist in the rules' and our own words."""
    panels = {panel for panel, _ in expressions()}
    for word in ("Throughput", "p50", "p95", "p99", "Where the time goes", "GIL", "Output time",
                 "Capacity", "Losses"):
        assert any(word in panel for panel in panels), word
