#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""make soak: half an hour of mixed load on four servers whose workers are recycled, under `serve`,
with a `flame` every minute.

Every minute the load rests, and then the daemon's count must be the clients', no request may lie in
its maps, and they may know only processes that live. In the end its memory and its descriptors must
be what they were after the first half. Every response is compared with the first of its kind.
SOAK_SECONDS (1800), SOAK_RATE (requests a second over all servers, 100). Root.
"""
import os
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests", "e2e")]

import kernel  # noqa: E402
import procs  # noqa: E402
import servers  # noqa: E402
import traffic  # noqa: E402
from daemon import Daemon, total  # noqa: E402
from tracer import Tracer  # noqa: E402

SECONDS = int(os.environ.get("SOAK_SECONDS", "1800"))
RATE = float(os.environ.get("SOAK_RATE", "100"))
MINUTE_S = min(60, SECONDS / 10)
FLAME_S = 5
SCRAPE_S = 5
RECYCLE = 150            # requests, after which a worker is replaced
GROWTH_KB = 1024         # of noise: what malloc and a page's making move to and fro
SETTLED = 2              # the first of so many parts of the time is for getting warm


class SoakError(Exception):
    """Something was not as it must be."""


def recycling(kind, *options):
    return servers.Server(kind, "marked", options=options)


def recycling_apache():
    server = servers.Server("mod_wsgi-daemon", "marked")
    daemon = ("WSGIDaemonProcess e2e processes=2 threads=2 maximum-requests=%d "
              "display-name=%%{GROUP} python-path=%s")
    server.kind = server.kind._replace(command=lambda each: servers.write_apache_config(
        each, 1, "e2e", daemon % (RECYCLE, each.environ["PYTHONPATH"])))
    return server


def recycling_uwsgi():
    """Of one thread a worker: uWSGI 2.0.21 with more than one can hang when it recycles workers,
    traced or not: a thread waits for ever for a lock of one that has ended."""
    server = recycling("uwsgi", "--max-requests", str(RECYCLE))
    command = server.kind.command
    server.kind = server.kind._replace(command=lambda each: [
        "1" if before == "--threads" else part
        for before, part in zip([""] + command(each), command(each))])
    return server


def servers_make():
    number = str(RECYCLE)
    return [recycling("gunicorn-sync", "--max-requests", number),
            recycling("gunicorn-gthread", "--max-requests", number),
            recycling_uwsgi(), recycling_apache()]


class Soak:
    """One run: what was asked, and what each minute's rest showed."""

    def __init__(self, running, daemon):
        self.running = running
        self.daemon = daemon
        self.traffic = [traffic.Traffic(each, RATE / len(running)) for each in running]
        self.minutes = []
        self.workers = set()
        self.flames = 0

    def asked(self):
        return sum(each.done for each in self.traffic)

    def run(self):
        """A flame and scrapes while the load goes on, then the rest; minute after minute."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            self.load_run(min(time.monotonic() + MINUTE_S, end))
            self.minutes.append(self.rest())
            self.minute_say()

    def load_run(self, until):
        for each in self.traffic:
            each.resume()
        self.flame()
        while time.monotonic() < until:
            self.daemon.samples()
            self.workers_note()
            time.sleep(min(SCRAPE_S, max(0, until - time.monotonic())))
        for each in self.traffic:
            each.pause()

        self.workers_note()

    def workers_note(self):
        for server in self.running:
            self.workers.update(server.workers())

    def flame(self):
        """It ends by itself, with a profile, and leaves nothing."""
        path = os.path.join(self.running[0].directory, "flame.folded")
        several = [part for each in self.running for part in ("-p", each.pid)]
        with Tracer(*several, "-d", min(FLAME_S, MINUTE_S / 3), "--wall", "-o", path,
                    verb="flame", json_lines=False) as tracer:
            tracer.note_programs()
            status = tracer.process.wait(FLAME_S + 30)
            said = tracer.stderr()
        if status or not os.path.getsize(path):
            raise SoakError("flame ended with %d: %s" % (status, said))
        left = tracer.left_behind()
        if left:
            raise SoakError("flame left %r" % left)
        self.flames += 1

    def rest(self):
        """Waits until all is counted and no request lies in the maps; what there is then."""
        pid, asked = self.daemon.pid, self.asked()
        procs.until(lambda: self.daemon.total("wsgi_requests_total") == asked
                    and not kernel.requests(pid), 10, 0.2)
        samples = self.daemon.samples()
        return {"asked": asked, "counted": total(samples, "wsgi_requests_total"),
                "lost": total(samples, "wsgiscope_dropped_total"),
                "requests": kernel.requests(pid),
                "strangers": kernel.strangers(pid, "processes"),
                "processes": kernel.entries(pid, "processes"),
                "listeners": kernel.entries(pid, "listeners"),
                "fds": len(os.listdir("/proc/%d/fd" % pid)), "rss": procs.memory_kb(pid),
                "heap": procs.memory_kb(pid, "RssAnon")}

    def minute_say(self):
        last = self.minutes[-1]
        print("  %3d: asked %d, counted %d, lost %d; in the maps: requests %d, processes %d, "
              "listeners %d; descriptors %d, memory %d kB, %d of it its own; workers seen %d" %
              (len(self.minutes), last["asked"], last["counted"], last["lost"],
               last["requests"], last["processes"], last["listeners"], last["fds"],
               last["rss"], last["heap"], len(self.workers)), flush=True)


def minute_judge(number, minute):
    """What is wrong with a minute's rest, as lines."""
    if minute["counted"] + minute["lost"] != minute["asked"]:
        yield "minute %d: %d asked, %d counted, %d lost" % (
            number, minute["asked"], minute["counted"], minute["lost"])
    if minute["lost"]:
        yield "minute %d: %d lost, under a load that is none" % (number, minute["lost"])
    if minute["requests"]:
        yield "minute %d: %d requests in the map at rest" % (number, minute["requests"])
    if minute["strangers"]:
        yield "minute %d: processes in the map that live no more: %r" % (
            number, minute["strangers"])


