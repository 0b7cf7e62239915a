#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""make bench-serve: the daemon under 20,000 requests a second, for ten minutes or BENCH_SECONDS.

Fails where a request was lost or counted twice, where its memory grew after the first tenth of the
time, or where a scrape failed; prints what it took, next to the aim of 2 us of CPU a request.
Usage: steady.py BUILD_DIRECTORY
"""
import gzip
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import load
from phases import READY_S, TRACER_CPU, BenchError, Worker

SECONDS = int(os.environ.get("BENCH_SECONDS", "600"))
AIM_US = 2.0
GROWTH_KB = 512  # of noise: what malloc and the page cache of a scrape move to and fro
SCRAPE_S = 5


class Daemon:
    """A `serve` of one worker, on the CPU that the worker is not on."""

    def __init__(self, build, pid):
        command = ["taskset", "-c", str(TRACER_CPU), os.path.join(build, "wsgiscope"), "serve",
                   "-p", str(pid), "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.talk = []
        self.url = None
        watchdog = threading.Timer(READY_S, self.process.kill)
        watchdog.start()
        for line in self.process.stderr:
            self.talk.append(line)
            found = re.search(r"serving on (http://\S+/)", line)
            if found:
                self.url = found[1] + "metrics"
                break
        watchdog.cancel()
        if not self.url:
            self.process.wait()
            raise BenchError("the daemon did not start:\n" + "".join(self.talk))

    def scrape(self):
        """{metric: sum over its labels}, asked for as Prometheus does."""
        request = urllib.request.Request(self.url, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request, timeout=10) as response:
            page = gzip.decompress(response.read()).decode()
        sums = {}
        for name, value in re.findall(r"^(\w+)(?:\{.*\})? (\S+)$", page, re.M):
            sums[name] = sums.get(name, 0) + float(value)
        return sums

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.talk += self.process.stderr.readlines()
        return self.process.wait(READY_S)


class Watch:
    """Scrapes and looks at the memory every few seconds until stopped."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.rss, self.error = [], None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping.wait(SCRAPE_S):
            try:
                self.daemon.scrape()
            except OSError as error:
                self.error = error
                return
            self.rss.append(load.rss_kb(self.daemon.pid))

    def stop(self):
        self.stopping.set()
        self.thread.join()


def steady(daemon, worker):
    """Requests made, CPU time, memory over the time, what the daemon says in the end."""
    watch = Watch(daemon)
    start_ns = load.cpu_ns(daemon.pid)
    try:
        done, late_ns = worker.call("synthetic", rate=load.RATE, seconds=SECONDS,
                                    connections=load.CONNECTIONS)
    finally:
        watch.stop()
    time.sleep(1)  # for what is still in the ring
    used_ns = load.cpu_ns(daemon.pid) - start_ns
    if watch.error:
        raise BenchError(f"a scrape failed: {watch.error}")
    return done, late_ns, used_ns, watch.rss, daemon.scrape()


def judge(done, used_ns, rss, sums):
    """What is wrong, as lines."""
    wrong = []
    counted, lost = sums["wsgi_requests_total"], sums["wsgiscope_dropped_total"]
    if counted != done or lost:
        wrong.append(f"{done} requests were made, {counted:.0f} counted, {lost:.0f} lost")
    warm = rss[len(rss) // 10:]
    if warm and max(warm) - warm[0] > GROWTH_KB:
        wrong.append(f"memory grew from {warm[0]} to {max(warm)} kB")
    if used_ns / done > AIM_US * 1000:
        wrong.append(f"{used_ns / done / 1000:.2f} us of CPU a request, aim <= {AIM_US:.0f}")
    return wrong


def main():
    build = os.path.abspath(sys.argv[1])
    worker = Worker(build, os.path.join(build, "python"))
    try:
        daemon = Daemon(build, worker.pid)
        try:
            done, late_ns, used_ns, rss, sums = steady(daemon, worker)
        finally:
            status = daemon.close()
    finally:
        worker.close()
    print(f"the daemon under {load.RATE} requests a second for {SECONDS} s, scraped every "
          f"{SCRAPE_S} s")
    print(f"  requests made {done}, latest behind its time {late_ns / 1e6:.1f} ms")
    print(f"  counted {sums['wsgi_requests_total']:.0f}, "
          f"lost {sums['wsgiscope_dropped_total']:.0f}")
    print(f"  CPU of the daemon: {used_ns / done / 1000:.2f} us a request, "
          f"{used_ns / SECONDS / 1e7:.1f} % of one CPU")
    marks = rss[:: max(1, len(rss) // 8)] + rss[-1:]
    print("  resident memory, kB, over the time: " + " ".join(map(str, marks)))
    wrong = judge(done, used_ns, rss, sums)
    if status:
        wrong.append(f"the daemon ended with status {status}: {''.join(daemon.talk)}")
    for line in wrong:
        print(f"bench-serve: {line}", file=sys.stderr)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench-serve: {error}")
