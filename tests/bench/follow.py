#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""make bench-follow: what it takes to attach to many workers, and what the watch for new ones costs
a host that starts many programs. Prints; never fails on time: another machine has other numbers.
Usage: follow.py BUILD_DIRECTORY [attach|loaded|watch ...]"""
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", "e2e"), os.path.join(ROOT, "tests", "e2e", "apps")]

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build"))
os.environ["WSGISCOPE"] = os.path.join(BUILD, "wsgiscope")
os.environ["PYTHONPATH"] = os.path.join(BUILD, "python")

import marks  # noqa: E402
import procs  # noqa: E402
import servers  # noqa: E402
from tracer import ATTACHED, Tracer, run  # noqa: E402

AIM_ATTACH_S = 2
SPAWNS = 300
ROUNDS = 7


class Many(servers.Server):
    """A server with so many workers."""

    def __init__(self, kind, workers, options=()):
        super().__init__(kind, options=options)
        inner = self.kind.command

        def command(server):
            words = inner(server)
            if kind.startswith("mod_wsgi"):
                config = words[words.index("-f") + 1]
                with open(config, encoding="ascii") as stream:
                    text = stream.read()
                with open(config, "w", encoding="ascii") as stream:
                    stream.write(text.replace("processes=2", "processes=%d" % workers))
            return words
        self.kind = self.kind._replace(workers=workers, command=command)

    def wait_ready(self, seconds=120):
        super().wait_ready(seconds)


def four_servers(each):
    """Servers of four kinds with so many workers each."""
    yield Many("gunicorn-sync", each, ["--workers", str(each)])
    yield Many("uwsgi", each, ["--processes", str(each), "--threads", "1"])
    yield Many("mod_wsgi-daemon", each)
    for _ in range(each):
        yield servers.Server("waitress")


def cpu_s(pid):
    """Of its one thread, exact."""
    with open("/proc/%d/schedstat" % pid, encoding="ascii") as stream:
        return int(stream.read().split()[0]) / 1e9


def idle_cpu(tracer, seconds=1):
    """s of CPU a second that it takes for what the host does anyway."""
    before = cpu_s(tracer.pid)
    time.sleep(seconds)
    return (cpu_s(tracer.pid) - before) / seconds


def attached_line(talk):
    return next(line for line in talk.splitlines() if line.startswith(ATTACHED))


def attach(verb):
    """That verb on all workers."""
    if verb == "serve":
        return Tracer("--listen", "127.0.0.1:%d" % servers.free_port(), verb=verb,
                      json_lines=False)
    return Tracer("--path", "/nobody-asks-so", verb=verb)


def attach_once(verb):
    """(s until it is attached, s of its CPU time until then, what it said)."""
    begin = time.monotonic()
    with attach(verb) as tracer:
        wall = time.monotonic() - begin
        return wall, cpu_s(tracer.pid), attached_line(tracer.stderr())


def attach_rows(label, aim=None):
    """trace arms the collector's marks too, process by process; serve does not show them."""
    for verb in ["trace"] + ["serve"] * (not run("serve", "--help").returncode):
        runs = [attach_once(verb) for _ in range(5)]
        wall = statistics.median(each[0] for each in runs)
        cpu = statistics.median(each[1] for each in runs)
        verdict = "<= %d  %s" % (aim, "ok" if wall <= aim else "over") if aim else ""
        print("  %-36s%-8s%8.2f%8.2f  %-10s%s" % (label, verb, wall, cpu, verdict, runs[-1][2]),
              flush=True)


def attach_bench():
    print("\nattaching to all workers, without -p: s until attached, s of its CPU (medians of 5)")
    attach_rows("before any of ours")
    with contextlib.ExitStack() as stack:
        for server in four_servers(16):
            stack.enter_context(server)
        attach_rows("64 workers of four servers", AIM_ATTACH_S)
        stack.enter_context(Many("gunicorn-sync", 100, ["--workers", "100"]))
        attach_rows("and a hundred more of gunicorn")
        later_bench(stack)