def judge(soak):
    """What is wrong, as lines."""
    wrong = [line for number, minute in enumerate(soak.minutes, 1)
             for line in minute_judge(number, minute)]
    wrong += [line for each in soak.traffic for line in each.wrong]
    warm = soak.minutes[len(soak.minutes) // SETTLED:]
    grown = max(minute["rss"] for minute in warm) - warm[0]["rss"]
    if grown > GROWTH_KB:
        wrong.append("memory grew by %d kB" % grown)
    # A worker that has just begun is being looked at: for so long there are some more.
    for what in "fds", "listeners":
        if min(minute[what] for minute in warm[-3:]) > warm[0][what]:
            wrong.append("%s grew: %r" % (what, [minute[what] for minute in warm]))
    expected = soak.asked() / RECYCLE / 3
    if len(soak.workers) < expected:
        wrong.append("only %d workers were seen: they are not recycled" % len(soak.workers))
    return wrong


def run(running):
    print("soak: %d s, %g requests a second over %s; a worker ends after %d" %
          (SECONDS, RATE, ", ".join(each.kind.name for each in running), RECYCLE), flush=True)
    several = [part for each in running for part in ("-p", each.pid)]
    with Daemon(*several) as daemon:
        soak = Soak(running, daemon)
        try:
            soak.run()
        finally:
            for each in soak.traffic:
                each.close()
        used_s = sum(os_times(daemon.pid))
        status = daemon.stop()
    wrong = judge(soak)
    if status:
        wrong.append("the daemon ended with status %d: %s" % (status, daemon.stderr()))
    if daemon.left_behind():
        wrong.append("the daemon left %r" % daemon.left_behind())
    print("soak: %d requests, %d workers, %d flames; the daemon took %.1f s of CPU" %
          (soak.asked(), len(soak.workers), soak.flames, used_s))
    return wrong


def os_times(pid):
    """User and system time of a process so far, in seconds."""
    ticks = os.sysconf("SC_CLK_TCK")
    return [int(field) / ticks for field in procs.stat(pid)[11:13]]


def main():
    running = servers_make()
    try:
        for each in running:
            each.start()
        wrong = run(running)
    finally:
        for each in running:
            if each.process:
                each.stop()
    for line in wrong:
        print("soak: " + line, file=sys.stderr)
    print("soak: " + ("FAILED" if wrong else "all counts exact, nothing grew"))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    try:
        main()
    except SoakError as error:
        sys.exit("soak: %s" % error)