def later_bench(stack):
    """What the tracer itself does for a hundred workers that start while it runs."""
    tracer = stack.enter_context(attach("trace"))
    idle = idle_cpu(tracer, 2)
    before, begin = cpu_s(tracer.pid), time.monotonic()
    stack.enter_context(Many("gunicorn-sync", 100, ["--workers", "100"]))
    took = time.monotonic() - begin
    time.sleep(6)  # the last look at a new process is after five seconds
    cpu = cpu_s(tracer.pid) - before - idle * (took + 6)
    print("  a hundred more while it runs: %.1f ms of its CPU each (idle: %.1f ms a second)"
          % (cpu * 10, idle * 1000), flush=True)


def spawn_ns():
    """ns for a program that is started and ends."""
    begin = time.monotonic_ns()
    for _ in range(SPAWNS):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    return (time.monotonic_ns() - begin) / SPAWNS


def spawn_traced(args):
    """(us for a program, us of the tracer's CPU for it); args None: without a tracer."""
    if args is None:
        return spawn_ns() / 1000, 0
    with Tracer("--path", "/nobody-asks-so", *args) as tracer:
        idle = idle_cpu(tracer)
        before = cpu_s(tracer.pid)
        each = spawn_ns() / 1000
        cpu = cpu_s(tracer.pid) - before - idle * each * SPAWNS / 1e6
        return each, cpu / SPAWNS * 1e6


def watch_bench():
    """-p does not watch, and is otherwise the same; the order changes with every round."""
    print("\nstarting /bin/true: us each, of %d; median, least of %d rounds; of the tracer's "
          "CPU" % (SPAWNS, ROUNDS))
    with servers.Server("wsgiref") as server:
        modes = [("no tracer", None), ("trace -p, which does not watch", ("-p", server.pid)),
                 ("trace of all, which does", ())]
        found = {label: [] for label, _ in modes}
        for number in range(ROUNDS):
            for label, args in modes[number % 3:] + modes[:number % 3]:
                found[label].append(spawn_traced(args))
    base = statistics.median(each for each, _ in found["no tracer"])
    for label, values in found.items():
        median = statistics.median(each for each, _ in values)
        print("  %-44s%8.1f%8.1f  %+5.1f %%  %6.1f" % (
            label, median, min(values)[0], 100 * (median / base - 1),
            statistics.median(cpu for _, cpu in values)), flush=True)


LOADER = """
import ctypes, os, sys, time
sys.path.insert(0, sys.argv[1])
before = time.monotonic_ns()
import wsgiscope._marker as marker
first = min(int(line.split("-")[0], 16) for line in open("/proc/self/maps") if "_marker" in line)
raised = ctypes.c_uint16.from_address(first + int(sys.argv[2]))
while not raised.value and time.monotonic_ns() - before < 5e9:
    pass
print((time.monotonic_ns() - before) / 1e6 if raised.value else "never")
"""


def loaded_bench():
    """A marker that nobody had: from before its import until its semaphore is raised."""
    took = []
    with tempfile.TemporaryDirectory() as directory, Tracer("--path", "/nobody-asks-so"):
        for number in range(10):
            copy = shutil.copytree(servers.marker_path(), os.path.join(directory, str(number)))
            name = next(name for name in os.listdir(os.path.join(copy, "wsgiscope"))
                        if name.endswith(".so"))
            address = marks.semaphores(os.path.join(copy, "wsgiscope", name))["request_start"]
            said = subprocess.run([servers.PYTHON, "-c", LOADER, copy, str(address)], check=True,
                                  capture_output=True, text=True)
            took.append(float(said.stdout))
    print("\nfrom the import of a marker that nobody had until it is armed: median %.1f ms, at "
          "most %.1f, of %d" % (statistics.median(took), max(took), len(took)), flush=True)


BENCHES = {"attach": attach_bench, "loaded": loaded_bench, "watch": watch_bench}

if __name__ == "__main__":
    if not shutil.which("gunicorn"):
        sys.exit("follow.py: needs the servers: contrib/debian-packages.sh test")
    for name in sys.argv[2:] or BENCHES:
        BENCHES[name]()
